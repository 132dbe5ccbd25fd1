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
    var waits: [Wait] = []
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
    public internal(set) var intervals = IntervalGuard()
    var intervalsDirty = false
    var marks = StreamMarks()
    var due = DueHeap()
    /// When containers of which nothing is expected any more may rest.
    var restDue = DueHeap()
    var dirtyRecords = SlotSet()
    /// Plans that no checkpoint has yet, with their lines.
    var unsavedPlans: [UInt32: [UInt8]] = [:]
    var dirtyClosures: Set<String> = []
    var ordinancesDirty = true
    /// What was forgotten since the last checkpoint.
    var forgotten = Checkpoint.Forgotten()

    struct StandingClosure: Sendable {
        var closure: Closure
        var received: Instant
        var line: [UInt8]
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
        _ chunks: [FeedChunk], ordinances: [Ordinance] = [], now: Instant
    ) -> Effects {
        var draft = Draft(now: now)
        for ordinance in ordinances { take(ordinance, &draft) }
        for chunk in chunks { take(chunk, &draft) }
        let dueSlots = due.takeDue(now).sorted {
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

    // MARK: Ordinances

    private mutating func take(_ ordinance: Ordinance, _ draft: inout Draft) {
        switch ordinance {
        case .network(let bytes):
            guard bytes != networkBytes, let parsed = try? NetworkFile.parse(bytes) else { return }
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.network, Origin(), $0) }
            install(parsed, bytes)
            for slot in slots.values.sorted(by: { records[$0].number < records[$1].number }) {
                draft.touch(slot) { $0.planChanged = true }
            }
        case .rules(let rules):
            guard rules != self.rules || batch == 0 else { return }
            let bytes = RulesCoding.encode(rules)
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.rules, Origin(), $0) }
            install(rules)
        }
    }

    mutating func install(_ network: Network, _ bytes: [UInt8]) {
        for slot in slots.values { forgetLessons(slot) }
        self.network = network
        networkBytes = bytes
        chains = Chains(network: network)
        for symbol in shipments.symbols {
            guard let old = shipments[symbol] else { continue }
            shipments[symbol] = Shipment(
                plan: old.plan, received: old.received, &chains, &symbols, &pools)
        }
        rebuildWindows()
        ordinancesDirty = true
    }

    mutating func install(_ rules: AlertRules) {
        self.rules = rules
        ordinancesDirty = true
    }

    // MARK: Lines

    private mutating func take(_ chunk: FeedChunk, _ draft: inout Draft) {
        var reply = SourceReply(source: chunk.source, ack: 0, rejects: [])
        chunk.bytes.withUnsafeBufferPointer { bytes in
            for line in chunk.lines {
                reply.ack = line.number
                take(line, UnsafeBufferPointer(rebasing: bytes[line.range]), chunk, &reply, &draft)
            }
        }
        if reply.ack > 0 { draft.replies.append(reply) }
    }

    private mutating func take(
        _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        let verdict: Verdict
        switch line.value {
        case .hello, .ping, .bye, .empty: return
        default: break
        }
        let again = isBehindMark(line.seq, chunk.origin, &draft)
        switch line.value {
        case _ where again: verdict = judgeAgain(line, chunk, draft.now)
        case .event(let event): verdict = take(event, line, bytes, chunk, &draft)
        case .plan(let plan):
            verdict =
                trespass(plan, chunk) ?? excess(plan) ?? take(plan, bytes, chunk.origin, &draft)
        case .closure(let closure):
            verdict =
                trespass(closure, chunk) ?? excess(closure, draft.now)
                ?? take(closure, bytes, chunk.origin, &draft)
        case .reject(let reject): verdict = .refused(reject)
        case .hello, .ping, .bye, .empty: return
        }
        draft.counts.received += 1
        switch verdict {
        case .stored: draft.counts.stored += 1
        case .duplicate: draft.counts.duplicate += 1
        case .refused(let reject):
            draft.quarantine(reject, line, bytes, chunk.origin)
            if reject.code == .forbidden { reply.forbidden += 1 }
            var out = JSONWriter()
            Reply.reject(line.number, reject, to: &out)
            reply.rejects += out.bytes
        }
    }

    /// In a session: whether the stream has passed this number already; else moves its mark.
    private mutating func isBehindMark(
        _ seq: Int64?, _ origin: Origin, _ draft: inout Draft
    ) -> Bool {
        guard !origin.stream.isEmpty, let seq else { return false }
        if let mark = marks[origin], seq <= mark { return true }
        marks.move(origin, to: seq)
        draft.mark(origin, seq)
        return false
    }

    /// A line whose number the stream has passed: a duplicate where it says what is known, a
    /// conflict where the number was given to something else.
    private func judgeAgain(_ line: ParsedLine, _ chunk: FeedChunk, _ now: Instant) -> Verdict {
        let isKnown: Bool
        switch line.value {
        case .event(let event):
            isKnown = slots[event.container].map { records[$0].history.recognises(event) } ?? false
        case .plan(let plan):
            let known = symbols.known(plan.shipment).flatMap { shipments[$0]?.plan }
            isKnown =
                known.map { $0.content == plan.content || isOlder(plan.updated, $0.updated) }
                ?? false
        case .closure(let closure):
            let known = closures[closure.id]?.closure
            isKnown =
                known.map { $0.content == closure.content || isOlder(closure.updated, $0.updated) }
                ?? false
        // What it said then could not be read either.
        default: isKnown = true
        }
        if isKnown || isRefusedAnyway(line, chunk, now) { return .duplicate }
        return .refused(
            LineReject(
                .conflict, field: "seq",
                detail: "seq \(line.seq ?? 0) of this stream was given to another line"))
    }

    /// Whether a line would be refused now as it was then, so that its second copy says nothing new.
    private func isRefusedAnyway(_ line: ParsedLine, _ chunk: FeedChunk, _ now: Instant) -> Bool {
        switch line.value {
        case .event(let event):
            let place = network.place(event.place).map { network.places[$0].id } ?? event.place
            return isAhead(event, now) || trespass(event, place, chunk) != nil
                || slots[event.container].flatMap { excess(event, $0) } != nil
        case .plan(let plan): return trespass(plan, chunk) != nil || excess(plan) != nil
        case .closure(let closure):
            return trespass(closure, chunk) != nil || excess(closure, now) != nil
        default: return false
        }
    }

    private func isAhead(_ event: TrackingEvent, _ now: Instant) -> Bool {
        event.eventClass == .act && event.time != .unset
            && event.time > now.advanced(minutes: rules.futureHours * 60)
    }

    private func isOlder(_ a: Instant?, _ b: Instant?) -> Bool { (a ?? .unset) < (b ?? .unset) }

    private mutating func take(
        _ event: TrackingEvent, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ draft: inout Draft
    ) -> Verdict {
        let origin = chunk.origin
        var event = event
        let known = network.place(event.place)
        if event.offsetMinutes == nil, let known {
            event.time = network.places[known].zone.instant(CivilTime(event.time))
        }
        if isAhead(event, draft.now) {
            return .refused(
                LineReject(
                    .future, field: "time",
                    detail: "\(TimeText.string(event.time)) lies more than "
                        + "\(Int(rules.futureHours)) h ahead; is the clock right?"))
        }
        let placeID = known.map { network.places[$0].id } ?? event.place
        if let refusal = trespass(event, placeID, chunk) { return refusal }
        let slot = slot(of: event.container)
        if let refusal = excess(event, slot) { return refusal }
        let outcome = records[slot].history.fold(
            EventRecord(
                identity: event.identity, content: event.content, time: event.time,
                updated: event.updated ?? .unset,
                place: placeID.isEmpty ? 0 : symbols.number(placeID),
                shipment: event.shipment.map { symbols.number($0) } ?? 0, code: event.code,
                eventClass: event.eventClass, mode: event.mode, retracted: event.retract))
        switch outcome {
        case .duplicate: return .duplicate
        case .conflict:
            return .refused(
                LineReject(
                    .conflict, field: "id",
                    detail: "\(event.id ?? "this event") is known with other content; "
                        + "a correction carries a later updated"))
        case .added, .replaced, .superseded, .unknownID: break
        }
        let index = draft.blob.append(.line, origin, bytes)
        dirtyRecords.insert(slot)
        if outcome == .unknownID {
            return .refused(
                LineReject(
                    .unknownID, field: "id",
                    detail: "no event \(event.id ?? "") of \(event.container) is known; "
                        + "should it come, it counts as retracted"))
        }
        draft.events.append(
            EventRow(
                event: event, place: placeID, line: index, post: origin.post,
                source: chunk.source, number: line.number))
        if outcome != .superseded {
            draft.touch(slot) {
                $0.eventID = event.id ?? $0.eventID
                $0.reason = event.reason ?? $0.reason
                $0.corrected = $0.corrected || outcome == .replaced
                if event.eventClass == .act { $0.newest = max($0.newest, event.time) }
            }
        }
        return .stored
    }

    /// The record of a container, made where there is none.
    mutating func slot(of container: ContainerNumber) -> Int {
        if let known = slots[container] { return known }
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            records[slot] = ContainerRecord(number: container)
        } else {
            slot = records.count
            records.append(ContainerRecord(number: container))
            waits.append(Wait())
        }
        slots[container] = slot
        return slot
    }

    private mutating func take(
        _ plan: ShipmentPlan, _ bytes: UnsafeBufferPointer<UInt8>, _ origin: Origin,
        _ draft: inout Draft
    ) -> Verdict {
        let symbol = symbols.number(plan.shipment)
        if let old = shipments[symbol] {
            let oldVersion = old.plan.updated ?? .unset
            let newVersion = plan.updated ?? .unset
            if old.plan.content == plan.content, oldVersion == newVersion { return .duplicate }
            if newVersion < oldVersion, plan.updated != nil || old.plan.updated != nil {
                // An older version: kept in the log, without effect.
                _ = draft.blob.append(.line, origin, bytes)
                return .stored
            }
        }
        _ = draft.blob.append(.line, origin, bytes)
        put(plan, received: draft.now, line: Array(bytes), symbol)
        for container in plan.containers {
            draft.touch(slot(of: container)) {
                $0.planChanged = true
                $0.newest = max($0.newest, plan.updated ?? plan.start ?? .unset)
            }
        }
        for slot in unnamed { draft.touch(slot) { $0.planChanged = true } }
        unnamed = []
        return .stored
    }

    /// Slots that a plan no longer names, between `put` and the touches.
    private var unnamed: [Int] = []

    /// Puts a plan in force: the containers that it names know it, those that it left forget it.
    mutating func put(
        _ plan: ShipmentPlan, received: Instant, line: [UInt8], _ symbol: UInt32
    ) {
        let old = shipments[symbol]
        if let old {
            for container in old.plan.containers {
                guard let slot = slots[container] else { continue }
                forgetLessons(slot, shipment: symbol)
                if !plan.containers.contains(container) {
                    records[slot].plans.removeAll { $0 == symbol }
                    dirtyRecords.insert(slot)
                    unnamed.append(slot)
                }
            }
        }
        shipments[symbol] = Shipment(
            plan: plan, received: received, &chains, &symbols, &pools)
        unsavedPlans[symbol] = line
        for container in plan.containers {
            let slot = slot(of: container)
            if !records[slot].plans.contains(symbol) {
                let name = plan.shipment
                let at = records[slot].plans.firstIndex { symbols[$0] > name }
                records[slot].plans.insert(symbol, at: at ?? records[slot].plans.count)
            }
            dirtyRecords.insert(slot)
        }
    }

    private mutating func take(
        _ closure: Closure, _ bytes: UnsafeBufferPointer<UInt8>, _ origin: Origin,
        _ draft: inout Draft
    ) -> Verdict {
        if let old = closures[closure.id]?.closure {
            let oldVersion = old.updated ?? .unset
            let newVersion = closure.updated ?? .unset
            if old.content == closure.content, oldVersion == newVersion { return .duplicate }
            if newVersion < oldVersion {
                _ = draft.blob.append(.line, origin, bytes)
                return .stored
            }
        }
        _ = draft.blob.append(.line, origin, bytes)
        let place = closurePlace(closure)
        closures[closure.id] = StandingClosure(
            closure: closure, received: draft.now, line: Array(bytes))
        dirtyClosures.insert(closure.id)
        draft.closedPlaces.insert(place)
        forgetClosures(draft.now)
        return .stored
    }

    /// Looks once for all closures of a batch who has their places ahead.
    private mutating func touchClosed(_ draft: inout Draft) {
        guard !draft.closedPlaces.isEmpty else { return }
        rebuildWindows()
        let affected = slots.values.filter { waits(records[$0], at: draft.closedPlaces) }
        for slot in affected.sorted(by: { records[$0].number < records[$1].number }) {
            draft.touch(slot) { $0.closed = true }
        }
    }

    /// A closure that holds nothing up any more is forgotten: so long after its end that no line about
    /// it is on its way still.
    private mutating func forgetClosures(_ now: Instant) {
        for (id, standing) in closures where isLongOver(standing, now) {
            closures[id] = nil
            dirtyClosures.remove(id)
            forgotten.closures.append(id)
        }
        forgotten.closures.sort()
    }

    /// Nothing that is said of it now is news.
    func isLongOver(_ standing: StandingClosure, _ now: Instant) -> Bool {
        let over = now.advanced(minutes: -2 * Engine.closureMemoryMinutes)
        return standing.closure.end < over && standing.received < over
    }

    /// Closures that ended before this hold nothing up.
    private var closuresOver: Instant {
        closures.values.reduce(Instant.unset) { max($0, $1.received) }
            .advanced(minutes: -Engine.closureMemoryMinutes)
    }

    private func waits(_ record: borrowing ContainerRecord, at places: Set<UInt32>) -> Bool {
        for at in record.journeys.indices {
            guard let chain = shipments[record.journeys[at].shipment]?.chain else { continue }
            for milestone in chain.dropFirst(record.journeys[at].progress.furthest + 1)
            where places.contains(milestone.fromPlace) || places.contains(milestone.place) {
                return true
            }
        }
        return false
    }

    private mutating func closurePlace(_ closure: Closure) -> UInt32 {
        chains.builder.symbol(closure.place, &symbols)
    }

    /// A closure that ended so long ago holds nothing up any more.
    private static let closureMemoryMinutes = 90.0 * 1_440

    mutating func rebuildWindows() {
        windows = []
        windowsAt = [:]
        // By what the closures themselves say of the time, so that a restart leads to the same.
        let over = closuresOver
        for id in closures.keys.sorted() {
            guard let closure = closures[id]?.closure, !closure.retract,
                closure.until.map({ $0 > over }) ?? true
            else { continue }
            let place = closurePlace(closure)
            windowsAt[place, default: []].append(windows.count)
            windows.append(
                ClosureWindow(
                    place: place, mode: closure.mode, from: closure.from,
                    until: closure.end))
        }
    }
}

/// What became of one line.
enum Verdict {
    case stored
    case duplicate
    case refused(LineReject)
}

/// What a batch has done to one container so far.
struct Touch: Sendable {
    var eventID: String?
    var reason: String?
    var corrected = false
    var planChanged = false
    var closed = false
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
    var notices: [Notice] = []
    var replies: [SourceReply] = []
    var counts = LineCounts()
    var refused: [LineReject.Code: Int] = [:]
    var touched: [Int: Touch] = [:]
    /// Touched slots in order of the first touch.
    var order: [Int] = []
    /// Joined shipments of which something changed.
    var joinedNews: [JoinedNews] = []
    var shipments: [UInt32: ShipmentScratch] = [:]
    /// Places that closures of this batch speak of.
    var closedPlaces: Set<UInt32> = []
    var timersFired = false

    init(now: Instant) { self.now = now }

    mutating func touch(_ slot: Int, _ change: (inout Touch) -> Void) {
        if let index = touched.index(forKey: slot) {
            change(&touched.values[index])
        } else {
            var touch = Touch()
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
