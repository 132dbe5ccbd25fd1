import Engine
import Forecast
import Server
import Store
import TLS
import Tracking

/// The figures of one daemon in Prometheus' text form. Labels are bounded: states, outcomes and codes
/// are closed lists, places are those of the network, consumers the hundred that lag most.
struct MetricsText {
    /// Places of one kind of score: those with the most forecasts.
    private static let placesShown = 100

    let figures: Figures.State
    let state: DaemonState
    /// It writes the log; a standby does not.
    let isLeader: Bool
    let lostLines: Int
    let connections: (feed: Int, tail: Int)
    let validity: TLSValidity?
    let version: String

    var text: String {
        var out = MetricsWriter()
        daemon(&out)
        ProcessFigures.current?.write(&out)
        validity.map { files($0, &out) }
        out.histogram(
            "caravan_commit_seconds", "Transactions, from begin to the end of COMMIT.",
            figures.commitSeconds)
        out.histogram(
            "caravan_ack_seconds", "Lines that were acknowledged, from their arrival to the ack.",
            figures.ackSeconds)
        out.histogram("caravan_batch_lines", "Lines of a transaction.", figures.batchLines)
        out.histogram(
            "caravan_checkpoint_seconds", "Checkpoints, while the feed goes on.",
            figures.checkpointSeconds)
        out.counter(
            "caravan_failed_commits_total", "Commits that failed and were tried again.",
            figures.failedCommits)
        consumers(&out)
        guard let report = figures.report else { return out.text }
        lines(report, &out)
        alerts(&out)
        scores(report, &out)
        return out.text
    }

    private func daemon(_ out: inout MetricsWriter) {
        out.head("caravan_build_info", "gauge", "1, with the version that runs.")
        out.line("caravan_build_info", ["version": version], 1)
        out.head("caravan_state", "gauge", "1 for the state that the daemon is in.")
        for each in DaemonState.allCases {
            out.line("caravan_state", ["state": each.rawValue], each == state ? 1 : 0)
        }
        out.gauge(
            "caravan_leader", "1 where this daemon writes the log, 0 where it stands by.",
            isLeader ? 1 : 0)
        out.counter(
            "caravan_lost_lines_total",
            "Acknowledged lines that a database which went back lost, and no spool has any more.",
            lostLines)
        out.head("caravan_connections", "gauge", "Open connections.")
        out.line("caravan_connections", ["listener": "feed"], connections.feed)
        out.line("caravan_connections", ["listener": "tail"], connections.tail)
    }

    private func files(_ validity: TLSValidity, _ out: inout MetricsWriter) {
        let name = "caravan_tls_expiry_timestamp_seconds"
        out.head(name, "gauge", "When a file of TLS ceases to be good, in seconds since 1970.")
        for (file, end) in [
            ("certificate", validity.certificateEnds), ("authorities", validity.authoritiesEnd),
            ("revocations", validity.revocationsEnd),
        ] {
            if let end { out.line(name, ["file": file], end) }
        }
    }

    private func consumers(_ out: inout MetricsWriter) {
        guard let (head, cursors) = figures.consumers, !cursors.isEmpty else { return }
        let name = "caravan_consumer_lag_lines"
        out.head(name, "gauge", "Output lines that a named consumer has not confirmed.")
        for cursor in cursors {
            out.line(name, ["consumer": cursor.cursor.text], max(0, head - cursor.seq))
        }
    }

    private func lines(_ report: WriterReport, _ out: inout MetricsWriter) {
        out.head(
            "caravan_lines_total", "counter",
            "Feed lines: received = stored + duplicate + quarantined.")
        for (outcome, count) in [
            ("received", report.counts.received), ("stored", report.counts.stored),
            ("duplicate", report.counts.duplicate), ("quarantined", report.counts.quarantined),
        ] { out.line("caravan_lines_total", ["outcome": outcome], count) }
        out.head(
            "caravan_refused_lines_total", "counter", "Quarantined lines by the reject's code.")
        for (code, count) in report.refused.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            out.line("caravan_refused_lines_total", ["code": code.rawValue], count)
        }
        out.head(
            "caravan_warned_lines_total", "counter",
            "Stored lines by what was assumed of them, be their senders told again or not.")
        for (code, count) in report.warned.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            out.line("caravan_warned_lines_total", ["code": code.rawValue], count)
        }
        out.gauge("caravan_batch", "The last batch that was decided.", report.batch)
        out.gauge("caravan_output_seq", "The last output number that was given out.", report.seq)
        out.gauge("caravan_containers", "Containers in memory.", report.containers)
        out.gauge("caravan_inbox_lines", "Lines that wait to be decided.", report.waiting)
    }

    private func alerts(_ out: inout MetricsWriter) {
        out.head(
            "caravan_open_alerts", "gauge", "Alerts that are open; of boxes of one convoy one.")
        for type in AlertType.allCases {
            for severity in Severity.allCases {
                out.line(
                    "caravan_open_alerts", ["type": type.code, "severity": severity.code],
                    figures.alerts[type, severity])
            }
        }
    }

    private func scores(_ report: WriterReport, _ out: inout MetricsWriter) {
        var rows: [(KeyValuePairs<String, String>, IntervalCalibrator.Tally)] = []
        for (index, tally) in report.scores.byHorizon.enumerated() where tally.count > 0 {
            let upTo =
                index < IntervalCalibrator.horizons.count
                ? "\(Int(IntervalCalibrator.horizons[index]))" : "beyond"
            rows.append((["horizon_minutes": upTo], tally))
        }
        // Whoever sends can name places; those that say most are shown.
        func most(
            _ places: [(place: String, tally: IntervalCalibrator.Tally)]
        ) -> [(place: String, tally: IntervalCalibrator.Tally)] {
            places.count <= MetricsText.placesShown
                ? places
                : Array(
                    places.sorted { ($1.tally.count, $0.place) < ($0.tally.count, $1.place) }
                        .prefix(MetricsText.placesShown))
        }
        for (place, tally) in most(report.places) { rows.append((["delivery": place], tally)) }
        for (place, tally) in most(report.steps) { rows.append((["step": place], tally)) }
        let measures: [(String, String, (IntervalCalibrator.Tally) -> String)] = [
            ("caravan_forecast_judged", "Forecasts that were judged.", { "\($0.count)" }),
            (
                "caravan_forecast_coverage",
                "Share of them in which it happened between p10 and p90.", { "\($0.coverage)" }
            ),
            (
                "caravan_forecast_width_minutes", "Mean width of p10 to p90.",
                { "\($0.meanWidthMinutes)" }
            ),
            (
                "caravan_forecast_error_minutes", "Mean error of the p50.",
                { "\($0.meanErrorMinutes)" }
            ),
        ]
        for (name, help, value) in measures {
            out.head(name, "gauge", help)
            for (labels, tally) in rows { out.line(name, labels, value(tally)) }
        }
    }
}
