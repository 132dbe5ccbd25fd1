/// One checkpoint event as a post reported it, checked for form but not against what is known.
public struct TrackingEvent: Sendable, Equatable {
    public var container: ContainerNumber
    /// Of `id`, else of the content (see `Identity`).
    public var identity: Identity
    /// Of everything the line says but `updated`: tells a duplicate from a correction.
    public var content: UInt64
    /// The sender's identity for the event, as sent.
    public var id: String?
    public var code: EventCode
    public var eventClass: EventClass
    public var mode: TransportMode
    /// As sent, trimmed and in upper case; "" only in a bare retraction.
    public var place: String
    /// When it happened. With `offsetMinutes == nil` the line gave none, and this is its civil time
    /// read as UTC until the engine applies a zone.
    public var time: Instant
    public var offsetMinutes: Int16?
    /// Version time of a correction; nil: the first version.
    public var updated: Instant?
    /// `updated` came without an offset, and is read as UTC until the engine applies a zone.
    public var isUpdatedCivil = false
    public var shipment: String?
    /// SMDG delay code.
    public var reason: String?
    /// The sender's own running number.
    public var seq: Int64?
    public var retract: Bool
    /// Who says so; nil: the post that sent it.
    public var source: String?
    /// The container that an earlier version named wrongly.
    public var was: ContainerNumber?
    /// What the line itself shows: `dateOnly`, `keyUnknown`.
    public var flags: EventFlags = []
    /// Whether it says what happened: a retraction need not.
    public var hasCode = true
    /// Hashes of the seals, in whatever order, and of the vehicle; 0: none is stated.
    public var seals: UInt32 = 0
    public var vehicle: UInt32 = 0
    /// Keys that no event has.
    public var unknownKeys: [String] = []

    public init(
        container: ContainerNumber, identity: Identity, content: UInt64, id: String? = nil,
        code: EventCode, eventClass: EventClass = .act, mode: TransportMode = .unknown,
        place: String, time: Instant, offsetMinutes: Int16? = 0, updated: Instant? = nil,
        shipment: String? = nil, reason: String? = nil, seq: Int64? = nil, retract: Bool = false
    ) {
        self.container = container
        self.identity = identity
        self.content = content
        self.id = id
        self.code = code
        self.eventClass = eventClass
        self.mode = mode
        self.place = place
        self.time = time
        self.offsetMinutes = offsetMinutes
        self.updated = updated
        self.shipment = shipment
        self.reason = reason
        self.seq = seq
        self.retract = retract
    }
}

/// A milestone as a plan states it.
public struct PlannedMilestone: Sendable, Hashable {
    public var place: String
    public var event: EventCode
    public var time: Instant?
    /// How long its step is planned to last, after what it waits for: instead of a timetable, or where that
    /// is missed.
    public var minutes: Int?
    /// Names this milestone within the plan, for `after`.
    public var id: String?
    /// Only this container of the plan passes it; nil: all do.
    public var container: ContainerNumber?
    /// The milestones that must have happened before; nil: the one before it in the list.
    public var after: [String]?
    /// `time` came without an offset, and is read as UTC until the engine applies a zone.
    public var isCivil = false
    /// `time` came as a day alone, and is about the middle of it.
    public var isDay = false

    public init(
        place: String, event: EventCode, time: Instant? = nil, minutes: Int? = nil,
        id: String? = nil, container: ContainerNumber? = nil, after: [String]? = nil
    ) {
        self.place = place
        self.event = event
        self.time = time
        self.minutes = minutes
        self.id = id
        self.container = container
        self.after = after
    }
}

/// A shipment plan as a line states it.
public struct ShipmentPlan: Sendable, Equatable {
    public var shipment: String
    public var containers: [ContainerNumber]
    public var origin: String?
    public var destination: String?
    public var mode: TransportMode
    public var via: [String]
    public var promised: Instant?
    public var start: Instant?
    public var milestones: [PlannedMilestone]
    public var updated: Instant?
    /// The sender's own running number.
    public var seq: Int64?
    /// There is no such plan any more: it names no container, and its places only say whom it concerns.
    public var retract = false
    /// Of everything the line says but `updated` and `seq`.
    public var content: UInt64
    /// Which of its own times came without an offset (milestones say it of themselves).
    public var civil: CivilFields = []
    /// Of these, which are a day alone.
    public var days: CivilFields = []
    /// What was assumed of its times.
    public var flags: EventFlags = []
    /// Keys that no plan has.
    public var unknownKeys: [String] = []

