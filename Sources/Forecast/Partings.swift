import Tracking

/// What one box showed of where ways part: from a place where it stood its way led to the next, and it
/// went there, or somewhere else.
public struct Parting: Hashable, Sendable {
    public var place: UInt32
    /// Where its way led.
    public var next: UInt32
    /// Where it was seen instead; 0: it went on, be it past the next place without a word.
    public var taken: UInt32

    public init(at place: UInt32, next: UInt32, taken: UInt32 = 0) {
        self.place = place
        self.next = next
        self.taken = taken
    }
}

/// A turn that boxes may take, and how likely that is.
public struct Turn: Sendable, Equatable {
    public var to: UInt32
    public var share: Double
    /// So many boxes of late took it.
    public var boxes: Double

    public init(to: UInt32, share: Double, boxes: Double = 0) {
        self.to = to
        self.share = share
        self.boxes = boxes
    }
}

/// Which way boxes took of late where ways part: those of one kind of plan (from here to there, by this
/// mode and these places), and above them all that had the same next place before them.
public struct Partings: Sendable, Equatable {
    public struct Key: Hashable, Sendable {
        public var place: UInt32
        public var next: UInt32
        /// The kind of plan, or all of a mode (`general`).
        public var kind: UInt64

        public init(place: UInt32, next: UInt32, kind: UInt64) {
            self.place = place
            self.next = next
            self.kind = kind
        }

        /// All plans by a mode that say as much of the way there.
        static func general(_ mode: TransportMode, _ said: Said) -> UInt64 {
            UInt64(mode.rawValue) << 2 | UInt64(said.rawValue)
        }

        /// Kinds of plans begin here.
        public static let firstKind: UInt64 = 1 << 16
    }

    /// What a plan says of the way on from a place.
    public enum Said: UInt8, Sendable {
        /// The next place; one of several that the network knows; nothing, and nobody knows a way.
        case stated, open, nothing

        /// So many boxes does count what is assumed before any was seen: that a plan is kept to, what the times
        /// of the network say, next to nothing.
        var boxes: Double {
            switch self {
            case .stated: 30
            case .open: 8
            case .nothing: 1
            }
        }
    }

    public struct Record: Sendable, Equatable {
        /// Boxes that went on, and that turned, those of late counting most.
        public var on: Double = 0
        public var turns: [(to: UInt32, boxes: Double)] = []

        public init(on: Double = 0, turns: [(to: UInt32, boxes: Double)] = []) {
            self.on = on
            self.turns = turns
        }

        public static func == (a: Record, b: Record) -> Bool {
            a.on == b.on && a.turns.elementsEqual(b.turns, by: ==)
        }

        public var sum: Double { turns.reduce(on) { $0 + $1.boxes } }
    }

    public private(set) var records: [Key: Record] = [:]
    /// Since it was kept last.
    public var isChanged = false
    /// By place how many records know of turns; no state, it follows from them.
    private var turning: [UInt32: Int] = [:]

    /// A record of more boxes than this is halved, so that what is of late counts.
    static let kept = 100.0
    /// Turns that one record keeps: the rarest is let go.
    static let mostTurns = 6
    /// Records kept; beyond, those of fewest boxes go, until an eighth is free.
    static let most = 8_192

    public init() {}

    public init(records: [Key: Record]) {
        for (key, record) in records { put(record, key) }
        isChanged = false
    }

    /// Nobody has turned anywhere.
    public var isEmpty: Bool { turning.isEmpty }

    /// Whether boxes were seen to turn there.
    public func isTurning(at place: UInt32) -> Bool { turning[place] != nil }

    private mutating func put(_ record: Record, _ key: Key) {
        isChanged = true
        let knew = records[key]?.turns.isEmpty == false
        let isKnown = record.sum > 0
        records[key] = isKnown ? record : nil
        let knows = isKnown && !record.turns.isEmpty
        guard knew != knows else { return }
        let count = (turning[key.place] ?? 0) + (knows ? 1 : -1)
        turning[key.place] = count > 0 ? count : nil
    }

