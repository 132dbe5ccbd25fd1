import Engine
import NIOConcurrencyHelpers
import NIOCore
import Tracking
import Wire

/// The last lines of the output in memory, shared by all live tails: each has a place in it, none
/// has a queue.
public final class TailHub: Sendable {
    private struct State {
        var ring: [OutputLine?]
        /// Numbers of the lines in the ring: first … last.
        var first = 1
        var last = 0
        var log = ""
        var isReady = false
        var loops: [ObjectIdentifier: TailLoop] = [:]
        /// Where the log ended when this process first saw it.
        var beginning: Int?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// What a tail finds at its place.
    enum ReadResult: Sendable {
        case lines([OutputLine])
        /// The ring has moved on: read the store.
        case behind
        case upToDate
    }

    private let state: NIOLockedValueBox<State>
    private let capacity: Int

    /// `capacity`: lines kept in memory.
    public init(capacity: Int = 65_536) {
        self.capacity = capacity
        state = NIOLockedValueBox(State(ring: Array(repeating: nil, count: capacity)))
    }

    /// Begins after what the store already has.
    public func begin(log: String, last: Int) {
        let (loops, hasChanged) = state.withLockedValue { state -> ([TailLoop], Bool) in
            let hasChanged = state.isReady && (state.log != log || last < state.last)
            // Of another log too it is where this process first saw it.
            if state.beginning == nil || state.log != log { state.beginning = last }
            state.log = log
            state.last = last
            state.first = last + 1
            state.isReady = true
            return (Array(state.loops.values), hasChanged)
        }
        wakeWaiting()
        for loop in loops { if hasChanged { loop.begin() } else { loop.wake() } }
    }

    /// Reads on in the store, where somebody else writes it; returns the last number.
    public func follow(_ source: any TailSource) async throws(StoreFailure) {
        let last = try await source.outputRange().last
        var at = self.last
        while at < last {
            let lines = try await source.output(after: at, limit: 1_000)
            guard let end = lines.last else { break }
            publish(lines)
            at = end.seq
        }
    }

    /// Whether a log as it stands is not what the tails have read so far: nothing is known yet, it is
    /// another one, or its end lies before theirs.
    public func isAnother(log: String, last: Int) -> Bool {
        state.withLockedValue { !$0.isReady || $0.log != log || last < $0.last }
    }

    /// nil until the log has been read.
    var log: String? { state.withLockedValue { $0.isReady ? $0.log : nil } }
    var last: Int { state.withLockedValue { $0.last } }

    /// Adds durable lines and wakes the tails.
    public func publish(_ lines: [OutputLine]) {
        guard !lines.isEmpty else { return }
        let loops = state.withLockedValue { state -> [TailLoop] in
            for line in lines {
                state.ring[line.seq % capacity] = line
                state.last = line.seq
            }
            state.first = max(state.first, state.last - capacity + 1)
            return Array(state.loops.values)
        }
        for loop in loops { loop.wake() }
        wakeWaiting()
    }

    // MARK: Readers that are no connections

    /// The log as it stands, its end when this process first saw it, and its end now; nil: nobody has
    /// read it yet.
    public var place: (log: String, beginning: Int, last: Int)? {
        state.withLockedValue { $0.isReady ? ($0.log, $0.beginning ?? $0.last, $0.last) : nil }
    }

    /// Waits until there may be something behind `seq`, or another log, or the task is cancelled.
    public func wait(after seq: Int, of log: String) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isNow = state.withLockedValue { state -> Bool in
                    if Task.isCancelled || state.last > seq || state.isReady && state.log != log {
                        return true
                    }
                    state.waiting.append(continuation)
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            wakeWaiting()
        }
    }

