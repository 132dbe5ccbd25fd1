import NIOConcurrencyHelpers
import NIOCore
import Tracking

/// What a daemon is doing, as heartbeats, figures and log lines say it.
public enum DaemonState: String, Sendable, CaseIterable {
    case ok
    /// There is more to do than is being done.
    case busy
    case noDatabase = "no-database"
    case readOnly = "read-only"
    case draining
}

/// How the house is doing.
public final class DaemonStatus: Sendable {
    private struct State {
        var current = DaemonState.noDatabase
        var writer: String?
        var lostLines = 0
        /// What there is to do about the state, where that is known.
        var because: String?
        /// When the step began that is being decided.
        var stepBegan: NIODeadline?
    }

    private let current = NIOLockedValueBox(State())
    private let clock: @Sendable () -> Instant

    public init(clock: @escaping @Sendable () -> Instant) { self.clock = clock }

    public var state: DaemonState { current.withLockedValue { $0.current } }

    /// Where the writer is, while this daemon is a standby.
    public var writer: String? { current.withLockedValue { $0.writer } }

    /// Becomes a standby of the writer at an address, or (nil) stops being one.
    public func stand(by writer: String?) { current.withLockedValue { $0.writer = writer } }

    /// The state while there is more to do than is being done.
    var busyState: DaemonState { state == .ok ? .busy : state }

    /// `because`: what there is to do about it, where that is known.
    public func set(_ state: DaemonState, because: String? = nil) {
        current.withLockedValue {
            $0.current = state
            $0.because = because
        }
    }

    /// In words, for whoever looks at the service.
    public var prose: String {
        let (state, writer, because) = current.withLockedValue {
            ($0.current, $0.writer, $0.because)
        }
        if let because, state != .draining { return "the database is not ready: \(because)" }
        if let writer, state == .ok {
            return "standing by; the writer's feed is at \(writer)"
        }
        return switch state {
        case .ok: "taking lines"
        case .busy: "taking lines; there is more to do than is being done"
        case .noDatabase: "the database is out of reach; lines wait with their senders"
        case .readOnly: "the database is read-only; lines wait with their senders"
        case .draining: "stopping: what was taken is written"
        }
    }

    /// Notes that a step is being decided, while `body` runs.
    public func step<R>(_ body: () -> R) -> R {
        current.withLockedValue { $0.stepBegan = .now() }
        defer { current.withLockedValue { $0.stepBegan = nil } }
        return body()
    }

    /// A step has been going on for so long that it will not end.
    public func isStuck(seconds: Double) -> Bool {
        let least = NIODeadline.now() - .nanoseconds(Int64(seconds * 1e9))
        return current.withLockedValue { $0.stepBegan.map { $0 < least } ?? false }
    }

    /// Acknowledged lines that a database which went back has lost, and that no spool has any more.
    func lost(_ lines: Int) {
        current.withLockedValue {
            $0.lostLines = Int(clamping: UInt($0.lostLines) + UInt(max(0, lines)))
        }
    }

    /// Those that were lost so far.
    public var lostLines: Int { current.withLockedValue { $0.lostLines } }

    func now() -> Instant { clock() }
}
