import Engine
import Synchronization
import Tracking
import Wire

/// The log in memory: the simulated store. It can be told to fail, before or after a commit took
/// hold, as a database does.
public final class MemoryLog: LogStore {
    public enum Fault: Sendable {
        /// The commit is lost and says so.
        case refused
        /// The commit is made, but the answer is lost.
        case unknownOutcome
    }

    private struct State {
        var epoch = 0
        var commits: [Commit] = []
        var snapshot = Snapshot()
        var journeys: [ContainerNumber: (live: Bool, state: [UInt8])] = [:]
        var shipments: [String: SourceLine] = [:]
        var restingShipments: Set<String> = []
        var closures: [String: SourceLine] = [:]
        var pools: [[UInt8]: [UInt8]] = [:]
        var marks: [Origin: Int64] = [:]
        var faults: [Fault] = []
        /// Loads that fail from now on, and how many were asked for.
        var failingLoads = 0
        var loads = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// The next commits meet these faults, in order.
    public func inject(_ faults: [Fault]) { state.withLock { $0.faults += faults } }

    /// The next loads fail.
    public func failLoads(_ count: Int) { state.withLock { $0.failingLoads = count } }

    public var loads: Int { state.withLock { $0.loads } }

    /// Containers that rest here and nowhere else.
    public var restingCount: Int { state.withLock { $0.journeys.values.count { !$0.live } } }

    public var commits: [Commit] { state.withLock { $0.commits } }

    public func takeOver() async throws(StoreFailure) -> LogHead {
        let head = state.withLock { state -> LogHead in
            state.epoch += 1
            if state.snapshot.batch > state.commits.last?.batch ?? 0 {
                // Of a history that is gone: everything is replayed.
                state.snapshot = Snapshot()
                (state.journeys, state.shipments) = ([:], [:])
                (state.closures, state.pools) = ([:], [:])
            }
            return LogHead(
                epoch: state.epoch, batch: state.commits.last?.batch ?? 0,
                seq: state.commits.last?.lastSeq ?? 0, log: "memory")
        }
        return head
    }

    public func commit(_ commit: Commit) async throws(StoreFailure) {
        let failure = state.withLock { state -> StoreFailure? in
            let last = state.commits.last?.batch ?? 0
            if last >= commit.batch { return nil }
            guard last + 1 == commit.batch else {
                return StoreFailure(.fenced, "writing batch \(commit.batch)", "the head is \(last)")
            }
            let fault = state.faults.isEmpty ? nil : state.faults.removeFirst()
            if fault == .refused {
                return StoreFailure(.unavailable, "writing batch \(commit.batch)", "injected")
            }
            state.commits.append(commit)
            for mark in commit.marks { state.marks[mark.origin] = mark.seq }
            if fault == .unknownOutcome {
                return StoreFailure(.unavailable, "COMMIT", "injected: the answer is lost")
            }
            return nil
        }
        if let failure { throw failure }
    }

    /// Memory takes everything.
    public func culprits(_ commit: Commit) async throws(StoreFailure) -> [Culprit] { [] }

    public func snapshot() async throws(StoreFailure) -> Snapshot {
        state.withLock { state in
            var snapshot = state.snapshot
            snapshot.shipments = state.shipments.values
                .filter { !state.restingShipments.contains($0.key) }.sorted { $0.key < $1.key }
            snapshot.restingShipments = state.restingShipments.sorted()
            snapshot.closures = state.closures.values.sorted { $0.key < $1.key }
            snapshot.pools = Array(state.pools.values)
            snapshot.journeys = state.journeys.values.filter(\.live).map(\.state)
            snapshot.resting = state.journeys.filter { !$0.value.live }.map(\.key)
            return snapshot
        }
    }

    public func batches(after batch: Int) async throws(StoreFailure) -> [LoggedBatch] {
        state.withLock { state in
            state.commits.filter { $0.batch > batch }.prefix(256).map {
                LoggedBatch(
                    batch: $0.batch, now: $0.now, blob: $0.blob, lastSeq: $0.lastSeq)
            }
        }
    }

    public func seq(at batch: Int) async throws(StoreFailure) -> Int {
        state.withLock { state in
            state.commits.last { $0.batch <= batch }?.lastSeq ?? 0
        }
    }

    public func marks() async throws(StoreFailure) -> [StreamMark] {
        state.withLock { state in
            state.marks.map { StreamMark(origin: $0.key, seq: $0.value) }
        }
    }

    public func checkpoint(_ checkpoint: Checkpoint) async throws(StoreFailure) {
        state.withLock { state in
            state.snapshot.batch = checkpoint.batch
            state.snapshot.network = checkpoint.network ?? state.snapshot.network
            state.snapshot.rules = checkpoint.rules ?? state.snapshot.rules
            state.snapshot.posts = checkpoint.posts ?? state.snapshot.posts
            for line in checkpoint.shipments {
                if line.line.isEmpty {
                    state.shipments[line.key]?.reading = line.reading
                } else {
                    state.shipments[line.key] = line
                }
                state.restingShipments.remove(line.key)
            }
            state.restingShipments.formUnion(checkpoint.resting)
            state.restingShipments.subtract(checkpoint.revived)
            for id in checkpoint.forgotten.closures { state.closures[id] = nil }
            for line in checkpoint.closures { state.closures[line.key] = line }
            for row in checkpoint.journeys(0..<checkpoint.journeyCount) {
                if let number = ContainerNumber(row.container) {
                    state.journeys[number] = (row.live, row.state)
                }
            }
            for row in checkpoint.poolRows() { state.pools[row.key] = row.state }
        }
    }

    public func load(_ wanted: Wanted) async throws(StoreFailure) -> Loaded {
        let found = state.withLock { state -> Loaded? in
            state.loads += 1
            if state.failingLoads > 0 {
                state.failingLoads -= 1
                return nil
            }
            var loaded = Loaded()
            loaded.journeys = wanted.containers.compactMap { state.journeys[$0]?.state }
            var names = Set(wanted.shipments)
            for journey in loaded.journeys {
                names.formUnion((try? EncodedRecord.plans(journey)) ?? [])
            }
            loaded.shipments = names.sorted().compactMap { state.shipments[$0] }
            return loaded
        }
        guard let found else { throw StoreFailure(.unavailable, "loading journeys", "injected") }
        return found
    }

    public func output(after seq: Int, limit: Int) async throws(StoreFailure) -> [OutputLine] {
        state.withLock { state in
            Array(state.commits.flatMap(\.outputs).filter { $0.seq > seq }.prefix(limit))
        }
    }

    public func outputRange() async throws(StoreFailure) -> (first: Int, last: Int) {
        state.withLock { state in
            let last = state.commits.last?.lastSeq ?? 0
            return (state.commits.flatMap(\.outputs).first?.seq ?? last + 1, last)
        }
    }
}
