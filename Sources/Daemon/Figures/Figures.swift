import Engine
import Forecast
import NIOConcurrencyHelpers
import Server
import Store
import TLS
import Tracking
import Wire

/// The writer's figures as of one moment.
public struct WriterReport: Sendable {
    /// Since this daemon began to lead.
    public var counts = LineCounts()
    /// Refused lines by code.
    public var refused: [LineReject.Code: Int] = [:]
    /// Stored lines by what was assumed of them.
    public var warned: [LineNote.Code: Int] = [:]
    public var batch = 0
    public var seq = 0
    public var containers = 0
    public var waiting = 0
    public var scores: IntervalCalibrator
    public var places: [(place: String, tally: IntervalCalibrator.Tally)]
    public var steps: [(place: String, tally: IntervalCalibrator.Tally)]
}

/// The daemon's figures: counted where they arise, written where somebody asks for them.
public final class Figures: Sendable {
    struct State: Sendable {
        var report: WriterReport?
        var alerts = OpenAlerts()
        /// From the start of a transaction to the end of its COMMIT, tries that failed left out.
        var commitSeconds = Histogram(bounds: Histogram.seconds)
        /// From a line's arrival in the inbox to its ack, of lines that were acknowledged.
        var ackSeconds = Histogram(bounds: Histogram.seconds)
        var batchLines = Histogram(bounds: Histogram.lines)
        var checkpointSeconds = Histogram(bounds: Histogram.seconds)
        var failedCommits = 0
        /// Last output number, and the named consumers that are the furthest behind it.
        var consumers: (head: Int, cursors: [ConsumerCursor])?
    }

    private let state = NIOLockedValueBox(State())

    public init() {}

    /// Consumers of which the lag is told; the rest are the ones that lag least.
    static let maxConsumers = 100

    func report(_ report: WriterReport, alerts: OpenAlerts?) {
        state.withLockedValue {
            $0.report = report
            if let alerts { $0.alerts = alerts }
        }
    }

    /// It writes no longer: what it knew as the writer would be told twice.
    func rest() {
        state.withLockedValue {
            $0.report = nil
            $0.alerts = OpenAlerts()
        }
    }

    func committed(lines: Int, seconds: Double) {
        state.withLockedValue {
            $0.commitSeconds.observe(seconds)
            $0.batchLines.observe(Double(lines))
        }
    }

    func commitFailed() { state.withLockedValue { $0.failedCommits &+= 1 } }

    func acknowledged(lines: Int, seconds: Double) {
        state.withLockedValue { $0.ackSeconds.observe(seconds, times: lines) }
    }

    func checkpointed(seconds: Double) {
        state.withLockedValue { $0.checkpointSeconds.observe(seconds) }
    }

    func note(head: Int, consumers: [ConsumerCursor]) {
        state.withLockedValue { $0.consumers = (head, consumers) }
    }

    var snapshot: State { state.withLockedValue { $0 } }
}
