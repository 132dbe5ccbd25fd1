import Tracking

/// One of the places where a box may be, or of the ways that it may take.
struct Branch {
    var expected: Expectation
    /// As `Composer.means`, of the milestones of the box's own way.
    var means: [Float]
    var weight: Double
    /// The furthest milestone that would have been passed without a word; nil: none.
    var through: Int?
    /// On another way, and if so, whether that has parted already.
    var isOther = false
    var isElsewhere = false
}

extension Composer {
    /// What is expected as far as each is likely; of the first it is said what comes next.
    mutating func mix(_ branches: [Branch], now: Instant, upTo count: Int) -> Expectation {
        var mixed = branches[0].expected
        let sum = branches.reduce(0) { $0 + $1.weight }
        guard sum > 0, branches.count > 1 else {
            means = branches[0].means
            return mixed
        }
        mixer.clear()
        means = [Float](repeating: 0, count: branches[0].means.count)
        for branch in branches {
            let share = branch.weight / sum
            mixer.add(branch.expected.curve(from: now), share)
            for at in means.indices where at < branch.means.count {
                // Of what lies before one that was passed unheard the first branch alone tells.
                let mean = branch.means[at] == branch.means[at] ? branch : branches[0]
                means[at] += Float(share) * mean.means[at]
            }
        }
        mixed.points = mixer.mixed()
        mixed.origin = now
        mixed.isMixed = true
        for branch in branches {
            mixed.reviewAt = min(mixed.reviewAt, branch.expected.reviewAt)
        }
        for branch in branches {
            guard let through = branch.through else { continue }
            let passed = branches.reduce(0) { sum, other in
                (other.through ?? -1) >= through ? sum + other.weight : sum
            }
            if passed >= sum / 2 { probablyPassed = max(probablyPassed ?? through, through) }
        }
        let likely = branches.filter { $0.weight > sum / 20 }
        if probablyPassed != nil || likely.contains(where: { $0.isOther }) {
            mixed.isBeyondAll = likely.allSatisfy(\.expected.isBeyondAll)
        }
        for branch in likely where branch.isElsewhere {
            mixed.nextP95 = max(mixed.nextP95, branch.expected.nextP95)
            mixed.nextP99 = max(mixed.nextP99, branch.expected.nextP99)
        }
        return mixed
    }
}

extension Expectation {
    /// Its points, in minutes from `now`.
    fileprivate func curve(from now: Instant) -> Curve {
        let shift = Float(origin.minutes(since: now))
        if shift == 0 { return points }
        return Curve(values: points.values.map { $0 + shift })
    }
}

extension Composer {
    /// No milestone of a chain is expected after the next.
    static func order(_ means: inout [Float], from first: Int) {
        for at in means.indices.dropLast().reversed() where at >= first {
            means[at] = min(means[at], means[at + 1])
        }
    }

    /// No milestone of a chain comes after the next.
    public static func order(_ timeline: inout [[Instant]?]) {
        for at in timeline.indices.dropLast().reversed() {
            guard let next = timeline[at + 1], let own = timeline[at],
                next.count == own.count, own.count > 1
            else { continue }
            timeline[at] = zip(own, next).map { min($0, $1) }
        }
    }
}
