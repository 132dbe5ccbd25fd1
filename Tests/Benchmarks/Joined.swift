import Engine
import Foundation
import TestKit
import Tracking
import Wire

/// Shipments whose boxes wait for each other beside boxes that go alone, through the engine by itself;
/// and the dearest lines that the bounds let in.
struct Joined {
    private static let start = Instant(seconds: 1_767_225_600)

    static func measure() {
        let alone = cost(shipments: 4_000, boxes: 1)
        let joined = cost(shipments: 4_000, boxes: 3)
        print(
            String(
                format:
                    "CPU µs per event, 16 milestones: a box alone %.1f, one of three that join %.1f "
                    + "(%.2f times)", alone, joined, joined / alone))
        for (boxes, milestones) in [(1_000, 100), (390, 256)] {
            let worst = dearest(boxes: boxes, milestones: milestones)
            print(
                String(
                    format:
                        "%d boxes × %d milestones that join: the plan %.1f ms, an event %.1f ms; "
                        + "each by itself and all under way: the plan %.1f ms", boxes, milestones,
                    worst.plan, worst.event, worst.chain))
        }
    }

    // MARK: Freight

    private static func box(_ number: Int) -> String {
        ContainerNumber(owner: "JBMU", serial: number)?.description ?? ""
    }

    private static func time(_ hours: Double) -> String {
        TimeText.string(start.advanced(minutes: hours * 60))
    }

    /// Sixteen milestones: of one box in a chain, or four of each of three and four of what they have
    /// become. What each is: its box, its place, its code, and the hour for which it is planned.
    private static func milestones(
        _ shipment: Int, boxes: Int
    ) -> [(box: Int?, place: String, code: String, hour: Double)] {
        let codes = ["DEPA", "ARRI", "GTIN", "GTOT"]
        let begin = Double(shipment % 97) / 7
        return (0..<16).map { index in
            let leg = index / 4
            let place = "H\((shipment + leg) % 40)\(index % 4 > 0 ? "B" : "A")"
            if boxes == 1 { return (0, place, codes[index % 4], begin + Double(index) * 6) }
            let hour = leg < 3 ? begin + Double(index % 4) * 6 : begin + Double(index % 4 + 4) * 6
            return (leg < 3 ? leg : nil, place, codes[index % 4], hour)
        }
    }

    private static func plan(_ shipment: Int, boxes: Int) -> String {
        let list = milestones(shipment, boxes: boxes).enumerated().map { index, milestone in
            let owner = milestone.box.map { ",\"container\":\"\(box(shipment * 3 + $0))\"" } ?? ""
            var after: [Int] = index % 4 == 0 ? [] : [index - 1]
            if boxes > 1, index == 12 { after = [3, 7, 11] }
            if boxes == 1, index > 0 { after = [index - 1] }
            let waits = after.map { "\"m\($0)\"" }.joined(separator: ",")
            return "{\"id\":\"m\(index)\",\"place\":\"\(milestone.place)\","
                + "\"event\":\"\(milestone.code)\",\"time\":\"\(time(milestone.hour))\","
                + "\"after\":[\(waits)]\(owner)}"
        }
        let named = (0..<boxes).map { "\"\(box(shipment * 3 + $0))\"" }.joined(separator: ",")
        return "{\"plan\":\"J\(shipment)\",\"containers\":[\(named)],\"start\":\"\(time(0))\","
            + "\"promised\":\"\(time(110))\",\"milestones\":[\(list.joined(separator: ","))]}"
    }

