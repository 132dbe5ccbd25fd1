import Forecast
import Simulation
import Testing
import Tracking

/// Hour and weekday count where their record says so, and what a restart knows of that.
@Suite struct CalendarTests {
    private let step = Milestone(
        place: 1, code: .cusr, kind: .dwell, fromPlace: 1, fromCode: .arri, mode: .road,
        priorMinutesP50: 120, priorMinutesP90: 480)
    private let start = Instant(seconds: 1_767_225_600)

    /// Waits that begin in every part of the day for a hundred days. `night`: minutes that those take
    /// which begin in the evening, where others take an hour.
    private func taught(night: Double) -> Pools {
        var pools = Pools()
        let id = pools.id(step)
        var random = SeededGenerator(seed: 3)
        for day in 0..<100 {
            for part in 0..<8 {
                let began = start.advanced(
                    minutes: Double(day) * 1_440 + Double(part) * 180 + 170 * random.share())
                let usual = part >= 6 ? night : 60
                let end = began.advanced(minutes: usual * (0.8 + 0.4 * random.share()))
                pools.learn(id, step, Lesson(start: began, end: end))
            }
        }
        return pools
    }

    private func expected(_ pools: inout Pools, hour: Double) throws -> [Float] {
        let began = start.advanced(minutes: 120 * 1_440 + hour * 60)
        let curve = pools.curve(step, start: began)
        return try #require(curve).values
    }

    @Test func nightsThatLastCount() throws {
        var pools = taught(night: 600)
        let (night, noon) = (
            try expected(&pools, hour: 20), try expected(&pools, hour: 12)
        )
        #expect((450...700).contains(night[32]) && noon[32] < 120)
        pools.without = .calendar
        #expect(try expected(&pools, hour: 20) == (try expected(&pools, hour: 12)))
    }

    @Test func hoursThatTellNothingDoNot() throws {
        var pools = taught(night: 60)
        let (night, noon) = (
            try expected(&pools, hour: 20), try expected(&pools, hour: 12)
        )
        #expect(night == noon)
    }

    /// The first look after a restart sees what the last one before it did.
    @Test func aRestartCountsThemAtOnce() throws {
        var pools = taught(night: 600)
        var restored = Pools()
        for (key, pool, flow) in pools.drainChanged() { restored.restore(key, pool, flow) }
        let first = try expected(&restored, hour: 20)
        #expect(first == (try expected(&pools, hour: 20)))
        #expect((450...700).contains(first[32]))
    }
}
