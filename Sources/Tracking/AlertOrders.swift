/// Somebody has seen an alert and sees to it: as a line states it.
public struct AlertAcknowledgement: Sendable, Equatable {
    public var alert: String
    /// The line of the alert that was seen.
    public var rev: Int
    public var note: String?
    /// nil: as long as it is open.
    public var until: Instant?
    public var seq: Int64?
    public var content: UInt64 = 0
    public var unknownKeys: [String] = []

    public init(alert: String, rev: Int, note: String? = nil, until: Instant? = nil) {
        self.alert = alert
        self.rev = rev
        self.note = note
        self.until = until
    }
}

/// Alerts that are marked for a while, because somebody knows why they come: as a line states it. They are
/// published all the same.
public struct AlertSilence: Sendable, Equatable {
    public var id: String
    /// What it is about: an empty list leaves that question open.
    public var types: [AlertType] = []
    public var places: [String] = []
    public var containers: [ContainerNumber] = []
    public var shipments: [String] = []
    public var from: Instant
    public var until: Instant
    public var reason: String?
    /// Version time.
    public var updated: Instant?
    public var retract = false
    /// The post that stated it; "": nobody in particular.
    public var author = ""
    public var seq: Int64?
    public var content: UInt64 = 0
    public var unknownKeys: [String] = []

    public init(id: String, from: Instant, until: Instant) {
        self.id = id
        self.from = from
        self.until = until
    }

    /// Whether it marks a line that is said at `now`.
    public func marks(_ alert: AlertEvent, at now: Instant) -> Bool {
        func isMeant<T: Equatable>(_ list: [T], _ value: T?) -> Bool {
            list.isEmpty || value.map(list.contains) ?? false
        }
        return !retract && from <= now && now < until && isMeant(types, alert.type)
            && isMeant(places, alert.place) && isMeant(containers, alert.container)
            && isMeant(shipments, alert.shipment)
    }
}