    private func wakeWaiting() {
        let waiting = state.withLockedValue { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Lines behind `seq`, from memory or the store; where numbers are missing, a gap says so.
    public func lines(
        after seq: Int, limit: Int, source: any TailSource
    ) async throws(StoreFailure) -> [OutputLine] {
        switch look(after: seq, limit: limit) {
        case .lines(let lines): return lines
        case .upToDate: return []
        case .behind:
            // Not beyond what is known to be durable.
            let upTo = last
            return try await source.output(after: seq, limit: limit).filter { $0.seq <= upTo }
        }
    }

    func look(after seq: Int, limit: Int) -> ReadResult {
        state.withLockedValue { state in
            if seq >= state.last { return .upToDate }
            if seq + 1 < state.first { return .behind }
            let end = min(state.last, seq + limit)
            var found: [OutputLine] = []
            found.reserveCapacity(end - seq)
            for number in (seq + 1)...end {
                // Of a number that was never stored there is an older line in its place.
                if let line = state.ring[number % capacity], line.seq == number {
                    found.append(line)
                }
            }
            return found.isEmpty ? .behind : .lines(found)
        }
    }

    func loop(for eventLoop: any EventLoop) -> TailLoop {
        state.withLockedValue { state in
            let key = ObjectIdentifier(eventLoop)
            if let known = state.loops[key] { return known }
            let made = TailLoop(eventLoop)
            state.loops[key] = made
            return made
        }
    }
}

/// The tails of one event loop, woken together.
final class TailLoop: Sendable {
    private let eventLoop: any EventLoop
    private let handlers: NIOLoopBoundBox<[ObjectIdentifier: TailHandler]>
    private let isAwake = NIOLockedValueBox(false)
    private let shared: NIOLoopBoundBox<Shared>

    /// What its tails have in common.
    private struct Shared {
        var views: [TailView.Key: TailView] = [:]
        var isRound = false
        var batches: [Int: TailBatch] = [:]
    }

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        handlers = NIOLoopBoundBox.makeBoxSendingValue([:], eventLoop: eventLoop)
        shared = NIOLoopBoundBox.makeBoxSendingValue(Shared(), eventLoop: eventLoop)
    }

    /// What a tail finds at its place.
    enum Found {
        case batch(TailBatch)
        /// Memory has moved on: read the store.
        case behind
        case upToDate
    }

    /// Lines in one batch.
    private static let batchLines = 512
    /// Batches kept for those that come to the same place; who is further back reads by itself.
    private static let batchesKept = 16

    /// The lines after a place. While all are woken, those that stand at one place get one batch.
    func look(after seq: Int, _ hub: TailHub) -> Found {
        if let known = shared.value.batches[seq] { return .batch(known) }
        switch hub.look(after: seq, limit: TailLoop.batchLines) {
        case .lines(let lines):
            let batch = TailBatch(after: seq, lines)
            if shared.value.isRound, shared.value.batches.count < TailLoop.batchesKept {
                shared.value.batches[seq] = batch
            }
            return .batch(batch)
        case .behind: return .behind
        case .upToDate: return .upToDate
        }
    }

    func view(_ key: TailView.Key) -> TailView {
        let view = shared.value.views[key] ?? TailView(key)
        view.users += 1
        shared.value.views[key] = view
        return view
    }

    func release(_ view: TailView) {
        view.users -= 1
        if view.users == 0 { shared.value.views[view.key] = nil }
    }

    /// On the loop only.
    func add(_ handler: TailHandler) { handlers.value[ObjectIdentifier(handler)] = handler }

    func remove(_ handler: TailHandler) { handlers.value[ObjectIdentifier(handler)] = nil }

    /// Another log, or an older state of it: no tail can go on from where it is.
    func begin() {
        eventLoop.execute {
            for handler in self.handlers.value.values { handler.logHasChanged() }
        }
    }

    func wake() {
        let already = isAwake.withLockedValue { awake in
            defer { awake = true }
            return awake
        }
        if already { return }
        eventLoop.execute {
            self.isAwake.withLockedValue { $0 = false }
            self.shared.value.isRound = true
            for handler in self.handlers.value.values { handler.pump() }
            self.shared.value.isRound = false
            self.shared.value.batches = [:]
        }
    }
}
