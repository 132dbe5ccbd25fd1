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
    /// How far this daemon saw the log in an earlier life; nil: it never did.
    public var known: @Sendable () -> KnownLog?
    /// Told after each commit, before anybody else hears of it.
    public var remember: @Sendable (KnownLog) -> Void
    /// The next link of the output's hash chain, from the link before and the lines of a batch; nil: none
    /// is kept.
    public var link: (@Sendable (_ before: [UInt8], _ lines: [[UInt8]]) -> [UInt8])?

    public init(
        conninfo: String, clock: @escaping @Sendable () -> Instant,
        known: @escaping @Sendable () -> KnownLog? = { nil },
        remember: @escaping @Sendable (KnownLog) -> Void = { _ in },
        link: (@Sendable (_ before: [UInt8], _ lines: [[UInt8]]) -> [UInt8])? = nil,
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.conninfo = conninfo
        self.clock = clock
        self.known = known
        self.remember = remember
        self.link = link
        self.notice = notice
    }
}

/// The log in PostgreSQL: one writer session and, for snapshots and readers, one beside it.
public final class PostgresLog: LogStore {
    private let writer: Writer
    let side: ReaderSession
    /// What the writer waits for must not wait behind snapshots and history.
    private let loader: ReaderSession
    private let reader: ReaderSession
    /// What takes its time; no snapshot waits behind that.
    private let housekeeper: ReaderSession
    let keeper: AdminSession

    public init(_ options: StoreOptions) {
        let fence = Fence()
        writer = Writer(options, fence)
        side = ReaderSession(options, fence)
        loader = ReaderSession(options, fence, deadlineSeconds: 12)
        reader = ReaderSession(options, fence)
        housekeeper = ReaderSession(options, fence, deadlineSeconds: 3_600)
        keeper = AdminSession(options, fence)
    }

    /// Ends every exchange with the database that is under way, and makes no more: a stop waits for
    /// nothing that is away.
    public func abandon() { QueryDeadline.shared.abandon() }

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

    public func load(_ wanted: Wanted) async throws(StoreFailure) -> Loaded {
        try await loader.load(wanted)
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

    /// Where the log as it stands is behind what was seen of it, it begins anew; true: it does.
    public func declareWentBack(_ known: KnownLog) async throws(StoreFailure) -> Bool {
        try await keeper.declareWentBack(known)
    }

    /// Drops partitions past retention and indexes closed ones; rows of other tables that are past
    /// it go too.
    public func tidyPartitions(keepDays: Int) async throws(StoreFailure) -> Int {
        try await housekeeper.tidyPartitions(keepDays: keepDays)
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
    public func consumer(
        _ cursor: CursorName
    ) async throws(StoreFailure) -> (seq: Int?, others: Int) {
        try await reader.consumer(cursor)
    }

    /// The last output number before an instant.
    public func seq(before instant: Instant) async throws(StoreFailure) -> Int {
        try await reader.seq(before: instant)
    }

    /// The named consumers that have confirmed least, at most `limit`.
    public func consumers(limit: Int) async throws(StoreFailure) -> [ConsumerCursor] {
        try await reader.consumers(limit: limit)
    }

    /// False where there are `names` others already.
    public func confirm(
        _ cursor: CursorName, _ seq: Int, names: Int
    ) async throws(StoreFailure) -> Bool {
        try await reader.confirm(cursor, seq, names: names)
    }
}
