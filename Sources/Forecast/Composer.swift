import Tracking

/// What is expected of a journey: when its last milestone, and its next, will happen.
public struct Expectation: Sendable, Equatable {
    /// Possible instants of the last milestone, ascending: 64 equally likely ones, or one that
    /// has happened.
    public var last: [Instant]
    /// Index of the next milestone; nil once the last has been reached.
    public var next: Int?
    /// Quantiles of the next milestone.
    public var nextP50: Instant
    public var nextP90: Instant
    /// The next moment at which silence alone would change this.
    public var reviewAt: Instant

    /// `last` ascending.
    public init(
        last: [Instant], next: Int?, nextP50: Instant, nextP90: Instant, reviewAt: Instant
    ) {
        self.last = last
        self.next = next
        self.nextP50 = nextP50
        self.nextP90 = nextP90
        self.reviewAt = reviewAt
    }

    /// The instant under which `share` of the possible ones lie.
    public func quantile(_ share: Double) -> Instant { Expectation.quantile(last, share) }

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

    /// The share of possible instants after `promised`.
    public func probability(after promised: Instant) -> Double {
        var later = 0
        for instant in last where instant > promised { later += 1 }
        return Double(later) / Double(last.count)
    }
}

/// Composes steps into expectations with 64 fixed points and a fixed permutation per step: no
/// random numbers, so the same facts give the same forecast.
public struct Composer: Sendable {
    private var points: [Double]
    /// Of the last composition: for each milestone the mean of when it is expected, in minutes from
    /// the `now` that it was seen from; NaN where it was neither reached nor composed.
    public private(set) var means: [Double] = []
    /// The points of every milestone of a graph, one row each.
    private var rows: [Double] = []

    public init() { points = Array(repeating: 0, count: Curve.count) }

    /// A step that begins within this is likely to go as the last few did.
    static let soonMinutes = 1_440.0

    /// Shares of the current step at which silence is news: the points after which a forecast is
    /// worth making anew.
    static let reviewPoints = [32, 48, 57, 61, 63]

    /// Permutations of 0…63 for a step's place in the chain, made once by a fixed generator.
    static let permutations: [[UInt8]] = (0..<61).map { step in
        var state = UInt64(step) &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
        var order = (0..<UInt8(Curve.count)).map { $0 }
        for index in stride(from: Curve.count - 1, to: 0, by: -1) {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            order.swapAt(index, Int(state % UInt64(index + 1)))
        }
        return order
    }

    /// When the milestones of `chain` after those reached will happen, seen from `now`; nil where
    /// nothing is known of a step in between. `start`: when the first step began.
    public mutating func expect(
        _ chain: [Milestone], _ progress: Journey.Progress, start: Instant, now: Instant,
        _ pools: inout Pools, closures: [ClosureWindow] = []
    ) -> Expectation? {
        guard !chain.isEmpty else { return nil }
        let first = progress.furthest + 1
        means = progress.reached.map { $0 == .unset ? .nan : $0.minutes(since: now) }
        guard first < chain.count else {
            let reached = progress.reached[chain.count - 1]
            return Expectation(
                last: [reached], next: nil, nextP50: reached, nextP90: reached, reviewAt: .never)
        }
        let began = progress.furthest >= 0 ? progress.reached[progress.furthest] : start
        guard let current = pools.curve(chain[first], start: began, soon: true) else {
            return nil
        }
        // Minutes after `now` from here on.
        let base = begin(chain[first], current, began.minutes(since: now), now)
        hold(chain[first], closures, now)
        means[first] = mean()
        let nextP50 = now.advanced(minutes: (points[31] + points[32]) / 2)
        let nextP90 = now.advanced(minutes: points[57])
        var index = first + 1
        while index < chain.count {
            let soon = means[index - 1] < Composer.soonMinutes
            guard let curve = pools.curve(chain[index], soon: soon) else { return nil }
            add(chain[index], curve, at: index, now)
            hold(chain[index], closures, now)
            means[index] = mean()
            index += 1
        }
        var last = points.map { now.advanced(minutes: $0) }
        Composer.sort(&last)
        return Expectation(
            last: last, next: first, nextP50: nextP50,
            nextP90: nextP90, reviewAt: review(current, base: base, now))
    }

    /// For each milestone of the chain its possible instants, ascending: one for those reached, 64
    /// for those to come, none (nil) where nothing is known.
    public mutating func timeline(
        _ chain: [Milestone], _ progress: Journey.Progress, start: Instant, now: Instant,
        _ pools: inout Pools, closures: [ClosureWindow] = []
    ) -> [[Instant]?] {
        (0..<chain.count).map { index in
            if index <= progress.furthest {
                return progress.reached[index] == .unset ? nil : [progress.reached[index]]
            }
            var part = progress
            part.reached = Array(progress.reached[...index])
            return expect(
                Array(chain[...index]), part, start: start, now: now, &pools, closures: closures
            )?.last
        }
    }

    private func mean() -> Double {
        var sum = 0.0
        for point in points { sum += point }
        return sum / Double(Curve.count)
    }

