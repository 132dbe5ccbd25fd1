/// What is kept in memory of one event: its current version, without what only people read.
public struct EventRecord: Sendable, Equatable {
    public var identity: Identity
    public var content: UInt64
    /// `.unset` in a retraction that did not repeat the facts.
    public var time: Instant
    /// `.unset`: the first version.
    public var updated: Instant
    /// Symbols; 0: none.
    public var place: UInt32
    public var shipment: UInt32
    public var code: EventCode
    public var eventClass: EventClass
    public var mode: TransportMode
    public var retracted: Bool
    public var flags: EventFlags
    /// What was added to the time that its post stated, because its clock was wrong.
    public var correctedMinutes: Int16 = 0
    /// Hashes of the seals that were seen, and of the wagon, truck or vessel: enough to tell a change;
    /// 0: none was stated.
    public var seals: UInt32 = 0
    public var vehicle: UInt32 = 0
    /// Symbol of the post that sent it; 0: nobody in particular.
    public var post: UInt32 = 0
    /// Symbol of who it says it comes from; 0: its post.
    public var source: UInt32 = 0
    /// From the event to when it was received, seconds.
    public var delaySeconds: Int32 = 0

    public init(
        identity: Identity, content: UInt64, time: Instant, updated: Instant = .unset,
        place: UInt32, shipment: UInt32 = 0, code: EventCode, eventClass: EventClass = .act,
        mode: TransportMode = .unknown, retracted: Bool = false, flags: EventFlags = []
    ) {
        self.identity = identity
        self.content = content
        self.time = time
        self.updated = updated
        self.place = place
        self.shipment = shipment
        self.code = code
        self.eventClass = eventClass
        self.mode = mode
        self.retracted = retracted
        self.flags = flags
    }

    /// True where it says something about where the container is.
    @inlinable public var isEvidence: Bool {
        !retracted && eventClass == .act && !flags.contains(.setAside)
    }

    /// Sets its time by what its post's times are to be corrected by; false where it was so already.
    public mutating func align(_ minutes: (_ post: UInt32, _ stated: Instant) -> Int) -> Bool {
        guard post != 0, eventClass == .act, time != .unset else { return false }
        let stated = time.advanced(minutes: -Double(correctedMinutes))
        let wanted = Int16(clamping: minutes(post, stated))
        guard wanted != correctedMinutes else { return false }
        time = stated.advanced(minutes: Double(wanted))
        delaySeconds = Int32(
            clamping: Int(delaySeconds) + (Int(correctedMinutes) - Int(wanted)) * 60)
        correctedMinutes = wanted
        if wanted == 0 {
            flags.remove(.clockCorrected)
        } else {
            flags.insert(.clockCorrected)
        }
        return true
    }

    /// Whether both say the same of what happened, whoever says it.
    @inlinable public func isSameFact(as other: EventRecord) -> Bool {
        time == other.time && place == other.place && code == other.code
            && eventClass == other.eventClass
            && flags.contains(.dateOnly) == other.flags.contains(.dateOnly)
    }

    /// A retraction without a version time is final.
    @inlinable var rank: Instant { retracted && updated == .unset ? .never : updated }

    @inlinable static func precedes(_ a: EventRecord, _ b: EventRecord) -> Bool {
        a.time != b.time ? a.time < b.time : a.identity < b.identity
    }
}

/// Trace of a version that is no longer current, enough to recognise it when it comes again.
public struct SupersededVersion: Sendable, Equatable, Comparable {
    public var identity: Identity
    public var content: UInt64
    public var updated: Instant

    public init(identity: Identity, content: UInt64, updated: Instant) {
        self.identity = identity
        self.content = content
        self.updated = updated
    }

    public static func < (a: SupersededVersion, b: SupersededVersion) -> Bool {
        if a.identity != b.identity { return a.identity < b.identity }
        if a.updated != b.updated { return a.updated < b.updated }
        return a.content < b.content
    }
}

