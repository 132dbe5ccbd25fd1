import Engine
import NIOConcurrencyHelpers
import NIOCore
import Tracking
import Wire

/// Who gave lines to the writer, and is told what became of them.
public protocol FeedSink: Sendable {
    var id: Int { get }
    func deliver(_ reply: SourceReply)
    func welcome(_ hello: Hello, _ welcome: Welcome)
    func close(_ prose: String, _ code: CloseCode)
    /// False once the connection is gone: nobody need keep it any longer.
    var isOpen: Bool { get }
}

/// What a session is opened with.
public struct Welcome: Sendable {
    /// The last number of the stream that is durable.
    var resume: Int
    /// Its first line may have any later number: the log went back, and what lies between is gone.
    var mayJump = false
    /// The same of a stream that may have been forgotten, being silent for as long as the log is kept: nothing
    /// is gone.
    public var isForgotten = false
    var log = ""
    var now: Instant

    public init(resume: Int, mayJump: Bool = false, log: String = "", now: Instant) {
        self.resume = resume
        self.mayJump = mayJump
        self.log = log
        self.now = now
    }
}

/// What a feed connection hands to the writer.
public struct Intake: Sendable {
    public enum Content: Sendable {
        case lines(FeedChunk)
        case hello(Hello)
    }

    public var content: Content
    public var connection: any FeedSink
    /// Of the inbox when the connection opened.
    var generation: Int
    public let arrivedAt = NIODeadline.now()

    public init(content: Content, connection: any FeedSink, generation: Int) {
        self.content = content
        self.connection = connection
        self.generation = generation
    }

    var lineCount: Int {
        if case .lines(let chunk) = content { return chunk.lines.count }
        return 1
    }
}

/// The bounded way from the feed's event loops to the one writer: crossed by chunks, never by
/// lines. Above the high-water mark connections stop reading; under the low one they go on.
public final class Inbox: Sendable {
    private struct State {
        var queue: [Intake] = []
        var lines = 0
        var bytes = 0
        var waiter: CheckedContinuation<Void, Never>?
        /// The waiter goes on from this many lines on.
        var threshold = 1
        var isFlushed = false
        var isStopped = false
        var parked: [@Sendable () -> Void] = []
        var generation = 0
    }

    private let state = NIOLockedValueBox(State())
    private let highLines: Int
    private let highBytes: Int

    /// Reading stops at `highLines` lines or `highBytes` bytes, and goes on at half of that.
    public init(highLines: Int = 20_000, highBytes: Int = 32 << 20) {
        self.highLines = highLines
        self.highBytes = highBytes
    }

    /// Counts the resets: what a connection of an earlier one offers is not taken, as lines of it
    /// before are gone and an ack would cover them.
    public var generation: Int { state.withLockedValue { $0.generation } }

    /// Adds what was read. True: the inbox is full, stop reading and `park`. One that was stopped
    /// takes nothing: what is not acknowledged comes again.
    public func offer(_ intake: Intake) -> Bool {
        let (wake, full) = state.withLockedValue { state in
            if state.isStopped || intake.generation != state.generation {
                let nobody: CheckedContinuation<Void, Never>? = nil
                return (nobody, true)
            }
            state.queue.append(intake)
            state.lines += intake.lineCount
            if case .lines(let chunk) = intake.content { state.bytes += chunk.bytes.count }
            let wake = state.lines >= state.threshold ? Inbox.popWaiter(&state) : nil
            return (wake, isFull(state))
        }
        wake?.resume()
        return full
    }

    private func isFull(_ state: State) -> Bool {
        state.lines >= highLines || state.bytes >= highBytes
    }

    private static func popWaiter(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        defer { state.waiter = nil }
        return state.waiter
    }

    /// Calls `resume` once there is room again; at once where there is.
    func park(_ resume: @escaping @Sendable () -> Void) {
        let now = state.withLockedValue { state -> Bool in
            if !isFull(state), !state.isStopped { return true }
            state.parked.append(resume)
            return false
        }
        if now { resume() }
    }

    /// Waits until `threshold` lines are there, or somebody pokes.
    public func wait(threshold: Int) async {
        await withCheckedContinuation { continuation in
            let now = state.withLockedValue { state -> Bool in
                if state.isFlushed || state.isStopped || state.lines >= threshold {
                    state.isFlushed = false
                    return true
                }
                state.threshold = threshold
                state.waiter = continuation
                return false
            }
            if now { continuation.resume() }
        }
    }

    /// Wakes the waiter whatever is there: a commit is done, a timer is due.
    public func poke() {
        let wake = state.withLockedValue { state -> CheckedContinuation<Void, Never>? in
            if state.waiter == nil { state.isFlushed = true }
            return Inbox.popWaiter(&state)
        }
        wake?.resume()
    }

    /// Takes chunks in order, up to about `limit` lines.
    public func drain(limit: Int) -> [Intake] {
        let (taken, resumes) = state.withLockedValue {
            state -> ([Intake], [@Sendable () -> Void]) in
            var count = 0
            var lines = 0
            while count < state.queue.count, lines < limit {
                lines += state.queue[count].lineCount
                if case .lines(let chunk) = state.queue[count].content {
                    state.bytes -= chunk.bytes.count
                }
                count += 1
            }
            let taken = Array(state.queue[..<count])
            state.queue.removeFirst(count)
            state.lines -= lines
            var resumes: [@Sendable () -> Void] = []
            if state.lines <= highLines / 2, state.bytes <= highBytes / 2 {
                swap(&resumes, &state.parked)
            }
            return (taken, resumes)
        }
        for resume in resumes { resume() }
        return taken
    }

    public var isRoomy: Bool { state.withLockedValue { !isFull($0) && !$0.isStopped } }

    /// Forgets what waits, and whatever its senders offer from now on; for a writer that begins
    /// anew. They have to be told.
    public func reset() {
        let parked = state.withLockedValue { state in
            state.queue = []
            state.lines = 0
            state.bytes = 0
            state.generation += 1
            defer { state.parked = [] }
            return state.parked
        }
        for resume in parked { resume() }
    }

    public func stop() {
        state.withLockedValue { $0.isStopped = true }
        poke()
    }

    public var isStopped: Bool { state.withLockedValue { $0.isStopped } }
    public var isEmpty: Bool { state.withLockedValue { $0.queue.isEmpty } }
    /// Lines that wait.
    public var depth: Int { state.withLockedValue { $0.lines } }
}
