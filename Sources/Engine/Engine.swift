import Forecast
import Log
import Tracking
import Wire

/// The single-writer sequence: (lines, now) in, effects out. It has no socket, no database and no
/// clock; the same inputs give the same state and the same output, byte for byte.
///
///     let effects = engine.step(chunks, now: now)
///     try await store.commit(effects.commit)      // then, and only then, effects.replies
public struct Engine: Sendable {
    public private(set) var rules: AlertRules
    public private(set) var network: Network
    public private(set) var networkBytes: [UInt8]
    /// The last batch that was stepped.
    public internal(set) var batch = 0
    /// The last output number given out.
    public internal(set) var seq = 0
    public internal(set) var counts = LineCounts()

    public let parser: FeedParser
    var chains: Chains
    var symbols = Symbols()
    var records: [ContainerRecord] = []
    /// For each slot the step that its container waits in, as the pools know of it.
    var waits: [OpenStep] = []
    var slots: [ContainerNumber: Int] = [:]
    var freeSlots: [Int] = []
    /// Containers whose records rest in the store.
    var resting: Set<ContainerNumber> = []
    /// Hashes of the plans that do.
    var restingShipments: Set<UInt64> = []
    /// Plans that the store believes to rest, and that do not any more.
    var revived: Set<String> = []
    /// Symbols of plans that left memory; nothing else may refer to them.
    var looseSymbols: [UInt32] = []
    /// They are looked through when they are so many, and a quarter of all.
    var sweepFrom = 1_000
    var shipments = ShipmentTable()
    var closures: [String: StandingClosure] = [:]
    var windows: [ClosureWindow] = []
    /// By the symbol of their place their indices in `windows`.
    var windowsAt: [UInt32: [Int]] = [:]
    var pools = Pools()
    var composer = Composer()
    public internal(set) var intervals = IntervalCalibrator()
    var intervalsDirty = false
    var marks = StreamMarks()
    var due = DueHeap()
    /// When containers of which nothing is expected any more may rest.
    var restDue = DueHeap()
    var dirtyRecords = SlotSet()
    /// Plans that no checkpoint has yet, with their lines.
    var unsavedPlans: [UInt32: [UInt8]] = [:]
    var dirtyClosures: Set<String> = []
    var configDirty = true
    /// What was forgotten since the last checkpoint.
    var forgotten = Checkpoint.Forgotten()

    /// The posts that are enrolled, as of the log.
    var roster = Roster()
    /// Events may be known that were taken when an id was nobody's.
    var knowsUnowned = false
    var spellings: [String: [String]] = [:]

    struct StandingClosure: Sendable {
        var closure: Closure
        var reading: LineReading
        var received: Instant
        var line: [UInt8]

        var version: PlanVersion {
            var version = PlanVersion(closure)
            if reading.isOld { version.civil = nil }
            return version
        }
    }

    /// `parser`: reads what a log or a snapshot holds, which was taken under whatever limits.
    public init(parser: FeedParser = FeedParser(limits: .largest)) {
        self.parser = parser
        rules = AlertRules()
        network = Network()
        networkBytes = []
        chains = Chains(network: Network())
    }

    /// The earliest moment at which `step` has something to do without any line.
    public var nextDue: Instant {
        mutating get { due.next }
    }

    public var liveContainers: Int { slots.count }

    /// Decides one batch: what arrived, and what has become due by `now`.
    public mutating func step(
        _ chunks: [FeedChunk], changes: [ConfigChange] = [], now: Instant
    ) -> Effects {
        var draft = Draft(now: now)
        for change in changes { apply(change, &draft) }
        for chunk in chunks { decide(chunk, &draft) }
        let dueSlots = due.popDue(now).sorted {
            records[$0].number < records[$1].number
        }
        touchClosed(&draft)
        for slot in draft.order { refold(slot, &draft) }
        touchCompanions(&draft)
        for slot in draft.order { review(slot, &draft) }
        for slot in dueSlots where draft.touched[slot] == nil {
            draft.timersFired = true
            review(slot, &draft)
        }
        if !dueSlots.isEmpty { draft.timersFired = true }
        return finish(draft)
    }

    private mutating func finish(_ draft: Draft) -> Effects {
        var effects = Effects()
        effects.replies = draft.replies
        effects.counts = draft.counts
        effects.refused = draft.refused
        effects.warned = draft.warned
        counts += draft.counts
        let writes =
            draft.blob.count > 0 || draft.timersFired || !draft.quarantined.isEmpty
            || !draft.marks.isEmpty
        guard writes else { return effects }
        batch += 1
        var outputs: [OutputLine] = []
        outputs.reserveCapacity(draft.notices.count)
        for index in draft.notices.indices {
            seq += 1
            outputs.append(OutputLine(seq: seq, draft.notices[index]))
        }
        effects.commit = Commit(
            batch: batch, now: draft.now, blob: draft.blob.finished(),
            entries: draft.blob.count, events: draft.events, quarantined: draft.quarantined,
            outputs: outputs, marks: draft.marks, lastSeq: seq)
        return effects
    }

    // MARK: ConfigChanges

    private mutating func apply(_ change: ConfigChange, _ draft: inout Draft) {
        switch change {
        case .network(let loaded):
            guard loaded.bytes != networkBytes else { return }
            loaded.bytes.withUnsafeBufferPointer {
                _ = draft.blob.append(.network, Origin(), $0)
            }
            install(loaded.network, loaded.bytes)
            for slot in slots.values.sorted(by: { records[$0].number < records[$1].number }) {
                draft.touch(slot) { $0.planChanged = true }
            }
        case .rules(let rules):
            guard rules != self.rules || batch == 0 else { return }
            let bytes = RulesCoding.encode(rules)
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.rules, Origin(), $0) }
            install(rules)
        case .posts(let posts):
            let changed = posts.filter { roster[$0.name] != $0 }.sorted { $0.name < $1.name }
            guard !changed.isEmpty else { return }
            let bytes = RosterCoding.encode(changed)
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.posts, Origin(), $0) }
            install(changed)
        }
    }

    mutating func install(_ network: Network, _ bytes: [UInt8]) {
        for slot in slots.values { forgetLessons(slot) }
        self.network = network
        networkBytes = bytes
        spellings = [:]
        chains = Chains(network: network)
        for symbol in shipments.symbols {
            guard let old = shipments[symbol] else { continue }
            shipments[symbol] = Shipment(
                plan: old.plan, old.reading, received: old.received, &chains, &symbols, &pools)
        }
        rebuildWindows()
        configDirty = true
    }

    mutating func install(_ rules: AlertRules) {
        self.rules = rules
        configDirty = true
    }

    mutating func install(_ posts: [PostEnrolment]) {
        for post in posts { roster.put(post) }
        configDirty = true
    }

    /// Slots that a plan no longer names, between `put` and the touches.
    var unnamed: [Int] = []
}
