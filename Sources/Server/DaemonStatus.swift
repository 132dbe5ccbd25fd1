import NIOConcurrencyHelpers
import Tracking

/// How the house is doing, as heartbeats and log lines say it.
public final class DaemonStatus: Sendable {
    private struct State {
        var word = "no-database"
        var writer: String?
        var report: WriterReport?
        var lostLines = 0
    }

    private let current = NIOLockedValueBox(State())
    private let clock: @Sendable () -> Instant

    public init(clock: @escaping @Sendable () -> Instant) { self.clock = clock }

    /// ok, busy, no-database, read-only or draining.
    public var state: String { current.withLockedValue { $0.word } }

    /// Where the writer is, while this daemon is a standby.
    public var writer: String? { current.withLockedValue { $0.writer } }

    /// Becomes a standby of the writer at an address, or (nil) stops being one.
    public func stand(by writer: String?) { current.withLockedValue { $0.writer = writer } }

    /// The state while there is more to do than is being done.
    var busyState: String { state == "ok" ? "busy" : state }

    public func set(_ word: String) { current.withLockedValue { $0.word = word } }

    func report(_ report: WriterReport) { current.withLockedValue { $0.report = report } }

    /// Acknowledged lines that a database which went back has lost, and that no spool has any more.
    func lost(_ lines: Int) {
        current.withLockedValue {
            $0.lostLines = Int(clamping: UInt($0.lostLines) + UInt(max(0, lines)))
        }
    }

    /// The figures as `MetricsText` writes them.
    public var metrics: String {
        let (report, word, lost) = current.withLockedValue { ($0.report, $0.word, $0.lostLines) }
        return MetricsText.text(report, state: word, lostLines: lost)
    }

    func now() -> Instant { clock() }
}
