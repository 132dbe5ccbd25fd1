import Tracking
import Wire

/// What a store failed at: the operation, the cause, and whether the same may be tried again.
public struct StoreFailure: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The connection or the server is away: try the same again.
        case unavailable
        /// Another writer has taken over: stop writing.
        case fenced
        /// The database refuses the data itself.
        case data
        /// The database lacks what its operator gives, such as the schema or a right: looked at again
        /// until it is there.
        case unprepared
        /// Something that no repetition mends, such as a log that a later version wrote.
        case fatal
    }

    public var kind: Kind
    public var operation: String
    public var cause: String
    /// SQLSTATE where there is one.
    public var state: String?

    public init(_ kind: Kind, _ operation: String, _ cause: String, state: String? = nil) {
        self.kind = kind
        self.operation = operation
        self.cause = cause
        self.state = state
    }

    public var description: String {
        let state = state.map { " (SQLSTATE \($0))" } ?? ""
        return "\(operation): \(cause)\(state)"
    }
}

/// A row that the database refuses, and why.
public struct Culprit: Sendable, Equatable {
    /// What it is, by its index in the commit's list of those.
    public enum Row: Sendable, Equatable {
        case event(Int)
        case output(Int)
        case quarantined(Int)
        case mark(Int)
    }

    public var row: Row
    public var cause: String

    public init(_ row: Row, cause: String) {
        self.row = row
        self.cause = cause
    }
}

/// How far a daemon has seen a log, kept where the database cannot lose it.
public struct KnownLog: Sendable, Equatable {
    public var log: String
    public var batch: Int
    public var seq: Int

    public init(log: String, batch: Int, seq: Int) {
        self.log = log
        self.batch = batch
        self.seq = seq
    }
}

/// The head of the log as the writer took it over.
public struct LogHead: Sendable, Equatable {
    public var epoch: Int
    public var batch: Int
    public var seq: Int
    /// UUID of this log's history.
    public var log: String
    /// The batch at which the log last went back; nil: it never did.
    public var wentBackAt: Int?
    /// It does not reach back to its first batch any more: what has not been heard of for as long is not known.
    public var hasForgotten = false

    public init(epoch: Int, batch: Int, seq: Int, log: String, wentBackAt: Int? = nil) {
        self.epoch = epoch
        self.batch = batch
        self.seq = seq
        self.log = log
        self.wentBackAt = wentBackAt
    }

    public var known: KnownLog { KnownLog(log: log, batch: batch, seq: seq) }
}

/// The snapshots of a checkpoint, all true at the end of one batch.
public struct Snapshot: Sendable {
    public var batch: Int
    public var network: [UInt8]?
    public var rules: [UInt8]?
    /// Enrolments of posts, as the log knows them.
    public var posts: [UInt8]?
    public var shipments: [SourceLine]
    public var closures: [SourceLine]
    /// Live journeys, encoded (`RecordCoding`).
    public var journeys: [[UInt8]]
    /// Containers whose journeys rest in the store, and plans all of whose containers do.
    public var resting: [ContainerNumber]
    public var restingShipments: [String] = []
    public var pools: [[UInt8]]

    public init(
        batch: Int = 0, network: [UInt8]? = nil, rules: [UInt8]? = nil,
        shipments: [SourceLine] = [], closures: [SourceLine] = [], journeys: [[UInt8]] = [],
        resting: [ContainerNumber] = [], pools: [[UInt8]] = []
    ) {
        self.batch = batch
        self.network = network
        self.rules = rules
        self.shipments = shipments
        self.closures = closures
        self.journeys = journeys
        self.resting = resting
        self.pools = pools
    }
}

/// A plan or a closure as the line that stated it, with when that came.
public struct SourceLine: Sendable, Equatable {
    public var key: String
    public var received: Instant
    public var line: [UInt8]
    /// How it was read (`LineReading`); nothing: a line of before that was kept.
    public var reading: [UInt8]

    public init(key: String, received: Instant, line: [UInt8], reading: [UInt8] = []) {
        self.key = key
        self.received = received
        self.line = line
        self.reading = reading
    }
}

/// A batch read back for replay.
public struct LoggedBatch: Sendable {
    public var batch: Int
    public var now: Instant
    public var blob: [UInt8]
    public var lastSeq: Int

    public init(batch: Int, now: Instant, blob: [UInt8], lastSeq: Int) {
        self.batch = batch
        self.now = now
        self.blob = blob
        self.lastSeq = lastSeq
    }
}

