import CLibPQ
import Engine
import Log
import Schema
import Tracking
import Wire

/// The log as a stream of bytes that any machine with this build makes the same database of.
///
/// A header of one JSON line; then, table by table, a JSON line that names it and its columns, its rows as
/// COPY writes text, and `\.`; a last line that counts the rows and has the SHA-256 of all before it. Tables of the log come in the order of
/// their batches, so that two archives of equal logs are equal.
public enum Archive {
    /// Adds up what goes by.
    public protocol Seal: AnyObject {
        func add(_ bytes: [UInt8])
        /// In hexadecimal.
        func finish() -> String
    }

    /// What an archive is of.
    public struct Summary: Sendable, Equatable {
        public var log = ""
        public var batch = 0
        public var seq = 0
        public var rows = 0
        /// Batches between the first and the last that are not there.
        public var missing = 0
    }

    struct Table {
        let name: String
        let columns: [String]
        let order: String
        /// Follows from the log, where that reaches back to its first batch.
        var isSnapshot = false

        // Of names that stand here, none of them a stranger's.
        private var list: String { columns.joined(separator: ", ") }
        var copyOut: String {
            ["copy (select", list, "from", name, "order by", order, ") to stdout"]
                .joined(separator: " ")
        }
        var copyIn: String { ["copy", name, "(", list, ") from stdin"].joined(separator: " ") }
    }

    static let tables: [Table] = [
        Table(
            name: "post",
            columns: [
                "post", "zone", "places", "enrolled_at", "token_hash", "revoked_at", "sources",
                "operates",
            ], order: "post"),
        Table(
            name: "checkpoint", columns: ["batch", "network", "rules", "posts"], order: "batch",
            isSnapshot: true),
        Table(
            name: "journey", columns: ["container", "batch", "live", "state"], order: "container",
            isSnapshot: true),
        Table(
            name: "shipment",
            columns: ["shipment", "batch", "received_at", "line", "live", "rested_at", "reading"],
            order: "shipment", isSnapshot: true),
        Table(
            name: "closure", columns: ["closure", "batch", "received_at", "line", "reading"],
            order: "closure", isSnapshot: true),
        Table(
            name: "kept_line",
            columns: ["kind", "key", "batch", "received_at", "line", "reading", "cause"],
            order: "kind, key", isSnapshot: true),
        Table(name: "pool", columns: ["key", "batch", "state"], order: "key", isSnapshot: true),
        Table(
            name: "clock_correction", columns: ["post", "from_time", "until_time", "minutes"],
            order: "post, from_time"),
        Table(
            name: "reader",
            columns: [
                "reader", "token_hash", "kinds", "places", "shipments", "posts", "enrolled_at",
                "revoked_at",
            ], order: "reader"),
        Table(
            name: "consumer", columns: ["reader", "consumer", "seq", "confirmed_at"],
            order: "reader, consumer"),
        Table(
            name: "stream_mark", columns: ["post", "stream", "seq", "batch"],
            order: "post, stream"),
        Table(
            name: "batch",
            columns: [
                "recorded_at", "batch", "stepped_at", "entries", "outputs", "last_seq", "lines",
            ], order: "batch"),
        Table(
            name: "event",
            columns: [
                "received_at", "batch", "line", "container", "identity", "id", "event", "class",
                "mode", "place", "occurred_at", "offset_minutes", "updated", "shipment", "reason",
                "retract", "post", "source",
            ], order: "batch, line, container, identity"),
        Table(
            name: "quarantine",
            columns: [
                "batch", "item", "received_at", "post", "stream", "code", "field", "detail",
                "bytes", "length", "hash", "settled", "settled_at",
                "replay_as",
            ], order: "batch, item"),
        Table(
            name: "output",
            columns: [
                "recorded_at", "seq", "kind", "type", "severity", "container", "shipment", "place",
                "body",
            ], order: "seq"),
        Table(
            name: "output_chain", columns: ["batch", "first_seq", "last_seq", "hash"],
            order: "batch"),
    ]

