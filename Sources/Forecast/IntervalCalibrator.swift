import Tracking

/// Holds what is said to its promise. Per class of horizon it watches how many arrivals fall before
/// the 80 % interval and how many behind it, and moves each side until it is one in ten (the adaptive
/// conformal inference of Gibbs and Candès 2021, each side by itself, because what is late is late by
/// more than what is early is early). It watches how many `late` alerts come true, too, and asks for
/// more certainty where too few do. And it keeps the score.
public struct IntervalCalibrator: Sendable, Equatable {
    /// Upper ends of the horizon classes, minutes; the last class has none.
    public static let horizons: [Double] = [120, 360, 1_440, 4_320, 10_080, 20_160]
    /// Each class of horizon twice: with several steps to go, and with the last one under way.
    public static var classCount: Int { 2 * (horizons.count + 1) }
    /// How fast a side moves, and the share that may fall outside it.
    static let step = 0.004
    /// What is judged today was said a whole horizon ago: as many again have been said since by the same
    /// sides. Where many arrive within a horizon each moves a side by less, or it would swing past the
    /// truth before the first word of it is judged. All that arrive within one together: so much.
    static let mostPerHorizon = 1.0
    static let target = 0.1
    /// How fast the certainty asked for moves, the share of alerts that shall come true, and by how
    /// much more certainty may be asked for than the rules do.
    static let marginStep = 0.04
    static let alertTarget = 0.85
    static let mostMargin = 0.35
    /// The same for alerts about silence.
    static let silenceTarget = 0.8
    static let mostSilence = 0.15

    public struct Tally: Sendable, Equatable {
        /// Logarithms of the factors by which what lies before and behind the middle is stretched.
        public var lower = 0.0
        public var upper = 0.0
        /// Added to the probability from which `late` is raised.
        public var margin = 0.0
        /// How many have arrived within the last horizon, older ones counting less, and when the last did.
        public var recent = 0.0
        public var latest = Instant.unset
        public var count = 0
        public var covered = 0
        public var widthMinutes = 0.0
        public var errorMinutes = 0.0

        public init() {}

        public var coverage: Double { count == 0 ? 0 : Double(covered) / Double(count) }
        public var meanWidthMinutes: Double { count == 0 ? 0 : widthMinutes / Double(count) }
        public var meanErrorMinutes: Double { count == 0 ? 0 : errorMinutes / Double(count) }

        private static let historyMinutes = 30.0 * 1_440

        /// Counts an arrival in the horizon, minutes, that it was forecast over. What lies so far back that
        /// it is no late report is a history, which is counted from where it begins.
        mutating func count(_ actual: Instant, within horizon: Double) {
            let minutes = latest == .unset ? 0 : actual.minutes(since: latest)
            if minutes > 0 { recent *= PortableMath.exp(-minutes / horizon) }
            if latest == .unset || minutes > 0 || minutes < -Tally.historyMinutes {
                latest = actual
            }
            recent += 1
        }

        mutating func add(_ interval: IssuedInterval, _ actual: Instant) {
            count.countOn()
            if interval.covers(actual) { covered.countOn() }
            widthMinutes += Double(interval.before + interval.behind)
            errorMinutes += abs(interval.p50.minutes(since: actual))
        }

        /// After each arrival a side moves a little: out where it fell beyond it, in where not. Over
        /// time the share beyond it is the target, whatever the model behind it does.
        mutating func judge(_ interval: IssuedInterval, _ actual: Instant) {
            let gap = Float(actual.minutes(since: interval.p50))
            let step = min(
                IntervalCalibrator.step, IntervalCalibrator.mostPerHorizon / max(recent, 1))
            func move(_ side: inout Double, isBeyond: Bool) {
                let by = step * ((isBeyond ? 1 : 0) - IntervalCalibrator.target)
                side = min(max(side + by, -2), 2)
            }
            move(&lower, isBeyond: gap < -interval.before)
            move(&upper, isBeyond: gap > interval.behind)
        }
    }

