import CLibPQ
import Client
import Foundation
import TestKit

/// The rows that a daemon wrote, transaction by transaction, to be written again by a loop that
/// does nothing else: the ceiling of that shape.
struct WrittenLog {
    struct Batch {
        var batchRow: [UInt8]
        var events: [UInt8] = []
        var outputs: [UInt8] = []
        var quarantined: [UInt8] = []
        var outputCount = 0
    }

    private(set) var batches: [Batch] = []
    var outputs: Int { batches.reduce(0) { $0 + $1.outputCount } }

    private static let signature: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8)

    /// The number of the last batch.
    static func lastBatch(_ conninfo: String) throws -> Int {
        var last = 0
        try Link(conninfo).read("COPY (select batch from head) TO STDOUT (FORMAT binary)") {
            last = Int($0.integer(0))
        }
        return last
    }

    private let first: Int

    /// The batches after `first`.
    init(_ conninfo: String, after first: Int) throws {
        self.first = first
        let link = try Link(conninfo)
        var place: [Int64: Int] = [:]
        var ends: [Int64] = []
        try link.read(
            "COPY (select * from batch where batch > \(first) order by batch) "
                + "TO STDOUT (FORMAT binary)"
        ) { row in
            place[row.integer(1)] = batches.count
            ends.append(row.integer(5))
            batches.append(Batch(batchRow: WrittenLog.signature + row.bytes))
            batches[batches.count - 1].outputCount = Int(row.integer(4))
        }
        try link.read("COPY (select * from event) TO STDOUT (FORMAT binary)") { row in
            guard let at = place[row.integer(1)] else { return }
            batches[at].events += row.bytes
        }
        var at = 0
        let firstSeq = batches.isEmpty ? 0 : ends[0] - Int64(batches[0].outputCount)
        try link.read("COPY (select * from output order by seq) TO STDOUT (FORMAT binary)") {
            row in
            if row.integer(1) <= firstSeq { return }
            while at < ends.count, row.integer(1) > ends[at] { at += 1 }
            if at < ends.count { batches[at].outputs += row.bytes }
        }
        try link.read("COPY (select * from quarantine) TO STDOUT (FORMAT binary)") { row in
            guard let at = place[row.integer(0)] else { return }
            batches[at].quarantined += row.bytes
        }
    }

    /// Writes the transactions into another database; returns the seconds.
    func replay(into conninfo: String) throws -> Double {
        let link = try Link(conninfo)
        try link.run("update head set epoch = 1, batch = \(first); select make_partitions(1)")
        let trailer: [UInt8] = [0xFF, 0xFF]
        let work = batches.map { batch -> (String, [[UInt8]]) in
            var sql = "BEGIN; COPY batch FROM STDIN (FORMAT binary)"
            var parts = [batch.batchRow + trailer]
            let tables = [
                ("event", batch.events), ("output", batch.outputs),
                ("quarantine", batch.quarantined),
            ]
            for (table, rows) in tables where !rows.isEmpty {
                sql += "; COPY \(table) FROM STDIN (FORMAT binary)"
                parts.append(WrittenLog.signature + rows + trailer)
            }
            return (sql, parts)
        }
        let started = LineSocket.now()
        for (number, step) in work.enumerated() {
            try link.copy(step.0, step.1)
            try link.run(
                "select advance_head(1, \(first + number), \(batches[number].outputCount))")
            try link.run("COMMIT")
        }
        return LineSocket.now() - started
    }
}

/// A plain libpq connection.
private final class Link {
    private let raw: OpaquePointer

    init(_ conninfo: String) throws {
        guard let made = PQconnectdb(conninfo), PQstatus(made) == CONNECTION_OK else {
            throw Shell.Failed("no connection to \(conninfo)")
        }
        raw = made
    }

    deinit { PQfinish(raw) }

    private func check(_ good: Bool) throws {
        guard good else { throw Shell.Failed(String(cString: PQerrorMessage(raw))) }
    }

    func run(_ sql: String) throws {
        let answer = PQexec(raw, sql)
        defer { PQclear(answer) }
        let status = PQresultStatus(answer)
        try check(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
    }

    func copy(_ sql: String, _ parts: [[UInt8]]) throws {
        var answer = PQexec(raw, sql)
        for part in parts {
            try check(PQresultStatus(answer) == PGRES_COPY_IN)
            PQclear(answer)
            try part.withUnsafeBytes { bytes in
                let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                try check(PQputCopyData(raw, start, Int32(bytes.count)) == 1)
            }
            try check(PQputCopyEnd(raw, nil) == 1)
            PQclear(PQgetResult(raw))
            answer = PQgetResult(raw)
        }
        try check(answer == nil)
    }

    /// A row of COPY's binary form.
    struct Row {
        var bytes: [UInt8]

        /// The integer in a field of 4 or 8 bytes.
        func integer(_ field: Int) -> Int64 {
            var at = 2
            for _ in 0..<field { at += 4 + max(0, Int(size(at))) }
            var value: Int64 = 0
            for byte in bytes[(at + 4)..<(at + 4 + Int(size(at)))] {
                value = value << 8 | Int64(byte)
            }
            return value
        }

        private func size(_ at: Int) -> Int32 {
            bytes[at..<(at + 4)].reduce(0) { $0 << 8 | Int32($1) }
        }
    }

    /// Reads what a COPY … TO STDOUT sends: one row per message, behind the header.
    func read(_ sql: String, _ body: (Row) -> Void) throws {
        let answer = PQexec(raw, sql)
        try check(PQresultStatus(answer) == PGRES_COPY_OUT)
        PQclear(answer)
        var buffer: UnsafeMutablePointer<CChar>?
        while true {
            let count = Int(PQgetCopyData(raw, &buffer, 0))
            if count < 0 { break }
            var bytes = UnsafeRawBufferPointer(start: buffer, count: count).map { $0 }
            PQfreemem(buffer)
            if bytes.starts(with: WrittenLog.mark) { bytes.removeFirst(19) }
            if bytes.count > 2 { body(Row(bytes: bytes)) }
        }
        while let rest = PQgetResult(raw) { PQclear(rest) }
    }
}

extension WrittenLog {
    fileprivate static let mark = Array("PGCOPY\n".utf8)
}

/// Commits of one row each by a plain loop: what the disk and the server ask for at least.
enum OneRowCommits {
    static func measure(_ conninfo: String, count: Int, rate: Int) throws -> [Double] {
        let link = try Link(conninfo)
        try link.run("create table one_row (number integer)")
        return try (0..<count).map { number in
            usleep(UInt32(1_000_000 / rate))
            let started = LineSocket.now()
            try link.run("insert into one_row values (\(number))")
            return LineSocket.now() - started
        }
    }
}
