import Tracking

/// Holds the intervals to their promise: per class of horizon it watches how many arrivals fall
/// before the 80 % interval and how many behind it, and moves each side until it is one in ten
/// (after the adaptive conformal inference of Gibbs and Candès 2021, each side by itself, because
/// what is late is late by more than what is early is early). It keeps the score, too.
public struct IntervalGuard: Sendable, Equatable {
    /// Upper ends of the horizon classes, minutes; the last class has none.
    public static let horizons: [Double] = [120, 360, 1_440, 4_320, 10_080, 20_160]
    /// Each class of horizon twice: with several steps to go, and with the last one under way.
    public static var classCount: Int { 2 * (horizons.count + 1) }
    /// How fast a side moves, and the share that may fall outside it.
    static let step = 0.01
    static let target = 0.1

    public struct Tally: Sendable, Equatable {
        /// Logarithms of the factors by which what lies before and behind the middle is stretched.
        public var lower = 0.0
        public var upper = 0.0
        /// By how much of half the interval's width the middle is moved.
        public var center = 0.0
        public var count = 0
        public var covered = 0
        public var widthMinutes = 0.0
        public var errorMinutes = 0.0

        public init() {}

        public var coverage: Double { count == 0 ? 0 : Double(covered) / Double(count) }
        public var meanWidthMinutes: Double { count == 0 ? 0 : widthMinutes / Double(count) }
        public var meanErrorMinutes: Double { count == 0 ? 0 : errorMinutes / Double(count) }

        mutating func add(_ interval: Forecasted, _ actual: Instant) {
            count += 1
            if interval.covers(actual) { covered += 1 }
            widthMinutes += interval.p90.minutes(since: interval.p10)
            errorMinutes += abs(interval.p50.minutes(since: actual))
        }
    }

    /// By horizon class.
    public var tallies: [Tally]
    /// By the symbol of the place that was forecast.
    public var places: [UInt32: Tally]

    /// The day (since 1970) of the last daily score; 0: none yet.
    public var scoredDay: Int64 = 0

    public init() {
        tallies = Array(repeating: Tally(), count: IntervalGuard.classCount)
        places = [:]
    }

    public static func horizonClass(minutes: Double, isLastStep: Bool) -> Int {
        (horizons.firstIndex { minutes < $0 } ?? horizons.count)
            + (isLastStep ? horizons.count + 1 : 0)
    }

    /// The scores by horizon alone.
    public var byHorizon: [Tally] {
        (0...IntervalGuard.horizons.count).map { index in
            var sum = tallies[index]
            let last = tallies[index + IntervalGuard.horizons.count + 1]
            sum.count += last.count
            sum.covered += last.covered
            sum.widthMinutes += last.widthMinutes
            sum.errorMinutes += last.errorMinutes
            return sum
        }
    }

    /// An arrival at `place` that had been forecast in these classes.
    public mutating func learn(_ forecasts: [Forecasted], arrival: Instant, place: UInt32) {
        for forecast in forecasts {
            let at = Int(forecast.horizon)
            guard at < tallies.count else { continue }
            judge(forecast, arrival, at)
            tallies[at].add(forecast, arrival)
            places[place, default: Tally()].add(forecast, arrival)
        }
    }

    /// Judged is not what was said weeks ago but what would be said today of the same: else
    /// everything under way would push on after the sides are right.
    private mutating func judge(_ forecast: Forecasted, _ arrival: Instant, _ at: Int) {
        let before =
            forecast.p50.minutes(since: forecast.p10) * Elementary.exp(-Double(forecast.lower))
        let behind =
            forecast.p90.minutes(since: forecast.p50) * Elementary.exp(-Double(forecast.upper))
        let width = (before + behind) / 2
        let moved = (tallies[at].center - Double(forecast.center)) * width
        let gap = arrival.minutes(since: forecast.p50) - moved
        let step = IntervalGuard.step
        let target = IntervalGuard.target
        let isEarly = gap < -before * Elementary.exp(tallies[at].lower)
        let isLate = gap > behind * Elementary.exp(tallies[at].upper)
        func move(_ side: inout Double, _ by: Double, _ most: Double) {
            side = min(max(side + by, -most), most)
        }
        move(&tallies[at].lower, step * ((isEarly ? 1 : 0) - target), 2)
        move(&tallies[at].upper, step * ((isLate ? 1 : 0) - target), 2)
        move(&tallies[at].center, step * (gap > 0 ? 0.04 : -0.04), 1)
    }

    private func tally(_ middle: Instant, _ now: Instant, _ isLastStep: Bool) -> Tally {
        tallies[
            IntervalGuard.horizonClass(minutes: middle.minutes(since: now), isLastStep: isLastStep)]
    }

    /// Half the width of the plain interval, minutes.
    private static func width(_ expected: Expectation) -> Double {
        expected.quantile(0.9).minutes(since: expected.quantile(0.1)) / 2
    }

    /// The probability of an arrival after `promised`, by the same experience.
    public func probability(
        _ expected: Expectation, after promised: Instant, now: Instant, isLastStep: Bool
    ) -> Double {
        guard expected.last.count > 1 else { return expected.probability(after: promised) }
        let middle = expected.quantile(0.5)
        let tally = tally(middle, now, isLastStep)
        let gap =
            promised.minutes(since: middle) - tally.center * IntervalGuard.width(expected)
        let side = gap < 0 ? tally.lower : tally.upper
        return expected.probability(
            after: middle.advanced(minutes: gap * Elementary.exp(-side)))
    }

    /// The instant that an expectation seen from `now` gives for a share, moved and stretched around
    /// the middle as experience with this horizon demands, and never before `now`. With nothing
    /// learned it is the plain quantile.
    public func quantile(
        _ expected: Expectation, _ share: Double, now: Instant, isLastStep: Bool
    ) -> Instant {
        guard expected.last.count > 1 else { return expected.last[0] }
        let middle = expected.quantile(0.5)
        let tally = tally(middle, now, isLastStep)
        let plain = expected.quantile(share)
        let side = plain < middle ? tally.lower : tally.upper
        if side == 0, tally.center == 0 { return plain }
        let found = middle.advanced(
            minutes: tally.center * IntervalGuard.width(expected)
                + plain.minutes(since: middle) * Elementary.exp(side))
        return max(found, min(now, expected.last[0]))
    }
}
