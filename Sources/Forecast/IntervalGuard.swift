import Tracking

/// Holds the intervals to their promise: per class of horizon it watches how many arrivals fall
/// outside the 80 % interval and moves the interval's share until two in ten do (adaptive conformal
/// inference, Gibbs and Candès 2021), and keeps the score.
public struct IntervalGuard: Sendable, Equatable {
    /// Upper ends of the horizon classes, minutes; the last class has none.
    public static let horizons: [Double] = [120, 360, 1_440, 4_320, 10_080, 20_160]
    public static var classCount: Int { horizons.count + 1 }
    /// How fast the share moves, and the share that may fall outside.
    static let step = 0.005
    static let target = 0.2

    public struct Tally: Sendable, Equatable {
        /// The share left outside the interval that would keep the promise.
        public var alpha = IntervalGuard.target
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

    public static func horizonClass(minutes: Double) -> Int {
        horizons.firstIndex { minutes < $0 } ?? horizons.count
    }

    /// An arrival at `place` that had been forecast in these classes.
    public mutating func learn(_ forecasts: [Forecasted], arrival: Instant, place: UInt32) {
        for forecast in forecasts {
            let at = Int(forecast.horizon)
            guard at < tallies.count else { continue }
            let miss = forecast.covers(arrival) ? 0.0 : 1.0
            let moved = tallies[at].alpha + IntervalGuard.step * (IntervalGuard.target - miss)
            tallies[at].alpha = min(max(moved, 0.005), 0.6)
            tallies[at].add(forecast, arrival)
            places[place, default: Tally()].add(forecast, arrival)
        }
    }

    /// The instant that an expectation seen from `now` gives for a share, stretched or pressed
    /// around the middle as experience with this horizon demands. With nothing learned it is the
    /// plain quantile.
    public func quantile(_ expected: Expectation, _ share: Double, now: Instant) -> Instant {
        guard expected.last.count > 1 else { return expected.last[0] }
        let middle = expected.quantile(0.5)
        let alpha = tallies[IntervalGuard.horizonClass(minutes: middle.minutes(since: now))].alpha
        if alpha == IntervalGuard.target { return expected.quantile(share) }
        let stretched = 0.5 + (share - 0.5) * (1 - alpha) / (1 - IntervalGuard.target)
        let outermost = 0.5 / Double(Curve.count)
        if stretched >= outermost, stretched <= 1 - outermost {
            return expected.quantile(stretched)
        }
        // Beyond the outermost points: as far again as the share reaches beyond them.
        let edge = expected.quantile(stretched < 0.5 ? 0 : 1)
        let reach = abs(stretched - 0.5) / (0.5 - outermost)
        return middle.advanced(minutes: edge.minutes(since: middle) * reach)
    }
}
