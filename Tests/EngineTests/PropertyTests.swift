import Engine
import Forecast
import Foundation
import Simulation
import TestKit
import Testing
import Tracking
import Wire

private let isSoak = ProcessInfo.processInfo.environment["CARAVAN_TEST_SOAK"] != nil

private let start = Instant(seconds: 1_767_225_600)

/// Corridor traffic with corrections and retractions strewn in.
private func news(seed: UInt64, shipments: Double) -> [TimedLine] {
    var options = TrafficOptions(start: start)
    options.seed = seed
    options.days = 2
    options.shipmentsPerDay = shipments
    options.heldShare = 0.3
    options.strays = Strays(
        otherWay: 0.25, neighbour: 0.1, returned: 0.15, skipped: 0.05, doubled: 0.05)
    options.estimated = 0.7
    var lines = Traffic(options).lines
    var random = SeededGenerator(seed: seed ^ 0xABCD)
    for line in lines {
        guard let object = FlatObject(line.line), let id = object.text("id"),
            let container = object.text("container"), ContainerNumber(container) != nil
        else { continue }
        let later = line.at.advanced(minutes: 90)
        if random.chance(0.05) {
            let text = "{\"id\":\"\(id)\",\"container\":\"\(container)\",\"retract\":true}"
            lines.append(TimedLine(at: later, line: Array(text.utf8)))
        } else if random.chance(0.08), let time = object.instant("time") {
            let moved = TimeText.string(time.advanced(minutes: -30))
            let text =
                "{\"id\":\"\(id)\",\"container\":\"\(container)\",\"event\":"
                + "\"\(object.text("event") ?? "")\",\"place\":\"\(object.text("place") ?? "")\","
                + "\"time\":\"\(moved)\",\"shipment\":\"\(object.text("shipment") ?? "")\","
                + "\"updated\":\"\(TimeText.string(later))\"}"
            lines.append(TimedLine(at: later, line: Array(text.utf8)))
        } else if random.chance(0.05), let time = object.instant("time") {
            // Some time before it happened it was planned for another hour.
            let said = line.at.advanced(minutes: -600 * random.share())
            let planned = TimeText.string(time.advanced(minutes: 600 * (random.share() - 0.4)))
            let text =
                "{\"id\":\"pln-\(id)\",\"container\":\"\(container)\",\"class\":\"PLN\",\"event\":"
                + "\"\(object.text("event") ?? "")\",\"place\":\"\(object.text("place") ?? "")\","
                + "\"time\":\"\(planned)\",\"shipment\":\"\(object.text("shipment") ?? "")\","
                + "\"source\":\"terminal\",\"updated\":\"\(TimeText.string(said))\"}"
            lines.append(TimedLine(at: max(start, said), line: Array(text.utf8)))
        }
    }
    return lines.sorted { $0.at < $1.at }
}

private func lineChunk(_ lines: some Collection<TimedLine>) -> FeedChunk {
    FeedChunk(
        source: 1, origin: Origin(), text: Array(lines.map(\.line).joined(separator: [0x0A])),
        parser: FeedParser())
}

@Suite struct PropertyTests {
    /// Promise 4: the final state depends on what happened, not on the order of the news.
    @Test func everyOrderEndsInTheSameJourneys() {
        let seed = testSeed("everyOrderEndsInTheSameJourneys")
        let end = start.advanced(minutes: 200 * 1_440)
        for round in 0..<(isSoak ? 500 : 6) {
            let lines = news(seed: seed &+ UInt64(round), shipments: 6)
            var random = SeededGenerator(seed: seed &+ 17)
            var reference = freshEngine(now: start)
            _ = reference.step([lineChunk(lines)], now: end)
            let expected = reference.trackedState()
            for _ in 0..<4 {
                var engine = freshEngine(now: start)
                var shuffled = lines.shuffled(using: &random)
                shuffled += shuffled.prefix(shuffled.count / 3)
                var at = 0
                while at < shuffled.count {
                    let next = min(shuffled.count, at + 1 + Int(random.next() % 40))
                    _ = engine.step([lineChunk(shuffled[at..<next])], now: end)
                    at = next
                }
                // Not the bytes: they are many.
                let isSame = engine.trackedState() == expected
                #expect(isSame, "seed \(seed), round \(round)")
            }
        }
    }