    /// CPU microseconds of an event, the events of many shipments one among the other.
    private static func cost(shipments: Int, boxes: Int) -> Double {
        var rules = AlertRules()
        rules.backlogMinutes = 1e6
        rules.futureHours = 1e6
        var engine = freshEngine(rules: rules, now: start)
        var news: [(at: Double, line: String)] = []
        for shipment in 0..<shipments {
            _ = engine.step([chunk([plan(shipment, boxes: boxes)])], now: start)
            for (index, milestone) in milestones(shipment, boxes: boxes).enumerated() {
                let late = Double((shipment * 31 + index * 17) % 100) / 25
                let hour = milestone.hour + late
                news.append(
                    (
                        hour,
                        "{\"container\":\"\(box(shipment * 3 + (milestone.box ?? 0)))\","
                            + "\"event\":\"\(milestone.code)\",\"place\":\"\(milestone.place)\","
                            + "\"time\":\"\(time(hour))\",\"shipment\":\"J\(shipment)\"}"
                    ))
            }
        }
        news.sort { $0.at < $1.at }
        // Parsed before, in batches of fifty: what is measured is what is decided.
        let batches = stride(from: 0, to: news.count, by: 50).map { at in
            chunk(news[at..<min(at + 50, news.count)].map(\.line))
        }
        let before = ProcessMeter.cpuSeconds(getpid())
        for batch in batches {
            _ = engine.step([batch], now: start)
            if engine.dirtyCount > 10_000 { _ = engine.cut(now: start) }
        }
        return (ProcessMeter.cpuSeconds(getpid()) - before) / Double(news.count) * 1e6
    }

    // MARK: The dearest lines

    private static func wide(
        boxes: Int, milestones: Int, isJoined: Bool, version: Int
    ) -> String {
        let list = (0..<milestones).map { number in
            let after = number == 0 ? "[]" : "[\"m\(number - 1)\"]"
            let join = isJoined ? ",\"id\":\"m\(number)\",\"after\":\(after)" : ""
            let owner =
                isJoined && number < milestones / 2
                ? ",\"container\":\"\(box(number % boxes))\"" : ""
            return
                "{\"place\":\"W\(number)\",\"event\":\"ARRI\",\"time\":\"\(time(Double(number)))\""
                + "\(join)\(owner)}"
        }
        let named = (0..<boxes).map { "\"\(box($0))\"" }.joined(separator: ",")
        return "{\"plan\":\"W\",\"containers\":[\(named)],\"start\":\"\(time(0))\","
            + "\"promised\":\"\(time(Double(100 + version)))\","
            + "\"updated\":\"\(time(Double(version) / 100))\","
            + "\"milestones\":[\(list.joined(separator: ","))]}"
    }

    /// Milliseconds of the plan, of an event in it, and of the plan where each box goes by itself and
    /// has come to another place.
    private static func dearest(
        boxes: Int, milestones: Int
    ) -> (plan: Double, event: Double, chain: Double) {
        var rules = AlertRules()
        rules.backlogMinutes = 1e6
        rules.futureHours = 1e6
        func timed(_ engine: inout Engine, _ lines: [String]) -> Double {
            let chunks = lines.map { chunk([$0]) }
            let before = ProcessMeter.cpuSeconds(getpid())
            for chunk in chunks { _ = engine.step([chunk], now: start) }
            return (ProcessMeter.cpuSeconds(getpid()) - before) / Double(lines.count) * 1e3
        }
        func event(_ number: Int, _ place: Int) -> String {
            "{\"container\":\"\(box(number))\",\"event\":\"ARRI\",\"place\":\"W\(place)\","
                + "\"time\":\"\(time(Double(place) / 10))\"}"
        }
        var engine = freshEngine(rules: rules, now: start)
        let plans = (0..<20).map {
            wide(boxes: boxes, milestones: milestones, isJoined: true, version: $0)
        }
        let plan = timed(&engine, plans)
        let joined = timed(&engine, (0..<20).map { event($0, $0) })
        engine = freshEngine(rules: rules, now: start)
        _ = timed(&engine, (0..<boxes).map { event($0, $0 % (milestones - 1)) })
        let chains = (0..<20).map {
            wide(boxes: boxes, milestones: milestones, isJoined: false, version: $0)
        }
        return (plan, joined, timed(&engine, chains))
    }
}
