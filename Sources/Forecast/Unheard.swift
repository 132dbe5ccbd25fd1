import Tracking

/// How long a step has lasted, as a share of those that last so long.
struct Wait {
    /// Since when it has been known that it lasts: it is asked for the share that outlasts that, too.
    var knownAt = Instant.unset
    /// Shares of such steps that last until now, and until `knownAt`.
    private(set) var share = 1.0
    private(set) var knownShare = 1.0
    /// When it was over, if it is: the middle of what would have been before now, minutes from now.
    private(set) var middle: Float = 0

    /// `base`: from where the curve counts, minutes from now.
    mutating func measure(
        _ curve: UnsafePointer<Float>, base: Double, _ pace: Pace, _ now: Instant
    ) {
        (share, knownShare) = (1, 1)
        // Nothing that is usual would be over.
        guard Double(curve[0]) < -base else { return }
        share = Wait.outlasting(curve, -base, pace)
        middle =
            Float(base) + curve[min(Int((1 - share) / 2 * Double(Curve.count)), Curve.count - 1)]
        guard knownAt != .unset else { return }
        knownShare = Wait.outlasting(curve, knownAt.minutes(since: now) - base, pace)
    }

    /// At a pace at which fewer end, more outlast it.
    private static func outlasting(
        _ curve: UnsafePointer<Float>, _ elapsed: Double, _ pace: Pace
    ) -> Double {
        let share = outlasting(curve, elapsed)
        return pace == .usual
            ? share : PortableMath.exp(pace.factor * PortableMath.ln(max(share, 1e-12)))
    }

    private static func outlasting(_ curve: UnsafePointer<Float>, _ elapsed: Double) -> Double {
        var passed = 0
        while passed < Curve.count, Double(curve[passed]) <= elapsed { passed += 1 }
        guard passed < Curve.count else {
            let beyond = elapsed - Double(curve[Curve.count - 1])
            return 0.5 / Double(Curve.count) * PortableMath.exp(-beyond / Curve.spread(curve))
        }
        return 1 - max(Double(passed) - 0.5, 0) / Double(Curve.count)
    }
}

/// A milestone may pass without a word. Silence means that the box is still before it, or that nobody
/// spoke; the second gains as it lasts, and with a plan that states it to lie in the past.
extension Composer {
    /// What a branch has to weigh beside all others to be looked at, and how many milestones in a row may
    /// pass without a word.
    static let leastShare = 0.04
    private static let mostUnheard = 3

    /// When the milestones of a chain after those reached will happen, seen from `now`; nil where
    /// nothing is known of a step in between. `start`: when the first step began; `ends`: how many
    /// of the milestones are meant, all if nil.
    public mutating func expect(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, start: Instant,
        now: Instant, _ pools: inout Pools, upTo ends: Int? = nil
    ) -> Expectation? {
        let count = ends ?? steps.milestones.count
        guard count > 0 else { return nil }
        probablyPassed = nil
        detourMinutes = 0
        if !shares.isEmpty { (shares, otherMeans) = ([], []) }
        var branches: [Branch] = []
        let main = positions(steps, progress, start: start, now: now, &pools, count, &branches)
        if steps.others.isEmpty {
            return branches.isEmpty ? main : mix(branches, now: now, upTo: count)
        }
        if branches.isEmpty, let main {
            branches = [Branch(expected: main, means: means, weight: wait.share)]
        }
        let heard = branches.isEmpty ? [] : heard
        part(steps, progress, start: start, now: now, &pools, count, &branches)
        self.heard = heard
        return branches.isEmpty ? nil : mix(branches, now: now, upTo: count)
    }

