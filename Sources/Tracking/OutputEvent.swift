/// What Caravan tells its subscribers: one value is one line of the output, less its number.
public enum OutputEvent: Sendable, Equatable {
    case eta(EtaEvent)
    case alert(AlertEvent)
    case score(ScoreEvent)
}

/// One step's share in a change of a forecast.
public struct Cause: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case dwell, transit, departure, closure, correction, plan, congestion, queue, route,
            estimate
    }

    public var place: String
    public var minutes: Int
    public var kind: Kind
    /// SMDG delay code that a post gave.
    public var reason: String?
    /// The box has it behind it; that shows in words alone.
    public var isOver = false

    public init(place: String, minutes: Int, kind: Kind, reason: String? = nil) {
        self.place = place
        self.minutes = minutes
        self.kind = kind
        self.reason = reason
    }
}

/// One of the ways that are likely, told by a place that lies on it alone.
public struct LikelyWay: Sendable, Equatable {
    public var via: String
    public var share: Double
    /// It is the one whose milestones are shown.
    public var isOwn: Bool

    public init(via: String, share: Double, isOwn: Bool = false) {
        self.via = via
        self.share = share
        self.isOwn = isOwn
    }
}

/// A new expectation of one milestone, usually the journey's last.
public struct EtaEvent: Sendable, Equatable {
    public var time: Instant
    public var container: ContainerNumber
    public var shipment: String?
    public var place: String
    public var p10: Instant
    public var p50: Instant
    public var p90: Instant
    public var promised: Instant?
    public var lateProbability: Double?
    /// Against the last published p50; nil on the first.
    public var changeMinutes: Int?
    public var because: [Cause]
    /// The `id` of the event that moved it; nil where silence or a plan did.
    public var event: String?
    /// True where the journey has no plan, and this is a guess of its next place.
    public var partial: Bool
    /// When it arrived: then nothing is expected any more, and no quantile is said.
    public var actual: Instant?
    /// Of that only the day is known: its date at the place, as people write it.
    public var actualDay: String?
    /// By how much that was later than promised, else than planned.
    public var deviationMinutes: Int?
    /// What others say of milestones ahead, where it counts.
    public var estimates: [Estimate] = []
    /// The ways that are likely, where there are several, the likeliest first.
    public var ways: [LikelyWay] = []
    /// So many boxes of late went on from there as this one did, by which such a guess was made; 0: nobody did,
    /// it is what the network has next.
    public var wentOn: Int?
    /// What is not known, in words: then no quantile is said.
    public var unknown: String?

    public init(
        time: Instant, container: ContainerNumber, shipment: String?, place: String, p10: Instant,
        p50: Instant, p90: Instant, promised: Instant? = nil, lateProbability: Double? = nil,
        changeMinutes: Int? = nil, because: [Cause] = [], event: String? = nil,
        partial: Bool = false
    ) {
        self.time = time
        self.container = container
        self.shipment = shipment
        self.place = place
        self.p10 = p10
        self.p50 = p50
        self.p90 = p90
        self.promised = promised
        self.lateProbability = lateProbability
        self.changeMinutes = changeMinutes
        self.because = because
        self.event = event
        self.partial = partial
    }
}

/// How good the forecasts have been, by how far ahead they looked.
public struct ScoreEvent: Sendable, Equatable {
    public struct Row: Sendable, Equatable {
        /// Upper end of the class of horizons; nil: the farthest.
        public var uptoMinutes: Int?
        /// Arrivals that were judged.
        public var arrivals: Int
        /// Share of them between p10 and p90.
        public var coverage: Double
        /// Mean width of that interval, and mean error of the p50.
        public var widthMinutes: Double
        public var errorMinutes: Double

        public init(
            uptoMinutes: Int?, arrivals: Int, coverage: Double, widthMinutes: Double,
            errorMinutes: Double
        ) {
            self.uptoMinutes = uptoMinutes
            self.arrivals = arrivals
            self.coverage = coverage
            self.widthMinutes = widthMinutes
            self.errorMinutes = errorMinutes
        }
    }

