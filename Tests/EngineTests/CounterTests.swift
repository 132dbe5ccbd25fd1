import Log
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine
@testable import Forecast

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func plan(_ promised: String, version: Int) -> String {
    "{\"plan\":\"S\",\"containers\":[\"MSKU0308961\"],\"milestones\":["
        + "{\"place\":\"AAA\",\"event\":\"DEPA\",\"time\":\"2026-01-01T02:00:00Z\"},"
        + "{\"place\":\"BBB\",\"event\":\"ARRI\",\"time\":\"2026-01-03T00:00:00Z\"}],"
        + "\"start\":\"2026-01-01T00:00:00Z\",\"promised\":\"\(promised)\","
        + "\"updated\":\"\(TimeText.string(start.advanced(minutes: Double(version))))\"}"
}

/// A counter that input drives, and that is kept, stands still at its end: one that trapped would trap
/// again at each start.
@Suite struct CounterTests {
    private func isLate(_ engine: Engine) -> AlertEpisode? {
        engine.register.records.first?.journeys.first?.publication.alerts.first { $0.type == .late }
    }

    private func step(_ engine: inout Engine, _ line: String, _ minute: Double) {
        let effects = engine.step([chunk([line])], now: start.advanced(minutes: minute))
        #expect(effects.counts.stored == 1)
    }

    @Test func alertsOutliveTheEndOfTheirCounters() throws {
        var engine = freshEngine(now: start)
        let soon = "2026-01-02T00:00:00Z"
        step(&engine, plan(soon, version: 1), 1)
        step(
            &engine,
            #"{"container":"MSKU0308961","event":"DEPA","place":"AAA","time":"2026-01-01T02:00:00Z"}"#,
            125)
        #expect(isLate(engine)?.phase == .open)
        // Every counter of every alert at its end, in memory and as the store keeps it.
        for at in engine.register.records[0].journeys[0].publication.alerts.indices {
            engine.register.records[0].journeys[0].publication.alerts[at].rev = .max
            engine.register.records[0].journeys[0].publication.alerts[at].evidence = .max
            engine.register.records[0].journeys[0].publication.alerts[at].episode = .max
        }
        let kept = RecordCoding.encode(engine.register.records[0], engine.register.symbols.texts)
        let read = try RecordCoding.decode(kept, &engine.register.symbols)
        #expect(read.journeys[0].publication == engine.register.records[0].journeys[0].publication)
        // Promises that come and go, a hundred times: levels change, episodes end and begin.
        let promises = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", soon]
        for round in 2..<102 {
            let minute = 200 + Double(round) * 30
            step(&engine, plan(promises[round % 3], version: round), minute)
            _ = engine.step([], now: start.advanced(minutes: minute + 20))
        }
        let alerts = try #require(engine.register.records[0].journeys.first?.publication.alerts)
        #expect(alerts.contains { $0.rev > 0 && $0.episode == .max })
        // Nor does the list of them grow for ever.
        #expect(alerts.count <= 34)
    }

    /// As it was found: a plan that is sent now so and now so.
    @Test func aPlanThatAlternatesForEverIsTaken() {
        var engine = freshEngine(now: start)
        let promises = ["2026-01-02T20:00:00Z", "2026-01-01T20:00:00Z"]
        step(&engine, plan(promises[0], version: 0), 1)
        engine.register.records[0].journeys[0].publication.alerts = [
            AlertEpisode(
                AlertKey(.late, milestone: 1, place: 0, code: .arri), episode: 65_535,
                since: start)
        ]
        let last = engine.register.records[0].journeys[0].publication.alerts.count - 1
        engine.register.records[0].journeys[0].publication.alerts[last].phase = .open
        engine.register.records[0].journeys[0].publication.alerts[last].rev = 65_535
        for version in 1..<5 {
            step(
                &engine, plan(promises[version % 2], version: version * 40),
                Double(version) * 40)
        }
        #expect(
            engine.register.records[0].journeys[0].publication.alerts.contains { $0.rev > 65_535 })
    }

    @Test func whatIsLearnedOutlivesTheEndOfItsCounters() {
        var tally = IntervalCalibrator()
        for at in tally.tallies.indices {
            tally.tallies[at].count = .max
            tally.tallies[at].covered = .max
        }
        let issued = IssuedInterval(
            horizon: 0, p10: start, p50: start.advanced(minutes: 1), p90: start.advanced(minutes: 2)
        )
        tally.learn([issued], arrival: start.advanced(minutes: 1), place: 1)
        #expect(tally.byHorizon[0].count == .max)
        var pools = Pools()
        let step = Milestone(
            place: 2, code: .gtot, kind: .dwell, fromPlace: 2, fromCode: .arri, mode: .rail,
            priorMinutesP50: 60, priorMinutesP90: 120)
        let id = pools.id(step)
        for key in PoolKey.usual(step) {
            let memories = HorizonWeights(
                past: [HorizonWeights.Medians(at: .unset, minutes: SIMD4(1, 1, 1, 1))],
                errors: HorizonWeights.leadMinutes.map { _ in .zero },
                counts: HorizonWeights.leadMinutes.map { _ in .max }, weights: [])
            pools.restore(
                key,
                Pool(
                    values: [1], head: 0, curve: nil, recent: nil, longValues: [1], long: nil,
                    skipped: .max, memories: memories, pending: .max, version: .max, drawn: .max),
                QueuePace(
                    ended: [], frontier: .unset, level: 0, pending: .max,
                    takenAt: .unset))
        }
        for round in 0..<40 {
            let from = start.advanced(minutes: Double(round) * 10)
            pools.learn(id, step, value: 5, start: from, end: from.advanced(minutes: 5))
            pools.wait(id, from: from, isNews: true)
        }
        #expect(pools.curve(step) != nil)
    }

    @Test func aMilestoneFarBehindIsToldApartFromOneInFront() {
        // Its index was once kept in eight bits.
        var record = ContainerRecord(number: ContainerNumber("MSKU0308961")!)
        record.journeys = [Journey(shipment: 0, ordinal: 0)]
        let interval = IssuedInterval(horizon: 0, p50: start, before: 1, behind: 2)
        record.journeys[0].publication.next = AwaitedInterval(milestone: 300, interval)
        var symbols = Symbols()
        let read = try? RecordCoding.decode(RecordCoding.encode(record, [""]), &symbols)
        #expect(read?.journeys[0].publication.next?.milestone == 300)
    }
}
