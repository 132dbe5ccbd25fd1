import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func at(_ hours: Double) -> Instant { start.advanced(minutes: hours * 60) }

private func event(
    _ id: String?, _ code: String, _ place: String, _ hours: Double,
    container: String = "MSKU0308961",
    extra: String = ""
) -> String {
    let id = id.map { "\"id\":\"\($0)\"," } ?? ""
    return "{\(id)\"container\":\"\(container)\",\"event\":\"\(code)\",\"place\":\"\(place)\","
        + "\"time\":\"\(TimeText.string(at(hours)))\"\(extra)}"
}

private let plan =
    #"{"plan":"SHP-1","containers":["MSKU0308961"],"start":"2026-01-01T00:00:00Z","#
    + #""promised":"2026-01-02T12:00:00Z","milestones":["#
    + #"{"place":"AAA","event":"DEPA","time":"2026-01-01T06:00:00Z"},"#
    + #"{"place":"BBB","event":"ARRI","time":"2026-01-02T00:00:00Z"},"#
    + #"{"place":"BBB","event":"GTOT","time":"2026-01-02T06:00:00Z"}]}"#

extension Effects {
    var alerts: [FlatObject] {
        (commit?.outputs ?? []).filter { $0.kind == "alert" }.compactMap { FlatObject($0.bytes) }
    }

    var etas: [FlatObject] {
        (commit?.outputs ?? []).filter { $0.kind == "eta" }.compactMap { FlatObject($0.bytes) }
    }
}

@Suite struct EngineTests {
    /// A shipment that an event states need not be one whose plan names the container.
    @Test func anEventMayStateAShipmentOfOthers() {
        var engine = freshEngine(now: start)
        let other = "CSQU3054383"
        _ = engine.step([chunk([plan])], now: at(0))
        let stray = engine.step(
            [
                chunk([
                    event("1", "DEPA", "AAA", 1, container: other, extra: ",\"shipment\":\"SHP-1\"")
                ])
            ], now: at(1))
        #expect(stray.counts.stored == 1)
        // And the plan may leave a container behind.
        _ = engine.step(
            [chunk([event("2", "DEPA", "AAA", 30, extra: ",\"shipment\":\"SHP-1\"")])], now: at(30))
        let changed =
            plan.replacing("MSKU0308961", with: "BLXU8600420").dropLast()
            + ",\"updated\":\"2026-01-02T08:00:00Z\"}"
        let effects = engine.step([chunk([String(changed)])], now: at(32))
        #expect(effects.counts.stored == 1)
        _ = engine.step([chunk([event("3", "ARRI", "BBB", 33)])], now: at(33))
        #expect(engine.view(ContainerNumber("MSKU0308961")!, now: at(34)) != nil)
        #expect(engine.view(ContainerNumber(other)!, now: at(34)) != nil)
    }

