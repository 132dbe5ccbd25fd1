/// What is known of one milestone of a plan that was sent again: when its time was first stated as it is
/// now, and what had been planned before it lay in the past.
public struct Restated: Sendable, Hashable {
    /// Since when the plan states this time for it; `.unset`: from the beginning.
    public var statedAt: Instant
    /// When the plan first stated it to lie in the past; `.unset`: it does not.
    public var claimedAt: Instant
    /// Planned minutes of its step that the plan's times do not show any more; NaN: they do.
    public var minutes: Double
    /// What was planned when its step began: what is stated later knows a part of what has become of it,
    /// and a time in the past all of it, so that nothing can be judged by these.
    public var held: Held?

    /// A planned time and the planned minutes of its step, as they were stated.
    public struct Held: Sendable, Hashable {
        public var planned: Instant
        public var minutes: Double

        public init(planned: Instant, minutes: Double) {
            self.planned = planned
            self.minutes = minutes
        }

        public init?(_ milestone: Milestone) {
            guard milestone.planned != .unset else { return nil }
            planned = milestone.planned
            minutes = milestone.plannedMinutes
        }
    }

    public init(
        statedAt: Instant = .unset, claimedAt: Instant = .unset, minutes: Double = .nan,
        held: Held? = nil
    ) {
        self.statedAt = statedAt
        self.claimedAt = claimedAt
        self.minutes = minutes
        self.held = held
    }

    /// Of the milestones of a plan that is sent again at `statedAt`, in the place of one that led along
    /// `old`; empty where nothing was ever stated anew.
    public static func of(
        _ milestones: [Milestone], after old: Way, at statedAt: Instant
    ) -> [Restated] {
        var (found, matched): ([Restated], [Int?]) = ([], [])
        var from = 0
        var isNews = false
        // When what comes before was stated to happen.
        var latest: Instant?
        for (index, milestone) in milestones.enumerated() {
            let at = old.milestones.indices.dropFirst(from).first {
                old.milestones[$0].place == milestone.place
                    && old.milestones[$0].code == milestone.code
            }
            matched.append(at)
            guard let at else {
                found.append(Restated(statedAt: milestone.planned == .unset ? .unset : statedAt))
                isNews = isNews || milestone.planned != .unset
                continue
            }
            from = at + 1
            let (before, known) = (old.milestones[at], old.restated(at))
            let isSame = before.planned == milestone.planned
            isNews = isNews || !isSame
            var now = Restated(statedAt: isSame ? known.statedAt : statedAt)
            // Its step has begun: what was planned then is what became of it is measured by.
            if (latest ?? .unset) <= statedAt { now.held = known.held ?? Held(before) }
            if milestone.planned != .unset { latest = milestone.planned }
            if milestone.planned != .unset, milestone.planned <= statedAt {
                now.claimedAt = known.claimedAt != .unset ? known.claimedAt : statedAt
            } else if isSame, index > 0, found[index - 1].claimedAt != .unset {
                // Its beginning has been stated as it was: this is the same step.
                now.minutes = before.plannedMinutes
            }
            found.append(now)
        }
        if isNews { return found }
        // Sent again as it was: another box in it, perhaps.
        return old.restated.isEmpty ? [] : matched.map { $0.map(old.restated) ?? Restated() }
    }
}

extension Way {
    /// What is known of a milestone besides what its plan states.
    public func restated(_ at: Int) -> Restated {
        at < restated.count ? restated[at] : Restated()
    }

    /// A milestone as it was planned when its step began.
    public func asPlanned(_ at: Int) -> Milestone {
        guard at < restated.count, let held = restated[at].held else { return milestones[at] }
        var milestone = milestones[at]
        milestone.planned = held.planned
        milestone.plannedMinutes = held.minutes
        return milestone
    }
}

/// A step of which was said, while it was under way, when it will be over: whoever said so knew of its
/// beginning, so that it was planned to take what lies between the two, and what was still unknown is what
/// remained.
public struct Restarted: Sendable {
    public let step: Milestone
    /// The share of the step that remained when that was said.
    public let share: Double

    /// nil where the end was stated before the step began.
    public init?(_ step: Milestone, began: Instant, statedAt: Instant) {
        guard statedAt != .unset, began != .unset, statedAt >= began, step.kind != .departure,
            step.planned != .unset, step.plannedMinutes == step.plannedMinutes,
            step.planned > statedAt
        else { return nil }
        var whole = step
        whole.plannedMinutes = step.planned.minutes(since: began)
        self.step = whole
        share = step.planned.minutes(since: statedAt) / whole.plannedMinutes
    }
}
