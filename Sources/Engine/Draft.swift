import Alerting
import Forecast
import Log
import Tracking
import Wire

/// What became of one line.
enum Verdict {
    case stored
    case duplicate
    case refused(LineReject)
}

/// What a batch has done to one container so far.
struct Change: Sendable {
    var eventID: String?
    var reason: String?
    var corrected = false
    var planChanged = false
    /// A plan names it that did not before.
    var planIsNew = false
    var closed = false
    /// The last of the news says what somebody expects.
    var isEstimate = false
    /// Some milestone is planned for another time.
    var planMoved = false
    /// Plans of it that lead elsewhere now, or promise another time.
    var otherTerms: Set<UInt32> = []
    /// Its plan says something else than before; a first plan does not.
    var hasNewPlan: Bool { planChanged && !planIsNew || planMoved }
    /// What the news is about, where it is not what happened.
    var reasonToSpeak: Journey.Publication.Reason? {
        hasNewPlan ? .plan : isEstimate ? .estimate : newest != .unset ? .events : nil
    }
    /// The latest time that the news speaks of.
    var newest: Instant = .unset
}

/// A step in the making.
struct Draft {
    let now: Instant
    var blob = LogBlobWriter()
    var events: [EventRow] = []
    var quarantined: [QuarantineRow] = []
    var marks: [StreamMark] = []
    var notices: [OutputEvent] = []
    var replies: [SourceReply] = []
    var counts = LineCounts()
    var refused: [LineReject.Code: Int] = [:]
    var warned: [LineNote.Code: Int] = [:]
    /// Of each connection what it has been told of in this batch.
    var told: Set<Told> = []
    /// What journeys of the record that is looked at have taught, where it has several.
    var claims: Set<Claim> = []
    var touched: [Int: Change] = [:]
    /// Touched slots in order of the first touch.
    var order: [Int] = []
    /// Joined shipments of which something changed.
    var joinedNews: [JoinedNews] = []
    var shipments: [UInt32: ShipmentScratch] = [:]
    /// Plans that have let boxes go in this batch, and whether they were taken back.
    var leftPlans: [UInt32: Bool] = [:]
    /// Closures of this batch that were said of another mode before.
    var otherClosures: Set<String> = []
    /// Places that closures of this batch speak of.
    var closedPlaces: Set<UInt32> = []
    /// By the ids of closures the boxes that have to wait for them.
    var delayed: [String: Set<ContainerNumber>] = [:]
    /// Incidents of which something has changed, and those who have reported.
    var incidents: [IncidentKey] = []
    var reporters: Set<Int> = []
    /// Posts whose times are to be corrected otherwise than before.
    var corrected: Set<String> = []
    var timersFired = false
    /// Reports of this round that were old when they came.
    var history = 0

    init(now: Instant) { self.now = now }

    /// What was touched so far has been looked at.
    mutating func beginRound() {
        history = 0
        touched.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        joinedNews = []
        shipments = [:]
        closedPlaces = []
    }

    mutating func touch(_ slot: Int, _ change: (inout Change) -> Void) {
        if let index = touched.index(forKey: slot) {
            change(&touched.values[index])
        } else {
            var touch = Change()
            change(&touch)
            touched[slot] = touch
            order.append(slot)
        }
    }

    /// `changed`: the milestones that are not as before; nil: all may be.
    mutating func join(_ shipment: UInt32, _ slot: Int, changed: [Int]?) {
        if let at = joinedNews.firstIndex(where: { $0.shipment == shipment }) {
            joinedNews[at].changed = changed.flatMap { more in
                joinedNews[at].changed.map { $0 + more }
            }
        } else {
            joinedNews.append(JoinedNews(shipment: shipment, slot: slot, changed: changed))
        }
    }

    mutating func mark(_ origin: Origin, _ seq: Int64) {
        // The lines of one chunk are of one stream, and so mostly of the last one.
        if let at = marks.lastIndex(where: { $0.origin == origin }) {
            marks[at].seq = seq
        } else {
            marks.append(StreamMark(origin: origin, seq: seq))
        }
    }

    mutating func quarantine(
        _ reject: LineReject, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ origin: Origin
    ) {
        quarantined.append(
            QuarantineRow(
                item: counts.received, origin: origin, reject: reject, bytes: Array(bytes),
                length: line.oversize?.length ?? bytes.count, hash: line.oversize?.hash))
        refused[reject.code, default: 0] += 1
        counts.quarantined += 1
    }
}

/// An assumption that a connection has heard of.
struct Told: Hashable {
    let source: Int
    let code: LineNote.Code
    let assumed: String
}

/// A lesson that somebody teaches already.
struct Claim: Hashable {
    let step: StepID
    let start: Instant
    let end: Instant
}