    /// What a plan no longer promises cannot be late any more, and nothing wakes up for it.
    @Test func aPromiseTakenBackEndsItsAlert() throws {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan])], now: at(0))
        var raised = false
        for hour in stride(from: 30.0, through: 40, by: 1) {
            let effects = engine.step(
                [chunk([event("h\(hour)", "INSP", "AAA", hour)])], now: at(hour))
            raised = raised || effects.alerts.contains { $0.text("state") == "raised" }
        }
        #expect(raised)
        let without =
            plan.replacing(#""promised":"2026-01-02T12:00:00Z","#, with: "").dropLast()
            + ",\"updated\":\"2026-01-02T08:00:00Z\"}"
        let effects = engine.step([chunk([String(without)])], now: at(41))
        let late = effects.alerts.filter { $0.text("type") == "late" }
        #expect(late.map { $0.text("state") } == ["withdrawn"])
        // No timer goes round and round.
        var steps = 0
        while engine.nextDue <= at(60), steps < 1_000 {
            let due = engine.nextDue
            _ = engine.step([], now: due)
            #expect(engine.nextDue > due)
            steps += 1
        }
        #expect(steps < 200)
    }

    @Test func aRefusedLineSentAgainIsADuplicate() {
        var engine = freshEngine(now: start)
        let line = event("f", "DEPA", "AAA", 400, extra: ",\"seq\":1")
        let origin = Origin(post: "P", stream: "s")
        func send() -> Effects {
            engine.step(
                [
                    FeedChunk(
                        source: 1, origin: origin, text: Array((line + "\n").utf8),
                        parser: FeedParser())
                ], now: at(1))
        }
        #expect(send().commit?.quarantined.map(\.reject.code) == [.future])
        let again = send()
        #expect(again.counts.duplicate == 1 && again.counts.quarantined == 0)
    }

    @Test func aDuplicateIsAcknowledgedAndWritesNothing() {
        var engine = freshEngine(now: start)
        let line = event("1", "DEPA", "AAA", 1)
        #expect(engine.step([chunk([line])], now: at(1)).commit != nil)
        let again = engine.step([chunk([line, line], first: 2)], now: at(1))
        #expect(again.commit == nil)
        #expect(again.counts.duplicate == 2)
        #expect(again.replies.map(\.ack) == [3])
    }

    @Test func everyLineIsStoredDuplicateOrQuarantined() {
        var engine = freshEngine(now: start)
        let lines = [
            plan, event("1", "DEPA", "AAA", 1), event("1", "DEPA", "AAA", 1), "rubbish",
            event("1", "DEPA", "AAA", 1.5), event("9", "DEPA", "AAA", 400), "",
            #"{"id":"none","container":"MSKU0308961","retract":true}"#,
        ]
        let effects = engine.step([chunk(lines)], now: at(2))
        #expect(effects.counts.received == 7)
        #expect(effects.counts.stored == 2)
        #expect(effects.counts.duplicate == 1)
        #expect(effects.counts.quarantined == 4)
        #expect(
            effects.commit?.quarantined.map(\.reject.code) == [
                .json, .conflict, .future, .unknownID,
            ])
        #expect(effects.replies.map(\.ack) == [8])
    }

    @Test func forecastsWhenAMilestoneCompletes() {
        var engine = freshEngine(now: start)
        let booked = engine.step([chunk([plan])], now: at(0))
        #expect(booked.etas.count == 1)
        #expect(booked.etas.first?.text("place") == "BBB")
        // As was to be expected: that is no news.
        let left = engine.step([chunk([event("1", "DEPA", "AAA", 6.1)])], now: at(6.2))
        #expect(left.etas.isEmpty)
        let arrived = engine.step(
            [chunk([event("2", "ARRI", "BBB", 24), event("3", "GTOT", "BBB", 30)])], now: at(30))
        // What has happened has no quantiles and no probability.
        #expect(arrived.etas.last?.instant("actual") == at(30))
        #expect(arrived.etas.last?.instant("p50") == nil)
        #expect(arrived.etas.last?.number("lateProbability") == nil)
        #expect(engine.nextDue == .never)
    }

    @Test func theShortestIntervalHoldsBackAndTheLastWordComes() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan])], now: at(0))
        let soon = at(0).advanced(minutes: 0.1)
        let held = engine.step([chunk([event("1", "DEPA", "AAA", 0)])], now: soon)
        #expect(held.etas.isEmpty)
        #expect(engine.nextDue <= at(0).advanced(minutes: 1))
        let word = engine.step([], now: engine.nextDue)
        #expect(word.etas.count == 1)
    }

    @Test func lateIsRaisedConfirmedAndClearedOnArrival() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan])], now: at(0))
        // Eight hours late at the first departure: far over every level, so at once.
        let late = engine.step([chunk([event("1", "DEPA", "AAA", 20)])], now: at(20))
        #expect(late.alerts.map { $0.text("state") } == ["raised"])
        #expect(late.alerts.first?.text("type") == "late")
        let id = late.alerts.first?.text("alert")
        let done = engine.step(
            [chunk([event("2", "ARRI", "BBB", 38), event("3", "GTOT", "BBB", 44)])], now: at(44))
        let cleared = done.alerts.filter { $0.text("type") == "late" }
        #expect(cleared.map { $0.text("state") } == ["cleared"])
        #expect(cleared.first?.text("alert") == id)
        #expect(cleared.first?.integer("delayMinutes") == 8 * 60)
        #expect((cleared.first?.integer("rev") ?? 0) >= 2)
    }

    @Test func silenceRaisesOverdueAndTheReportClearsIt() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan])], now: at(0))
        var overdue: [FlatObject] = []
        var now = at(0)
        while overdue.isEmpty, engine.nextDue < at(200) {
            now = engine.nextDue
            overdue = engine.step([], now: now).alerts.filter { $0.text("type") == "overdue" }
        }
        #expect(overdue.first?.text("state") == "raised")
        #expect(overdue.first?.text("place") == "AAA")
        let told = engine.step([chunk([event("1", "DEPA", "AAA", 6)])], now: now)
        let cleared = told.alerts.filter { $0.text("type") == "overdue" }
        #expect(cleared.map { $0.text("state") } == ["cleared"])
        #expect(cleared.first?.text("alert") == overdue.first?.text("alert"))
    }

    @Test func aCorrectionWithdrawsWhatItCaused() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan])], now: at(0))
        let wrong = engine.step([chunk([event("1", "DEPA", "AAA", 20)])], now: at(20))
        #expect(wrong.alerts.map { $0.text("state") } == ["raised"])
        let right = engine.step(
            [
                chunk([
                    event(
                        "1", "DEPA", "AAA", 6, extra: ",\"updated\":\"2026-01-01T21:00:00Z\"")
                ])
            ], now: at(20.5))
        #expect(right.alerts.map { $0.text("state") } == ["withdrawn"])
        #expect(right.counts.stored == 1)
    }

    @Test func aBacklogRaisesNothingUntilItHasSettled() {
        var engine = freshEngine(now: start)
        let now = at(500)
        let first = engine.step([chunk([plan, event("1", "DEPA", "AAA", 20)])], now: now)
        #expect(first.alerts.isEmpty)
        let rest = engine.step(
            [chunk([event("2", "ARRI", "BBB", 38), event("3", "GTOT", "BBB", 44)])],
            now: now.advanced(minutes: 0.5))
        #expect(rest.alerts.isEmpty)
        #expect(engine.nextDue == .never || engine.step([], now: engine.nextDue).alerts.isEmpty)
    }

    @Test func aTimeWithoutOffsetIsThePlacesOwn() {
        var engine = freshEngine(now: start)
        let line =
            #"{"id":"1","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
            + #""time":"2026-01-01T10:00:00"}"#
        let effects = engine.step([chunk([line])], now: at(12))
        #expect(effects.commit?.events.first?.event.time == at(5))
        #expect(effects.commit?.events.first?.event.offsetMinutes == nil)
    }

    @Test func withoutAPlanTheNextPlaceIsForecastAndSaidToBePartial() {
        var engine = freshEngine(now: start)
        _ = engine.step(
            [chunk([event("1", "DEPA", "CNLAZ", 1, extra: ",\"mode\":\"RAIL\"")])], now: at(1))
        let effects = engine.step(
            [chunk([event("2", "DEPA", "CNURM", 50, extra: ",\"mode\":\"RAIL\"")])], now: at(50))
        #expect(effects.etas.first?.bool("partial") == true)
        let unknown = engine.step(
            [chunk([event("1", "GTIN", "NOWHERE", 1, container: "CSQU3054383")])], now: at(50))
        #expect(unknown.etas.isEmpty)
        #expect(unknown.counts.stored == 1)
    }

    @Test func aNumberReturnsInANewJourney() {
        var engine = freshEngine(now: start)
        let lines = [
            event("1", "GTIN", "KZHOR", 1), event("2", "GTOT", "KZALA", 80),
            event("3", "GTIN", "CNXIA", 2_000), event("4", "GTOT", "DEDUI", 2_400),
        ]
        _ = engine.step([chunk(lines)], now: at(2_400))
        let view = engine.view(ContainerNumber("MSKU0308961")!, now: at(2_400))
        #expect(view?.reports.count == 4)
    }

    @Test func aSessionsMarkRecognisesWhatWasSent() {
        var engine = freshEngine(now: start)
        let origin = Origin(post: "P", stream: "s")
        func lines(_ numbers: [Int]) -> FeedChunk {
            let texts = numbers.map {
                event("e\($0)", "GTIN", "KZHOR", Double($0), extra: ",\"seq\":\($0)")
            }
            return FeedChunk(
                source: 1, origin: origin, text: Array(texts.joined(separator: "\n").utf8),
                parser: FeedParser())
        }
        let first = engine.step([lines([1, 2, 3])], now: at(10))
        #expect(first.counts.stored == 3)
        #expect(first.commit?.marks == [StreamMark(origin: origin, seq: 3)])
        let again = engine.step([lines([2, 3, 4])], now: at(10))
        #expect(again.counts.duplicate == 2)
        #expect(again.counts.stored == 1)
        #expect(engine.mark(of: origin) == 4)
    }
}
