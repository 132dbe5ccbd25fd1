import Tracking

/// A way that a box may take where its own parts from it: up to there both have the same milestones.
public struct OtherWay {
    public let steps: Composer.Steps
    public let way: Way
    /// How likely it is, before anything is made of silence.
    public let share: Double
    /// So many boxes of late took it; where nothing is known of the own way it takes some.
    public let boxes: Double
    /// Index of the last milestone that both have.
    public let after: Int
    /// For each milestone of the own way its index in this; -1: it does not lie on it.
    let places: [Int]

    public init(
        _ steps: Composer.Steps, way: Way, share: Double, boxes: Double, after: Int, places: [Int]
    ) {
        self.steps = steps
        self.way = way
        self.share = share
        self.boxes = boxes
        self.after = after
        self.places = places
    }
}

extension OtherWay {
    /// What was reached, as if it were on this way.
    fileprivate func assumed(_ progress: borrowing Journey.Progress) -> Journey.Progress {
        var assumed = copy progress
        assumed.reached = Array(progress.reached.prefix(progress.furthest + 1))
        assumed.reached += repeatElement(
            .unset, count: steps.milestones.count - assumed.reached.count)
        return assumed
    }
}

/// Where ways part, what is expected is a mixture of those that are likely, and silence ends it as much
/// as a report does.
extension Composer {
    /// So many boxes must have gone a way of which nobody else knows anything.
    static let leastBoxes = 5.0

    /// When a box on another way comes to the first place that is not on its own, seen from `now`.
    public mutating func expect(
        _ other: OtherWay, _ progress: borrowing Journey.Progress, start: Instant, now: Instant,
        _ pools: inout Pools
    ) -> Expectation? {
        wait.knownAt = .unset
        return compose(
            other.steps, other.assumed(progress), start: start, now: now, &pools,
            upTo: other.after + 2)
    }

    /// Adds what is expected if the box takes each of the other ways.
    mutating func part(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, start: Instant,
        now: Instant, _ pools: inout Pools, _ count: Int, _ branches: inout [Branch]
    ) {
        let isKnown = !branches.isEmpty
        // What lies before them all is the same on each.
        if isKnown, steps.others.allSatisfy({ count - 1 <= $0.after }) { return }
        let own = max(0, 1 - steps.others.reduce(0) { $0 + $1.share })
        for at in branches.indices { branches[at].weight *= own }
        shares = [branches.reduce(0) { $0 + $1.weight }]
        for other in steps.others {
            shares.append(0)
            let end =
                count == steps.milestones.count
                ? other.steps.milestones.count - 1
                : other.places[count - 1]
            guard end >= 0, isKnown || other.boxes >= Composer.leastBoxes else { continue }
            wait.knownAt = .unset
            guard
                var expected = compose(
                    other.steps, other.assumed(progress), start: start, now: now, &pools,
                    upTo: end + 1)
            else { continue }
            if !isKnown { expected.waitsForNobody() }
            shares[shares.count - 1] = other.share * wait.share
            branches.append(
                Branch(
                    expected: expected,
                    means: means(of: other, end, branches.first?.means, progress, now, count),
                    weight: other.share * wait.share,
                    isElsewhere: other.after <= progress.furthest))
        }
        let sum = shares.reduce(0, +)
        if sum > 0 { for at in shares.indices { shares[at] /= sum } }
    }

    /// The means of another way, at the milestones of the own: behind where they part as much later or
    /// earlier as it ends.
    private func means(
        of other: OtherWay, _ end: Int, _ own: [Float]?, _ progress: borrowing Journey.Progress,
        _ now: Instant, _ count: Int
    ) -> [Float] {
        guard var own else {
            var own = progress.reached.map {
                $0 == .unset ? Float.nan : Float($0.minutes(since: now))
            }
            own[count - 1] = means[end]
            return own
        }
        let shift = means[end] - own[count - 1]
        for at in own.indices where at > other.after { own[at] += shift }
        return own
    }
}

extension Expectation {
    /// Nobody knows when its next milestone is due.
    fileprivate mutating func waitsForNobody() {
        (nextP90, nextP95, nextP99) = (.never, .never, .never)
    }
}