    public var time: Instant
    public var horizons: [Row]
    /// By the place of delivery, and by the place of the milestone that was next; the places with
    /// most arrivals first.
    public var places: [(place: String, row: Row)]
    public var steps: [(place: String, row: Row)]

    public init(
        time: Instant, horizons: [Row], places: [(place: String, row: Row)] = [],
        steps: [(place: String, row: Row)] = []
    ) {
        self.time = time
        self.horizons = horizons
        self.places = places
        self.steps = steps
    }

    public static func == (a: ScoreEvent, b: ScoreEvent) -> Bool {
        a.time == b.time && a.horizons == b.horizons
            && a.places.elementsEqual(b.places, by: ==) && a.steps.elementsEqual(b.steps, by: ==)
    }
}

/// What an alert is about.
public enum AlertType: UInt8, CaseIterable, Sendable {
    case late, overdue, stuck, offRoute, impossible, seal, customsHold, postSilent, postClock,
        closure

    public var code: String {
        switch self {
        case .late: "late"
        case .overdue: "overdue"
        case .stuck: "stuck"
        case .offRoute: "off-route"
        case .impossible: "impossible"
        case .seal: "seal"
        case .customsHold: "customs-hold"
        case .postSilent: "post-silent"
        case .postClock: "post-clock"
        case .closure: "closure"
        }
    }

    public init?(code: String) {
        guard let found = AlertType.allCases.first(where: { $0.code == code }) else { return nil }
        self = found
    }
}

/// A line in an alert's life.
public enum AlertState: UInt8, CaseIterable, Sendable {
    case raised, updated, cleared, withdrawn, acknowledged

    public var code: String {
        switch self {
        case .raised: "raised"
        case .acknowledged: "acknowledged"
        case .updated: "updated"
        case .cleared: "cleared"
        case .withdrawn: "withdrawn"
        }
    }
}

/// Boxes that travel as one, of which one alert is told for each.
public struct Convoy: Sendable, Equatable {
    public var id: UInt64
    /// How many of them have the alert, this one included.
    public var count: Int
    /// The first of them.
    public var isLead: Bool

    public init(id: UInt64, count: Int, isLead: Bool) {
        self.id = id
        self.count = count
        self.isLead = isLead
    }

    /// As it stands on the wire.
    public var name: String {
        let digits = String(id, radix: 16)
        return "c-" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// One line of an alert's life: raised, then any number of updates, then cleared or withdrawn.
public struct AlertEvent: Sendable, Equatable {
    public var time: Instant
    /// Stable over restarts and replays (UUID v5).
    public var alert: String
    /// Counts this alert's lines from 1.
    public var rev: Int
    public var state: AlertState
    public var type: AlertType
    public var severity: Severity
    /// nil: it is about a post or a place.
    public var container: ContainerNumber?
    public var shipment: String?
    public var place: String
    public var delayMinutes: Int
    public var probability: Double?
    public var because: [Cause]
    public var text: String
    public var event: String?
    /// It travels with others that have the same alert.
    public var convoy: Convoy?
    /// It has come and gone before within hours: it stays open until it has been calm for long.
    public var isFlapping = false
    /// The post that it is about.
    public var post: String?
    /// Of a parent: how many boxes it concerns, and the first of them.
    public var children: Int?
    public var containers: [ContainerNumber] = []
    /// Of a closure: its id, and the reason that was given.
    public var closure: String?
    public var reason: String?
    /// Of a child: the alert of its parent.
    public var incident: String?
    /// The silence that marks it.
    public var silenced: String?
    /// Of an acknowledgement: who, what was said, and for how long.
    public var by: String?
    public var note: String?
    public var until: Instant?

    public init(
        time: Instant, alert: String, rev: Int, state: AlertState, type: AlertType,
        severity: Severity, container: ContainerNumber?, shipment: String?, place: String,
        delayMinutes: Int, probability: Double? = nil, because: [Cause] = [], text: String,
        event: String? = nil
    ) {
        self.time = time
        self.alert = alert
        self.rev = rev
        self.state = state
        self.type = type
        self.severity = severity
        self.container = container
        self.shipment = shipment
        self.place = place
        self.delayMinutes = delayMinutes
        self.probability = probability
        self.because = because
        self.text = text
        self.event = event
    }
}
