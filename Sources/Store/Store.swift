import CLibPQ
import Dispatch
import Engine
import Tracking
import Wire

/// What a store needs to know.
public struct StoreOptions: Sendable {
    /// A libpq connection string or URI; several hosts are allowed.
    public var conninfo: String
    /// Wall-clock time, for partitions and for `recorded_at`.
    public var clock: @Sendable () -> Instant
    /// Told of what an operator should know, such as a setting that weakens durability.
    public var notice: @Sendable (String) -> Void

    public init(
        conninfo: String, clock: @escaping @Sendable () -> Instant,
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.conninfo = conninfo
        self.clock = clock
        self.notice = notice
    }
}

/// The log in PostgreSQL: one writer session and, for snapshots and readers, one beside it.
public final class PostgresLog: LogStore {
    private let writer: Writer
    private let side: Side
    /// What the writer waits for must not wait behind snapshots and history.
    private let loader: Side
    private let reader: Side
    let keeper: Keeper

    public init(_ options: StoreOptions) {
        writer = Writer(options)
        side = Side(options)
        loader = Side(options, deadlineSeconds: 12)
        reader = Side(options)
        keeper = Keeper(options)
    }

    public func takeOver() async throws(StoreFailure) -> LogHead { try await writer.takeOver() }

    public func commit(_ commit: Commit) async throws(StoreFailure) {
        try await writer.commit(commit)
    }

    public func culprits(_ commit: Commit) async throws(StoreFailure) -> [Culprit] {
        try await writer.culprits(commit)
    }

    public func snapshot() async throws(StoreFailure) -> Snapshot { try await side.snapshot() }

    public func batches(after batch: Int) async throws(StoreFailure) -> [LoggedBatch] {
        try await side.batches(after: batch)
    }

    public func seq(at batch: Int) async throws(StoreFailure) -> Int {
        try await side.seq(at: batch)
    }

    public func marks() async throws(StoreFailure) -> [StreamMark] { try await side.marks() }

    public func checkpoint(_ checkpoint: Checkpoint) async throws(StoreFailure) {
        try await side.checkpoint(checkpoint)
    }

    public func load(_ containers: [ContainerNumber]) async throws(StoreFailure) -> [[UInt8]] {
        try await loader.load(containers)
    }

    public func output(after seq: Int, limit: Int) async throws(StoreFailure) -> [OutputLine] {
        try await reader.output(after: seq, limit: limit)
    }

    public func outputRange() async throws(StoreFailure) -> (first: Int, last: Int) {
        try await reader.outputRange()
    }

    /// Makes partitions ahead of need; returns how many, and how many rows lie in the default ones.
    public func makePartitions(
        daysAhead: Int
    ) async throws(StoreFailure) -> (made: Int, inDefault: Int) {
        try await side.makePartitions(daysAhead: daysAhead)
    }

    /// Drops partitions past retention and indexes closed ones.
    public func tidyPartitions(keepDays: Int) async throws(StoreFailure) -> Int {
        try await side.tidyPartitions(keepDays: keepDays)
    }

    /// The last batch in the log.
    public func headBatch() async throws(StoreFailure) -> Int { try await side.headBatch() }

    /// The head as it stands, without taking it over.
    public func head() async throws(StoreFailure) -> LogHead { try await reader.head() }

    /// The engine's time of the last batch; nil in a new log.
    public func lastStep() async throws(StoreFailure) -> Instant? { try await side.lastStep() }

    /// The snapshots that concern one container number or shipment, and nothing else.
    public func snapshot(about name: String) async throws(StoreFailure) -> Snapshot {
        try await side.snapshot(about: name)
    }

    /// How far a named consumer has confirmed, nil: never; and how many other names there are.
    public func consumer(_ name: String) async throws(StoreFailure) -> (seq: Int?, others: Int) {
        try await reader.consumer(name)
    }

    /// False where there are `names` others already.
    public func confirm(
        _ name: String, _ seq: Int, names: Int
    ) async throws(StoreFailure) -> Bool {
        try await reader.confirm(name, seq, names: names)
    }
}

