import Forecast
import Log
import Tracking
import Wire

/// What has changed since the last checkpoint, as of one batch. Values only: it is encoded on
/// whichever thread writes it, while the engine goes on.
public struct Checkpoint: Sendable {
    public let batch: Int
    /// Of the whole engine; nil where unchanged since the last checkpoint.
    public let network: [UInt8]?
    public let rules: [UInt8]?
    public let posts: [UInt8]?
    public let shipments: [SourceLine]
    public let closures: [SourceLine]
    /// What nothing refers to any more.
    public let forgotten: Forgotten
    /// Plans all of whose containers rest, and those that did and do not any more.
    public let resting: [String]
    public let revived: [String]
    let records: [ContainerRecord]
    let live: [Bool]
    let pools: [(key: PoolKey, pool: Pool, flow: QueuePace)]
    /// nil where no arrival was judged since the last checkpoint.
    let intervals: IntervalCalibrator?
    let texts: [String]

    /// Lines of plans and closures.
    public struct Lines: Sendable {
        public var shipments: [SourceLine] = []
        public var closures: [SourceLine] = []

        public init() {}
    }

    /// Names whose snapshots go.
    public struct Forgotten: Sendable, Equatable {
        public var containers: [ContainerNumber] = []
        public var shipments: [String] = []
        public var closures: [String] = []

        public init() {}

        public var isEmpty: Bool { containers.isEmpty && shipments.isEmpty && closures.isEmpty }
    }

    public struct JourneyRow: Sendable {
        public let container: String
        public let live: Bool
        public let state: [UInt8]
    }

    public struct PoolRow: Sendable {
        public let key: [UInt8]
        public let state: [UInt8]
    }

    public var journeyCount: Int { records.count }

    /// The journeys of one slice, encoded.
    public func journeys(_ range: Range<Int>) -> [JourneyRow] {
        range.map {
            JourneyRow(
                container: records[$0].number.description, live: live[$0],
                state: RecordCoding.encode(records[$0], texts))
        }
    }

    public func poolRows() -> [PoolRow] {
        let scores = intervals.map {
            [PoolRow(key: ScoreCoding.key, state: ScoreCoding.encode($0, texts))]
        }
        return pools.map {
            PoolRow(
                key: PoolCoding.key($0.key, texts),
                state: PoolCoding.encode($0.key, $0.pool, $0.flow, texts))
        } + (scores ?? [])
    }

    /// What may leave memory once this checkpoint is durable.
    public var quiet: Quiet {
        Quiet(
            containers: zip(records, live).filter { !$0.1 }.map(\.0.number), shipments: resting)
    }
}

extension Engine {
    /// Changes not yet in a checkpoint.
    public var dirtyCount: Int { dirtyRecords.count + unsavedPlans.count + dirtyClosures.count }

    /// Cuts a checkpoint at the last stepped batch. Everything in it counts as saved from here on:
    /// whoever takes it must write it, or stop.
    public mutating func cut(now: Instant) -> Checkpoint {
        for slot in restDue.popDue(now) { dirtyRecords.insert(slot) }
        let slots = dirtyRecords.slots.map { Int($0) }
            .sorted { records[$0].number < records[$1].number }
        let cutRecords = slots.map { records[$0] }
        var lines: [SourceLine] = []
        for (symbol, line) in unsavedPlans {
            guard let shipment = shipments[symbol] else { continue }
            lines.append(
                SourceLine(
                    key: shipment.plan.shipment, received: shipment.received, line: line,
                    reading: shipment.reading.encoded()))
        }
        let live = cutRecords.map { isLive($0, now) }
        let quiet = zip(cutRecords, live).filter { !$0.1 }.map(\.0)
        let atRest = restingShipments(quiet)
        let checkpoint = Checkpoint(
            batch: batch, network: configDirty ? networkBytes : nil,
            rules: configDirty ? RulesCoding.encode(rules) : nil,
            posts: configDirty
                ? RosterCoding.encode(roster.all, knowsUnowned: knowsUnowned) : nil,
            shipments: lines.sorted { $0.key < $1.key },
            closures: dirtyClosures.sorted().compactMap { id in
                closures[id].map {
                    SourceLine(
                        key: id, received: $0.received, line: $0.line,
                        reading: $0.reading.encoded())
                }
            },
            forgotten: forgotten, resting: atRest, revived: revived.subtracting(atRest).sorted(),
            records: cutRecords, live: live,
            pools: pools.drainChanged(), intervals: intervalsDirty ? intervals : nil,
            texts: symbols.texts)
        dirtyRecords.removeAll()
        unsavedPlans = [:]
        dirtyClosures = []
        forgotten = Checkpoint.Forgotten()
        revived = []
        configDirty = false
        intervalsDirty = false
        return checkpoint
    }

