/// What one version of a plan stated of its milestones: kept when a later one is in force, so that it does
/// not matter in which order they came.
public struct StatedVersion: Sendable, Equatable {
    /// When it was made.
    public var at: Instant
    /// The plan's beginning; `.unset`: it did not say.
    public var start: Instant
    public var milestones: [StatedMilestone]

    /// Versions that are remembered, and milestones in them all, but for one.
    private static let most = 8
    private static let mostMilestones = 400

    public init(at: Instant, start: Instant, milestones: [StatedMilestone]) {
        self.at = at
        self.start = start
        self.milestones = milestones
    }

    public init(_ plan: ShipmentPlan, at: Instant) {
        self.init(
            at: at, start: plan.start ?? .unset,
            milestones: plan.milestones.map(StatedMilestone.init))
    }

    /// Versions with one more among them, in the order in which they were made. The first is kept: it is
    /// what was planned.
    public static func adding(_ new: StatedVersion, to known: [StatedVersion]) -> [StatedVersion] {
        if known.contains(new) { return known }
        var all = known
        all.insert(new, at: all.firstIndex { $0.at > new.at } ?? all.count)
        let count = all.reduce(0) { $0 + $1.milestones.count }
        let limit = max(1, min(most, mostMilestones * all.count / max(count, 1)))
        while all.count > limit { all.remove(at: all.count > 1 && limit > 1 ? 1 : 0) }
        return all
    }

    /// The milestones of a version, as parts of a later version of the plan; nil where they are no such
    /// parts. Where milestones wait for each other, all of them have to be there.
    public func milestones(of plan: ShipmentPlan) -> [PlannedMilestone]? {
        let isChain = plan.milestones.allSatisfy { $0.container == nil && $0.after == nil }
        if isChain { return milestones.map(\.planned) }
        guard milestones.count == plan.milestones.count else { return nil }
        var found = plan.milestones
        for (at, stated) in milestones.enumerated() {
            guard found[at].place == stated.place, found[at].event == stated.event else {
                return nil
            }
            found[at].time = stated.planned.time
            found[at].minutes = stated.planned.minutes
        }
        return found
    }

    /// The first milestones of an earlier version of which this states only those that are still ahead, some of
    /// them elsewhere perhaps: they are behind the box, and not another plan. `origin`: where the plan begins.
    public func dropped(from earlier: [StatedMilestone], origin: String?) -> [StatedMilestone] {
        guard let first = milestones.first else { return [] }
        let begin = earlier.firstIndex { $0.names(first) }
        let latest = first.time == .unset ? at : min(at, first.time)
        let gone = earlier[..<(begin ?? earlier.count)].prefix {
            $0.time == .unset || $0.time <= latest
        }
        if let begin, isRest(of: earlier[begin...]) { return Array(gone) }
        guard gone.contains(where: { $0.time != .unset }) else { return [] }
        // Another plan begins somewhere: this one arrives, or began where the earlier one did.
        guard first.event == .arri || first.event == .disc || origin == earlier.first?.place,
            !milestones.contains(where: { milestone in gone.contains { $0.names(milestone) } })
        else { return [] }
        return Array(gone)
    }

    /// Whether it states nothing else, in this order.
    private func isRest(of earlier: ArraySlice<StatedMilestone>) -> Bool {
        var from = earlier.startIndex
        for milestone in milestones {
            guard let found = earlier[from...].firstIndex(where: { $0.names(milestone) }) else {
                return false
            }
            from = found + 1
        }
        return true
    }
}

/// What a version of a plan stated of one milestone.
public struct StatedMilestone: Sendable, Hashable {
    public var place: String
    /// `.unset`: no time.
    public var time: Instant
    /// -1: none.
    public var minutes: Int32
    public var event: EventCode

    public init(place: String, event: EventCode, time: Instant, minutes: Int32) {
        self.place = place
        self.event = event
        self.time = time
        self.minutes = minutes
    }

    public init(_ planned: PlannedMilestone) {
        self.init(
            place: planned.place, event: planned.event, time: planned.time ?? .unset,
            minutes: planned.minutes.flatMap { Int32(exactly: $0) } ?? -1)
    }

    public var planned: PlannedMilestone {
        PlannedMilestone(
            place: place, event: event, time: time == .unset ? nil : time,
            minutes: minutes < 0 ? nil : Int(minutes))
    }

    func names(_ other: StatedMilestone) -> Bool { place == other.place && event == other.event }
}