    /// By horizon class.
    public var tallies: [Tally]
    /// By the symbol of the place of the delivery.
    public var places: [UInt32: Tally]
    /// By the symbol of the place of the milestone that was next.
    public var steps: [UInt32: Tally]

    /// The day (since 1970) of the last daily score; 0: none yet.
    public var scoredDay: Int64 = 0

    public init() {
        tallies = Array(repeating: Tally(), count: IntervalCalibrator.classCount)
        places = [:]
        steps = [:]
    }

    public static func horizonClass(minutes: Double, isLastStep: Bool) -> Int {
        (horizons.firstIndex { minutes < $0 } ?? horizons.count)
            + (isLastStep ? horizons.count + 1 : 0)
    }

    /// How far ahead a class looks at the most.
    static func lengthMinutes(_ horizonClass: Int) -> Double {
        let at = horizonClass % (horizons.count + 1)
        return at < horizons.count ? horizons[at] : 1.5 * horizons[horizons.count - 1]
    }

    /// The scores by horizon alone.
    public var byHorizon: [Tally] {
        (0...IntervalCalibrator.horizons.count).map { index in
            var sum = tallies[index]
            let last = tallies[index + IntervalCalibrator.horizons.count + 1]
            sum.count = Int(clamping: UInt(sum.count) + UInt(last.count))
            sum.covered = Int(clamping: UInt(sum.covered) + UInt(last.covered))
            sum.widthMinutes += last.widthMinutes
            sum.errorMinutes += last.errorMinutes
            return sum
        }
    }

    /// An arrival at `place` that had been forecast in these classes.
    public mutating func learn(_ forecasts: [IssuedInterval], arrival: Instant, place: UInt32) {
        for forecast in forecasts {
            let at = Int(forecast.horizon)
            guard at < tallies.count else { continue }
            tallies[at].count(arrival, within: IntervalCalibrator.lengthMinutes(at))
            tallies[at].judge(forecast, arrival)
            tallies[at].add(forecast, arrival)
            places[place, default: Tally()].add(forecast, arrival)
        }
    }

    /// A milestone at `place` that had been forecast as the next one.
    public mutating func learn(next forecast: IssuedInterval, reached: Instant, place: UInt32) {
        steps[place, default: Tally()].judge(forecast, reached)
        steps[place, default: Tally()].add(forecast, reached)
    }

    /// A `late` alert raised in this class came true, or not.
    public mutating func learn(alert horizon: Int, cameTrue: Bool) {
        guard horizon < tallies.count else { return }
        let by =
            IntervalCalibrator.marginStep * (IntervalCalibrator.alertTarget - (cameTrue ? 1 : 0))
        tallies[horizon].margin = min(
            max(tallies[horizon].margin + by, 0), IntervalCalibrator.mostMargin)
    }

    /// An expectation as it is seen from one instant, with the experience that bears on it.
    public struct CalibratedForecast: Sendable {
        let expected: Expectation
        let middle: Instant
        let tally: Tally
        let least: Instant
        /// Class of the horizon.
        public let horizon: Int

        /// The instant for a share, stretched around the middle as experience with this horizon
        /// demands, and never before now. With nothing learned it is the plain quantile.
        public func quantile(_ share: Double) -> Instant {
            if expected.hasHappened { return expected.origin }
            return IntervalCalibrator.stretched(
                expected.quantile(share), middle, tally, least: least)
        }