    /// Whatever boxes do: what is said lies ahead, adds up, and a way is left once for each time.
    @Test func whatIsSaidLiesAheadAndAddsUp() {
        let seed = testSeed("whatIsSaidLiesAheadAndAddsUp")
        var routes = 0
        for round in 0..<8 {
            let lines = news(seed: seed &+ UInt64(round), shipments: 8)
            var random = SeededGenerator(seed: seed ^ UInt64(round))
            var engine = freshEngine(now: start)
            var now = start
            var outputs: [OutputLine] = []
            for line in lines {
                now = max(now, line.at)
                while engine.nextDue < now, random.chance(0.9) {
                    outputs += engine.step([], now: engine.nextDue).commit?.outputs ?? []
                }
                outputs += engine.step([lineChunk([line])], now: now).commit?.outputs ?? []
            }
            for output in outputs where output.kind == "eta" {
                guard let object = FlatObject(output.bytes), let time = object.instant("time")
                else { continue }
                let causes = object.objects("because")
                routes += causes.count { $0.text("cause") == "route" }
                if let change = object.integer("changeMinutes") {
                    #expect(causes.reduce(0) { $0 + ($1.integer("minutes") ?? 0) } == change)
                }
                if object.text("actual") != nil || object.text("unknown") != nil {
                    #expect(object.text("p50") == nil && object.number("lateProbability") == nil)
                    continue
                }
                guard let p10 = object.instant("p10"), let p50 = object.instant("p50"),
                    let p90 = object.instant("p90")
                else {
                    Issue.record("no quantiles: \(String(decoding: output.bytes, as: UTF8.self))")
                    continue
                }
                // Said to the second.
                #expect(
                    p10 >= time.advanced(minutes: -1 / 60) && p10 <= p50 && p50 <= p90,
                    "seed \(seed), round \(round)")
                #expect((0...1).contains(object.number("lateProbability") ?? 0))
            }
        }
        #expect(routes > 10)
    }

    /// A crash at any point: snapshot and replay give the state before, byte for byte, and the
    /// same output, published once.
    @Test func replayFromAnySnapshotGivesTheSameState() async throws {
        let seed = testSeed("replayFromAnySnapshotGivesTheSameState")
        for round in 0..<(isSoak ? 500 : 20) {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            let lines = news(seed: seed &+ UInt64(round), shipments: 8)
            let log = MemoryLog()
            var engine = try await Recovery.run(log).engine
            let first = engine.step(
                [], changes: [.rules(AlertRules()), .network(.shipped)],
                now: start)
            if let commit = first.commit { try await log.commit(commit) }
            var now = start
            var at = 0
            while at < lines.count {
                let next = min(lines.count, at + 1 + Int(random.next() % 25))
                now = max(now, lines[next - 1].at)
                // Timers between the lines, as the daemon steps them.
                while engine.nextDue < now, random.chance(0.7) {
                    if let commit = engine.step([], now: engine.nextDue).commit {
                        try await log.commit(commit)
                    }
                }
                let work = lineChunk(lines[at..<next])
                try engine.admit(try await log.load(engine.missing([work])))
                let effects = engine.step([work], now: now)
                if let commit = effects.commit { try await log.commit(commit) }
                at = next
                if random.chance(0.1) {
                    let checkpoint = engine.cut(now: now)
                    try await log.checkpoint(checkpoint)
                    engine.rest(checkpoint.quiet)
                }
                if random.chance(0.1) {
                    let recovered = try await Recovery.run(log).engine
                    #expect(
                        recovered.canonicalState() == engine.canonicalState(),
                        "seed \(seed), round \(round), line \(at)")
                    // The crash: go on with the recovered one.
                    engine = recovered
                }
            }
            let numbers = log.commits.flatMap(\.outputs).map(\.seq)
            #expect(numbers == Array(1..<(numbers.count + 1)))
        }
    }

    /// Months in one batch are looked at in rounds, of which the log says nothing: read again, line by
    /// line as it keeps them, they end in the same bytes.
    @Test func aBatchOfHistoryIsReadAgainTheSame() async throws {
        let seed = testSeed("aBatchOfHistoryIsReadAgainTheSame")
        let lines = news(seed: seed, shipments: 30)
        let late = start.advanced(minutes: 300 * 1_440)
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let effects = engine.step(
            [lineChunk(lines[...])], changes: [.rules(AlertRules()), .network(.shipped)], now: late)
        let commit = try #require(effects.commit)
        #expect(commit.events.count > 1_000)
        try await log.commit(commit)
        let recovered = try await Recovery.run(log).engine
        #expect(recovered.canonicalState() == engine.canonicalState(), "seed \(seed)")
        // Looked at once, it would have taught nothing of its own forecasts: all have arrived at the end.
        var watching = try await Recovery.run(MemoryLog()).engine
        _ = watching.step([], changes: [.rules(AlertRules()), .network(.shipped)], now: late)
        for at in stride(from: 0, to: lines.count, by: 50) {
            let work = lineChunk(lines[at..<min(lines.count, at + 50)])
            _ = watching.step([work], now: late)
        }
        func judged(_ engine: Engine) -> Int {
            engine.intervals.tallies.reduce(0) { $0 + $1.count }
        }
        #expect(judged(watching) > 0)
        #expect(Double(judged(engine)) > 0.5 * Double(judged(watching)), "seed \(seed)")
    }

    /// Containers at rest in the store are no special case.
    @Test func restingAndLoadingChangesNothing() async throws {
        let seed = testSeed("restingAndLoadingChangesNothing")
        let lines = news(seed: seed, shipments: 10)
        let late = start.advanced(minutes: 300 * 1_440)
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        var plain = engine
        let changes: [ConfigChange] = [.rules(AlertRules()), .network(.shipped)]
        let settled = late.advanced(minutes: 3)
        for half in [lines.prefix(lines.count / 2), lines.suffix(lines.count - lines.count / 2)] {
            let work = lineChunk(half)
            let missing = engine.missing([work])
            try engine.admit(try await log.load(missing))
            let effects = engine.step([work], changes: changes, now: late)
            let expected = plain.step([work], changes: changes, now: late)
            #expect(
                effects.commit?.outputs.map(\.bytes) == expected.commit?.outputs.map(\.bytes))
            if let commit = effects.commit { try await log.commit(commit) }
            // What is owed is said, once no more history comes.
            let said = engine.step([], now: settled)
            let also = plain.step([], now: settled)
            #expect(said.commit?.outputs.map(\.bytes) == also.commit?.outputs.map(\.bytes))
            if let commit = said.commit { try await log.commit(commit) }
            // Everything old enough goes to rest.
            let checkpoint = engine.cut(now: settled)
            try await log.checkpoint(checkpoint)
            engine.rest(checkpoint.quiet)
        }
        #expect(engine.liveContainers < plain.liveContainers)
    }
}
