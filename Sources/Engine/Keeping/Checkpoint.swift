import Alerting
import Forecast
import Log
import Tracking
import Wire

/// What has changed since the last checkpoint, as of one batch. Values only: it is encoded on
/// whichever thread writes it, while the engine goes on.
public struct Checkpoint: Sendable {
    public let batch: Int
    /// Of the whole engine; nil where unchanged since the last checkpoint.
    public let network: [UInt8]?
    public let rules: [UInt8]?
    public let posts: [UInt8]?
    public let shipments: [SourceLine]
    public let closures: [SourceLine]
    /// What nothing refers to any more.
    public let forgotten: Forgotten
    /// Plans all of whose containers rest, and those that did and do not any more.
    public let resting: [String]
    public let revived: [String]
    let records: [ContainerRecord]
    let live: [Bool]
    let pools: [(key: PoolKey, pool: Pool, flow: QueuePace)]
    /// nil where no arrival was judged since the last checkpoint.
    let intervals: IntervalCalibrator?
    /// nil where nothing of it has changed.
    let alertBook: (book: AlertBook, habits: ReportingHabits)?
    let reporters: [Reporters.Habit]
    /// nil where nobody has shown a way since.
    let partings: Partings?
    let onward: Partings?
    let texts: [String]

    /// Lines of plans and closures.
    public struct Lines: Sendable {
        public var shipments: [SourceLine] = []
        public var closures: [SourceLine] = []

        public init() {}
    }

    /// Names whose snapshots go.
    public struct Forgotten: Sendable, Equatable {
        public var containers: [ContainerNumber] = []
        public var shipments: [String] = []
        public var closures: [String] = []

        public init() {}

        public var isEmpty: Bool { containers.isEmpty && shipments.isEmpty && closures.isEmpty }
    }

    public struct JourneyRow: Sendable {
        public let container: String
        public let live: Bool
        public let state: [UInt8]
    }

    public struct PoolRow: Sendable {
        public let key: [UInt8]
        public let state: [UInt8]
    }

    public var journeyCount: Int { records.count }

    /// The journeys of one slice, encoded.
    public func journeys(_ range: Range<Int>) -> [JourneyRow] {
        range.map {
            JourneyRow(
                container: records[$0].number.description, live: live[$0],
                state: RecordCoding.encode(records[$0], texts))
        }
    }

    public func poolRows() -> [PoolRow] {
        let scores = intervals.map {
            [PoolRow(key: ScoreCoding.key, state: ScoreCoding.encode($0, texts))]
        }
        let alerts = alertBook.map {
            [
                PoolRow(
                    key: AlertBookCoding.key,
                    state: AlertBookCoding.encode($0.book, $0.habits, texts))
            ]
        }
        let ways =
            (partings.map { [PartingCoding.row($0, PartingCoding.mark, texts)] } ?? [])
            + (onward.map { [PartingCoding.row($0, PartingCoding.onwardMark, texts)] } ?? [])
        return pools.map {
            PoolRow(
                key: PoolCoding.key($0.key, texts),
                state: PoolCoding.encode($0.key, $0.pool, $0.flow, texts))
        } + (scores ?? []) + (alerts ?? []) + ways
            + reporters.map {
                PoolRow(
                    key: ReporterCoding.key($0, texts), state: ReporterCoding.encode($0, texts))
            }
    }

    /// What may leave memory once this checkpoint is durable.
    public var quiet: Quiet {
        Quiet(
            containers: zip(records, live).filter { !$0.1 }.map(\.0.number), shipments: resting)
    }
}
