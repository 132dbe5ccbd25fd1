import Engine
import TestKit
import Testing
import Tracking
import Wire

/// What a sender is told of a number that cannot be right.
@Suite struct NumberTests {
    private let start = Instant(seconds: 1_767_225_600)

    private func plan(_ name: String, _ box: ContainerNumber, at place: String) -> String {
        "{\"plan\":\"\(name)\",\"containers\":[\"\(box)\"],\"milestones\":[{\"place\":\"CNXIA\",\"event\":"
            + "\"DEPA\",\"time\":\"2026-01-01T06:00:00Z\"},{\"place\":\"\(place)\",\"event\":\"GTIN\","
            + "\"time\":\"2026-01-03T06:00:00Z\"},{\"place\":\"DEDUI\",\"event\":\"ARRI\",\"time\":"
            + "\"2026-01-20T06:00:00Z\"}]}"
    }

    @Test func theBoxThatIsExpectedHereComesFirst() throws {
        let text = "QZTU0000701"
        let found = NumberRepair.candidates(text).map(\.number)
        let (a, b) = (try #require(found.first), try #require(found.last))
        try #require(a != b)
        var engine = freshEngine(now: start)
        _ = engine.step(
            [chunk([plan("A", a, at: "ALTYNKOL"), plan("B", b, at: "CNAKL")])], now: start)
        for (place, expected, other) in [("KZHOR", a, b), ("CNAKL", b, a)] {
            let effects = engine.step(
                [
                    chunk([
                        "{\"container\":\"\(text)\",\"event\":\"GTIN\",\"place\":\"\(place)\",\"time\":"
                            + "\"2026-01-01T00:00:00Z\"}"
                    ])
                ], now: start)
            let kept = try #require(effects.commit?.quarantined.first).reject
            #expect(kept.code == .checkDigit)
            #expect(kept.suggest.prefix(2) == ["\(expected)", "\(other)"])
            #expect(kept.detail.hasSuffix("\(expected) is expected here"))
            // It is told, and nothing is rewritten.
            #expect(effects.counts.stored == 0 && effects.commit?.events.isEmpty == true)
        }
    }

    @Test func whereNobodyIsExpectedTheDigitIsSaidAsBefore() throws {
        var engine = freshEngine(now: start)
        let effects = engine.step(
            [
                chunk([
                    "{\"container\":\"QZTU0000701\",\"event\":\"GTIN\",\"place\":\"KZHOR\",\"time\":"
                        + "\"2026-01-01T00:00:00Z\"}"
                ])
            ], now: start)
        let kept = try #require(effects.commit?.quarantined.first).reject
        #expect(kept.suggest == ["QZTU0000700"])
    }
}
