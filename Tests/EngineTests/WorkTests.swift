import Forecast
import Log
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func box(_ number: Int) -> String {
    ContainerNumber(owner: "WRKU", serial: number)?.description ?? ""
}

/// A plan whose milestones wait for each other across its boxes.
private func joined(
    _ name: String, boxes: Range<Int>, milestones: Int, extra: String = ""
) -> String {
    let list = (0..<milestones).map { number in
        let after = number == 0 ? "[]" : "[\"m\(number - 1)\"]"
        let time = TimeText.string(start.advanced(minutes: Double(number + 1) * 60))
        return
            "{\"id\":\"m\(number)\",\"place\":\"P\(number)\",\"event\":\"ARRI\",\"after\":\(after),"
            + "\"container\":\"\(box(boxes.lowerBound + number % boxes.count))\","
            + "\"time\":\"\(time)\"}"
    }
    let named = boxes.map { "\"\(box($0))\"" }.joined(separator: ",")
    return "{\"plan\":\"\(name)\",\"containers\":[\(named)],"
        + "\"start\":\"2026-01-01T00:00:00Z\",\"promised\":\"2026-01-20T00:00:00Z\","
        + "\"milestones\":[\(list.joined(separator: ","))]\(extra)}"
}

private func event(_ number: Int, _ place: Int) -> String {
    "{\"container\":\"\(box(number))\",\"event\":\"ARRI\",\"place\":\"P\(place)\","
        + "\"time\":\"\(TimeText.string(start.advanced(minutes: Double(place + 1) * 61)))\"}"
}

/// Sizes are bounded, and so is the work that a line makes.
@Suite struct WorkTests {
    private func refusals(_ effects: Effects) -> [String] {
        effects.replies.flatMap {
            String(decoding: $0.rejects, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test func aPlanHasABudget() {
        var limits = FeedLimits()
        limits.maxWork = 1_200
        let parser = FeedParser(limits: limits)
        func isPlan(_ line: FeedLine) -> Bool {
            if case .plan = line { true } else { false }
        }
        #expect(isPlan(parser.parse(joined("S", boxes: 0..<40, milestones: 30))))
        guard case .reject(let reject) = parser.parse(joined("S", boxes: 0..<40, milestones: 31))
        else {
            Issue.record("a plan over the budget was read")
            return
        }
        #expect(reject.code == .limit && reject.field == "milestones")
        #expect(reject.detail.contains("40 containers times 31 milestones are more than 1200"))
        // Where the network has to find the way, by what it will have about.
        func bare(_ boxes: Int) -> String {
            let named = (0..<boxes).map { "\"\(box($0))\"" }.joined(separator: ",")
            return "{\"plan\":\"S\",\"containers\":[\(named)],\"from\":\"CNXIA\",\"to\":\"KZALA\"}"
        }
        #expect(isPlan(parser.parse(bare(100))))
        #expect(!isPlan(parser.parse(bare(101))))
        // What a log took is read as it is.
        #expect(
            isPlan(FeedParser(limits: .largest).parse(joined("S", boxes: 0..<900, milestones: 250)))
        )
    }

    @Test func thePlansOfOneContainerHaveABudgetTogether() {
        var rules = AlertRules()
        rules.maxWork = 300
        var engine = freshEngine(rules: rules, now: start)
        func send(_ line: String) -> Effects { engine.step([chunk([line])], now: start) }
        // Ten boxes times ten milestones each, that share box 0.
        #expect(refusals(send(joined("A", boxes: 0..<10, milestones: 10))).isEmpty)
        #expect(refusals(send(joined("B", boxes: 0..<10, milestones: 10))).isEmpty)
        #expect(refusals(send(joined("C", boxes: 0..<10, milestones: 10))).isEmpty)
        let fourth = refusals(send(joined("D", boxes: 0..<10, milestones: 10)))
        #expect(fourth.first?.contains("\"code\":\"limit\",\"field\":\"containers\"") == true)
        #expect(fourth.first?.contains("400 milestones to look at") == true)
        // A later version of one of them takes its own place.
        let later = joined(
            "B", boxes: 0..<10, milestones: 10, extra: ",\"updated\":\"2026-01-02T00:00:00Z\"")
        #expect(refusals(send(later)).isEmpty)
        // Others are not concerned.
        #expect(refusals(send(joined("D", boxes: 20..<30, milestones: 10))).isEmpty)
    }

    @Test func anEventIsComposedOnceForAllCompanions() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([joined("W", boxes: 0..<100, milestones: 100)])], now: start)
        for number in 0..<3 {
            let before = engine.forecasting.composer.compositions
            let effects = engine.step(
                [chunk([event(number, number)])], now: start.advanced(minutes: Double(number) * 70))
            #expect(effects.counts.stored == 1)
            // The boxes are a hundred; those whose news is held back see it from their own time.
            #expect(engine.forecasting.composer.compositions - before <= 2)
        }
        // What changes nothing in a shipment is no news for the others in it.
        let before = engine.forecasting.composer.compositions
        _ = engine.step([chunk([event(0, 0)])], now: start.advanced(minutes: 140))
        #expect(engine.forecasting.composer.compositions == before)
    }

    @Test func newsDoesNotTravelFromPlanToPlan() {
        var engine = freshEngine(now: start)
        // Each plan shares one box with the next.
        let plans = (0..<20).map { joined("C\($0)", boxes: $0..<($0 + 2), milestones: 2) }
        _ = engine.step([chunk(plans)], now: start)
        let before = engine.forecasting.composer.compositions
        _ = engine.step([chunk([event(0, 0)])], now: start.advanced(minutes: 1))
        #expect(engine.forecasting.composer.compositions - before <= 4)
    }

    @Test func aTrainThatHasYetToBeginIsComposedOnce() {
        var engine = freshEngine(now: start)
        let named = (0..<200).map { "\"\(box($0))\"" }.joined(separator: ",")
        let line =
            "{\"plan\":\"T\",\"containers\":[\(named)],\"from\":\"CNXIA\",\"to\":\"KZALA\","
            + "\"mode\":\"RAIL\",\"start\":\"2026-01-02T00:00:00Z\"}"
        let effects = engine.step([chunk([line])], now: start)
        // A word about each of them.
        #expect(effects.commit?.outputs.count == 200)
        // By either border.
        #expect(engine.forecasting.composer.compositions == 2)
    }

    @Test func whatIsSilentFarFromItsEndIsSeldomLookedAt() {
        var engine = freshEngine(now: start)
        let line =
            "{\"plan\":\"T\",\"containers\":[\"\(box(0))\"],\"from\":\"CNLYG\",\"to\":\"DEDUI\","
            + "\"mode\":\"RAIL\",\"start\":\"2026-01-01T00:00:00Z\"}"
        _ = engine.step([chunk([line])], now: start)
        let report =
            "{\"container\":\"\(box(0))\",\"event\":\"DEPA\",\"place\":\"CNLYG\","
            + "\"time\":\"2026-01-01T02:00:00Z\"}"
        var now = start.advanced(minutes: 120)
        _ = engine.step([chunk([report])], now: now)
        let before = engine.forecasting.composer.compositions
        var looks = 0
        while engine.nextDue < start.advanced(minutes: 10 * 1_440) {
            now = max(now, engine.nextDue)
            _ = engine.step([], now: now)
            looks += 1
        }
        let compositions = engine.forecasting.composer.compositions - before
        print("silent for ten days: \(looks) looks, \(compositions) compositions")
        #expect(looks > 1 && looks <= 16)
    }
}
