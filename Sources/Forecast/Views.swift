/// What a forecast looks at besides how steps have gone of late: each counts where its own record says
/// so. Left out one by one they show what they are worth (`caravan backtest --without`).
public struct Views: OptionSet, Sendable, Hashable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Timetables that move with the beginning of their leg.
    public static let timetables = Views(rawValue: 1 << 0)
    /// How late a step begins.
    public static let deviation = Views(rawValue: 1 << 1)
    /// How fast those that wait leave.
    public static let pace = Views(rawValue: 1 << 2)
    /// The last few times, and how it has gone for long.
    public static let spans = Views(rawValue: 1 << 3)
    /// Durations as shares of the plan's.
    public static let shares = Views(rawValue: 1 << 4)
    /// Hour and weekday.
    public static let calendar = Views(rawValue: 1 << 5)
    /// What others say of what lies ahead.
    public static let estimates = Views(rawValue: 1 << 6)
    /// How alike the steps of one journey go.
    public static let correlation = Views(rawValue: 1 << 7)
    /// Other ways that boxes take where ways part.
    public static let ways = Views(rawValue: 1 << 8)

    public static let all: [(name: String, view: Views)] = [
        ("timetables", .timetables), ("deviation", .deviation), ("pace", .pace),
        ("spans", .spans), ("shares", .shares), ("calendar", .calendar),
        ("estimates", .estimates), ("correlation", .correlation), ("ways", .ways),
    ]
}