/// A sender that an operator has enrolled.
public struct EnrolledPost: Sendable, Equatable {
    public var name: String
    /// Places that it may report; `*`: every one.
    public var places: [String]
    /// SHA-256 of its token; nil: only a certificate names it.
    public var tokenHash: [UInt8]?
    public var isRevoked: Bool
    /// Name of the zone, or the offset, of its clock; nil: that of the place that it speaks of.
    public var zone: String?
    /// Sources in whose name it may speak beside its own.
    public var sources: [String]
    /// It may acknowledge and silence alerts.
    public var mayOperate: Bool
    /// By what its times are to be corrected.
    public var corrections: [ClockCorrection] = []

    public init(
        name: String, places: [String], tokenHash: [UInt8]?, isRevoked: Bool, zone: String? = nil,
        sources: [String] = [], mayOperate: Bool = false
    ) {
        self.mayOperate = mayOperate
        self.zone = zone
        self.sources = sources
        self.name = name
        self.places = places
        self.tokenHash = tokenHash
        self.isRevoked = isRevoked
    }
}

/// How a post's link and clock look, as the daemon sees them.
public struct PostHealth: Sendable, Equatable {
    public var name: String
    public var connections: Int
    /// Lines since the last report.
    public var lines: Int
    public var forbidden: Int
    public var lastLineAt: Instant?
    /// Seconds by which its newest event time ran ahead of the daemon's clock; never negative, as
    /// an old time is no sign of a slow clock.
    public var clockAheadSeconds: Double

    public init(name: String) {
        self.name = name
        connections = 0
        lines = 0
        forbidden = 0
        lastLineAt = nil
        clockAheadSeconds = 0
    }
}

/// A line taken out of the quarantine to be judged again.
public struct QuarantinedLine: Sendable, Equatable {
    public var batch: Int
    public var item: Int
    public var receivedAt: Instant
    public var origin: Origin
    public var code: String
    public var field: String?
    public var detail: String
    public var bytes: [UInt8]
    public var length: Int
    /// replayed, discarded, or nil: it waits for somebody.
    public var settled: String?
    /// The container's number that somebody says it is about.
    public var replayAs: String?

    public init(
        batch: Int, item: Int, receivedAt: Instant, origin: Origin, code: String,
        field: String? = nil, detail: String, bytes: [UInt8], length: Int, settled: String? = nil,
        replayAs: String? = nil
    ) {
        self.batch = batch
        self.item = item
        self.receivedAt = receivedAt
        self.origin = origin
        self.code = code
        self.field = field
        self.detail = detail
        self.bytes = bytes
        self.length = length
        self.settled = settled
        self.replayAs = replayAs
    }

    public var name: String { "\(batch)/\(item)" }

    /// A line over the limit is kept by its head only.
    public var isWhole: Bool { bytes.count == length }
}

/// Where the log lives. One conformance suite tests every implementation.
public protocol LogStore: Sendable {
    /// Becomes the writer: raises the epoch and reads the head.
    func takeOver() async throws(StoreFailure) -> LogHead

    /// The snapshots of the last checkpoint.
    func snapshot() async throws(StoreFailure) -> Snapshot

    /// Batches after `batch`, ascending, as many as fit in a page; empty at the end.
    func batches(after batch: Int) async throws(StoreFailure) -> [LoggedBatch]

    /// The last output number up to `batch`, 0 for batch 0.
    func seq(at batch: Int) async throws(StoreFailure) -> Int

    /// Session marks at the head.
    func marks() async throws(StoreFailure) -> [StreamMark]

    /// Makes one transaction durable. Returns only when it is; repeating a commit that was made
    /// does nothing.
    func commit(_ commit: Commit) async throws(StoreFailure)

    /// Which rows of a commit that failed with `.data` the database does not take.
    func culprits(_ commit: Commit) async throws(StoreFailure) -> [Culprit]

    /// Replaces the snapshots by those of a newer checkpoint, in one transaction.
    func checkpoint(_ checkpoint: Checkpoint) async throws(StoreFailure)

    /// What rests in the store of containers and plans, and the plans of those containers; absent ones
    /// are left out.
    func load(_ wanted: Wanted) async throws(StoreFailure) -> Loaded

    /// Output lines with numbers after `seq`, ascending, at most `limit`.
    func output(after seq: Int, limit: Int) async throws(StoreFailure) -> [OutputLine]

    /// First and last output number kept; (last + 1, last) where none is.
    func outputRange() async throws(StoreFailure) -> (first: Int, last: Int)
}
