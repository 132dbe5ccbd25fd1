import Synchronization
import Tracking

/// How the house is doing, as heartbeats and log lines say it.
public final class FeedStatus: Sendable {
    private let current = Mutex("no-database")
    private let clock: @Sendable () -> Instant

    public init(clock: @escaping @Sendable () -> Instant) { self.clock = clock }

    /// ok, busy, no-database, read-only or draining.
    public var state: String { current.withLock { $0 } }

    func set(_ state: String) { current.withLock { $0 = state } }

    func now() -> Instant { clock() }
}
