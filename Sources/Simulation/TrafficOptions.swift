import Tracking

/// What a simulated day of the corridor looks like.
public struct TrafficOptions: Sendable {
    public var seed: UInt64 = 1
    public var start: Instant
    public var days: Double = 1
    /// Shipments that set out each day.
    public var shipmentsPerDay: Double = 40
    /// Of all lines: sent twice, sent late, without an offset, with a wrong check digit.
    public var duplicateShare = 0.01
    public var lateShare = 0.02
    public var wrongDigitShare = 0.002
    public var noOffsetShare = 0.01
    /// Whether closures that somebody knew of are told.
    public var announcesClosures = true
    /// Shipments held up somewhere for days.
    public var heldShare = 0.08
    /// What boxes do that no plan says.
    public var strays = Strays.none
    /// Plans name the way that is really taken.
    public var plansStateTheWay = false
    /// Share of shipments whose plans name no place on the way.
    public var open = 0.0
    /// Share of shipments whose plans nobody sends.
    public var unplanned = 0.0
    /// Share of shipments of which a carrier says when they will arrive.
    public var estimated = 0.0

    public init(start: Instant) { self.start = start }
}

/// Shares of shipments that leave their plans, and of reports that are not as they should be.
public struct Strays: Sendable {
    /// Over another border than the plan says.
    public var otherWay: Double
    /// Handled at a place next to the planned one.
    public var neighbour: Double
    /// Sent back once to where they came from.
    public var returned: Double
    /// Reports that nobody sends, and that two systems send, some minutes apart.
    public var skipped: Double
    public var doubled: Double
    /// Milestones that are reported less often than others; of several that fit the last counts.
    public var silent: [SilentMilestone] = []

    public init(
        otherWay: Double, neighbour: Double, returned: Double, skipped: Double, doubled: Double
    ) {
        self.otherWay = otherWay
        self.neighbour = neighbour
        self.returned = returned
        self.skipped = skipped
        self.doubled = doubled
    }

    public static let none = Strays(
        otherWay: 0, neighbour: 0, returned: 0, skipped: 0, doubled: 0)
    public static let usual = Strays(
        otherWay: 0.1, neighbour: 0.05, returned: 0.01, skipped: 0.02, doubled: 0.01)
}
