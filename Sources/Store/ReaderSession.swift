import Dispatch
import Engine
import Host
import Tracking
import Wire

/// The session beside the writer's: snapshots, history for tails, partitions.
actor ReaderSession {
    private nonisolated let executor = QueueExecutor("caravan.store.side")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let options: StoreOptions
    private let deadlineSeconds: Double
    private let fence: Fence
    private var connection: Connection?

    init(_ options: StoreOptions, _ fence: Fence, deadlineSeconds: Double = 60) {
        self.options = options
        self.fence = fence
        self.deadlineSeconds = deadlineSeconds
    }

    /// Runs `body` on the connection, made where there is none; a failure drops it.
    func with<R>(
        _ body: (borrowing Connection) throws(StoreFailure) -> R
    ) throws(StoreFailure) -> R {
        if connection == nil {
            connection = try Migrator.connect(
                options.conninfo, deadlineSeconds: deadlineSeconds)
        }
        do {
            return try body(connection!)
        } catch {
            connection = nil
            throw error
        }
    }

    // MARK: Recovery

    func snapshot() throws(StoreFailure) -> Snapshot {
        try with { (connection) throws(StoreFailure) in
            try connection.run(
                "begin isolation level repeatable read read only", "reading the snapshots")
            var snapshot = Snapshot()
            let checkpoint = try connection.query(
                "select batch, network, rules, posts from checkpoint", [], "reading the checkpoint")
            if checkpoint.rows > 0 {
                snapshot.batch = Int(checkpoint.integer(0, 0))
                if !checkpoint.isNull(0, 1) { snapshot.network = Array(checkpoint.bytes(0, 1)) }
                if !checkpoint.isNull(0, 2) { snapshot.rules = Array(checkpoint.bytes(0, 2)) }
                if !checkpoint.isNull(0, 3) { snapshot.posts = Array(checkpoint.bytes(0, 3)) }
            }
            snapshot.shipments = try ReaderSession.lines(connection, "shipment")
            snapshot.closures = try ReaderSession.lines(connection, "closure")
            snapshot.shipments += try ReaderSession.lines(connection, "kept shipment")
            snapshot.closures += try ReaderSession.lines(connection, "kept closure")
            try ReaderSession.page(connection, "select shipment from shipment where not live") {
                answer, row in
                snapshot.restingShipments.append(answer.text(row, 0) ?? "")
            }
            try ReaderSession.page(connection, "select state from journey where live") {
                answer, row in
                snapshot.journeys.append(Array(answer.bytes(row, 0)))
            }
            try ReaderSession.page(connection, "select container from journey where not live") {
                answer, row in
                if let number = ContainerNumber(answer.text(row, 0) ?? "") {
                    snapshot.resting.append(number)
                }
            }
            try ReaderSession.page(connection, "select state from pool") { answer, row in
                snapshot.pools.append(Array(answer.bytes(row, 0)))
            }
            try connection.run("commit", "reading the snapshots")
            return snapshot
        }
    }

    /// As `snapshot`, but with the journeys and plans of one container or shipment only.
    func snapshot(about name: String) throws(StoreFailure) -> Snapshot {
        try with { (connection) throws(StoreFailure) in
            let operation = "reading the snapshots"
            try connection.run("begin isolation level repeatable read read only", operation)
            var snapshot = Snapshot()
            let checkpoint = try connection.query(
                "select batch, network, rules, posts from checkpoint", [], operation)
            if checkpoint.rows > 0 {
                snapshot.batch = Int(checkpoint.integer(0, 0))
                if !checkpoint.isNull(0, 1) { snapshot.network = Array(checkpoint.bytes(0, 1)) }
                if !checkpoint.isNull(0, 2) { snapshot.rules = Array(checkpoint.bytes(0, 2)) }
                if !checkpoint.isNull(0, 3) { snapshot.posts = Array(checkpoint.bytes(0, 3)) }
            }
            let number = ContainerNumber(ContainerNumber.plain(name))
            var containers = [number?.description ?? name]
            let plan = try connection.query(
                "select line from plan_line where shipment = $1", [.text(name)], operation)
            if plan.rows > 0, let object = FlatObject(Array(plan.bytes(0, 0))) {
                containers += (object.texts("containers") ?? []).compactMap {
                    ContainerNumber(ContainerNumber.plain($0))?.description
                }
            }
            let companions = try ReaderSession.add(
                containers, [name], to: &snapshot, connection, operation)
            // What another box of the shipment has done counts for this one, too.
            _ = try ReaderSession.add(companions, [], to: &snapshot, connection, operation)
            snapshot.closures = try ReaderSession.lines(connection, "closure")
            snapshot.closures += try ReaderSession.lines(connection, "kept closure")
            let pools = try connection.query("select state from pool", [], operation)
            for row in 0..<pools.rows { snapshot.pools.append(Array(pools.bytes(row, 0))) }
            try connection.run("commit", operation)
            return snapshot
        }
    }

    /// Adds some containers and the plans that name them, as far as they are not there; returns the other
    /// containers of these plans.
    private static func add(
        _ containers: [String], _ plans: [String], to snapshot: inout Snapshot,
        _ connection: borrowing Connection, _ operation: String
    ) throws(StoreFailure) -> [String] {
        if containers.isEmpty { return [] }
        let journeys = try connection.query(
            "select state from journey where container = any ($1::text::text[])",
            [.list(containers)], operation)
        var plans = plans
        for row in 0..<journeys.rows {
            let state = Array(journeys.bytes(row, 0))
            snapshot.journeys.append(state)
            plans += (try? EncodedRecord.plans(state)) ?? []
        }
        let known = Set(snapshot.shipments.map(\.key))
        let lines = try connection.query(
            """
            select shipment, received_at, line, reading from plan_line
                where shipment = any ($1::text::text[])
            """, [.list(plans.filter { !known.contains($0) })], operation)
        var others: Set<String> = []
        for row in 0..<lines.rows {
            let line = ReaderSession.line(lines, row)
            snapshot.shipments.append(line)
            for text in FlatObject(line.line)?.texts("containers") ?? [] {
                if let number = ContainerNumber(ContainerNumber.plain(text)) {
                    others.insert(number.description)
                }
            }
        }
        return others.subtracting(containers).sorted()
    }

    private static func lines(
        _ connection: borrowing Connection, _ table: String
    ) throws(StoreFailure) -> [SourceLine] {
        var found: [SourceLine] = []
        let statements = [
            "shipment": "select shipment, received_at, line, reading from shipment where live",
            "closure": "select closure, received_at, line, reading from closure",
            "kept shipment":
                "select key, received_at, line, reading from kept_line where kind = 'shipment'",
            "kept closure":
                "select key, received_at, line, reading from kept_line where kind = 'closure'",
        ]
        try page(connection, statements[table] ?? "") { answer, row in
            found.append(line(answer, row))
        }
        return found
    }

    /// Reads a large result through a cursor, so that it is never in memory twice.
    private static func page(
        _ connection: borrowing Connection, _ select: String,
        _ each: (borrowing QueryResult, Int) -> Void
    ) throws(StoreFailure) {
        try connection.run(
            "declare page binary no scroll cursor for " + select, "reading the snapshots")
        while true {
            let answer = try connection.query(
                "fetch 10000 from page", [], "reading the snapshots")
            for row in 0..<answer.rows { each(answer, row) }
            if answer.rows == 0 { break }
        }
        try connection.run("close page", "reading the snapshots")
    }

    /// Batches, and bytes of their lines, in one page; at least one batch.
    private static let pageBatches = 256
    private static let pageBytes = 16 << 20

    func batches(after batch: Int) throws(StoreFailure) -> [LoggedBatch] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select batch, stepped_at, lines, last_seq from (
                    select *, sum(octet_length(lines)) over (order by batch)
                        - octet_length(lines) as bytes_before
                    from (
                        select batch, stepped_at, lines, last_seq from batch
                            where batch > $1::int8 order by batch limit $2::int8
                    ) page
                ) sized where bytes_before < $3::int8 order by batch
                """,
                [
                    .integer(batch), .integer(ReaderSession.pageBatches),
                    .integer(ReaderSession.pageBytes),
                ], "reading the log")
            var found: [LoggedBatch] = []
            for row in 0..<answer.rows {
                found.append(
                    LoggedBatch(
                        batch: Int(answer.integer(row, 0)),
                        now: Instant(
                            microseconds: answer.integer(row, 1) + BinaryRow.epochMicroseconds),
                        blob: Array(answer.bytes(row, 2)), lastSeq: Int(answer.integer(row, 3))))
            }
            return found
        }
    }

    func seq(at batch: Int) throws(StoreFailure) -> Int {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select last_seq from batch where batch = $1::int8", [.integer(batch)],
                "reading the log")
            if answer.rows > 0 { return Int(answer.integer(0, 0)) }
            // The batch itself has passed retention: then it is the head.
            let head = try connection.query(
                "select seq from head where batch = $1::int8", [.integer(batch)],
                "reading the head")
            return head.rows > 0 ? Int(head.integer(0, 0)) : 0
        }
    }

    func headBatch() throws(StoreFailure) -> Int {
        try with { (connection) throws(StoreFailure) in
            Int(
                try connection.query("select batch from head", [], "reading the head").integer(0, 0)
            )
        }
    }

    func lastStep() throws(StoreFailure) -> Instant? {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select stepped_at from batch order by batch desc limit 1", [], "reading the log")
            guard answer.rows > 0 else { return nil }
            return Instant(microseconds: answer.integer(0, 0) + BinaryRow.epochMicroseconds)
        }
    }

    func marks() throws(StoreFailure) -> [StreamMark] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select post, stream, seq, batch from stream_mark", [], "reading stream marks")
            return (0..<answer.rows).map { row in
                StreamMark(
                    origin: Origin(
                        post: answer.text(row, 0) ?? "", stream: answer.text(row, 1) ?? ""),
                    seq: answer.integer(row, 2), batch: Int(answer.integer(row, 3)))
            }
        }
    }

    func load(_ wanted: Wanted) throws(StoreFailure) -> Loaded {
        try with { (connection) throws(StoreFailure) in
            var loaded = Loaded()
            var names = Set(wanted.shipments)
            if !wanted.containers.isEmpty {
                let answer = try connection.query(
                    "select state from journey where container = any ($1::text::text[])",
                    [.list(wanted.containers.map(\.description))], "loading journeys")
                for row in 0..<answer.rows {
                    let state = Array(answer.bytes(row, 0))
                    names.formUnion((try? EncodedRecord.plans(state)) ?? [])
                    loaded.journeys.append(state)
                }
            }
            if names.isEmpty { return loaded }
            let answer = try connection.query(
                """
                select shipment, received_at, line, reading from plan_line
                    where shipment = any ($1::text::text[])
                """, [.list(names.sorted())], "loading plans")
            for row in 0..<answer.rows { loaded.shipments.append(ReaderSession.line(answer, row)) }
            return loaded
        }
    }

    /// A row of a key, when it came, and the line.
    private static func line(_ answer: borrowing QueryResult, _ row: Int) -> SourceLine {
        SourceLine(
            key: answer.text(row, 0) ?? "",
            received: Instant(microseconds: answer.integer(row, 1) + BinaryRow.epochMicroseconds),
            line: Array(answer.bytes(row, 2)),
            reading: answer.isNull(row, 3) ? [] : Array(answer.bytes(row, 3)))
    }

    // MARK: Checkpoints

    /// Rows written in one go.
    private static let slice = 5_000

    /// Writes a checkpoint; lines that a constraint keeps out of their tables are kept beside them.
    func checkpoint(_ checkpoint: Checkpoint) throws(StoreFailure) {
        do throws(StoreFailure) {
            try write(checkpoint, [])
        } catch {
            guard error.kind == .data else { throw error }
            let refused = try refusedLines(checkpoint)
            guard !refused.isEmpty else { throw error }
            for (line, cause) in refused {
                options.notice(
                    "the database keeps the snapshot of \(line.key) out of its table (\(cause)); it is "
                        + "kept beside it, and counts")
            }
            try write(checkpoint, refused)
        }
    }

    /// Plans and closures that the database does not take as rows of their tables, one by one.
    private func refusedLines(
        _ checkpoint: Checkpoint
    ) throws(StoreFailure) -> [(line: SourceLine, cause: String)] {
        var found: [(line: SourceLine, cause: String)] = []
        for (index, line) in (checkpoint.shipments + checkpoint.closures).enumerated() {
            var part = Checkpoint.Lines()
            if index < checkpoint.shipments.count {
                part.shipments = [line]
            } else {
                part.closures = [line]
            }
            do throws(StoreFailure) {
                try with { (connection) throws(StoreFailure) in
                    let operation = "looking for refused snapshots"
                    try fence.begin(connection, operation)
                    try connection.run(ReaderSession.scratch, operation)
                    try ReaderSession.plans(connection, part, checkpoint.batch, operation)
                    try connection.run("rollback", operation)
                }
            } catch {
                guard error.kind == .data else { throw error }
                found.append((line, error.cause))
            }
        }
        return found
    }

    private static let scratch = """
        create temp table if not exists journey_new (like journey);
        create temp table if not exists shipment_new
            (shipment text, batch bigint, received_at timestamptz, line text, reading bytea);
        create temp table if not exists pool_new (like pool);
        truncate journey_new, shipment_new, pool_new
        """

    private func write(
        _ checkpoint: Checkpoint, _ refused: [(line: SourceLine, cause: String)]
    ) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            let operation = "writing the checkpoint at batch \(checkpoint.batch)"
            try fence.begin(connection, operation)
            try connection.run(ReaderSession.scratch, operation)
            try ReaderSession.journeys(connection, checkpoint, operation)
            var lines = Checkpoint.Lines()
            lines.shipments = checkpoint.shipments.filter { line in
                !refused.contains { $0.line == line }
            }
            lines.closures = checkpoint.closures.filter { line in
                !refused.contains { $0.line == line }
            }
            try ReaderSession.plans(connection, lines, checkpoint.batch, operation)
            for (line, cause) in refused {
                let kind = checkpoint.closures.contains(line) ? "closure" : "shipment"
                try ReaderSession.keep(connection, kind, line, cause, checkpoint.batch, operation)
            }
            _ = try connection.query(
                "select note_resting($1::text::text[], $2::text::text[])",
                [.list(checkpoint.resting), .list(checkpoint.revived)], operation)
            try ReaderSession.forget(connection, checkpoint, operation)
            let pools = checkpoint.poolRows()
            if !pools.isEmpty {
                try connection.copy(
                    Rows.poolCopy, [Rows.pools(pools, batch: checkpoint.batch)], operation)
                try connection.run(
                    """
                    insert into pool select * from pool_new on conflict (key) do update
                        set batch = excluded.batch, state = excluded.state
                    """, operation)
            }
            let written = try connection.query(
                """
                insert into checkpoint (batch, network, rules, posts)
                    values ($1::int8, $2, $3, $4)
                    on conflict (only_row) do update set batch = excluded.batch,
                    network = coalesce(excluded.network, checkpoint.network),
                    rules = coalesce(excluded.rules, checkpoint.rules),
                    posts = coalesce(excluded.posts, checkpoint.posts)
                    where checkpoint.batch <= excluded.batch
                    returning 1
                """,
                [
                    .integer(checkpoint.batch), .bytes(checkpoint.network),
                    .bytes(checkpoint.rules), .bytes(checkpoint.posts),
                ], operation)
            guard written.rows > 0 else {
                throw StoreFailure(
                    .fenced, operation, "another daemon has written a later checkpoint")
            }
            try fence.commit(connection, batch: checkpoint.batch, operation)
        }
    }

    private static func journeys(
        _ connection: borrowing Connection, _ checkpoint: Checkpoint, _ operation: String
    ) throws(StoreFailure) {
        var at = 0
        while at < checkpoint.journeyCount {
            let end = min(at + slice, checkpoint.journeyCount)
            let rows = Rows.journeys(checkpoint.journeys(at..<end), batch: checkpoint.batch)
            try connection.copy(Rows.journeyCopy, [rows], operation)
            try connection.run(
                """
                insert into journey select * from journey_new on conflict (container) do update
                    set batch = excluded.batch, live = excluded.live, state = excluded.state;
                truncate journey_new
                """, operation)
            at = end
        }
    }

    private static func keep(
        _ connection: borrowing Connection, _ kind: String, _ line: SourceLine, _ cause: String,
        _ batch: Int, _ operation: String
    ) throws(StoreFailure) {
        _ = try connection.query(
            """
            insert into kept_line (kind, key, batch, received_at, line, cause, reading)
                values ($1, $2, $3::int8, 'epoch'::timestamptz + $4::int8 * interval '1 us', $5, $6,
                    $7)
                on conflict (kind, key) do update set batch = excluded.batch,
                received_at = excluded.received_at, line = excluded.line, cause = excluded.cause,
                reading = excluded.reading
            """,
            [
                .text(kind), .bytes(Array(line.key.utf8)), .integer(batch),
                .integer(Int(line.received.microseconds)), .bytes(line.line), .text(cause),
                .bytes(line.reading),
            ], operation)
    }

    /// What the daemon has forgotten goes from the snapshots too.
    private static func forget(
        _ connection: borrowing Connection, _ checkpoint: Checkpoint, _ operation: String
    ) throws(StoreFailure) {
        guard !checkpoint.forgotten.isEmpty else { return }
        _ = try connection.query(
            "select forget_snapshots($1::text::text[], $2::text::text[], $3::text::text[])",
            [
                .list(checkpoint.forgotten.containers.map(\.description)),
                .list(checkpoint.forgotten.shipments), .list(checkpoint.forgotten.closures),
            ], operation)
    }

    private static func plans(
        _ connection: borrowing Connection, _ checkpoint: Checkpoint.Lines, _ batch: Int,
        _ operation: String
    ) throws(StoreFailure) {
        if !checkpoint.shipments.isEmpty {
            let rows = Rows.lines(checkpoint.shipments, batch: batch)
            try connection.copy(Rows.shipmentCopy, [rows], operation)
            try connection.run(
                """
                insert into shipment (shipment, batch, received_at, line, reading)
                    select shipment, batch, received_at, line, reading from shipment_new
                    where line <> ''
                    on conflict (shipment) do update
                    set batch = excluded.batch, received_at = excluded.received_at,
                    line = excluded.line, reading = excluded.reading, live = true
                """, operation)
            // Of some only what is known besides the line is new.
            try connection.run(
                """
                update shipment set batch = known.batch, reading = known.reading
                    from shipment_new as known
                    where known.line = '' and known.shipment = shipment.shipment
                """, operation)
        }
        for closure in checkpoint.closures {
            _ = try connection.query(
                """
                insert into closure (closure, batch, received_at, line, reading)
                    values ($1, $2::int8, 'epoch'::timestamptz + $3::int8 * interval '1 us', $4, $5)
                    on conflict (closure) do update set batch = excluded.batch,
                    received_at = excluded.received_at, line = excluded.line,
                    reading = excluded.reading
                """,
                [
                    .text(closure.key), .integer(batch),
                    .integer(Int(closure.received.microseconds)), .bytes(closure.line),
                    .bytes(closure.reading),
                ], operation)
        }
    }

    // MARK: Partitions

    func makePartitions(
        daysAhead: Int
    ) throws(StoreFailure) -> (made: Int, inDefault: Int) {
        try with { (connection) throws(StoreFailure) in
            // The feed goes first: what would make it wait is tried again later.
            try fence.begin(connection, "making partitions")
            try connection.run("set local lock_timeout = '1s'", "making partitions")
            let made = try connection.query(
                "select make_partitions($1::int8::int4)", [.integer(daysAhead)],
                "making partitions")
            try fence.commit(connection, "making partitions")
            let stray = try connection.query(
                """
                select (select count(*) from event_default) + (select count(*) from batch_default)
                    + (select count(*) from output_default)
                """, [], "looking into the default partitions")
            return (Int(made.integer(0, 0)), Int(stray.integer(0, 0)))
        }
    }

    /// Rounds of forgetting in one go: millions of rows.
    private static let tidyRounds = 500

    func tidyPartitions(keepDays: Int) throws(StoreFailure) -> Int {
        try with { (connection) throws(StoreFailure) in
            try fence.begin(connection, "dropping old partitions")
            try connection.run("set local lock_timeout = '1s'", "dropping old partitions")
            let dropped = try connection.query(
                "select drop_partitions($1::int8::int4)", [.integer(keepDays)],
                "dropping old partitions")
            try fence.commit(connection, "dropping old partitions")
            // Some thousands at a time, so that nobody waits for long; what is too much for once is gone on with.
            for _ in 0..<ReaderSession.tidyRounds {
                try fence.begin(connection, "forgetting old rows")
                let gone = try connection.query(
                    "select tidy_rows($1::int8::int4)::int8, tidy_chain()::int8",
                    [.integer(keepDays)], "forgetting old rows")
                try fence.commit(connection, "forgetting old rows")
                if gone.integer(0, 0) == 0, gone.integer(0, 1) == 0 { break }
            }
            // Of a day with many rows it takes minutes; no writer waits for it.
            try connection.run("set statement_timeout = 0", "indexing closed partitions")
            try fence.begin(connection, "indexing closed partitions")
            _ = try connection.query(
                "select index_closed_partitions()", [], "indexing closed partitions")
            try fence.commit(connection, "indexing closed partitions")
            return Int(dropped.integer(0, 0))
        }
    }
}