    static func header(_ summary: Summary, first: Int, last: (day: String, to: String)) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("archive", "caravan/1")
        out.field("schema", Migrations.newest)
        out.field("log", summary.log)
        out.field("firstBatch", first)
        out.field("batch", summary.batch)
        out.field("seq", summary.seq)
        out.field("firstDay", last.day)
        out.field("lastDay", last.to)
        out.field("sealed", true)
        out.endLine()
        return out.bytes
    }

    /// Hours go by, and whoever is at the other end of a pipe may think. What is written here is read by
    /// sessions with other habits: times are written in one way.
    private static let patient = """
        set local statement_timeout = 0; set local lock_timeout = 0;
        set local idle_in_transaction_session_timeout = 0;
        set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'
        """

    // MARK: Out

    /// Writes the log as of one moment; the feed goes on meanwhile. A snapshot goes with it where the log
    /// no longer reaches back to its first batch, or where it is asked for.
    public static func write(
        _ conninfo: String, withSnapshot: Bool = false, sealedBy seal: some Seal,
        to file: ([UInt8]) throws -> Void
    ) throws -> Summary {
        func sink(_ bytes: [UInt8]) throws {
            seal.add(bytes)
            try file(bytes)
        }
        let connection = try Connection(conninfo, deadlineSeconds: 3_600)
        let operation = "writing the archive"
        // What takes hours must not be cut off for being idle in between.
        try connection.run(
            "begin isolation level repeatable read read only;" + patient, operation)
        try demandSchema(connection, operation)
        let head = try connection.query(
            """
            select log::text, batch, seq,
                coalesce((select min(batch) from batch), 0), (select count(*) from batch),
                coalesce((select min(recorded_at) at time zone 'UTC' from batch)::date, current_date)::text,
                coalesce((select max(recorded_at) at time zone 'UTC' from batch)::date, current_date)::text
                from head
            """, [], operation)
        var summary = Summary(
            log: head.text(0, 0) ?? "", batch: Int(head.integer(0, 1)),
            seq: Int(head.integer(0, 2)))
        let isWhole = head.integer(0, 4) == head.integer(0, 1)
        if head.integer(0, 4) > 0 {
            summary.missing =
                Int(head.integer(0, 1)) - Int(head.integer(0, 3)) + 1 - Int(head.integer(0, 4))
        }
        try sink(
            header(
                summary, first: Int(head.integer(0, 3)),
                last: (head.text(0, 5) ?? "", head.text(0, 6) ?? "")))
        for table in tables where !table.isSnapshot || withSnapshot || !isWhole {
            var out = JSONWriter()
            out.begin()
            out.field("table", table.name)
            out.field("columns", table.columns.joined(separator: ","))
            out.endLine()
            try sink(out.bytes)
            try connection.copyOut(table.copyOut, operation) { row in
                summary.rows += 1
                try sink(row)
            }
            try sink(Array("\\.\n".utf8))
        }
        var out = JSONWriter()
        out.begin()
        out.field("end", true)
        out.field("rows", summary.rows)
        out.field("sha256", seal.finish())
        out.endLine()
        try file(out.bytes)
        try connection.run("commit", operation)
        return summary
    }

    static func demandSchema(
        _ connection: borrowing Connection, _ operation: String
    ) throws(StoreFailure) {
        let known = try connection.query(
            "select (to_regclass('schema_version') is not null)::int::int8", [], operation)
        guard known.integer(0, 0) == 1 else {
            throw StoreFailure(
                .fatal, operation, "the database has no schema: caravan migrate first")
        }
        let found = try connection.query(
            "select coalesce(max(version), 0)::int8 from schema_version", [], operation)
        guard Int(found.integer(0, 0)) == Migrations.newest else {
            throw StoreFailure(
                .fatal, operation,
                "the database has schema version \(found.integer(0, 0)), this program needs "
                    + "\(Migrations.newest): "
                    + (found.integer(0, 0) < Migrations.newest
                        ? "caravan migrate first" : "install a newer caravan"))
        }
    }

    /// What is wrong with an archive: nothing of it was taken over.
    public struct Flaw: Error, CustomStringConvertible {
        public let description: String
    }

    // MARK: In

    /// The first line.
    private struct Header {
        let log: String
        let batch: Int
        let seq: Int
        let firstDay: String
        let lastDay: String
        /// Its end has the SHA-256 of what is before that.
        let isSealed: Bool

        init(_ line: [UInt8]?) throws {
            guard let line, let read = FlatObject(String(decoding: line, as: UTF8.self)),
                read.text("archive") == "caravan/1", let log = read.text("log"),
                let batch = read.integer("batch"), let seq = read.integer("seq"),
                let firstDay = read.text("firstDay"), let lastDay = read.text("lastDay")
            else { throw Flaw(description: "this is no archive of caravan export") }
            guard read.integer("schema") == Migrations.newest else {
                throw Flaw(
                    description:
                        "the archive is of schema version \(read.integer("schema") ?? 0), this "
                        + "program's is \(Migrations.newest): read it with the build that wrote it, then "
                        + "upgrade that database")
            }
            (self.log, self.batch, self.seq) = (log, batch, seq)
            (self.firstDay, self.lastDay) = (firstDay, lastDay)
            isSealed = read.bool("sealed") == true
        }
    }

    /// Reads an archive into an empty database, all of it or nothing. It gets a log of its own name, since
    /// the other one may go on, unless `keepsLog`: then it takes the other's place.
    public static func read(
        _ conninfo: String, keepsLog: Bool = false, sealedBy seal: some Seal,
        lines file: () throws -> [UInt8]?
    ) throws -> Summary {
        func lines() throws -> [UInt8]? {
            let line = try file()
            if let line { seal.add(line) }
            return line
        }
        let connection = try Connection(conninfo, deadlineSeconds: 3_600)
        let operation = "reading the archive"
        try connection.run("begin;" + patient, operation)
        try demandSchema(connection, operation)
        let empty = try connection.query(
            "select 1 from head where batch = 0 and epoch = 0 for update", [], operation)
        guard empty.rows == 1 else {
            throw Flaw(
                description: "the database is not empty: a log is in it already. Make a new one "
                    + "(createdb, caravan migrate), and read the archive into that")
        }
        let header = try Header(try lines())
        _ = try connection.query(
            "select make_partitions_of($1::text::date, $2::text::date)",
            [.text(header.firstDay), .text(header.lastDay)], operation)
        var summary = Summary(log: header.log, batch: header.batch, seq: header.seq)
        var isWhole = false
        while let line = try file() {
            guard let section = FlatObject(String(decoding: line, as: UTF8.self)) else {
                throw Flaw(description: "the archive is damaged behind row \(summary.rows)")
            }
            if section.bool("end") == true {
                isWhole = section.integer("rows") == summary.rows
                // Before there were seals archives had none.
                let isSealed = header.isSealed || section.has("sha256")
                guard !isSealed || section.text("sha256") == seal.finish() else {
                    throw Flaw(
                        description:
                            "the archive is damaged: it is not what was written, by its SHA-256")
                }
                guard try file() == nil else {
                    throw Flaw(description: "something follows the end of the archive")
                }
                break
            }
            seal.add(line)
            guard let table = tables.first(where: { $0.name == section.text("table") }),
                section.text("columns") == table.columns.joined(separator: ",")
            else { throw Flaw(description: "the archive has a table that is unknown here") }
            summary.rows += try connection.copyIn(
                table.copyIn, operation
            ) {
                guard let row = try lines() else {
                    throw Flaw(description: "the archive is cut short")
                }
                return row == Array("\\.\n".utf8) ? nil : row
            }
        }
        guard isWhole else {
            throw Flaw(description: "the archive is cut short: nothing was taken over")
        }
        _ = try connection.query(
            "update head set batch = $1::int8, seq = $2::int8, log = $3::text::uuid",
            [.integer(header.batch), .integer(header.seq), .text(header.log)], operation)
        if !keepsLog {
            let fresh = try connection.query("select begin_log_anew()", [], operation)
            summary.log = fresh.text(0, 0) ?? ""
        }
        try connection.commit()
        return summary
    }

    // MARK: Lines

    /// One line of the feed as it was taken.
    public struct TakenLine: Sendable {
        public let received: Instant
        public let batch: Int
        public let post: String
        public let stream: String
        public let bytes: [UInt8]
    }

    /// The lines that the log keeps, in the order in which they were decided.
    public static func lines(
        _ conninfo: String, each: (TakenLine) throws -> Void
    ) throws {
        let connection = try Connection(conninfo, deadlineSeconds: 3_600)
        let operation = "reading the log"
        try connection.run(
            "begin isolation level repeatable read read only;" + patient, operation)
        try demandSchema(connection, operation)
        var last = 0
        while true {
            let found = try connection.query(
                """
                select batch, (extract(epoch from recorded_at) * 1e6)::int8, lines from batch
                    where batch > $1::int8 order by batch limit 10
                """, [.integer(last)], operation)
            if found.rows == 0 { break }
            for row in 0..<found.rows {
                last = Int(found.integer(row, 0))
                let received = Instant(microseconds: Int64(found.integer(row, 1)))
                let entries = try LogBlob.read(Array(found.bytes(row, 2))).entries
                for entry in entries where entry.kind == .line {
                    try each(
                        TakenLine(
                            received: received, batch: last, post: entry.origin.post,
                            stream: entry.origin.stream, bytes: entry.bytes))
                }
            }
        }
        try connection.run("commit", operation)
    }
}

