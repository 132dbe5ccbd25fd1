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
    public let places: [Int]

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

    /// As `timeline` of the own way, if the box goes on this.
    public mutating func timeline(
        _ other: OtherWay, _ progress: Journey.Progress, start: Instant, now: Instant,
        _ pools: inout Pools
    ) -> [[Instant]?] {
        timeline(other.steps, other.assumed(progress), start: start, now: now, &pools)
    }

    /// Adds what is expected if the box takes each of the other ways, as it may be passing their milestones
    /// unheard as well as those of its own.
    mutating func part(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, start: Instant,
        now: Instant, _ pools: inout Pools, _ count: Int, _ branches: inout [Branch]
    ) {
        let isKnown = !branches.isEmpty
        // What lies before them all is the same on each.
        if isKnown, steps.others.allSatisfy({ count - 1 <= $0.after }) { return }
        // Enough boxes must have gone where nobody else knows anything.
        if !isKnown, steps.others.reduce(0, { $0 + $1.boxes }) < Composer.leastBoxes { return }
        let own = max(0, 1 - steps.others.reduce(0) { $0 + $1.share })
        for at in branches.indices { branches[at].weight *= own }
        shares = [branches.reduce(0) { $0 + $1.weight }]
        otherMeans = []
        let means = branches.first?.means
        for other in steps.others {
            shares.append(0)
            otherMeans.append([])
            let end =
                count == steps.milestones.count
                ? other.steps.milestones.count - 1 : other.places[count - 1]
            guard end >= 0 else { continue }
            var there: [Branch] = []
            let main = positions(
                other.steps, other.assumed(progress), start: start, now: now, &pools, end + 1,
                &there)
            guard let main else { continue }
            if there.isEmpty {
                there = [Branch(expected: main, means: self.means, weight: wait.share)]
            }
            otherMeans[otherMeans.count - 1] = there[0].means
            for var branch in there {
                branch.weight *= other.share
                shares[shares.count - 1] += branch.weight
                branch.isOther = true
                branch.isElsewhere = other.after <= progress.furthest
                if !isKnown { branch.expected.waitsForNobody() }
                // What both have it has passed on either.
                branch.through = branch.through.flatMap {
                    $0 > progress.furthest && other.after > progress.furthest
                        ? min($0, other.after) : nil
                }
                branch.means =
                    means ?? reached(progress, now, end: branch.means[end], count)
                branches.append(branch)
            }
        }
        let sum = shares.reduce(0, +)
        guard sum > 0 else { return }
        for at in shares.indices { shares[at] /= sum }
        guard let means else { return }
        for (at, there) in otherMeans.enumerated() where shares[at + 1] > 0 {
            let end =
                count == steps.milestones.count
                ? there.count - 1 : steps.others[at].places[count - 1]
            detourMinutes += Float(shares[at + 1]) * (there[end] - means[count - 1])
        }
    }

    /// The means where nothing is known of the own way but its end.
    private func reached(
        _ progress: borrowing Journey.Progress, _ now: Instant, end: Float, _ count: Int
    ) -> [Float] {
        var means = progress.reached.map {
            $0 == .unset ? Float.nan : Float($0.minutes(since: now))
        }
        means[count - 1] = end
        return means
    }
}

extension Expectation {
    /// Nobody knows when its next milestone is due.
    fileprivate mutating func waitsForNobody() {
        (nextP90, nextP95, nextP99) = (.never, .never, .never)
    }
}
