import Engine
import Tracking

/// One link of the output's hash chain: what a batch said, and everything before it.
public struct ChainLink: Sendable, Equatable {
    public var batch: Int
    public var firstSeq: Int
    public var lastSeq: Int
    /// SHA-256.
    public var hash: [UInt8]

    public init(batch: Int, firstSeq: Int, lastSeq: Int, hash: [UInt8]) {
        self.batch = batch
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.hash = hash
    }
}

extension ReaderSession {
    /// Links in order, from the first that comes after a batch on.
    func links(after batch: Int, limit: Int) throws(StoreFailure) -> [ChainLink] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select batch, first_seq, last_seq, hash from output_chain where batch > $1::int8
                    order by batch limit $2::int8
                """, [.integer(batch), .integer(limit)], "reading the chain of the output")
            return (0..<answer.rows).map {
                ChainLink(
                    batch: Int(answer.integer($0, 0)), firstSeq: Int(answer.integer($0, 1)),
                    lastSeq: Int(answer.integer($0, 2)), hash: Array(answer.bytes($0, 3)))
            }
        }
    }

    /// The last link whose lines all come before an output number; nil: there is none.
    func link(before seq: Int) throws(StoreFailure) -> ChainLink? {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select batch, first_seq, last_seq, hash from output_chain where last_seq < $1::int8
                    order by last_seq desc limit 1
                """, [.integer(seq)], "reading the chain of the output")
            guard answer.rows > 0 else { return nil }
            return ChainLink(
                batch: Int(answer.integer(0, 0)), firstSeq: Int(answer.integer(0, 1)),
                lastSeq: Int(answer.integer(0, 2)), hash: Array(answer.bytes(0, 3)))
        }
    }
}

extension PostgresLog {
    /// Links of the output's hash chain in order, from the first that comes after a batch on.
    public func links(after batch: Int, limit: Int) async throws(StoreFailure) -> [ChainLink] {
        try await side.links(after: batch, limit: limit)
    }

    /// The last link whose lines all come before an output number; nil: there is none.
    public func link(before seq: Int) async throws(StoreFailure) -> ChainLink? {
        try await side.link(before: seq)
    }
}