    /// Times of a line that are read as UTC until the engine applies a zone.
    public struct CivilFields: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let promised = CivilFields(rawValue: 1)
        public static let start = CivilFields(rawValue: 2)
        public static let updated = CivilFields(rawValue: 4)
        public static let from = CivilFields(rawValue: 8)
        public static let until = CivilFields(rawValue: 16)
        public static let milestones = CivilFields(rawValue: 32)
    }

    public init(
        shipment: String, containers: [ContainerNumber], origin: String? = nil,
        destination: String? = nil, mode: TransportMode = .unknown, via: [String] = [],
        promised: Instant? = nil, start: Instant? = nil, milestones: [PlannedMilestone] = [],
        updated: Instant? = nil, seq: Int64? = nil, content: UInt64 = 0
    ) {
        self.seq = seq
        self.shipment = shipment
        self.containers = containers
        self.origin = origin
        self.destination = destination
        self.mode = mode
        self.via = via
        self.promised = promised
        self.start = start
        self.milestones = milestones
        self.updated = updated
        self.content = content
    }

    /// All that it names, as it names them.
    public var places: [String] {
        [origin, destination].compactMap { $0 } + via + milestones.map(\.place)
    }

    /// It says nothing of the way but its ends: that is the network's guess.
    public var isWayAssumed: Bool {
        let ends = [
            origin, destination, origin == nil ? milestones.first?.place : nil,
            destination == nil ? milestones.last?.place : nil,
        ]
        return via.isEmpty && milestones.allSatisfy { ends.contains($0.place) }
    }

    /// Milestones between two places that a plan names, where a network has to find them: an arrival,
    /// its handling and a departure at each of some four places.
    private static let milestonesPerStretch = 12

    /// How many milestones it has, or will have about so many once its way is found.
    public var estimatedMilestones: Int {
        if milestones.isEmpty { return (via.count + 1) * ShipmentPlan.milestonesPerStretch }
        guard milestones.allSatisfy({ $0.after == nil && $0.container == nil }) else {
            return milestones.count
        }
        var stretches = via.count
        if let origin, origin != milestones.first?.place { stretches += 1 }
        if let destination, destination != milestones.last?.place { stretches += 1 }
        for (before, next) in zip(milestones, milestones.dropFirst())
        where before.place != next.place && next.minutes == nil
            && (before.time == nil || next.time == nil)
        {
            stretches += 1
        }
        return milestones.count + stretches * ShipmentPlan.milestonesPerStretch
    }
}

extension Closure {
    /// When it ends; one until further notice counts for a week.
    public var end: Instant { until ?? from.advanced(minutes: 7 * 1_440) }
}

/// A place that takes no traffic of a mode for a while.
public struct Closure: Sendable, Equatable {
    public var id: String
    public var place: String
    /// `.unknown`: every mode.
    public var mode: TransportMode
    public var from: Instant
    /// nil: until further notice.
    public var until: Instant?
    public var reason: String?
    public var updated: Instant?
    public var retract: Bool
    /// The sender's own running number.
    public var seq: Int64?
    public var content: UInt64
    /// Which of its times came without an offset.
    public var civil: ShipmentPlan.CivilFields = []
    /// Of these, which are a day alone.
    public var days: ShipmentPlan.CivilFields = []
    /// Keys that no closure has.
    public var unknownKeys: [String] = []

    public init(
        id: String, place: String, mode: TransportMode = .unknown, from: Instant,
        until: Instant? = nil, reason: String? = nil, updated: Instant? = nil,
        retract: Bool = false, seq: Int64? = nil, content: UInt64 = 0
    ) {
        self.seq = seq
        self.id = id
        self.place = place
        self.mode = mode
        self.from = from
        self.until = until
        self.reason = reason
        self.updated = updated
        self.retract = retract
        self.content = content
    }
}

/// Why a line, or a connection's wish, is refused: the wire's code, the field, and what a person
/// needs to mend it.
public struct LineReject: Error, Sendable, Equatable {
    public enum Code: String, Sendable, CaseIterable {
        case json, utf8
        case tooLong = "too-long"
        case missing, type, container
        case checkDigit = "check-digit"
        case event, time, future, past
        case unknownID = "unknown-id"
        case conflict, forbidden, limit
        case unknownLine = "unknown-line"
    }

    public var code: Code
    public var field: String?
    public var detail: String
    public var suggest: [String]

    public init(_ code: Code, field: String? = nil, detail: String, suggest: [String] = []) {
        self.code = code
        self.field = field
        self.detail = detail
        self.suggest = suggest
    }
}
