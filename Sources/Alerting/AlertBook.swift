import Tracking

/// What is remembered of alerts beside those of single journeys: who travels together, what is silenced,
/// and what is not about one box.
public struct AlertBook: Sendable, Equatable {
    /// Boxes with one alert that were last seen at one place go together where that was within minutes.
    public struct PartyKey: Hashable, Sendable {
        public var type: AlertType
        public var place: UInt32
        public var code: EventCode
        public var seenAt: UInt32
        /// By which they go on; a truck is no train, be it seen beside one.
        public var mode: TransportMode

        public init(
            type: AlertType, place: UInt32, code: EventCode, seenAt: UInt32,
            mode: TransportMode = .unknown
        ) {
            self.mode = mode
            self.type = type
            self.place = place
            self.code = code
            self.seenAt = seenAt
        }
    }

    public struct Party: Sendable, Equatable {
        public var id: UInt64
        /// When its lead was last seen, and when its alert was raised.
        public var seen: Instant
        public var raised: Instant
        public var count: Int

        public init(id: UInt64, seen: Instant, raised: Instant, count: Int) {
            self.id = id
            self.seen = seen
            self.raised = raised
            self.count = count
        }
    }

    public private(set) var parties: [PartyKey: [Party]] = [:]
    /// Where each of them is, by its id; follows from them.
    private var leads: [UInt64: PartyKey] = [:]
    /// By their ids.
    public var silences: [String: AlertSilence] = [:]

    public var incidents: [IncidentKey: Incident] = [:]
    /// When room was made among reporters the last time.
    public var sweptAt = Instant.unset
    /// When it was seen that nothing comes from anybody.
    public var unheardAt = Instant.unset
    /// When one of them is to be looked at; follows from them.
    public private(set) var nextLook = Instant.never

    public init() {}

    public mutating func noteLooks() {
        nextLook = incidents.values.reduce(Instant.never) {
            $1.isOpen ? min($0, $1.lookAt) : $0
        }
    }

    /// Those that ended so long ago that nobody counts their episodes any more.
    public mutating func forgetIncidents(before: Instant) {
        incidents = incidents.filter { entry in
            entry.value.isOpen || entry.value.episodes.last.map { $0.raisedAt >= before } == true
        }
    }

    /// Reports of one train come within so many minutes, and alerts about it within so many.
    private static let apartMinutes = 15.0
    private static let joinMinutes = 1_440.0

    /// The party that a box joins with an alert that is raised now, or leads from now on. `id`: its own
    /// alert's, which a party that it leads is named by.
    public mutating func join(
        _ key: PartyKey, seen: Instant, now: Instant, id: UInt64
    ) -> Convoy {
        let known = freshParties(key, now)
        // The nearest, and of equals one by a name that every process gives it.
        let near = known.indices.filter {
            abs(seen.minutes(since: known[$0].seen)) <= AlertBook.apartMinutes
        }.min {
            (abs(seen.minutes(since: known[$0].seen)), known[$0].id)
                < (abs(seen.minutes(since: known[$1].seen)), known[$1].id)
        }
        guard let near else {
            add(Party(id: id, seen: seen, raised: now, count: 1), to: key)
            forgetSometimes(now)
            return Convoy(id: id, count: 1, isLead: true)
        }
        parties[key]?[near].count.countOn()
        return Convoy(id: known[near].id, count: known[near].count + 1, isLead: false)
    }

    /// How many have joined one; nil: nobody may any more.
    public func count(of id: UInt64) -> Int? {
        leads[id].flatMap { parties[$0] }?.first { $0.id == id }?.count
    }

    /// Those that a box may still join.
    private mutating func freshParties(_ key: PartyKey, _ now: Instant) -> [Party] {
        guard let known = parties[key] else { return [] }
        func isOld(_ party: Party) -> Bool {
            now.minutes(since: party.raised) > AlertBook.joinMinutes
        }
        guard known.contains(where: isOld) else { return known }
        for party in known where isOld(party) { leads[party.id] = nil }
        let fresh = known.filter { !isOld($0) }
        parties[key] = fresh.isEmpty ? nil : fresh
        return fresh
    }

    public mutating func add(_ party: Party, to key: PartyKey) {
        parties[key, default: []].append(party)
        leads[party.id] = key
    }

    /// The alert by which a party is named has ended: who comes later leads anew.
    public mutating func dissolve(_ id: UInt64) {
        guard let key = leads.removeValue(forKey: id) else { return }
        parties[key]?.removeAll { $0.id == id }
        if parties[key]?.isEmpty == true { parties[key] = nil }
    }

    /// What became of a silence.
    public enum Enacted: Sendable, Equatable {
        case taken, known, older, full
        /// It is to end, and there is none.
        case unknown
    }

    /// Takes a silence, or a later version of one.
    public mutating func enact(_ stated: AlertSilence, now: Instant, limit: Int) -> Enacted {
        var silence = stated
        if let known = silences[silence.id] {
            if known.content == silence.content, known.updated == silence.updated { return .known }
            if silence.updated ?? .unset < known.updated ?? .unset { return .older }
            // One that ends says so, and is remembered as long as it was to last.
            if silence.until == .unset { silence.until = known.until }
        } else if silence.retract {
            return .unknown
        }
        // One that is long over marks nothing any more.
        var kept = silences.filter { now.minutes(since: $0.value.until) < 1_440 }
        guard kept[silence.id] != nil || kept.count < limit else { return .full }
        kept[silence.id] = silence
        silences = kept
        return .taken
    }

    /// The silence that marks a line; of several the first by its id.
    public func silence(of alert: AlertEvent, at now: Instant) -> String? {
        if silences.isEmpty { return nil }
        return silences.values.filter { $0.marks(alert, at: now) }.map(\.id).min()
    }

    /// Nobody joins parties that are old. All are looked at when there are twice as many as before, so that
    /// a storm of alerts costs each the same; it follows from them alone.
    private mutating func forgetSometimes(_ now: Instant) {
        guard parties.count >= AlertBook.leastForgotten, parties.count.nonzeroBitCount == 1
        else { return }
        parties = parties.filter {
            $0.value.contains { now.minutes(since: $0.raised) <= AlertBook.joinMinutes }
        }
        leads = leads.filter { parties[$0.value] != nil }
    }

    private static let leastForgotten = 1_024
}
