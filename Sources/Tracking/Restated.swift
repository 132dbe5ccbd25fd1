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

    /// A planned time, the planned minutes of its step, and when that was planned to begin.
    public struct Held: Sendable, Hashable {
        public var planned: Instant
        public var minutes: Double
        public var began: Instant

        public init(planned: Instant, minutes: Double, began: Instant) {
            self.planned = planned
            self.minutes = minutes
            self.began = began
        }

        /// nil where nothing was planned for it.
        public init?(_ milestone: Milestone, began: Instant) {
            guard milestone.planned != .unset else { return nil }
            self.init(planned: milestone.planned, minutes: milestone.plannedMinutes, began: began)
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

    /// What is unknown is the same as what is unknown.
    public static func == (a: Restated, b: Restated) -> Bool {
        a.statedAt == b.statedAt && a.claimedAt == b.claimedAt && a.held?.planned == b.held?.planned
            && a.held?.began == b.held?.began && a.minutes.bitPattern == b.minutes.bitPattern
            && a.held?.minutes.bitPattern == b.held?.minutes.bitPattern
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(statedAt)
        hasher.combine(claimedAt)
        hasher.combine(held?.planned)
    }
}

/// A plan in two versions, and what the later knows besides what it states.
public struct Restatement {
    /// A time that is stated anew by more than so many days puts a slip of the pen right.
    private static let mostMovedMinutes = 60.0 * 1_440

    private let old: Way
    private let milestones: [Milestone]
    private let graph: JoinGraph?
    /// When the plan begins, and when its later version was made.
    private let start: Instant
    private let statedAt: Instant
    private var found: [Restated] = []
    private var isNews = false

    public init(
        _ milestones: [Milestone], _ graph: JoinGraph?, after old: Way, start: Instant,
        at statedAt: Instant
    ) {
        self.milestones = milestones
        self.graph = graph
        self.old = old
        self.start = start
        self.statedAt = statedAt
    }

    /// A plan that comes first when a part of it is past.
    public static func first(_ milestones: [Milestone], at statedAt: Instant) -> [Restated] {
        func isPast(_ milestone: Milestone) -> Bool {
            milestone.planned != .unset && milestone.planned <= statedAt
        }
        guard milestones.contains(where: isPast) else { return [] }
        return milestones.map { Restated(claimedAt: isPast($0) ? statedAt : .unset) }
    }

    /// Beside the milestones of the later version; empty where nothing was ever stated anew. `oldGraph`: of
    /// the earlier: where boxes wait for each other otherwise than before, it is another plan.
    public consuming func restated(_ oldGraph: JoinGraph?) -> [Restated] {
        guard graph == oldGraph, graph == nil || milestones.count == old.milestones.count else {
            return []
        }
        var matched: [Int?] = []
        var from = 0
        for index in milestones.indices {
            let at = match(index, from: from)
            matched.append(at)
            if let at { from = at + 1 }
            state(index, as: at)
        }
        if isNews { return found }
        // Sent again as it was: another box in it, perhaps.
        return old.restated.isEmpty ? [] : matched.map { $0.map(old.restated) ?? Restated() }
    }

    private func match(_ index: Int, from: Int) -> Int? {
        if graph != nil { return index }
        return old.milestones.indices.dropFirst(from).first {
            old.milestones[$0].place == milestones[index].place
                && old.milestones[$0].code == milestones[index].code
        }
    }

    private mutating func state(_ index: Int, as at: Int?) {
        let milestone = milestones[index]
        guard let at else {
            found.append(Restated(statedAt: milestone.planned == .unset ? .unset : statedAt))
            isNews = isNews || milestone.planned != .unset
            return
        }
        let (before, known) = (old.milestones[at], old.restated(at))
        let isSame = before.planned == milestone.planned
        isNews = isNews || !isSame
        var now = Restated(statedAt: isSame ? known.statedAt : statedAt)
        let begins = begins(index)
        if begins != .unset, begins <= statedAt, before.fromPlace == milestone.fromPlace,
            before.fromCode == milestone.fromCode
        {
            // Its step has begun: what was planned then is what became of it is measured by.
            now.held = known.held ?? Restated.Held(before, began: old.plannedStart(at, graph))
            let moved = now.held.map { milestone.planned.minutes(since: $0.planned) } ?? 0
            if milestone.planned == .unset || abs(moved) > Restatement.mostMovedMinutes {
                now.held = nil
            }
        }
        if milestone.planned != .unset, milestone.planned <= statedAt {
            now.claimedAt = known.claimedAt != .unset ? known.claimedAt : statedAt
        } else if isSame, graph == nil, index > 0, found[index - 1].claimedAt != .unset {
            // Its beginning has been stated as it was: this is the same step.
            now.minutes = before.plannedMinutes
        }
        found.append(now)
    }

    /// When the step to a milestone is stated to begin; `.unset`: nobody says.
    private func begins(_ index: Int) -> Instant {
        let earlier = graph.map { $0.before[index] } ?? (index > 0 ? [index - 1] : [])
        if earlier.isEmpty { return start }
        return earlier.reduce(.unset) { max($0, milestones[$1].planned) }
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
        let left = max(
            step.planned.minutes(since: statedAt), Restarted.leastMinutes,
            Restarted.leastShare * whole.plannedMinutes)
        share = min(left / whole.plannedMinutes, 1)
    }

    /// What is said shortly before the end is no surer than that.
    private static let leastMinutes = 720.0
    private static let leastShare = 0.1
}
