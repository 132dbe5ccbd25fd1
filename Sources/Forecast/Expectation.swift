import Tracking

/// What is expected of a journey: when its last milestone, and its next, will happen.
public struct Expectation: Sendable, Equatable {
    /// Possible times of the last milestone, 64 equally likely ones, in minutes from `origin`; all
    /// 0 where it has happened, at `origin`.
    public let points: Curve
    public let origin: Instant
    public let hasHappened: Bool
    /// Index of the next milestone; nil once the last has been reached.
    public var next: Int?
    /// Quantiles of the next milestone.
    public var nextP10: Instant
    public var nextP50: Instant
    public var nextP90: Instant
    /// The next moment at which silence alone would change this.
    public var reviewAt: Instant

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
        var later = 0
        for j in 0..<Curve.count where Double(points.points[j]) > bound { later += 1 }
        return Double(later) / Double(Curve.count)
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
