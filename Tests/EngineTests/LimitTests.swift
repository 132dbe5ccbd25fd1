import Forecast
import Log
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func event(_ number: Int, extra: String = "") -> String {
    "{\"id\":\"e\(number)\",\"container\":\"MSKU0308961\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
        + "\"time\":\"2026-01-01T0\(number):00:00Z\"\(extra)}"
}

private func plan(_ name: String) -> String {
    "{\"plan\":\"\(name)\",\"containers\":[\"MSKU0308961\"],\"from\":\"CNXIA\",\"to\":\"KZALA\","
        + "\"mode\":\"RAIL\"}"
}

private func closure(_ name: String) -> String {
    "{\"closure\":\"\(name)\",\"place\":\"CNHRS\",\"from\":\"2026-10-01T00:00:00Z\"}"
}

@Suite struct LimitTests {
    private var rules: AlertRules {
        var rules = AlertRules()
        rules.maxEvents = 3
        rules.maxPlans = 2
        rules.maxClosures = 2
        return rules
    }

    private func refusals(_ effects: Effects) -> [String] {
        effects.replies.map { String(decoding: $0.rejects, as: UTF8.self) }
            .joined().split(separator: "\n").map(String.init)
    }

    private func expect(
        _ engine: inout Engine, _ lines: [String], stored: Int, duplicate: Int = 0, over: [String]
    ) {
        let effects = engine.step([chunk(lines)], now: start.advanced(minutes: 600))
        let refused = refusals(effects)
        #expect(effects.counts.stored == stored)
        #expect(effects.counts.duplicate == duplicate)
        #expect(refused.count == over.count)
        #expect(effects.refused == (over.isEmpty ? [:] : [.limit: over.count]))
        for (line, part) in zip(refused, over) { #expect(line.contains(part), "\(line)") }
        // Refused, but with its bytes.
        #expect(effects.commit?.quarantined.count ?? 0 == over.count)
    }

    @Test func aContainerHasSoManyEvents() {
        var engine = freshEngine(rules: rules, now: start)
        expect(&engine, [event(1), event(2)], stored: 2, over: [])
        // The correction is a version of its own.
        let corrected = event(2, extra: ",\"reason\":\"X\",\"updated\":\"2026-01-01T09:00:00Z\"")
        expect(&engine, [corrected], stored: 1, over: [])
        expect(
            &engine, [event(1), event(2), corrected, event(3)], stored: 0, duplicate: 3,
            over: ["\"field\":\"container\",\"detail\":\"3 events of MSKU0308961 are known"])
        var wider = rules
        wider.maxEvents = 4
        _ = engine.step([], changes: [.rules(wider)], now: start.advanced(minutes: 601))
        expect(&engine, [event(3)], stored: 1, over: [])
    }

    @Test func aContainerHasSoManyPlans() {
        var engine = freshEngine(rules: rules, now: start)
        expect(
            &engine, [plan("A"), plan("B"), plan("A"), plan("C")], stored: 2, duplicate: 1,
            over: ["\"field\":\"containers\",\"detail\":\"2 plans that name MSKU0308961 are known"])
        // A later version of one that is known takes its place.
        let later = plan("B").dropLast() + ",\"updated\":\"2026-01-02T00:00:00Z\"}"
        expect(&engine, [String(later)], stored: 1, over: [])
    }

    @Test func soManyClosuresAreKnown() {
        var engine = freshEngine(rules: rules, now: start)
        expect(
            &engine, [closure("a"), closure("b"), closure("b"), closure("c")], stored: 2,
            duplicate: 1, over: ["\"field\":\"closure\",\"detail\":\"2 closures are known"])
    }

    @Test func whatWasOverTheLimitIsADuplicateInItsStreamToo() {
        var engine = freshEngine(rules: rules, now: start)
        func step(_ lines: [String]) -> Effects {
            let numbered = lines.enumerated().map { "\($1.dropLast()),\"seq\":\($0 + 1)}" }
            let text = Array(numbered.joined(separator: "\n").utf8)
            let chunk = FeedChunk(
                source: 1, origin: Origin(post: "P", stream: "s"), text: text, parser: FeedParser())
            return engine.step([chunk], now: start.advanced(minutes: 600))
        }
        let lines =
            (1...4).map { event($0) } + ["A", "B", "C"].map(plan) + ["a", "b", "c"].map(closure)
        #expect(step(lines).refused == [.limit: 3])
        #expect(step(lines).counts.duplicate == 10)
        #expect(engine.streams(of: "P") == 1)
    }

    @Test func theLogKeepsTheLimitsAndAnOlderOneHadNone() throws {
        let bytes = RulesCoding.encode(rules)
        #expect(try RulesCoding.decode(bytes) == rules)
        // Format 1: fifteen figures one after the other, and nothing of limits; 2 had three of them.
        var older: [UInt8] = [1]
        for value in [0.6, 0.4, 0.7, 2, 10, 15, 60, 15, 0.02, 30, 2, 36, 30, 120, 360] {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { older += $0 }
        }
        let first = try RulesCoding.decode(older)
        #expect([first.maxEvents, first.maxPlans, first.maxClosures] == [.max, .max, .max])
        #expect(first.futureHours == 36)
        let second = try RulesCoding.decode([2] + older.dropFirst() + [6, 4, 2])
        #expect([second.maxEvents, second.maxPlans, second.maxClosures] == [3, 2, 1])
        #expect(second.maxWork == .max)
        #expect(throws: CodingFlaw.self) { try RulesCoding.decode([9] + bytes.dropFirst()) }
    }

    /// Of one place a fiftieth of all closures, and of those that are long over none counts.
    @Test func aPlaceHasItsShareOfClosures() {
        var engine = freshEngine(now: start)
        func closures(_ names: ClosedRange<Int>, _ place: String, _ from: String) -> [String] {
            names.map {
                "{\"closure\":\"\(place)-\($0)\",\"place\":\"\(place)\",\"from\":\"\(from)T00:00:00Z\","
                    + "\"until\":\"\(from)T06:00:00Z\"}"
            }
        }
        let now = start.advanced(minutes: 60)
        func taken(_ lines: [String], after days: Double = 0) -> Int {
            engine.step([chunk(lines)], now: now.advanced(minutes: days * 1_440)).counts.stored
        }
        let day = String(TimeText.string(start).prefix(10))
        #expect(taken(closures(1...200, "CNHRS", day)) == 200)
        #expect(taken(closures(201...201, "CNHRS", day)) == 0)
        // What is known may be said otherwise; other places have shares of their own.
        #expect(
            taken([closures(7...7, "CNHRS", day)[0].replacing("T06", with: "T08")]) == 1)
        #expect(taken(closures(1...1, "KZHOR", day)) == 1)
        let later = String(
            TimeText.string(start.advanced(minutes: 700 * 1_440)).prefix(10))
        #expect(taken(closures(202...203, "CNHRS", later), after: 700) == 2)
    }

    /// However long it is said to last, it holds until then.
    @Test func aClosureOfYearsHolds() {
        var engine = freshEngine(now: start)
        let began = TimeText.string(start.advanced(minutes: -4 * 365 * 1_440))
        let ends = start.advanced(minutes: 40 * 1_440)
        _ = engine.step(
            [
                chunk([
                    "{\"closure\":\"WAR\",\"place\":\"CNHRS\",\"from\":\"\(began)\","
                        + "\"until\":\"\(TimeText.string(ends))\"}"
                ])
            ], now: start)
        #expect(engine.closureBook.windows.map(\.until) == [ends])
        // One that never ends by its own word does, on paper: what follows from it can be written.
        _ = engine.step(
            [
                chunk([
                    "{\"closure\":\"WAR\",\"place\":\"CNHRS\",\"from\":\"\(began)\","
                        + "\"until\":\"9999-12-31T00:00:00Z\",\"updated\":\"\(TimeText.string(start))\"}"
                ])
            ], now: start)
        #expect(
            engine.closureBook.windows.allSatisfy {
                $0.until < start.advanced(minutes: 3 * 365 * 1_440)
            })
    }
}
