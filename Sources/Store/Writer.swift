import Engine
import Host
import Synchronization
import Tracking
import Wire

/// The epoch in which this daemon writes, and the last batch that is known to be durable: what every
/// write beside the log is conditional on.
final class Fence: Sendable {
    private let state = Mutex<(epoch: Int, batch: Int)?>(nil)

    /// nil: this process never led.
    var current: (epoch: Int, batch: Int)? { state.withLock { $0 } }

    func stand(at epoch: Int, _ batch: Int) { state.withLock { $0 = (epoch, batch) } }

    /// Begins a transaction beside the log. What it writes can be derived or done again, so no standby
    /// is waited for.
    func begin(_ connection: borrowing Connection, _ operation: String) throws(StoreFailure) {
        try connection.run("begin; set local synchronous_commit = local", operation)
    }

    /// Commits it, if this is the writer still, and the log has `batch` (if nil the last that was
    /// durable). A process that never led needs no leave. The fence comes last: whoever has passed it
    /// holds the writer up until the transaction ends.
    func commit(
        _ connection: borrowing Connection, batch: Int? = nil, _ operation: String
    ) throws(StoreFailure) {
        if let standing = current {
            _ = try connection.query(
                "select pass_fence($1::int8, $2::int8)",
                [.integer(standing.epoch), .integer(batch ?? standing.batch)], operation)
        }
        try connection.commit()
    }
}

