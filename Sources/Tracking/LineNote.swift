/// What was assumed of a line that was stored, or what looks wrong with it: a warning to its sender.
public struct LineNote: Sendable, Equatable {
    public enum Code: String, Sendable, CaseIterable {
        case offsetAssumed = "offset-assumed"
        case zoneUnknown = "zone-unknown"
        case placeUnknown = "place-unknown"
        case placeNear = "place-near"
        case keyUnknown = "key-unknown"
        case dateOnly = "date-only"
        case idElsewhere = "id-elsewhere"
        case planEarlier = "plan-earlier"
        case closureEarlier = "closure-earlier"
        case timeAhead = "time-ahead"
        case containerUnlisted = "container-unlisted"
        case timeFar = "time-far"
        case eventEarlier = "event-earlier"
        case namePadded = "name-padded"
    }

    public var code: Code
    public var field: String
    public var detail: String
    public var suggest: [String]
    /// What was assumed: two notes with this and the code in common say one thing.
    public var assumed: String

    public init(
        _ code: Code, field: String, assumed: String, detail: String, suggest: [String] = []
    ) {
        self.code = code
        self.field = field
        self.assumed = assumed
        self.detail = detail
        self.suggest = suggest
    }
}

/// What is kept of the assumptions behind one event, for those who look at it later.
public struct EventFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The time came without an offset.
    public static let offsetAssumed = EventFlags(rawValue: 1 << 0)
    /// … at a place whose zone nobody knows: it stands as if it were UTC.
    public static let zoneUnknown = EventFlags(rawValue: 1 << 1)
    /// Only the day is known; the time is the day's beginning at the place.
    public static let dateOnly = EventFlags(rawValue: 1 << 2)
    /// The clock showed this time twice; the earlier is meant.
    public static let repeatedHour = EventFlags(rawValue: 1 << 3)
    /// The clock never showed this time; it is moved forward.
    public static let missingHour = EventFlags(rawValue: 1 << 4)
    public static let placeUnknown = EventFlags(rawValue: 1 << 5)
    public static let placeNear = EventFlags(rawValue: 1 << 6)
    public static let keyUnknown = EventFlags(rawValue: 1 << 7)
    /// One of the events that nobody in particular sent under one id (`EventHistory`).
    public static let shared = EventFlags(rawValue: 1 << 8)
    /// A version of another of those took its place, or all of them were retracted.
    public static let setAside = EventFlags(rawValue: 1 << 9)
    /// Its post's clock was wrong by whole hours, and its time was set right.
    public static let clockCorrected = EventFlags(rawValue: 1 << 10)

    /// When it happened is not known well enough to learn a duration from it.
    public var isVague: Bool { !isDisjoint(with: [.zoneUnknown, .dateOnly]) }

    /// As people and programs are told of them, in the words of `LineNote.Code` where there is one.
    public var words: [String] {
        let named: [(EventFlags, String)] = [
            (.offsetAssumed, LineNote.Code.offsetAssumed.rawValue),
            (.zoneUnknown, LineNote.Code.zoneUnknown.rawValue),
            (.dateOnly, LineNote.Code.dateOnly.rawValue), (.repeatedHour, "hour-repeated"),
            (.missingHour, "hour-missing"),
            (.placeUnknown, LineNote.Code.placeUnknown.rawValue),
            (.placeNear, LineNote.Code.placeNear.rawValue),
            (.keyUnknown, LineNote.Code.keyUnknown.rawValue), (.clockCorrected, "clock-corrected"),
        ]
        return named.filter { contains($0.0) }.map(\.1)
    }
}
