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
            state.log = log
            state.last = last
            state.first = last + 1
            state.isReady = true
            return (Array(state.loops.values), hasChanged)
        }
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
    func publish(_ lines: [OutputLine]) {
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
    }

    func look(after seq: Int, limit: Int) -> ReadResult {
        state.withLockedValue { state in
            if seq >= state.last { return .upToDate }
            if seq + 1 < state.first { return .behind }
            let end = min(state.last, seq + limit)
            var found: [OutputLine] = []
            found.reserveCapacity(end - seq)
            for number in (seq + 1)...end {
                if let line = state.ring[number % capacity] { found.append(line) }
            }
            return .lines(found)
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

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        handlers = NIOLoopBoundBox.makeBoxSendingValue([:], eventLoop: eventLoop)
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
            for handler in self.handlers.value.values { handler.pump() }
        }
    }
}