/// Everything known of what happened to one container, as a set: it does not depend on the order
/// in which the news came.
public struct EventHistory: Sendable, Equatable {
    /// Current versions by (time, identity).
    public var events: [EventRecord] = []
    /// Older versions, sorted.
    public var superseded: [SupersededVersion] = []

    public init() {}

    /// Versions that it holds.
    public var count: Int { events.count + superseded.count }

    /// What became of a line.
    public enum Outcome: Sendable, Equatable {
        /// New; `newest`: it happened after everything known before.
        case added(newest: Bool)
        /// A later version of a known event, or its retraction, took its place.
        case replaced
        /// An older version than the one in force: kept, without effect.
        case superseded
        case duplicate
        /// The same identity with other content and no later version time.
        case conflict
        /// A retraction of what is not known (yet): remembered, so that the event, should it come
        /// later, counts as retracted.
        case unknownID
    }

    /// Folds one version of one event into the history.
    public mutating func fold(_ new: EventRecord) -> Outcome {
        let outcome = foldVersion(new)
        guard new.flags.contains(.shared), outcome != .duplicate, outcome != .conflict else {
            return outcome
        }
        return settle(sharing: new.identity.high, new, outcome)
    }

    private mutating func foldVersion(_ new: EventRecord) -> Outcome {
        var position = events.count - 1
        while position >= 0, events[position].identity != new.identity { position -= 1 }
        guard position >= 0 else {
            let newest = events.last.map { EventRecord.precedes($0, new) } ?? true
            insert(new)
            return new.retracted ? .unknownID : .added(newest: newest)
        }
        let old = events[position]
        if old.content == new.content, old.updated == new.updated { return .duplicate }
        let mark = SupersededVersion(
            identity: new.identity, content: new.content, updated: new.updated)
        if superseded.contains(mark) { return .duplicate }
        let newRank = new.rank
        let oldRank = old.rank
        if newRank == oldRank {
            // Two retractions say one thing, whatever else they repeat: one of them stays, by
            // content, so that the order in which they came does not show.
            if new.retracted, old.retracted {
                guard new.content > old.content else {
                    keepMark(mark)
                    return .superseded
                }
            } else if old.retracted {
                keepMark(mark)
                return .superseded
            } else if !new.retracted {
                return .conflict
            }
        }
        guard newRank >= oldRank else {
            keepMark(mark)
            return .superseded
        }
        keepMark(
            SupersededVersion(
                identity: old.identity, content: old.content, updated: old.updated))
        events.remove(at: position)
        insert(new)
        return .replaced
    }

    /// Whether this very version of the event has come before.
    public func recognises(_ identity: Identity, content: UInt64, updated: Instant) -> Bool {
        if let known = events.first(where: { $0.identity == identity }),
            known.content == content, known.updated == updated
        {
            return true
        }
        return superseded.contains(
            SupersededVersion(identity: identity, content: content, updated: updated))
    }

    /// Whether any version of an event is known, be it its retraction.
    public func knows(_ identity: Identity) -> Bool {
        events.contains { $0.identity == identity }
    }

    /// Moves what a post stated by what its times are to be corrected by, or back; `minutes`: of its post,
    /// and the time as it was stated. True where that changed anything.
    public mutating func align(
        _ minutes: (_ post: UInt32, _ stated: Instant) -> Int
    ) -> Bool {
        var moved: [EventRecord] = []
        events.removeAll { event in
            var wanted = event
            guard wanted.align(minutes) else { return false }
            moved.append(wanted)
            return true
        }
        for event in moved { insert(event) }
        return !moved.isEmpty
    }

    private mutating func insert(_ record: EventRecord) {
        // By a few, not by half: a million containers have some events each, and few have many.
        if events.count == events.capacity {
            events.reserveCapacity(events.count + max(4, events.count / 8))
        }
        var position = events.count
        while position > 0, EventRecord.precedes(record, events[position - 1]) { position -= 1 }
        events.insert(record, at: position)
    }

    private mutating func keepMark(_ mark: SupersededVersion) {
        let position = superseded.firstIndex { mark < $0 } ?? superseded.count
        superseded.insert(mark, at: position)
    }
}