        /// How much more is to be expected to be lost (pinball of p10, p50, p90) by whoever holds on to
        /// what was said earlier than by whoever takes these: a share, 0 where both say the same.
        public func excessLoss(p10: Instant, p50: Instant, p90: Instant) -> Double {
            if expected.hasHappened { return 0 }
            let origin = expected.origin
            func lost(_ low: Instant, _ centre: Instant, _ high: Instant) -> Losses {
                Losses(
                    low: Float(low.minutes(since: origin)),
                    middle: Float(centre.minutes(since: origin)),
                    high: Float(high.minutes(since: origin)))
            }
            var held = lost(p10, p50, p90)
            var taken = lost(quantile(0.1), quantile(0.5), quantile(0.9))
            let centre = Float(middle.minutes(since: origin))
            let lower = Float(PortableMath.exp(tally.lower))
            let upper = Float(PortableMath.exp(tally.upper))
            for j in 0..<Curve.count {
                let gap = expected.points.points[j] - centre
                let actual = centre + gap * (gap < 0 ? lower : upper)
                held.add(actual)
                taken.add(actual)
            }
            // Of what is known to the minute nothing is lost, and no share can be taken of that.
            return Double(held.sum / max(taken.sum, CalibratedForecast.leastLoss)) - 1
        }

        private static let leastLoss: Float = 6.4

        /// What three quantiles lose (pinball).
        private struct Losses {
            let low: Float
            let middle: Float
            let high: Float
            var sum: Float = 0

            mutating func add(_ actual: Float) {
                sum += max(0.1 * (actual - low), (0.1 - 1) * (actual - low))
                sum += max(0.5 * (actual - middle), (0.5 - 1) * (actual - middle))
                sum += max(0.9 * (actual - high), (0.9 - 1) * (actual - high))
            }
        }

        /// The probability of an arrival after `promised`, by the same experience.
        public func probability(after promised: Instant) -> Double {
            if expected.hasHappened { return expected.probability(after: promised) }
            let gap = promised.minutes(since: middle)
            let side = gap < 0 ? tally.lower : tally.upper
            return expected.probability(
                after: side == 0
                    ? promised : middle.advanced(minutes: gap * PortableMath.exp(-side)))
        }
    }

    public func calibrated(_ expected: Expectation, now: Instant, isLastStep: Bool)
        -> CalibratedForecast
    {
        let middle = expected.quantile(0.5)
        let horizon = IntervalCalibrator.horizonClass(
            minutes: middle.minutes(since: now), isLastStep: isLastStep)
        return CalibratedForecast(
            expected: expected, middle: middle, tally: tallies[horizon],
            least: now, horizon: horizon)
    }

    private static func stretched(
        _ plain: Instant, _ middle: Instant, _ tally: Tally, least: Instant
    ) -> Instant {
        let side = plain < middle ? tally.lower : tally.upper
        if side == 0 { return max(plain, least) }
        return max(
            middle.advanced(minutes: plain.minutes(since: middle) * PortableMath.exp(side)), least)
    }

    /// Quantiles of the next milestone at `place`, by the experience with that place.
    public func next(
        _ expected: Expectation, place: UInt32, now: Instant
    ) -> NextQuantiles {
        let tally = steps[place] ?? Tally()
        let least = min(now, expected.nextP10)
        func stretched(_ plain: Instant) -> Instant {
            plain == .never
                ? .never
                : IntervalCalibrator.stretched(plain, expected.nextP50, tally, least: least)
        }
        return NextQuantiles(
            p10: stretched(expected.nextP10), p50: expected.nextP50,
            p90: stretched(expected.nextP90), p95: stretched(expected.nextP95),
            p99: stretched(expected.nextP99))
    }

    public struct NextQuantiles: Sendable {
        public let p10: Instant
        public let p50: Instant
        public let p90: Instant
        public let p95: Instant
        public let p99: Instant
    }

    /// An alert about silence at `place` was real, or not: where too few are, more is asked for.
    public mutating func learn(silence place: UInt32, wasReal: Bool) {
        let by =
            IntervalCalibrator.marginStep
            * (IntervalCalibrator.silenceTarget - (wasReal ? 1 : 0))
        let margin = (steps[place] ?? Tally()).margin + by
        steps[place, default: Tally()].margin = min(max(margin, 0), IntervalCalibrator.mostSilence)
    }

    /// Added to the probability from which silence at `place` is told.
    public func silenceMargin(_ place: UInt32) -> Double { steps[place]?.margin ?? 0 }
}
