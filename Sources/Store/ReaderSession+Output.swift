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

    func consumer(_ name: String) throws(StoreFailure) -> (seq: Int?, others: Int) {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select count(*) filter (where consumer <> $1), max(seq) filter (where consumer = $1)
                    from consumer
                """, [.text(name)], "reading a consumer's cursor")
            let seq = answer.isNull(0, 1) ? nil : Int(answer.integer(0, 1))
            return (seq, Int(answer.integer(0, 0)))
        }
    }

    /// The named consumers that have confirmed least, with how far and when.
    func consumers(limit: Int) throws(StoreFailure) -> [ConsumerCursor] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select consumer, seq, extract(epoch from confirmed_at)::int8
                    from consumer order by seq, consumer limit $1::int8
                """, [.integer(limit)], "reading the consumers' cursors")
            return (0..<answer.rows).map {
                ConsumerCursor(
                    name: answer.text($0, 0) ?? "", seq: Int(answer.integer($0, 1)),
                    confirmedAt: Instant(microseconds: Int64(answer.integer($0, 2)) * 1_000_000))
            }
        }
    }

    func confirm(_ name: String, _ seq: Int, names: Int) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            // Tails read over this session: it does not wait for a standby, and what a failover loses
            // of a cursor is sent once more.
            try connection.run(
                "begin; set local synchronous_commit = local", "confirming a consumer's cursor")
            let answer = try connection.query(
                """
                insert into consumer (consumer, seq)
                    select $1, least($2::int8, (select seq from head))
                    where (select count(*) from consumer where consumer <> $1) < $3::int8
                    on conflict (consumer) do update
                    set seq = greatest(consumer.seq, excluded.seq), confirmed_at = now()
                    returning seq
                """, [.text(name), .integer(seq), .integer(names)],
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
