import Engine
import Forecast
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Months that are handed in at once end in what a daemon knows that watched them.
@Suite struct HistoryTests {
    private static let start = Instant(seconds: 1_767_225_600)
    private static let days = 50.0
    private static let end = start.advanced(minutes: days * 1_440)

    /// How good is what is said of the boxes that are under way at the end.
    private struct Score {
        var boxes = 0
        var covered = 0
        var errorMinutes = 0.0
        var late: [String: Bool] = [:]

        var coverage: Double { Double(covered) / Double(max(boxes, 1)) }
        var precision: Double {
            Double(late.values.count { $0 }) / Double(max(late.count, 1))
        }
    }

    private struct World {
        let lines: [TimedLine]
        let truths: [ShipmentTruth]
        let containers: [String: ContainerNumber]
    }

    private func world() -> World {
        var options = TrafficOptions(start: HistoryTests.start)
        options.seed = 11
        options.days = 70
        options.shipmentsPerDay = 60
        print("seed \(options.seed), \(options.shipmentsPerDay) shipments a day")
        let traffic = Traffic(options)
        var containers: [String: ContainerNumber] = [:]
        for line in traffic.lines {
            guard let object = FlatObject(line.line), let plan = object.text("plan"),
                let first = object.texts("containers")?.first
            else { continue }
            containers[plan] = ContainerNumber(first)
        }
        return World(
            lines: traffic.lines.filter { $0.at <= HistoryTests.end }, truths: traffic.truths,
            containers: containers)
    }

    private func follow(
        _ outputs: [OutputLine], _ said: inout [String: FlatObject], _ late: inout Set<String>
    ) {
        for output in outputs {
            guard let object = FlatObject(output.bytes), let shipment = object.text("shipment")
            else { continue }
            if output.kind == "eta" { said[shipment] = object }
            guard output.kind == "alert", output.type == "late" else { continue }
            switch object.text("state") {
            case "raised", "updated": late.insert(shipment)
            default: late.remove(shipment)
            }
        }
    }

    private func score(
        _ engine: inout Engine, _ late: Set<String>, _ world: World, at now: Instant
    ) -> Score {
        var score = Score()
        for truth in world.truths where truth.delivered > HistoryTests.end {
            guard let container = world.containers[truth.plan],
                let outlook = engine.outlook(
                    container, shipment: truth.plan, now: now),
                !outlook.expected.hasHappened
            else { continue }
            score.boxes += 1
            if outlook.shares[0] <= truth.delivered, truth.delivered <= outlook.shares[8] {
                score.covered += 1
            }
            score.errorMinutes += abs(outlook.shares[4].minutes(since: truth.delivered))
            if late.contains(truth.plan) {
                score.late[truth.plan] = truth.delivered > truth.promised
            }
        }
        return score
    }

    @Test func historyHandedInIsAsGoodAsWatched() {
        let world = world()
        var live = freshEngine(now: HistoryTests.start)
        var said: [String: FlatObject] = [:]
        var late: Set<String> = []
        func step(_ engine: inout Engine, _ chunks: [FeedChunk], _ now: Instant) -> Int {
            let outputs = engine.step(chunks, now: now).commit?.outputs ?? []
            follow(outputs, &said, &late)
            return outputs.count { $0.kind == "eta" }
        }
        for line in world.lines {
            while live.nextDue < line.at { _ = step(&live, [], live.nextDue) }
            _ = step(&live, [chunk([String(decoding: line.line, as: UTF8.self)])], line.at)
        }
        while live.nextDue < HistoryTests.end { _ = step(&live, [], live.nextDue) }
        let watched = score(&live, late, world, at: HistoryTests.end)
        var handed = freshEngine(now: HistoryTests.end)
        (said, late) = ([:], [])
        var count = 0
        var now = HistoryTests.end
        for start in stride(from: 0, to: world.lines.count, by: 2_000) {
            let part = world.lines[start..<min(start + 2_000, world.lines.count)]
            now = now.advanced(minutes: 0.001)
            count += step(
                &handed, [chunk(part.map { String(decoding: $0.line, as: UTF8.self) })], now)
        }
        // Before it is all in only boxes are spoken of whose news is fresh.
        #expect(count < watched.boxes / 8)
        let settled = now.advanced(minutes: 3)
        while handed.nextDue <= settled { count += step(&handed, [], handed.nextDue) }
        let all = score(&handed, late, world, at: settled.advanced(minutes: 0.1))
        print(
            "under way \(watched.boxes) and \(all.boxes): coverage \(watched.coverage) and "
                + "\(all.coverage), error \(watched.errorMinutes / Double(watched.boxes)) and "
                + "\(all.errorMinutes / Double(all.boxes)), late \(watched.late.count) with "
                + "precision \(watched.precision) and \(all.late.count) with \(all.precision)")
        #expect(count == said.count)
        #expect((0.75...0.85).contains(all.coverage))
        #expect(all.errorMinutes < watched.errorMinutes * 1.05)
        // Some sixty and ninety alerts: twice the standard error of the difference.
        #expect(abs(all.precision - watched.precision) < 0.076)
        for object in said.values {
            guard let p10 = object.instant("p10"), let time = object.instant("time") else {
                continue
            }
            #expect(p10 >= time.advanced(minutes: -1 / 60))
        }
    }
}
