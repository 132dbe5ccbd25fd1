import Log
import Simulation
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

/// What nothing refers to is forgotten, and what is forgotten changes nothing that is said.
@Suite struct ResidencyTests {
    /// What is in memory, and what the store has.
    private struct Sizes {
        var containers = 0
        var shipments = 0
        var symbols = 0
        var closures = 0
    }

    /// Runs so many days of the corridor through an engine that rests and forgets each day, and looks
    /// at its size every hundred days; all output, one line each.
    private func run(
        days: Int, perDay: Int, sweepFrom: Int, _ sizes: inout [Sizes]
    ) async throws -> [[UInt8]] {
        var options = TrafficOptions(start: start)
        options.seed = 5
        options.days = Double(days)
        options.shipmentsPerDay = Double(perDay)
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        engine.register.sweepFrom = sweepFrom
        _ = engine.step(
            [], changes: [.rules(AlertRules()), .network(.shipped)], now: start)
        var said: [[UInt8]] = []
        var day = 0
        for line in Traffic(options).lines {
            while line.at >= start.advanced(minutes: Double(day + 1) * 1_440) {
                day += 1
                let checkpoint = engine.cut(now: start.advanced(minutes: Double(day) * 1_440))
                try await log.checkpoint(checkpoint)
                engine.rest(checkpoint.quiet)
                if day % 100 == 0 {
                    sizes.append(
                        Sizes(
                            containers: engine.register.slots.count,
                            shipments: engine.register.shipments.symbols.count,
                            symbols: engine.register.symbols.texts.count,
                            closures: engine.closureBook.closures.count))
                }
            }
            let chunk = FeedChunk(
                source: 1, origin: Origin(), text: line.line, parser: FeedParser())
            var asked = Wanted()
            while true {
                let missing = engine.missing([chunk])
                if missing.isEmpty || missing == asked { break }
                try engine.admit(try await log.load(missing))
                asked = missing
            }
            let effects = engine.step([chunk], now: line.at)
            said += (effects.commit?.outputs ?? []).map(\.bytes)
        }
        return said
    }

    @Test func twoYearsOfTrafficLeaveMemoryFlat() async throws {
        var sizes: [Sizes] = []
        _ = try await run(days: 701, perDay: 6, sweepFrom: 100, &sizes)
        #expect(sizes.count == 7)
        let (first, last) = (sizes[1], sizes[6])
        print("after 200 days \(first), after 700 \(last)")
        #expect(last.containers < first.containers * 3 / 2)
        #expect(last.shipments < first.shipments * 3 / 2)
        #expect(last.closures <= first.closures * 2)
        // What is left is the network, and what is under way.
        #expect(last.symbols < first.symbols * 3 / 2)
    }

    @Test func whatIsForgottenChangesNothingThatIsSaid() async throws {
        var sizes: [Sizes] = []
        let often = try await run(days: 120, perDay: 4, sweepFrom: 1, &sizes)
        let never = try await run(days: 120, perDay: 4, sweepFrom: .max, &sizes)
        #expect(sizes[0].symbols < sizes[1].symbols)
        let isSame = often == never
        #expect(isSame)
        #expect(often.count > 1_000)
    }

    @Test func aPlanThatRestsIsKnownWhenItComesAgain() async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let plan = """
            {"plan":"OLD","containers":["MSKU0308961"],"milestones":[{"place":"AAA","event":"DEPA",\
            "time":"2026-01-01T08:00:00Z"},{"place":"BBB","event":"ARRI",\
            "time":"2026-01-02T08:00:00Z"}],"start":"2026-01-01T00:00:00Z"}
            """
        func event(_ code: String, _ place: String, _ day: Int, _ id: String) -> String {
            "{\"id\":\"\(id)\",\"container\":\"MSKU0308961\",\"event\":\"\(code)\","
                + "\"place\":\"\(place)\",\"time\":\"2026-01-0\(day)T09:00:00Z\"}"
        }
        func send(_ lines: [String], _ minutes: Double) async throws -> LineCounts {
            let chunk = TestKit.chunk(lines)
            var asked = Wanted()
            while true {
                let missing = engine.missing([chunk])
                if missing.isEmpty || missing == asked { break }
                try engine.admit(try await log.load(missing))
                asked = missing
            }
            let effects = engine.step([chunk], now: start.advanced(minutes: minutes))
            if let commit = effects.commit { try await log.commit(commit) }
            return effects.counts
        }
        func checkpoint(_ minutes: Double) async throws {
            let owed = engine.step([], now: start.advanced(minutes: minutes))
            if let commit = owed.commit { try await log.commit(commit) }
            let made = engine.cut(now: start.advanced(minutes: minutes))
            try await log.checkpoint(made)
            engine.rest(made.quiet)
        }
        let late = 40.0 * 1_440
        let lines = [plan, event("DEPA", "AAA", 1, "a"), event("ARRI", "BBB", 2, "b")]
        #expect(try await send(lines, late).stored == 3)
        try await checkpoint(late + 3)
        #expect(engine.register.shipments.symbols.isEmpty && engine.register.slots.isEmpty)
        // After a start, too: neither is read.
        engine = try await Recovery.run(log).engine
        #expect(engine.register.shipments.symbols.isEmpty && engine.register.slots.isEmpty)
        #expect(try await send([plan], late + 1).duplicate == 1)
        #expect(try await send(lines, late + 2).duplicate == 3)
        try await checkpoint(late + 3)
        #expect(engine.register.shipments.symbols.isEmpty && engine.register.slots.isEmpty)
        // News brings the box back with its plan; a crash behind that leads to the same.
        #expect(try await send([event("GTOT", "BBB", 3, "c")], late + 4).stored == 1)
        #expect(engine.containers(of: "OLD")?.count == 1)
        let again = try await Recovery.run(log)
        #expect(again.diverged == 0)
        #expect(again.engine.containers(of: "OLD")?.count == 1)
        #expect(again.engine.trackedState() == engine.trackedState())
    }

    @Test func closuresLongOverMakeRoom() {
        var rules = AlertRules()
        rules.maxClosures = 3
        var engine = freshEngine(rules: rules, now: start)
        func close(_ name: String, _ day: Double) -> Effects {
            let from = start.advanced(minutes: day * 1_440)
            return engine.step(
                [
                    chunk([
                        "{\"closure\":\"\(name)\",\"place\":\"CNHRS\","
                            + "\"from\":\"\(TimeText.string(from))\","
                            + "\"until\":\"\(TimeText.string(from.advanced(minutes: 1_440)))\"}"
                    ])
                ], now: from)
        }
        for number in 0..<20 {
            // One every ninety days: each is forgotten long after its end.
            let effects = close("c\(number)", Double(number) * 90)
            #expect(effects.counts.stored == 1)
        }
        #expect(engine.closureBook.closures.count <= 3)
        #expect(engine.register.forgotten.closures.count >= 17)
    }
}