    /// `kind`: of the plan; `said`: what it says of the way on from there.
    public mutating func learn(
        _ parting: Parting, _ mode: TransportMode, kind: UInt64, _ said: Said
    ) {
        add(parting, Key.general(mode, said), 1, said)
        add(parting, kind, 1, said)
        if records.count > Partings.most { makeRoom() }
    }

    public mutating func unlearn(
        _ parting: Parting, _ mode: TransportMode, kind: UInt64, _ said: Said
    ) {
        add(parting, Key.general(mode, said), -1, said)
        add(parting, kind, -1, said)
    }

    mutating func add(
        _ parting: Parting, _ kind: UInt64, _ boxes: Double, _ said: Said
    ) {
        let key = Key(place: parting.place, next: parting.next, kind: kind)
        // Of where boxes go on to the rare ones count among those that stayed: they did not go where most do.
        let isOnward = kind == Partings.anyBox
        // Where nobody has turned or is thought to, nothing is kept of those that went on; what was halved since
        // is taken back as far as it is there.
        let isNew =
            boxes > 0 && (said != .stated || parting.taken != 0 || turning[parting.place] != nil)
        guard var record = records[key] ?? (isNew ? Record() : nil) else { return }
        if parting.taken == 0 {
            record.on = max(0, record.on + boxes)
        } else if let at = record.turns.firstIndex(where: { $0.to == parting.taken }) {
            record.turns[at].boxes += boxes
            if record.turns[at].boxes <= 0 { record.turns.remove(at: at) }
        } else if boxes < 0 {
            // One that was let go.
            if isOnward { record.on = max(0, record.on + boxes) }
        } else {
            if record.turns.count >= Partings.mostTurns,
                let rarest = record.turns.indices.min(by: {
                    record.turns[$0].boxes < record.turns[$1].boxes
                })
            {
                if isOnward { record.on += record.turns[rarest].boxes }
                record.turns.remove(at: rarest)
            }
            record.turns.append((parting.taken, boxes))
        }
        if record.sum > Partings.kept { record.halve() }
        put(record, key)
    }

    mutating func makeRoom() {
        var least = 1.0
        while records.count > Partings.most / 8 * 7 {
            for (key, record) in records where record.sum <= least { put(Record(), key) }
            least *= 2
        }
    }

    /// How likely it is to turn where, for boxes of a kind of plan. `assumed`: the turns that the times of
    /// the network make likely, before anything is known.
    public func turns(
        at place: UInt32, next: UInt32, _ mode: TransportMode, kind: UInt64, _ said: Said,
        assumed: [Turn]
    ) -> [Turn] {
        var turns = assumed
        let prior = said.boxes
        for level in [Key.general(mode, said), kind] {
            guard let record = records[Key(place: place, next: next, kind: level)] else { continue }
            let all = record.sum + prior
            for at in turns.indices { turns[at].share *= prior / all }
            for (to, boxes) in record.turns {
                let at = turns.firstIndex { $0.to == to } ?? turns.count
                if at == turns.count { turns.append(Turn(to: to, share: 0)) }
                turns[at].share += boxes / all
                turns[at].boxes = max(turns[at].boxes, boxes)
            }
        }
        return turns
    }

    /// Places from which boxes were seen to turn to any of these.
    public func forks(to places: Set<UInt32>) -> Set<UInt32> {
        var found: Set<UInt32> = []
        for (key, record) in records where record.turns.contains(where: { places.contains($0.to) })
        {
            found.insert(key.place)
        }
        return found
    }

    /// The symbols of its places.
    public var places: [UInt32] {
        records.flatMap { [$0.key.place, $0.key.next] + $0.value.turns.map(\.to) }
    }
}

extension Partings.Record {
    fileprivate mutating func halve() {
        on /= 2
        for at in turns.indices { turns[at].boxes /= 2 }
        turns.removeAll { $0.boxes < 0.1 }
    }
}