    /// As for a chain, where milestones wait for several before them: each happens when the last of
    /// those has happened and its own step is over, and the shipment is done with the last end.
    /// `owner`: whose next milestone is meant.
    public mutating func expect(
        _ milestones: [Milestone], _ graph: JoinGraph, reached: [Instant],
        owner: ContainerNumber, start: Instant, now: Instant, _ pools: inout Pools,
        closures: [ClosureWindow] = []
    ) -> Expectation? {
        let happened = Composer.happened(graph, reached)
        means = happened.map { $0 == .unset ? .nan : $0.minutes(since: now) }
        if graph.ends.allSatisfy({ happened[$0] != .unset }) {
            let last = graph.ends.reduce(Instant.unset) { max($0, happened[$1]) }
            return Expectation(
                last: [last], next: nil, nextP50: last, nextP90: last, reviewAt: .never)
        }
        let width = Curve.count
        rows = Array(repeating: 0, count: milestones.count * width)
        var next: (index: Int, p50: Instant, p90: Instant)?
        var reviewAt = Instant.never
        for index in milestones.indices {
            if happened[index] != .unset {
                for j in 0..<width { rows[index * width + j] = means[index] }
                continue
            }
            let before = graph.before[index]
            let isUnderWay = before.allSatisfy { happened[$0] != .unset }
            let began = before.reduce(before.isEmpty ? start : .unset) { max($0, happened[$1]) }
            let soon = isUnderWay || before.allSatisfy { means[$0] < Composer.soonMinutes }
            guard
                let curve = pools.curve(
                    milestones[index], start: isUnderWay ? began : .unset, soon: soon)
            else { return nil }
            if isUnderWay {
                // How long it has lasted is known.
                let base = begin(milestones[index], curve, began.minutes(since: now), now)
                reviewAt = min(reviewAt, review(curve, base: base, now))
            } else {
                for j in 0..<width {
                    points[j] = before.reduce(-Double.infinity) { max($0, rows[$1 * width + j]) }
                }
                add(milestones[index], curve, at: index, now)
            }
            hold(milestones[index], closures, now)
            means[index] = mean()
            for j in 0..<width { rows[index * width + j] = points[j] }
            let isOwn = graph.owners[index].map { $0 == owner } ?? true
            if isUnderWay, next == nil || isOwn {
                points.sort()
                next = (
                    index, now.advanced(minutes: (points[31] + points[32]) / 2),
                    isOwn ? now.advanced(minutes: points[57]) : .never
                )
            }
        }
        var last = (0..<width).map { j in
            now.advanced(
                minutes: graph.ends.reduce(-Double.infinity) { max($0, rows[$1 * width + j]) })
        }
        Composer.sort(&last)
        guard let next else { return nil }
        return Expectation(
            last: last, next: next.index, nextP50: next.p50, nextP90: next.p90,
            reviewAt: reviewAt)
    }

    /// The instants at which a milestone of the last composed graph may happen; nil where it has
    /// happened, or nothing is known.
    public func points(of index: Int, now: Instant) -> [Instant]? {
        let row = rows[(index * Curve.count)..<((index + 1) * Curve.count)]
        guard row.min() != row.max() else { return nil }
        return row.sorted().map { now.advanced(minutes: $0) }
    }

    /// When each milestone happened; one that was never reported, but behind which something
    /// happened, at that time at the latest.
    public static func happened(_ graph: JoinGraph, _ reached: [Instant]) -> [Instant] {
        var happened = reached
        for index in reached.indices.reversed() where happened[index] != .unset {
            for earlier in graph.before[index] where reached[earlier] == .unset {
                let known = happened[earlier]
                happened[earlier] =
                    known == .unset ? happened[index] : min(known, happened[index])
            }
        }
        return happened
    }

    /// Fills the points with those of a step under way since `began` (minutes from `now`); returns
    /// the base from which its curve counts.
    private mutating func begin(
        _ step: Milestone, _ curve: Curve, _ began: Double, _ now: Instant
    ) -> Double {
        let base = StepValue.base(step, start: began, planned: planned(step, now))
        let left = curve.conditioned(elapsed: -base)
        for j in 0..<Curve.count { points[j] = max(base + Double(left.values[j]), began) }
        return base
    }

    /// Shell's sort: for 64 values in place faster than one that keeps equal ones in order.
    private static func sort(_ values: inout [Instant]) {
        values.withUnsafeMutableBufferPointer { values in
            for gap in [23, 10, 4, 1] {
                for index in gap..<max(gap, values.count) {
                    let value = values[index]
                    var at = index
                    while at >= gap, value < values[at - gap] {
                        values[at] = values[at - gap]
                        at -= gap
                    }
                    values[at] = value
                }
            }
        }
    }

    @inline(__always)
    private func planned(_ step: Milestone, _ now: Instant) -> Double {
        step.planned == .unset ? .nan : step.planned.minutes(since: now)
    }

    private mutating func add(_ step: Milestone, _ curve: Curve, at index: Int, _ now: Instant) {
        let order = Composer.permutations[index % Composer.permutations.count]
        let planned = planned(step, now)
        for j in 0..<Curve.count {
            let start = points[j]
            let base = StepValue.base(step, start: start, planned: planned)
            points[j] = max(base + Double(curve.values[Int(order[j])]), start)
        }
    }

    /// A closed place lets go only when it opens again.
    @inline(__always)
    private mutating func hold(_ step: Milestone, _ closures: [ClosureWindow], _ now: Instant) {
        if closures.isEmpty { return }
        for window in closures where window.holds(step) && window.until > now {
            let from = window.from.minutes(since: now)
            let until = window.until.minutes(since: now)
            for j in 0..<Curve.count where points[j] >= from && points[j] < until {
                points[j] = until
            }
        }
    }

    /// The next of the current step's review points to pass; beyond all of them, again after a
    /// quarter of the time waited.
    private func review(_ curve: Curve, base: Double, _ now: Instant) -> Instant {
        for point in Composer.reviewPoints {
            let at = base + Double(curve.values[point])
            if at > 0 { return now.advanced(minutes: at + 0.001) }
        }
        return now.advanced(minutes: max(5, -base * 0.25))
    }
}