    /// What is expected where each milestone is reported, nil where nothing is known of a step; and where the
    /// box may be behind its next milestone unheard, `branches` for this and for that.
    mutating func positions(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, start: Instant,
        now: Instant, _ pools: inout Pools, _ count: Int, _ branches: inout [Branch]
    ) -> Expectation? {
        let next = progress.furthest + 1
        let most = steps.milestones.count - 2
        let claimed = steps.habits == nil ? nil : steps.claimed(after: progress, now)
        wait.knownAt = claimed.map { steps.restated[$0].claimedAt } ?? .unset
        guard
            let main = compose(
                steps, progress, start: start, now: now, &pools, upTo: count)
        else { return nil }
        guard let habits = steps.habits, next <= most else { return main }
        // Who is heeded and says that it is still to come knows better than silence does.
        let denied = denied(steps, next, now)
        let silent = habits.silentShare(steps.milestones[next]) * (1 - denied)
        let unheard = silent * (1 - wait.share)
        if claimed == nil, unheard < Composer.leastShare * wait.share { return main }
        let heard = heard
        branches = [Branch(expected: main, means: means, weight: wait.share)]
        if let claimed {
            let share = habits.claimedShare(steps.milestones[claimed]) * (1 - denied)
            // It is not believed less for being said than silence alone makes it.
            branches[0].weight = min(
                (1 - share) * wait.share / max(wait.knownShare, 1e-6),
                unheard > 0 ? share * wait.share / unheard : 1)
            explore(
                steps, progress, through: claimed, at: steps.milestones[claimed].planned, share,
                start, now, &pools, count, &branches)
        } else {
            explore(
                steps, progress, through: next, at: now.advanced(minutes: Double(wait.middle)),
                unheard, start, now, &pools, count, &branches)
        }
        self.heard = heard
        return main
    }

    /// The weight of those who say that the next milestone is still to come.
    private func denied(_ steps: borrowing Steps, _ next: Int, _ now: Instant) -> Double {
        if steps.words.isEmpty { return 0 }
        let here = steps.words.filter { $0.statement.milestone == next }
        return min(
            here.filter { $0.statement.time > now }.reduce(0) { $0 + $1.weight(among: here) }, 1)
    }

    /// Adds what is expected if a milestone was passed without a word at `at`, and others behind it.
    private mutating func explore(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, through: Int,
        at: Instant, _ weight: Double, _ start: Instant, _ now: Instant, _ pools: inout Pools,
        _ count: Int, _ branches: inout [Branch]
    ) {
        guard let habits = steps.habits else { return }
        var assumed = copy progress
        var (through, at, weight) = (through, at, weight)
        for _ in 0..<Composer.mostUnheard {
            // Asked for what lies before it, it is not told apart.
            guard through < count - 1 else { return }
            assumed.reached[through] = max(at, assumed.lastTime)
            assumed.furthest = through
            guard
                let expected = compose(
                    steps, assumed, start: start, now: now, &pools, upTo: count)
            else { return }
            let lasts = wait.share / max(wait.knownShare, 1e-6)
            branches.append(
                Branch(
                    expected: expected, means: means, weight: weight * min(lasts, 1),
                    through: through))
            through += 1
            guard through <= steps.milestones.count - 2 else { return }
            weight *= habits.silentShare(steps.milestones[through]) * (1 - min(lasts, 1))
            guard weight > Composer.leastShare * branches.reduce(0, { $0 + $1.weight }) else {
                return
            }
            at = now.advanced(minutes: Double(wait.middle))
            wait.knownAt = .unset
        }
    }
}

extension Composer.Steps {
    /// The last milestone ahead that the plan states to lie in the past, but for the end.
    fileprivate func claimed(after progress: Journey.Progress, _ now: Instant) -> Int? {
        let furthest = progress.furthest
        // What was claimed to be behind it by then is refuted by what happened later.
        let before = furthest >= 0 ? progress.reached[furthest] : .unset
        guard !restated.isEmpty, furthest + 1 <= milestones.count - 2 else { return nil }
        return (furthest + 1...milestones.count - 2).last {
            restated[$0].claimedAt != .unset && restated[$0].claimedAt <= now
                && milestones[$0].planned <= now && milestones[$0].planned >= before
        }
    }
}
