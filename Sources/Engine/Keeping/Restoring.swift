import Alerting
import Forecast
import Log
import Tracking
import Wire

/// What an engine keeps, and how it comes back from that.
extension Engine {
    /// Changes not yet in a checkpoint.
    public var dirtyCount: Int {
        register.dirtyRecords.count + register.unsavedPlans.count + closureBook.dirtyClosures.count
    }

    /// Cuts a checkpoint at the last stepped batch. Everything in it counts as saved from here on:
    /// whoever takes it must write it, or stop.
    public mutating func cut(now: Instant) -> Checkpoint {
        for slot in register.restDue.popDue(now) { register.dirtyRecords.insert(slot) }
        let slots = register.dirtyRecords.slots.map { Int($0) }
            .sorted { register.records[$0].number < register.records[$1].number }
        let cutRecords = slots.map { register.records[$0] }
        var lines: [SourceLine] = []
        for (symbol, line) in register.unsavedPlans {
            guard let shipment = register.shipments[symbol] ?? register.retracted[symbol] else {
                continue
            }
            lines.append(
                SourceLine(
                    key: shipment.plan.shipment, received: shipment.received, line: line,
                    reading: shipment.reading.encoded()))
        }
        let live = cutRecords.map { register.isLive($0, now) }
        let quiet = zip(cutRecords, live).filter { !$0.1 }.map(\.0)
        // What was taken back concerns nobody any more.
        let retracted = register.retracted.values.map(\.plan.shipment)
        let atRest = (restingShipments(quiet) + retracted).sorted()
        let checkpoint = Checkpoint(
            batch: batch, network: configDirty ? networkBytes : nil,
            rules: configDirty ? RulesCoding.encode(rules) : nil,
            posts: configDirty
                ? RosterCoding.encode(intake.roster.all, knowsUnowned: intake.knowsUnowned) : nil,
            shipments: lines.sorted { $0.key < $1.key },
            closures: closureBook.dirtyClosures.sorted().compactMap { id in
                closureBook.closures[id].map {
                    SourceLine(
                        key: id, received: $0.received, line: $0.line,
                        reading: $0.reading.encoded())
                }
            },
            forgotten: register.forgotten, resting: atRest,
            revived: register.revived.subtracting(atRest).sorted(),
            records: cutRecords, live: live,
            pools: forecasting.pools.drainChanged(),
            intervals: forecasting.intervalsDirty ? intervals : nil,
            alertBook: alertsDirty ? (alertBook, forecasting.habits) : nil,
            reporters: reporters.drainChanged(),
            partings: forecasting.partings.isChanged ? forecasting.partings : nil,
            onward: forecasting.onward.isChanged ? forecasting.onward : nil,
            texts: register.symbols.texts)
        register.dirtyRecords.removeAll()
        register.unsavedPlans = [:]
        closureBook.dirtyClosures = []
        register.forgotten = Checkpoint.Forgotten()
        register.revived = []
        configDirty = false
        forecasting.intervalsDirty = false
        forecasting.partings.isChanged = false
        forecasting.onward.isChanged = false
        alertsDirty = false
        return checkpoint
    }

    mutating func place(_ decoded: ContainerRecord) {
        var record = decoded
        let slot = register.slot(of: record.number)
        // Whatever is under way is set right in its turn; what rested, when it is looked at again.
        if isMisaligned(record) { correcting.insert(record.number) }
        var folded = fold(record)
        for index in folded.indices {
            let same = record.journeys.first {
                $0.shipment == folded[index].shipment && $0.ordinal == folded[index].ordinal
            }
            guard let same else { continue }
            folded[index].publication = same.publication
            // Another build read it otherwise.
            let taught = same.publication.taught.count
            if same.publication.way != folded[index].way.signature
                || taught > 0 && taught != folded[index].way.milestones.count
            {
                folded[index].publication.moved(to: folded[index].way)
            }
        }
        record.journeys = folded
        register.records[slot] = record
        for journey in record.journeys {
            for alert in journey.publication.alerts
            where alert.rev > 0 && alert.phase != .closed {
                openAlerts[identity(of: alert, journey, record.number)] = .box(slot)
            }
        }
        noteWait(slot, register.records[slot], dueAt: register.records[slot].dueAt, isNews: false)
        register.schedule(slot, dueAt: record.dueAt)
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
        intake.knowsUnowned = snapshot.batch > 0
        if let bytes = snapshot.posts, !bytes.isEmpty {
            let read = try RosterCoding.decode(bytes)
            for post in read.posts { intake.roster.put(post) }
            intake.knowsUnowned = read.knowsUnowned
            noteCorrected()
        }
        for line in snapshot.shipments {
            try restorePlan(line)
        }
        for line in snapshot.closures {
            guard case .closure(let closure) = parse(line.line) else {
                throw CodingFlaw("the closure \(line.key) cannot be read")
            }
            let reading = try LineReading(line.reading)
            closureBook.put(
                ClosureBook.StandingClosure(
                    closure: reread(closure, reading), reading: reading, received: line.received,
                    line: line.line))
        }
        rebuildWindows()
        for bytes in snapshot.pools {
            if ScoreCoding.isMeant(bytes) {
                forecasting.intervals = try ScoreCoding.decode(bytes, &register.symbols)
                continue
            }
            if AlertBookCoding.isMeant(bytes) {
                let read = try AlertBookCoding.decode(bytes, &register.symbols)
                (alertBook, forecasting.habits) = (read.book, read.habits)
                continue
            }
            switch bytes.first {
            case PartingCoding.mark:
                forecasting.partings = try PartingCoding.decode(bytes, &register.symbols)
                continue
            case PartingCoding.onwardMark:
                forecasting.onward = try PartingCoding.decode(bytes, &register.symbols)
                continue
            default: break
            }
            if ReporterCoding.isMeant(bytes) {
                let slot = reporters.put(try ReporterCoding.decode(bytes, &register.symbols))
                postsDue.schedule(slot, at: reporters.habits[slot]?.lookAt ?? .never)
                continue
            }
            let (key, pool, flow) = try PoolCoding.decode(bytes, &register.symbols)
            forecasting.pools.restore(key, pool, flow)
        }
        restoreIncidents()
        register.resting = Set(snapshot.resting)
        register.restingShipments = Set(snapshot.restingShipments.map(Engine.hash))
        for bytes in snapshot.journeys { place(try RecordCoding.decode(bytes, &register.symbols)) }
        configDirty = snapshot.network == nil || snapshot.posts == nil
    }

