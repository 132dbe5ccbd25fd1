import Tracking

/// What is expected of a shipment whose containers wait for each other: one composition for all of
/// them.
public struct JoinedExpectation: Sendable {
    /// A milestone that is under way, and whose it is; nil: everybody's.
    struct Step: Sendable {
        let index: Int
        let owner: ContainerNumber?
        let p10: Instant
        let p50: Instant
        let p90: Instant
        let p95: Instant
        let p99: Instant

        /// `points`: minutes from `now`, ascending.
        init(index: Int, owner: ContainerNumber?, points: [Float], from now: Instant) {
            self.index = index
            self.owner = owner
            p10 = now.advanced(minutes: Double(points[6]))
            p50 = now.advanced(minutes: Double(points[31] + points[32]) / 2)
            p90 = now.advanced(minutes: Double(points[57]))
            p95 = now.advanced(minutes: Double(points[60]))
            p99 = now.advanced(minutes: Double(points[63]))
        }
    }

    /// Of the last milestone, with nobody's next one in it.
    let whole: Expectation
    /// As `Composer.means`.
    public let means: [Float]
    /// As `Composer.heard`.
    public let heard: [Heard]
    /// In the order of the milestones; empty where all is done.
    let underWay: [Step]

    /// As one of the containers sees it: its own milestone that is under way comes next, or where it
    /// has none the first of another's, whose silence is not its own.
    public func expectation(of container: ContainerNumber) -> Expectation {
        let own = underWay.last { $0.owner == nil || $0.owner == container }
        guard let next = own ?? underWay.first else { return whole }
        var seen = whole
        seen.next = next.index
        seen.nextP10 = next.p10
        seen.nextP50 = next.p50
        seen.nextP90 = own == nil ? .never : next.p90
        seen.nextP95 = own == nil ? .never : next.p95
        seen.nextP99 = own == nil ? .never : next.p99
        return seen
    }
}

/// What is expected of a journey: when its last milestone, and its next, will happen.
public struct Expectation: Sendable, Equatable {
    /// Possible times of the last milestone, 64 equally likely ones, in minutes from `origin`; all
    /// 0 where it has happened, at `origin`.
    public internal(set) var points: Curve
    public internal(set) var origin: Instant
    public let hasHappened: Bool
    /// Index of the next milestone; nil once the last has been reached.
    public var next: Int?
    /// Quantiles of the next milestone.
    public var nextP10: Instant
    public var nextP50: Instant
    public var nextP90: Instant
    /// Beyond these silence is surprising, and very much so.
    public var nextP95 = Instant.never
    public var nextP99 = Instant.never
    /// The next moment at which silence alone would change this.
    public var reviewAt: Instant
    /// The step under way has lasted for longer than anything that was ever seen of its kind.
    public var isBeyondAll = false
    /// A milestone may have been passed without a word: this is what is expected either way.
    public internal(set) var isMixed = false

    /// `last`: minutes from `origin`.
    public init(
        last: Curve, from origin: Instant, next: Int?, nextP10: Instant, nextP50: Instant,
        nextP90: Instant, reviewAt: Instant
    ) {
        points = last
        self.origin = origin
        hasHappened = false
        self.next = next
        self.nextP10 = nextP10
        self.nextP50 = nextP50
        self.nextP90 = nextP90
        self.reviewAt = reviewAt
    }

    /// The last milestone happened at this instant.
    public init(happened: Instant) {
        points = Curve(points: InlineArray(repeating: 0))
        origin = happened
        hasHappened = true
        next = nil
        nextP10 = happened
        nextP50 = happened
        nextP90 = happened
        reviewAt = .never
    }

    /// What somebody says of the last milestone tells of the next, too.
    mutating func isNotAfterTheLast() {
        nextP10 = min(nextP10, quantile(0.1))
        nextP50 = min(nextP50, quantile(0.5))
        nextP90 = min(nextP90, quantile(0.9))
        nextP95 = min(nextP95, quantile(0.95))
        nextP99 = min(nextP99, quantile(0.99))
    }

    /// The possible instants of the last milestone, ascending: 64, or the one at which it happened.
    public var last: [Instant] {
        if hasHappened { return [origin] }
        return points.values.map { origin.advanced(minutes: Double($0)) }
    }

    /// The earliest of them.
    public var earliest: Instant { origin.advanced(minutes: Double(points.points[0])) }

    /// The instant under which `share` of the possible ones lie.
    public func quantile(_ share: Double) -> Instant {
        origin.advanced(minutes: points.quantile(share))
    }

    /// The share of possible instants after `promised`.
    public func probability(after promised: Instant) -> Double {
        let bound = promised.minutes(since: origin)
        var low = 0
        var high = Curve.count
        while low < high {
            let middle = (low + high) / 2
            if Double(points.points[middle]) > bound { high = middle } else { low = middle + 1 }
        }
        return Double(Curve.count - low) / Double(Curve.count)
    }

    /// The instant under which `share` of ascending ones lie.
    public static func quantile(_ sorted: [Instant], _ share: Double) -> Instant {
        guard sorted.count > 1 else { return sorted[0] }
        let at = share * Double(sorted.count) - 0.5
        if at <= 0 { return sorted[0] }
        if at >= Double(sorted.count - 1) { return sorted[sorted.count - 1] }
        let low = Int(at)
        let span = Double(sorted[low + 1].microseconds &- sorted[low].microseconds)
        return Instant(
            microseconds: sorted[low].microseconds &+ Int64(span * (at - Double(low))))
    }
}