    mutating func place(_ decoded: ContainerRecord) {
        var record = decoded
        let slot = slot(of: record.number)
        var folded = JourneyFold.journeys(
            record.history, plans: planViews(record), by: guide(record))
        for index in folded.indices {
            let same = record.journeys.first {
                $0.shipment == folded[index].shipment && $0.ordinal == folded[index].ordinal
            }
            if let same { folded[index].publication = same.publication }
        }
        record.journeys = folded
        records[slot] = record
        noteWait(slot, records[slot], dueAt: records[slot].dueAt, isNews: false)
        schedule(slot, dueAt: record.dueAt)
    }

    /// Restores what a checkpoint kept.
    public mutating func restore(_ snapshot: Snapshot) throws(CodingFlaw) {
        batch = snapshot.batch
        if let bytes = snapshot.network, !bytes.isEmpty {
            do { install(try NetworkFile.parse(bytes), bytes) } catch {
                throw CodingFlaw("the network in force: \(error)")
            }
        }
        if let bytes = snapshot.rules { install(try RulesCoding.decode(bytes)) }
        // A checkpoint that says nothing of posts was written when an id was nobody's.
        knowsUnowned = snapshot.batch > 0
        if let bytes = snapshot.posts, !bytes.isEmpty {
            let read = try RosterCoding.decode(bytes)
            for post in read.posts { roster.put(post) }
            knowsUnowned = read.knowsUnowned
        }
        for line in snapshot.shipments {
            guard case .plan(let plan) = parse(line.line) else {
                throw CodingFlaw("the plan \(line.key) cannot be read")
            }
            let symbol = symbols.number(plan.shipment)
            let reading = try LineReading(line.reading)
            shipments[symbol] = Shipment(
                plan: reread(plan, reading), reading, received: line.received, &chains, &symbols,
                &pools)
        }
        for line in snapshot.closures {
            guard case .closure(let closure) = parse(line.line) else {
                throw CodingFlaw("the closure \(line.key) cannot be read")
            }
            let reading = try LineReading(line.reading)
            closures[closure.id] = StandingClosure(
                closure: reread(closure, reading), reading: reading, received: line.received,
                line: line.line)
        }
        rebuildWindows()
        for bytes in snapshot.pools {
            if ScoreCoding.isMeant(bytes) {
                intervals = try ScoreCoding.decode(bytes, &symbols)
                continue
            }
            let (key, pool, flow) = try PoolCoding.decode(bytes, &symbols)
            pools.restore(key, pool, flow)
        }
        resting = Set(snapshot.resting)
        restingShipments = Set(snapshot.restingShipments.map(Engine.hash))
        for bytes in snapshot.journeys { place(try RecordCoding.decode(bytes, &symbols)) }
        configDirty = snapshot.network == nil || snapshot.posts == nil
    }

    func parse(_ line: [UInt8]) -> FeedLine {
        line.withUnsafeBufferPointer { parser.parse($0) }
    }

    /// A logged batch as `step` takes it.
    public func inputs(
        of logged: LoggedBatch
    ) throws(CodingFlaw) -> (chunks: [FeedChunk], changes: [ConfigChange]) {
        var chunks: [FeedChunk] = []
        var changes: [ConfigChange] = []
        let (meaning, entries) = try LogBlob.read(logged.blob)
        for entry in entries {
            switch entry.kind {
            case .posts: changes.append(.posts(try RosterCoding.decode(entry.bytes).posts))
            case .network:
                do { changes.append(.network(try LoadedNetwork(entry.bytes))) } catch {
                    throw CodingFlaw("the network that came into force: \(error)")
                }
            case .rules: changes.append(.rules(try RulesCoding.decode(entry.bytes)))
            case .line:
                var chunk = FeedChunk(
                    source: 0, origin: Origin(post: entry.origin.post), bytes: entry.bytes,
                    lines: [
                        ParsedLine(
                            number: 1, range: 0..<entry.bytes.count, value: parse(entry.bytes))
                    ])
                chunk.meaning = meaning
                chunk.isLogged = true
                chunks.append(chunk)
            }
        }
        return (chunks, changes)
    }

    /// Steps through a logged batch again, publishing nothing. What was written then stands:
    /// `agrees` is false where a newer program would have written something else.
    public mutating func replay(
        _ logged: LoggedBatch, _ inputs: (chunks: [FeedChunk], changes: [ConfigChange])
    ) -> (effects: Effects, agrees: Bool) {
        let effects = step(inputs.chunks, changes: inputs.changes, now: logged.now)
        batch = logged.batch
        let agrees = seq == logged.lastSeq
        seq = logged.lastSeq
        return (effects, agrees)
    }

    /// How far each session stream has come, read at the head of the log.
    public mutating func restore(marks read: [StreamMark]) {
        marks = StreamMarks()
        for mark in read { marks.move(mark.origin, to: mark.seq) }
    }

    public mutating func restore(seq read: Int) { seq = read }

    public func mark(of origin: Origin) -> Int64 { marks[origin] ?? 0 }

    /// Streams of a post of which a line has come.
    public func streams(of post: String) -> Int { marks.streams(of: post) }