/// The session that appends to the log. Nothing else writes batches.
actor Writer {
    private nonisolated let executor = QueueExecutor("caravan.store.writer")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let options: StoreOptions
    private var connection: Connection?
    private var epoch = 0
    /// A server that takes longer is taken for dead: the batch is looked up over another session.
    private static let deadlineSeconds = 12.0
    /// A writer that sleeps in the middle of a transaction holds the head no longer than this.
    private static let idleSeconds = 3
    /// The last batch known to be durable.
    private var durable = 0

    init(_ options: StoreOptions) { self.options = options }

    func takeOver() throws(StoreFailure) -> LogHead {
        connection = nil
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        do throws(StoreFailure) {
            let version = try fresh.query(
                "select max(version) from schema_version", [], "reading the schema version")
            let found = Int(version.integer(0, 0))
            guard found == Migrator.newest else {
                throw StoreFailure(
                    .fatal, "checking the schema",
                    "the database has version \(found), this program needs \(Migrator.newest): "
                        + (found < Migrator.newest
                            ? "run caravan migrate" : "install a newer caravand"))
            }
            try warnOfWeakSettings(fresh)
            try fresh.run("BEGIN", "taking over the log")
            var head = try fresh.query(
                "update head set epoch = epoch + 1 returning epoch, batch, seq, log::text", [],
                "taking over the log")
            if Int(head.integer(0, 1)) < durable {
                options.notice(
                    "the database is older than what was acknowledged: batch "
                        + "\(head.integer(0, 1)), and \(durable) was durable. It was restored, or "
                        + "a standby without the last commits was promoted; its numbers begin anew")
                head = try fresh.query(
                    """
                    update head set log = gen_random_uuid()
                        returning epoch, batch, seq, log::text
                    """, [], "taking over the log")
            }
            try fresh.commit()
            epoch = Int(head.integer(0, 0))
            let result = LogHead(
                epoch: epoch, batch: Int(head.integer(0, 1)), seq: Int(head.integer(0, 2)),
                log: head.text(0, 3) ?? "")
            try prepare(fresh)
            durable = result.batch
            connection = consume fresh
            return result
        } catch {
            if error.state == "42P01" {
                throw StoreFailure(
                    .fatal, "reading the schema version",
                    "the database has no Caravan schema: run caravan migrate", state: error.state)
            }
            throw error
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

    /// Says loudly which of the server's settings make an acknowledgement mean less.
    private func warnOfWeakSettings(_ connection: borrowing Connection) throws(StoreFailure) {
        let answer = try connection.query(
            """
            select name, setting from pg_settings where setting = 'off'
                and name in ('fsync', 'full_page_writes', 'synchronous_commit')
            """, [], "checking durability")
        for row in 0..<answer.rows {
            options.notice(
                "PostgreSQL runs with \(answer.text(row, 0) ?? "") = off: acknowledged lines can "
                    + "be lost when its machine fails")
        }
    }

    /// Connects again where the connection is gone, and looks how far the log has come.
    private func reconnect(for commit: Commit) throws(StoreFailure) {
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        let head = try fresh.query("select epoch, batch from head", [], "reading the head")
        guard Int(head.integer(0, 0)) == epoch else {
            throw StoreFailure(
                .fenced, "writing batch \(commit.batch)",
                "another daemon has taken the log over (epoch \(head.integer(0, 0)), ours "
                    + "\(epoch))")
        }
        let found = Int(head.integer(0, 1))
        // A COMMIT that was cut off while it waited for a standby is visible here and may still be
        // lost there. A later commit that succeeds without a warning carries it along.
        if found >= commit.batch {
            try fresh.run(
                "BEGIN; UPDATE head SET batch = batch", "confirming the head")
            try fresh.commit()
        }
        durable = found
        try warnOfWeakSettings(fresh)
        try prepare(fresh)
        connection = consume fresh
    }

    func commit(_ commit: Commit) throws(StoreFailure) {
        if connection == nil { try reconnect(for: commit) }
        if commit.batch <= durable { return }
        do {
            try write(commit)
            durable = commit.batch
        } catch {
            // The outcome is unknown, or the session is in a failed transaction: the next attempt
            // begins with a new one and looks.
            connection = nil
            guard error.kind == .fenced else { throw error }
            // Not only another writer moves the head from under us: our own commit may have been
            // on its way still when the last look found nothing of it.
            try reconnect(for: commit)
            if commit.batch <= durable { return }
            throw error
        }
    }

    /// Which of a refused commit's events the database does not take, found by halving.
    func culprits(_ commit: Commit) throws(StoreFailure) -> [Culprit] {
        connection = nil
        let fresh = try Connection(
            options.conninfo, deadlineSeconds: Writer.deadlineSeconds,
            idleSeconds: Writer.idleSeconds)
        var found: [Culprit] = []
        var ranges = [0..<commit.events.count]
        while let range = ranges.popLast() {
            if range.isEmpty { continue }
            var part = commit
            part.events = Array(commit.events[range])
            do {
                try fresh.copy(
                    "BEGIN; " + Rows.eventCopy, [Rows.events(part, options.clock())],
                    "looking for refused events")
                try fresh.run("ROLLBACK", "looking for refused events")
            } catch {
                guard error.kind == .data else { throw error }
                try fresh.run("ROLLBACK", "looking for refused events")
                if range.count == 1 {
                    found.append(Culprit(event: range.lowerBound, cause: error.cause))
                } else {
                    let middle = (range.lowerBound + range.upperBound) / 2
                    ranges += [middle..<range.upperBound, range.lowerBound..<middle]
                }
            }
        }
        return found
    }

    private func write(_ commit: Commit) throws(StoreFailure) {
        let operation = "writing batch \(commit.batch)"
        let work = Rows.transaction(commit, recordedAt: options.clock())
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
    }
}