/// The session that appends to the log. Nothing else writes batches.
actor Writer {
    private nonisolated let executor = QueueExecutor("caravan.store.writer")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let options: StoreOptions
    private let fence: Fence
    private var connection: Connection?
    private var epoch = 0
    /// The log that is written, and its last output number.
    private var log = ""
    private var seq = 0
    /// A server that takes longer is taken for dead: the batch is looked up over another session.
    private static let deadlineSeconds = 12.0
    /// A writer that sleeps in the middle of a transaction holds the head no longer than this.
    private static let idleSeconds = 3
    /// The last batch known to be durable.
    private var durable = 0
    /// The last link of the output's hash chain; nil: it is to be read.
    private var chained: [UInt8]?

    init(_ options: StoreOptions, _ fence: Fence) {
        self.options = options
        self.fence = fence
    }

    func takeOver() throws(StoreFailure) -> LogHead {
        connection = nil
        chained = nil
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        do throws(StoreFailure) {
            try Writer.demandUTF8(fresh)
            let version = try fresh.query(
                "select max(version) from schema_version", [], "reading the schema version")
            let found = Int(version.integer(0, 0))
            guard found == Migrator.newest else {
                throw StoreFailure(
                    found < Migrator.newest ? .unprepared : .fatal, "checking the schema",
                    "the database has version \(found), this program needs \(Migrator.newest): "
                        + (found < Migrator.newest
                            ? "run caravan migrate" : "install a newer caravand"))
            }
            try warnOfWeakSettings(fresh)
            var result = try claim(fresh)
            let first = try fresh.query(
                "select coalesce(min(batch), 0) from batch", [], "looking where the log begins")
            result.hasForgotten = first.integer(0, 0) > 1
            try prepare(fresh)
            stand(at: result)
            connection = consume fresh
            return result
        } catch {
            if error.state == "42P01" {
                throw StoreFailure(
                    .unprepared, "reading the schema version",
                    "the database has no Caravan schema: run caravan migrate", state: error.state)
            }
            throw error
        }
    }

    private func stand(at head: LogHead) {
        epoch = head.epoch
        log = head.log
        note(durable: head.batch, seq: head.seq)
    }

    private func note(durable batch: Int, seq: Int) {
        durable = batch
        self.seq = seq
        fence.stand(at: epoch, batch)
        options.remember(KnownLog(log: log, batch: batch, seq: seq))
    }

    /// Raises the epoch by a number of its own: on two sides of a split two daemons raise the same one, and
    /// neither may take what the other wrote for its own. Then looks whether this is the log that was written the last time, as far as
    /// it was.
    private func claim(_ connection: borrowing Connection) throws(StoreFailure) -> LogHead {
        let operation = "taking over the log"
        let seen =
            options.known() ?? (log.isEmpty ? nil : KnownLog(log: log, batch: durable, seq: seq))
        let system = try Writer.systemIdentifier(connection)
        try connection.run("BEGIN", operation)
        let raised = try connection.query(
            """
            update head set epoch = epoch + 1 + (random() * 1000000)::bigint
                returning epoch, batch, seq, log::text, system_identifier, went_back_at
            """, [], operation)
        var head = LogHead(
            epoch: Int(raised.integer(0, 0)), batch: Int(raised.integer(0, 1)),
            seq: Int(raised.integer(0, 2)), log: raised.text(0, 3) ?? "",
            wentBackAt: raised.isNull(0, 5) ? nil : Int(raised.integer(0, 5)))
        let written = raised.isNull(0, 4) ? nil : Int(raised.integer(0, 4))
        if let cause = try goneBack(connection, head, seen, written: written, system: system) {
            let before = seen?.log == head.log ? max(seen?.batch ?? 0, head.batch) : head.batch
            let anew = try connection.query("select begin_log_anew()", [], operation)
            let fresh = anew.text(0, 0) ?? ""
            options.notice(
                "the database went back: log was \(head.log) at \(before), is \(fresh) at "
                    + "\(head.batch): \(cause). Its numbers begin anew behind \(head.seq); what the "
                    + "posts' spools still have is asked for again")
            head.log = fresh
            head.wentBackAt = head.batch
        } else if let seen, seen.log != head.log {
            options.notice(
                "the database holds another log than before: log was \(seen.log) at \(seen.batch), "
                    + "is \(head.log) at \(head.batch)")
        }
        if let system, system != written {
            _ = try connection.query(
                "update head set system_identifier = $1::int8", [.integer(system)], operation)
        }
        let repaired = try connection.query("select repair_snapshots()", [], operation)
        if let said = repaired.text(0, 0) { options.notice(said) }
        try connection.commit()
        return head
    }

    /// Why the log is not the one that was known, as far as it was known; nil: it is.
    private func goneBack(
        _ connection: borrowing Connection, _ head: LogHead, _ seen: KnownLog?, written: Int?,
        system: Int?
    ) throws(StoreFailure) -> String? {
        if let system, let written, system != written {
            return
                "it was written by the cluster \(written) and is now in \(system), so a copy was "
                + "restored there"
        }
        guard let seen, seen.log == head.log else { return nil }
        if head.batch < seen.batch {
            return
                "batch \(seen.batch) was durable. It was restored, or a standby without the last "
                + "commits was promoted"
        }
        guard seen.seq > 0 else { return nil }
        let there = try connection.query(
            "select last_seq from batch where batch = $1::int8", [.integer(seen.batch)],
            "comparing the log")
        guard there.rows > 0, Int(there.integer(0, 0)) != seen.seq else { return nil }
        return "its batch \(seen.batch) is another one than was written, so it went back and on"
    }

    /// PostgreSQL's own name of the cluster; nil where this account may not ask for it.
    private static func systemIdentifier(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> Int? {
        do {
            let answer = try connection.query(
                "select system_identifier from pg_control_system()", [],
                "reading the cluster's name")
            return Int(answer.integer(0, 0))
        } catch {
            guard error.state == "42501" else { throw error }
            return nil
        }
    }

    private func prepare(_ connection: borrowing Connection) throws(StoreFailure) {
        try connection.prepare("advance_head", "select advance_head($1, $2, $3)")
        try connection.prepare(
            "mark",
            """
            insert into stream_mark (post, stream, seq, batch) values ($1, $2, $3, $4)
            on conflict (post, stream) do update set seq = excluded.seq, batch = excluded.batch
            """)
    }

    /// Everything that is sent is UTF-8; a database of another encoding would refuse some of it.
    static func demandUTF8(_ connection: borrowing Connection) throws(StoreFailure) {
        let answer = try connection.query(
            "select current_setting('server_encoding'), current_database()::text", [],
            "checking the encoding")
        let encoding = answer.text(0, 0) ?? ""
        guard encoding == "UTF8" else {
            throw StoreFailure(
                .fatal, "checking the encoding",
                "the database \(answer.text(0, 1) ?? "") has the encoding \(encoding), and Caravan "
                    + "needs UTF8: make one with createdb --encoding=UTF8 --template=template0")
        }
    }

    /// Says loudly which of the server's settings make an acknowledgement mean less.
    private func warnOfWeakSettings(_ connection: borrowing Connection) throws(StoreFailure) {
        let answer = try connection.query(
            """
            select name, setting from pg_settings where setting = 'off'
                and name in ('fsync', 'full_page_writes', 'synchronous_commit')
                or name = 'synchronous_commit' and setting in ('local', 'remote_write')
                    and current_setting('synchronous_standby_names') <> ''
            """, [], "checking durability")
        for row in 0..<answer.rows {
            options.notice(
                "PostgreSQL runs with \(answer.text(row, 0) ?? "") = \(answer.text(row, 1) ?? ""): acknowledged lines can "
                    + "be lost when its machine fails")
        }
    }

    /// Connects again where the connection is gone, and looks how far the log has come.
    private func reconnect(for commit: Commit) throws(StoreFailure) {
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        let head = try fresh.query(
            "select epoch, batch, seq, log::text from head", [], "reading the head")
        guard Int(head.integer(0, 0)) == epoch, head.text(0, 3) == log else {
            throw StoreFailure(
                .fenced, "writing batch \(commit.batch)",
                "another daemon has taken the log over (epoch \(head.integer(0, 0)), ours "
                    + "\(epoch))")
        }
        let found = Int(head.integer(0, 1))
        guard found >= durable else {
            throw StoreFailure(
                .fenced, "writing batch \(commit.batch)",
                "the database is at batch \(found), and \(durable) was durable: it went back")
        }
        // A COMMIT that was cut off while it waited for a standby is visible here and may still be
        // lost there. A later commit that succeeds without a warning carries it along.
        if found >= commit.batch {
            try fresh.run(
                "BEGIN; UPDATE head SET batch = batch", "confirming the head")
            try fresh.commit()
        }
        note(durable: found, seq: Int(head.integer(0, 2)))
        try warnOfWeakSettings(fresh)
        try prepare(fresh)
        connection = consume fresh
    }

    func commit(_ commit: Commit) throws(StoreFailure) {
        if connection == nil { try reconnect(for: commit) }
        if commit.batch <= durable { return }
        do {
            try write(commit)
            note(durable: commit.batch, seq: commit.lastSeq)
        } catch {
            // The outcome is unknown, or the session is in a failed transaction: the next attempt
            // begins with a new one and looks.
            connection = nil
            chained = nil
            guard error.kind == .fenced else { throw error }
            // Not only another writer moves the head from under us: our own commit may have been
            // on its way still when the last look found nothing of it.
            try reconnect(for: commit)
            if commit.batch <= durable { return }
            throw error
        }
    }

    /// Which rows of a refused commit the database does not take, found by halving.
    func culprits(_ commit: Commit) throws(StoreFailure) -> [Culprit] {
        connection = nil
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        let at = options.clock()
        let events = try Writer.halve(commit.events.count, fresh, Rows.eventCopy) { range in
            Rows.events(commit.events[range], commit.batch, at)
        }
        let outputs = try Writer.halve(commit.outputs.count, fresh, Rows.outputCopy) { range in
            Rows.outputs(commit.outputs[range], at)
        }
        let refused = try Writer.halve(
            commit.quarantined.count, fresh, Rows.quarantineCopy
        ) { range in
            Rows.quarantine(commit.quarantined[range], commit.batch, at)
        }
        // Beside the table itself, where a mark that is known is changed and not added.
        try fresh.run(
            "create temp table mark_probe (like stream_mark including constraints)",
            "looking for refused rows")
        let marks = try Writer.halve(commit.marks.count, fresh, Rows.markCopy) { range in
            Rows.marks(commit.marks[range], commit.batch)
        }
        return events.map { Culprit(.event($0.index), cause: $0.cause) }
            + outputs.map { Culprit(.output($0.index), cause: $0.cause) }
            + refused.map { Culprit(.quarantined($0.index), cause: $0.cause) }
            + marks.map { Culprit(.mark($0.index), cause: $0.cause) }
    }

    /// The rows of `count` that a COPY does not take: each half is tried and taken back. Where each by
    /// itself is taken and all together are not, the first that is one too many.
    private static func halve(
        _ count: Int, _ connection: borrowing Connection, _ copy: String,
        _ rows: (Range<Int>) -> [UInt8]
    ) throws(StoreFailure) -> [(index: Int, cause: String)] {
        guard count > 0, let whole = try refusal(0..<count, connection, copy, rows) else {
            return []
        }
        var found: [(index: Int, cause: String)] = []
        var ranges = [0..<count]
        while let range = ranges.popLast() {
            guard let cause = try refusal(range, connection, copy, rows) else { continue }
            if range.count == 1 {
                found.append((range.lowerBound, cause))
            } else {
                let middle = (range.lowerBound + range.upperBound) / 2
                ranges += [middle..<range.upperBound, range.lowerBound..<middle]
            }
        }
        if !found.isEmpty { return found }
        var (taken, refused) = (1, count)
        var cause = whole
        while refused - taken > 1 {
            let middle = (taken + refused) / 2
            if let flaw = try refusal(0..<middle, connection, copy, rows) {
                (refused, cause) = (middle, flaw)
            } else {
                taken = middle
            }
        }
        return [(refused - 1, cause)]
    }

    /// Why the database does not take these rows; nil: it does. Whatever is checked late is checked.
    private static func refusal(
        _ range: Range<Int>, _ connection: borrowing Connection, _ copy: String,
        _ rows: (Range<Int>) -> [UInt8]
    ) throws(StoreFailure) -> String? {
        let operation = "looking for refused rows"
        do {
            try connection.copy("BEGIN; " + copy, [rows(range)], operation)
            try connection.run("SET CONSTRAINTS ALL IMMEDIATE", operation)
            try connection.run("ROLLBACK", operation)
            return nil
        } catch {
            guard error.kind == .data else { throw error }
            try connection.run("ROLLBACK", operation)
            // Where there is no room for a row, the row is not at fault.
            if error.state == "23514", error.cause.contains("no partition of relation") {
                return nil
            }
            return error.cause
        }
    }

    private func write(_ commit: Commit) throws(StoreFailure) {
        let operation = "writing batch \(commit.batch)"
        let link = try nextLink(commit, operation)
        let work = Rows.transaction(commit, link: link, recordedAt: options.clock())
        guard connection != nil else {
            throw StoreFailure(.unavailable, operation, "no connection")
        }
        try connection!.copy(work.sql, work.parts, operation)
        for mark in commit.marks {
            _ = try connection!.execute(
                "mark",
                [
                    .text(mark.origin.post), .text(mark.origin.stream),
                    .integer(Int(mark.seq)), .integer(commit.batch),
                ])
        }
        // Late, so that nothing waits for the row while the rows above are written.
        let head = try connection!.execute(
            "advance_head",
            [.integer(epoch), .integer(commit.batch - 1), .integer(commit.outputs.count)])
        guard Int(head.integer(0, 0)) == commit.lastSeq else {
            throw StoreFailure(
                .fatal, operation,
                "the head's output number is \(head.integer(0, 0)), the engine's \(commit.lastSeq)")
        }
        try connection!.commit()
        if let link { chained = link }
    }

    /// The link that this batch adds to the output's chain; nil: it says nothing, or none is kept.
    private func nextLink(_ commit: Commit, _ operation: String) throws(StoreFailure) -> [UInt8]? {
        guard let make = options.link, !commit.outputs.isEmpty else { return nil }
        if chained == nil, connection != nil {
            let last = try connection!.query(
                "select hash from output_chain order by batch desc limit 1", [],
                "reading the chain of the output")
            chained = last.rows > 0 ? Array(last.bytes(0, 0)) : [UInt8](repeating: 0, count: 32)
        }
        let lines = commit.outputs.enumerated().filter { !commit.unstored.contains($0.offset) }
        return make(chained ?? [], lines.map(\.element.bytes))
    }
}