extension Connection {
    /// Runs a COPY … TO STDOUT and hands out its rows, each with its LF.
    func copyOut(
        _ sql: String, _ operation: String, each: ([UInt8]) throws -> Void
    ) throws {
        let answer = QueryResult(raw: watched { PQexec(raw, sql) })
        guard answer.status == PGRES_COPY_OUT else { throw failure(operation, answer) }
        var buffer: UnsafeMutablePointer<CChar>?
        while true {
            let count = watched { PQgetCopyData(raw, &buffer, 0) }
            if count < 0 { break }
            guard let bytes = buffer else { break }
            defer { PQfreemem(bytes) }
            try each(
                Array(
                    UnsafeRawBufferPointer(start: bytes, count: Int(count)).bindMemory(
                        to: UInt8.self)))
        }
        let end = QueryResult(raw: watched { PQgetResult(raw) })
        guard end.status == PGRES_COMMAND_OK else { throw failure(operation, end) }
        drain()
    }

    /// Runs a COPY … FROM STDIN with the rows that `next` hands in until it has none; returns how many.
    func copyIn(_ sql: String, _ operation: String, next: () throws -> [UInt8]?) throws -> Int {
        let answer = QueryResult(raw: watched { PQexec(raw, sql) })
        guard answer.status == PGRES_COPY_IN else { throw failure(operation, answer) }
        var rows = 0
        var pending: [UInt8] = []
        func send() -> Bool {
            let sent = pending.withUnsafeBytes {
                PQputCopyData(
                    raw, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count))
            }
            pending.removeAll(keepingCapacity: true)
            return sent == 1
        }
        var isGood = true
        while isGood, let row = try next() {
            pending += row
            rows += 1
            if pending.count > 1 << 18 { isGood = send() }
        }
        isGood = isGood && (pending.isEmpty || send()) && PQputCopyEnd(raw, nil) == 1
        let end = QueryResult(raw: watched { PQgetResult(raw) })
        guard isGood, end.status == PGRES_COMMAND_OK else {
            let failure = failure(operation, end)
            drain()
            throw failure
        }
        drain()
        return rows
    }
}
