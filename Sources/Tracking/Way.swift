/// A step as the pools of the forecast know it: everything that tells its distribution from those of
/// others, as a small number. Valid for the life of the pools that gave it.
public struct StepID: Hashable, Sendable {
    public let number: Int32

    public init(number: Int32) { self.number = number }
}

/// The milestones of one journey, those that happened and those ahead, and beside them the numbers of
/// their steps. A plan gives the first way, evidence gives the next; boxes of one train share one object.
public final class Way: Sendable {
    public let milestones: [Milestone]
    public let ids: [StepID]
    /// For each milestone its index in the plan's own way, -1 where it is none of the plan's; empty: this
    /// is the plan's own way.
    public let planned: [Int32]
    /// Index of the milestone with which this way left the one before it; -1: it is the plan's own.
    public let turn: Int
    /// Tells ways of one plan apart, the same in every process; 0: the plan's own.
    public let signature: UInt64
    /// Beside the milestones, of a plan that was sent again with other times; else empty.
    public let restated: [Restated]

    public init(
        _ milestones: [Milestone], _ ids: [StepID], planned: [Int32] = [], turn: Int = -1,
        signature: UInt64 = 0, restated: [Restated] = []
    ) {
        self.restated = restated
        self.milestones = milestones
        self.ids = ids
        self.planned = planned
        self.turn = turn
        self.signature = signature
    }

    public static let none = Way([], [])

    /// Whether it has the same milestones as another, whenever they are planned.
    public func leadsAs(_ other: Way) -> Bool {
        milestones.count == other.milestones.count
            && zip(milestones, other.milestones).allSatisfy {
                $0.place == $1.place && $0.code == $1.code
            }
    }

    public var isPlans: Bool { turn < 0 }

    /// When the step to a milestone is planned to begin: with the last that it waits for; `.unset` where
    /// no plan says, or it begins with the plan.
    public func plannedStart(_ at: Int, _ graph: JoinGraph?) -> Instant {
        if let held = restated(at).held { return held.began }
        guard let graph else { return at > 0 ? milestones[at - 1].planned : .unset }
        return graph.before[at].reduce(.unset) { max($0, milestones[$1].planned) }
    }

    /// Whether a milestone is none of the plan's.
    public func isExtra(_ at: Int) -> Bool { !planned.isEmpty && planned[at] < 0 }

    /// The furthest milestone of the plan's own way among the first ones of this; -1: none.
    public func furthestPlanned(through at: Int) -> Int {
        if planned.isEmpty { return at }
        return planned.prefix(at + 1).reduce(-1) { max($0, Int($1)) }
    }
}

/// A box was seen where its way does not lead.
public struct Detour: Hashable, Sendable {
    public let way: Way
    /// Index of the last milestone that is behind it; -1: none.
    public let after: Int
    /// Where it was seen.
    public let place: UInt32

    public init(way: Way, after: Int, place: UInt32) {
        self.way = way
        self.after = after
        self.place = place
    }

    public static func == (a: Detour, b: Detour) -> Bool {
        a.way === b.way && a.after == b.after && a.place == b.place
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(way))
        hasher.combine(after)
        hasher.combine(place)
    }
}

/// What a reading of a history has to be told before it can go on.
public enum MissingFact: Error, Sendable {
    /// Where a place lies.
    case place(UInt32)
    /// Which way leads on, for a box under a shipment's plan.
    case detour(Detour, shipment: UInt32)
    /// The numbers of the steps of a way that is planned anew.
    case retiming(Retiming)
}

/// Where places lie and which ways lead on from them: what a history needs to be read. Values that follow
/// from the network and the plans, looked up once.
public struct WayBook: Sendable {
    public var geography = Geography()
    private var detours: [Detour: Way] = [:]
    private var retimings: [Retiming: Way] = [:]

    private var milestoneCount = 0

    /// Ways kept, and milestones in them all; beyond, the memory of them begins anew.
    private static let limit = 10_000
    private static let milestoneLimit = 1_000_000

    public init() {}

    public func way(_ detour: Detour) -> Way? { detours[detour] }

    public func way(_ retiming: Retiming) -> Way? { retimings[retiming] }

    public mutating func note(_ detour: Detour, _ way: Way) {
        milestoneCount += way.milestones.count
        detours[detour] = way
    }

    public mutating func note(_ retiming: Retiming, _ way: Way) {
        milestoneCount += way.milestones.count
        retimings[retiming] = way
    }

    /// Forgets all where it is full. Only before a history is read: while it is, what was looked up for it
    /// has to stay known, or it would be looked up for ever.
    public mutating func makeRoom() {
        guard
            detours.count + retimings.count >= WayBook.limit
                || milestoneCount >= WayBook.milestoneLimit
        else { return }
        (detours, retimings, milestoneCount) = ([:], [:], 0)
    }

    /// The symbols of the places of the ways that are kept.
    public var places: [UInt32] {
        [detours.values.map(\.milestones), retimings.values.map(\.milestones)].joined().flatMap {
            $0.flatMap { [$0.place, $0.fromPlace] }
        }
    }
}