    /// All state in one canonical run of bytes: equal bytes, equal engines.
    public func canonicalState() -> [UInt8] {
        var out = ByteEncoder()
        out.count(batch)
        out.count(seq)
        for slot in slots.values.sorted(by: { records[$0].number < records[$1].number }) {
            out.blob(RecordCoding.encode(records[slot], symbols.texts))
        }
        let rows = pools.keys.indices.map {
            PoolCoding.encode(
                pools.keys[$0], pools.pools[$0], pools.flows[$0], symbols.texts)
        }
        for row in rows.sorted(by: { $0.lexicographicallyPrecedes($1) }) { out.blob(row) }
        for symbol in shipments.symbols.sorted(by: { symbols[$0] < symbols[$1] }) {
            out.text(symbols[symbol])
            out.fixed(shipments[symbol]?.plan.content ?? 0)
            out.blob(shipments[symbol]?.reading.encoded() ?? [])
        }
        for id in closures.keys.sorted() {
            out.text(id)
            out.fixed(closures[id]?.closure.content ?? 0)
            out.blob(closures[id]?.reading.encoded() ?? [])
        }
        out.blob(ScoreCoding.encode(intervals, symbols.texts))
        out.blob(networkBytes)
        out.blob(RulesCoding.encode(rules))
        out.blob(RosterCoding.encode(roster.all, knowsUnowned: knowsUnowned))
        return out.bytes
    }

    /// What happened, without what was said about it: the same for every order of the same news.
    public func trackedState() -> [UInt8] {
        var out = ByteEncoder()
        for slot in slots.values.sorted(by: { records[$0].number < records[$1].number }) {
            var record = records[slot]
            for index in record.journeys.indices {
                record.journeys[index].publication = Journey.Publication()
            }
            out.blob(RecordCoding.encode(record, symbols.texts))
            for journey in record.journeys {
                for reached in journey.progress.reached { out.signed(reached.microseconds) }
                out.signed(Int64(journey.progress.furthest))
                out.count(journey.progress.eventCount)
                out.signed(journey.progress.lastTime.microseconds)
            }
        }
        return out.bytes
    }
}

/// Brings an engine to the head of a log: snapshots, then the later batches.
public enum Recovery {
    public struct Result: Sendable {
        public var engine: Engine
        public var head: LogHead
        /// Batches that were replayed.
        public var replayed: Int
        /// Of those, how many this program would have decided otherwise: none, unless it is newer
        /// than the one that wrote them.
        public var diverged: Int
        public var jumps: JumpRule
    }

    /// Which streams may go on at a number that does not follow: the log went back, and they have
    /// not spoken since. What lies between is gone, unless a spool still has it.
    public struct JumpRule: Sendable {
        public var wentBack = false
        /// Streams that go on as always.
        public var settled: Set<Origin> = []

        public init() {}

        init(_ head: LogHead, _ marks: [StreamMark]) {
            guard let at = head.wentBackAt else { return }
            wentBack = true
            settled = Set(marks.filter { $0.batch > at }.map(\.origin))
        }

        public func allows(_ origin: Origin) -> Bool { wentBack && !settled.contains(origin) }
    }

    public static func run(
        _ store: some LogStore
    ) async throws(StoreFailure) -> Result {
        let head = try await store.takeOver()
        // What was taken under larger limits is read again under the smaller ones of today.
        var engine = Engine()
        let snapshot = try await store.snapshot()
        var replayed = 0
        var diverged = 0
        do { try engine.restore(snapshot) } catch {
            throw StoreFailure(.fatal, "reading the snapshots", error.detail)
        }
        guard engine.batch <= head.batch else {
            throw StoreFailure(
                .fatal, "reading the snapshots",
                "they hold up to batch \(engine.batch), and the log ends at \(head.batch)")
        }
        engine.restore(seq: try await store.seq(at: snapshot.batch))
        while engine.batch < head.batch {
            let page = try await store.batches(after: engine.batch)
            if page.isEmpty {
                throw StoreFailure(
                    .fatal, "replaying the log",
                    "batch \(engine.batch + 1) is missing; the head is \(head.batch)")
            }
            for logged in page {
                do {
                    let inputs = try engine.inputs(of: logged)
                    // A shipment's boxes may rest, and be named by one that rests.
                    var asked = Wanted()
                    while true {
                        let missing = engine.missing(inputs.chunks)
                        if missing.isEmpty || missing == asked { break }
                        try engine.admit(try await store.load(missing))
                        asked = missing
                    }
                    if !engine.replay(logged, inputs).agrees { diverged += 1 }
                } catch let flaw as CodingFlaw {
                    throw StoreFailure(.fatal, "replaying the log", flaw.detail)
                } catch let failure as StoreFailure {
                    throw failure
                } catch {
                    throw StoreFailure(.fatal, "replaying the log", "\(error)")
                }
                replayed += 1
            }
        }
        let marks = try await store.marks()
        engine.restore(marks: marks)
        engine.restore(seq: head.seq)
        return Result(
            engine: engine, head: head, replayed: replayed, diverged: diverged,
            jumps: JumpRule(head, marks))
    }
}
