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
            // Judged is not what was said weeks ago but what would be said today of the same: else
            // everything under way would push on after the sides are right.
            let gap = arrival.minutes(since: forecast.p50)
            let lower =
                forecast.p10.minutes(since: forecast.p50)
                * Elementary.exp(tallies[at].lower - Double(forecast.lower))
            let upper =
                forecast.p90.minutes(since: forecast.p50)
                * Elementary.exp(tallies[at].upper - Double(forecast.upper))
            IntervalGuard.move(&tallies[at].lower, gap < lower)
            IntervalGuard.move(&tallies[at].upper, gap > upper)
            tallies[at].add(forecast, arrival)
            places[place, default: Tally()].add(forecast, arrival)
        }
    }

    /// The probability of an arrival after `promised`, by the same experience.
    public func probability(
        _ expected: Expectation, after promised: Instant, now: Instant, isLastStep: Bool
    ) -> Double {
        guard expected.last.count > 1 else { return expected.probability(after: promised) }
        let middle = expected.quantile(0.5)
        let horizon = IntervalGuard.horizonClass(
            minutes: middle.minutes(since: now), isLastStep: isLastStep)
        let gap = promised.minutes(since: middle)
        let side = gap < 0 ? tallies[horizon].lower : tallies[horizon].upper
        return expected.probability(
            after: middle.advanced(minutes: gap * Elementary.exp(-side)))
    }

    private static func move(_ side: inout Double, _ missed: Bool) {
        side = min(max(side + step * ((missed ? 1 : 0) - target), -2), 2)
    }

    /// The instant that an expectation seen from `now` gives for a share, stretched or pressed
    /// around the middle as experience with this horizon demands. With nothing learned it is the
    /// plain quantile.
    public func quantile(
        _ expected: Expectation, _ share: Double, now: Instant, isLastStep: Bool
    ) -> Instant {
        guard expected.last.count > 1 else { return expected.last[0] }
        let middle = expected.quantile(0.5)
        let horizon = IntervalGuard.horizonClass(
            minutes: middle.minutes(since: now), isLastStep: isLastStep)
        let plain = expected.quantile(share)
        let side = plain < middle ? tallies[horizon].lower : tallies[horizon].upper
        guard side != 0, plain != middle else { return plain }
        return middle.advanced(minutes: plain.minutes(since: middle) * Elementary.exp(side))
    }
}
