import Engine
import Log
import Tracking
import Wire

/// What people and tails read: the output, and the lines that a container's events came in.
extension ReaderSession {
    func output(after seq: Int, limit: Int) throws(StoreFailure) -> [OutputLine] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select seq, kind, type, severity, container, shipment, place, body from output
                    where seq > $1::int8 order by seq limit $2::int8
                """, [.integer(seq), .integer(limit)], "reading the output")
            return (0..<answer.rows).map { row in
                OutputLine(
                    seq: Int(answer.integer(row, 0)), kind: answer.text(row, 1) ?? "",
                    type: answer.text(row, 2),
                    severity: answer.isNull(row, 3)
                        ? nil : Severity(rawValue: UInt8(answer.integer(row, 3))),
                    container: answer.text(row, 4), shipment: answer.text(row, 5),
                    place: answer.text(row, 6), bytes: Array(answer.bytes(row, 7)))
            }
        }
    }

    func outputRange() throws(StoreFailure) -> (first: Int, last: Int) {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select coalesce((select min(seq) from output), head.seq + 1), head.seq from head
                """, [], "reading the output")
            return (Int(answer.integer(0, 0)), Int(answer.integer(0, 1)))
        }
    }

    /// The head as it stands, without taking it over.
    func head() throws(StoreFailure) -> LogHead {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select epoch, batch, seq, log::text, went_back_at from head", [],
                "reading the head")
            return LogHead(
                epoch: Int(answer.integer(0, 0)), batch: Int(answer.integer(0, 1)),
                seq: Int(answer.integer(0, 2)), log: answer.text(0, 3) ?? "",
                wentBackAt: answer.isNull(0, 4) ? nil : Int(answer.integer(0, 4)))
        }
    }

    func consumer(_ cursor: CursorName) throws(StoreFailure) -> (seq: Int?, others: Int) {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select count(*) filter (where reader = $2 and consumer <> $1),
                    max(seq) filter (where (reader, consumer) = ($2, $1))
                    from consumer
                """, [.text(cursor.name), .text(cursor.consumer)], "reading a consumer's cursor")
            let seq = answer.isNull(0, 1) ? nil : Int(answer.integer(0, 1))
            return (seq, Int(answer.integer(0, 0)))
        }
    }

    /// The named consumers that have confirmed least, with how far and when.
    func consumers(limit: Int) throws(StoreFailure) -> [ConsumerCursor] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select reader, consumer, seq, extract(epoch from confirmed_at)::int8
                    from consumer order by seq, reader, consumer limit $1::int8
                """, [.integer(limit)], "reading the consumers' cursors")
            return (0..<answer.rows).map {
                ConsumerCursor(
                    cursor: CursorName(
                        consumer: answer.text($0, 0) ?? "", name: answer.text($0, 1) ?? ""),
                    seq: Int(answer.integer($0, 2)),
                    confirmedAt: Instant(microseconds: Int64(answer.integer($0, 3)) * 1_000_000))
            }
        }
    }

    /// The last output number before an instant, by the engine's own clock: found by halving, as batches
    /// stand in the order of their times.
    func seq(before instant: Instant) throws(StoreFailure) -> Int {
        try with { (connection) throws(StoreFailure) in
            let operation = "looking for the output before a time"
            func range(_ connection: borrowing Connection) throws(StoreFailure) -> (Int, Int)? {
                let answer = try connection.query(
                    "select min(batch), max(batch) from batch", [], operation)
                if answer.isNull(0, 0) { return nil }
                return (Int(answer.integer(0, 0)), Int(answer.integer(0, 1)))
            }
            guard var (low, high) = try range(connection) else { return 0 }
            var seq = 0
            while low <= high {
                let middle = (low + high) / 2
                let answer = try connection.query(
                    """
                    select batch, stepped_at < 'epoch'::timestamptz + $2::int8 * interval '1 us',
                        last_seq from batch where batch >= $1::int8 order by batch limit 1
                    """, [.integer(middle), .integer(Int(instant.microseconds))], operation)
                guard answer.rows > 0 else {
                    high = middle - 1
                    continue
                }
                if answer.integer(0, 1) != 0 {
                    seq = Int(answer.integer(0, 2))
                    low = Int(answer.integer(0, 0)) + 1
                } else {
                    high = middle - 1
                }
            }
            return seq
        }
    }

    func confirm(_ cursor: CursorName, _ seq: Int, names: Int) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            // Tails read over this session: it does not wait for a standby, and what a failover loses
            // of a cursor is sent once more.
            try connection.run(
                "begin; set local synchronous_commit = local", "confirming a consumer's cursor")
            let answer = try connection.query(
                """
                insert into consumer (consumer, seq, reader)
                    select $1, least($2::int8, (select seq from head)), $4
                    where (select count(*) from consumer
                        where reader = $4 and consumer <> $1) < $3::int8
                    on conflict (reader, consumer) do update
                    set seq = greatest(consumer.seq, excluded.seq), confirmed_at = now()
                    returning seq
                """,
                [
                    .text(cursor.name), .integer(seq), .integer(names), .text(cursor.consumer),
                ],
                "confirming a consumer's cursor")
            try connection.run("commit", "confirming a consumer's cursor")
            return answer.rows > 0
        }
    }

    private static func identity(_ text: String?) -> Identity {
        let hex = (text ?? "").filter { $0 != "-" }
        return Identity(
            high: UInt64(hex.prefix(16), radix: 16) ?? 0,
            low: UInt64(hex.suffix(16), radix: 16) ?? 0)
    }

    /// Containers whose events of the last month name a shipment.
    func containers(naming shipment: String) throws(StoreFailure) -> [ContainerNumber] {
        try with { (connection) throws(StoreFailure) in
            let rows = try connection.query(
                """
                select distinct container from event
                    where received_at > now() - interval '31 days' and shipment = $1
                    order by container limit $2::int8
                """, [.text(shipment), .integer(ReaderSession.linesShown)],
                "looking for the containers of \(shipment)")
            return (0..<rows.rows).compactMap { ContainerNumber(rows.text($0, 0) ?? "") }
        }
    }

    /// Lines of events that are looked up for one container: the latest.
    private static let linesShown = 1_000

    /// The lines that a container's events came in, oldest first, as far as they are kept.
    func lines(of container: ContainerNumber) throws(StoreFailure) -> [StoredLine] {
        try with { (connection) throws(StoreFailure) in
            let operation = "reading the lines of \(container)"
            let rows = try connection.query(
                """
                select batch, line, received_at, post, identity::text from (
                    select batch, line, received_at, post, identity from event
                        where container = $1
                        order by batch desc, line desc limit $2::int8
                ) latest order by batch, line
                """, [.text(container.description), .integer(ReaderSession.linesShown)], operation)
            let batches = Set((0..<rows.rows).map { Int(rows.integer($0, 0)) }).sorted()
            let blobs = try connection.query(
                "select batch, lines from batch where batch = any ($1::text::int8[])",
                [.list(batches.map { "\($0)" })], operation)
            var entries: [Int: [LogEntry]] = [:]
            for row in 0..<blobs.rows {
                entries[Int(blobs.integer(row, 0))] =
                    try? LogBlob.read(Array(blobs.bytes(row, 1))).entries
            }
            return (0..<rows.rows).compactMap { row in
                let line = Int(rows.integer(row, 1))
                guard let batch = entries[Int(rows.integer(row, 0))], line < batch.count else {
                    return nil
                }
                return StoredLine(
                    batch: Int(rows.integer(row, 0)),
                    received: Instant(
                        microseconds: rows.integer(row, 2) + BinaryRow.epochMicroseconds),
                    post: rows.text(row, 3), identity: ReaderSession.identity(rows.text(row, 4)),
                    bytes: batch[line].bytes)
            }
        }
    }
}

/// A line as it was sent, with who sent it and when it came.
public struct StoredLine: Sendable {
    public var batch: Int
    public var received: Instant
    /// nil: nobody in particular.
    public var post: String?
    /// Of the event that it speaks of.
    public var identity: Identity
    public var bytes: [UInt8]
}
