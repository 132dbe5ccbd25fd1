import Forecast
import Simulation
import Testing
import Tracking

private let now = Instant(seconds: 1_767_225_600)

@Suite struct GuardTests {
    /// A forecast of a day or so, whatever really happens.
    private func expectation(_ now: Instant = now) -> Forecast.Expectation {
        let curve = Curve.logNormal(p50: 1_000, p90: 1_300)
        return Forecast.Expectation(
            last: curve, from: now, next: 0, nextP10: now, nextP50: now, nextP90: now,
            reviewAt: .never)
    }

    private func forecast(
        _ intervals: IntervalCalibrator, _ expected: Forecast.Expectation, _ now: Instant = now
    ) -> IssuedInterval {
        let quantile = { (share: Double) in
            intervals.calibrated(expected, now: now, isLastStep: false).quantile(share)
        }
        let middle = expected.quantile(0.5)
        let horizon = IntervalCalibrator.horizonClass(
            minutes: middle.minutes(since: now), isLastStep: false)
        return IssuedInterval(
            horizon: UInt8(horizon), p10: quantile(0.1), p50: quantile(0.5), p90: quantile(0.9))
    }

    @Test func withNothingLearnedItIsThePlainQuantile() {
        let expected = expectation()
        for share in stride(from: 0.05, through: 0.95, by: 0.05) {
            #expect(
                IntervalCalibrator().calibrated(expected, now: now, isLastStep: true).quantile(
                    share)
                    == expected.quantile(share))
        }
    }

    /// Arrivals from known distributions that the forecast does not know: twice as wide, half as
    /// wide, and later than it thinks on one side only. What is under way when it learns (300
    /// forecasts) does not make it overshoot.
    @Test(arguments: [(2.0, 2.0), (0.5, 0.5), (1.0, 3.0)])
    func eightInTenFallInside(_ stretch: (lower: Double, upper: Double)) {
        var random = SeededGenerator(seed: 11)
        var intervals = IntervalCalibrator()
        var underWay: [IssuedInterval] = []
        var covered = 0
        var judged = 0
        for round in 0..<6_000 {
            // So many are under way at once over a horizon of some 1,000 minutes.
            let at = now.advanced(minutes: Double(round) * 1_000 / 300)
            let expected = expectation(at)
            underWay.append(forecast(intervals, expected, at))
            guard underWay.count > 300 else { continue }
            let first = underWay.removeFirst()
            let gap = expected.quantile(random.share()).minutes(since: expected.quantile(0.5))
            let arrival = first.p50.advanced(
                minutes: gap * (gap < 0 ? stretch.lower : stretch.upper))
            intervals.learn([first], arrival: arrival, place: 1)
            if round > 3_000 {
                judged += 1
                if first.covers(arrival) { covered += 1 }
            }
        }
        let coverage = Double(covered) / Double(judged)
        #expect(coverage > 0.76 && coverage < 0.84, "\(coverage)")
    }

    /// Four thousand are under way before the first of them is judged, and all that comes in one week is
    /// late together: the interval must not swing beyond what that asks for.
    @Test func whatIsJudgedLateDoesNotMakeItSwing() {
        var random = SeededGenerator(seed: 23)
        var intervals = IntervalCalibrator()
        var underWay: [IssuedInterval] = []
        var widest: Float = 0
        var narrowest = Float.infinity
        for round in 0..<40_000 {
            let at = now.advanced(minutes: Double(round) * 1_000 / 4_000)
            let expected = expectation(at)
            let issued = forecast(intervals, expected, at)
            if round > 8_000 {
                widest = max(widest, issued.behind)
                narrowest = min(narrowest, issued.behind)
            }
            underWay.append(issued)
            guard underWay.count > 4_000 else { continue }
            let first = underWay.removeFirst()
            let gap = expected.quantile(random.share()).minutes(since: expected.quantile(0.5))
            let wave = round / 4_000 % 2 == 0 ? 2.0 : 1.0
            intervals.learn([first], arrival: first.p50.advanced(minutes: gap * wave), place: 1)
        }
        #expect(widest < 2.5 * narrowest, "\(narrowest) to \(widest)")
    }

    /// After a year that was handed in, the daemon's own arrivals move an interval as ever.
    @Test func aHistoryThatComesLaterDoesNotSlowIt() {
        var intervals = IntervalCalibrator()
        let expected = expectation()
        let issued = forecast(intervals, expected)
        let at = Int(issued.horizon)
        intervals.learn([issued], arrival: now, place: 1)
        for number in 0..<20_000 {
            let arrival = now.advanced(minutes: -365 * 1_440 + Double(number) * 20)
            intervals.learn([issued], arrival: arrival, place: 1)
        }
        // 72 a day, over a horizon of one.
        #expect(intervals.tallies[at].recent < 80)
        intervals.learn([issued], arrival: now.advanced(minutes: 2 * 1_440), place: 1)
        #expect(intervals.tallies[at].recent < 20, "\(intervals.tallies[at].recent)")
    }

    @Test func quantilesStayInOrderAndTheProbabilityIsTheirInverse() {
        var random = SeededGenerator(seed: 5)
        var intervals = IntervalCalibrator()
        let expected = expectation()
        for _ in 0..<500 {
            let arrival = now.advanced(minutes: 4_000 * random.share())
            intervals.learn([forecast(intervals, expected)], arrival: arrival, place: 1)
        }
        let shares = stride(from: 0.05, through: 0.95, by: 0.05).map {
            intervals.calibrated(expected, now: now, isLastStep: false).quantile($0)
        }
        #expect(shares == shares.sorted())
        for (index, instant) in shares.enumerated() {
            let share = 0.05 * Double(index + 1)
            let later = intervals.calibrated(expected, now: now, isLastStep: false)
                .probability(after: instant)
            #expect(abs(later - (1 - share)) < 0.03)
        }
        #expect(intervals.byHorizon.reduce(0) { $0 + $1.count } == 500)
    }
}