    /// What follows from the book.
    private mutating func restoreIncidents() {
        for incident in alertBook.incidents.values where incident.isOpen {
            openAlerts[incident.identity] = .incident(incident.key)
            guard incident.key.type == .postSilent else { continue }
            let subject = register.symbols.number(incident.key.subject)
            if incident.key == Engine.everybody {
                silentPosts[Engine.anybody] = incident.key
                continue
            }
            let isPost = incident.key.isPost
            silentPosts[
                Reporters.Key(post: isPost ? subject : 0, place: isPost ? 0 : subject)] =
                incident.key
        }
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
        intake.marks = StreamMarks()
        for mark in read { intake.marks.move(mark.origin, to: mark.seq) }
    }

    public mutating func restore(seq read: Int) { seq = read }

    public func mark(of origin: Origin) -> Int64 { intake.marks[origin] ?? 0 }

    /// Streams of a post of which a line has come.
    public func streams(of post: String) -> Int { intake.marks.streams(of: post) }

    /// All state in one canonical run of bytes: equal bytes, equal engines.
    public func canonicalState() -> [UInt8] {
        var out = ByteEncoder()
        out.count(batch)
        out.count(seq)
        for slot in register.slots.values.sorted(by: {
            register.records[$0].number < register.records[$1].number
        }) {
            out.blob(RecordCoding.encode(register.records[slot], register.symbols.texts))
        }
        let rows = forecasting.pools.keys.indices.map {
            PoolCoding.encode(
                forecasting.pools.keys[$0], forecasting.pools.pools[$0],
                forecasting.pools.flows[$0], register.symbols.texts)
        }
        for row in rows.sorted(by: { $0.lexicographicallyPrecedes($1) }) { out.blob(row) }
        for symbol in register.shipments.symbols.sorted(by: {
            register.symbols[$0] < register.symbols[$1]
        }) {
            out.text(register.symbols[symbol])
            out.fixed(register.shipments[symbol]?.plan.content ?? 0)
            out.blob(register.shipments[symbol]?.reading.encoded() ?? [])
        }
        for plan in register.retracted.values.sorted(by: { $0.plan.shipment < $1.plan.shipment }) {
            out.text(plan.plan.shipment)
            out.fixed(plan.plan.content)
            out.blob(plan.reading.encoded())
        }
        for id in closureBook.closures.keys.sorted() {
            out.text(id)
            out.fixed(closureBook.closures[id]?.closure.content ?? 0)
            out.blob(closureBook.closures[id]?.reading.encoded() ?? [])
        }
        out.blob(ScoreCoding.encode(forecasting.intervals, register.symbols.texts))
        out.blob(AlertBookCoding.encode(alertBook, forecasting.habits, register.symbols.texts))
        for (table, mark) in [
            (forecasting.partings, PartingCoding.mark),
            (forecasting.onward, PartingCoding.onwardMark),
        ] { out.blob(PartingCoding.encode(table, mark, register.symbols.texts)) }
        let habits = reporters.habits.compactMap { $0 }.map {
            ReporterCoding.encode($0, register.symbols.texts)
        }
        for row in habits.sorted(by: { $0.lexicographicallyPrecedes($1) }) { out.blob(row) }
        out.blob(networkBytes)
        out.blob(RulesCoding.encode(rules))
        out.blob(RosterCoding.encode(intake.roster.all, knowsUnowned: intake.knowsUnowned))
        return out.bytes
    }

    /// What happened, without what was said about it: the same for every order of the same news.
    public func trackedState() -> [UInt8] {
        var out = ByteEncoder()
        for slot in register.slots.values.sorted(by: {
            register.records[$0].number < register.records[$1].number
        }) {
            var record = register.records[slot]
            for index in record.journeys.indices {
                record.journeys[index].publication = Journey.Publication()
            }
            for at in record.history.events.indices { record.history.events[at].delaySeconds = 0 }
            out.blob(RecordCoding.encode(record, register.symbols.texts))
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
