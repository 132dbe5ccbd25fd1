import Engine
import Forecast
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

/// The figures in the text form that Prometheus and its kin read: a gauge or counter per line.
public enum MetricsText {
    public static func text(
        _ report: WriterReport?, state: DaemonState, lostLines: Int = 0
    ) -> String {
        var out = ""
        func line(_ name: String, _ labels: [(String, String)], _ value: String) {
            let inner = labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",")
            out += inner.isEmpty ? "\(name) \(value)\n" : "\(name){\(inner)} \(value)\n"
        }
        func head(_ name: String, _ type: String, _ help: String) {
            out += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        }
        head("caravan_state", "gauge", "1 for the state that the daemon is in.")
        for each in DaemonState.allCases {
            line("caravan_state", [("state", each.rawValue)], each == state ? "1" : "0")
        }
        head(
            "caravan_lost_lines_total", "counter",
            "Acknowledged lines that a database which went back lost, and no spool has any more.")
        line("caravan_lost_lines_total", [], "\(lostLines)")
        guard let report else { return out }
        head(
            "caravan_lines_total", "counter",
            "Feed lines: received = stored + duplicate + quarantined.")
        for (outcome, count) in [
            ("received", report.counts.received), ("stored", report.counts.stored),
            ("duplicate", report.counts.duplicate), ("quarantined", report.counts.quarantined),
        ] { line("caravan_lines_total", [("outcome", outcome)], "\(count)") }
        head("caravan_refused_lines_total", "counter", "Quarantined lines by the reject's code.")
        for (code, count) in report.refused.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            line("caravan_refused_lines_total", [("code", code.rawValue)], "\(count)")
        }
        head(
            "caravan_warned_lines_total", "counter",
            "Stored lines by what was assumed of them, be their senders told again or not.")
        for (code, count) in report.warned.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            line("caravan_warned_lines_total", [("code", code.rawValue)], "\(count)")
        }
        for (name, value, help) in [
            ("caravan_batch", report.batch, "The last batch that was decided."),
            ("caravan_output_seq", report.seq, "The last output number that was given out."),
            ("caravan_containers", report.containers, "Containers in memory."),
            ("caravan_inbox_lines", report.waiting, "Lines that wait to be decided."),
        ] {
            head(name, "gauge", help)
            line(name, [], "\(value)")
        }
        let rows = scores(report)
        for (name, help, value) in measures {
            head(name, "gauge", help)
            for (labels, tally) in rows { line(name, labels, value(tally)) }
        }
        return out
    }

    private static let measures:
        [(String, String, @Sendable (IntervalCalibrator.Tally) -> String)] = [
            ("caravan_forecast_judged", "Forecasts that were judged.", { "\($0.count)" }),
            (
                "caravan_forecast_coverage",
                "Share of them in which it happened between p10 and p90.",
                { "\($0.coverage)" }
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

    private static func scores(
        _ report: WriterReport
    ) -> [([(String, String)], IntervalCalibrator.Tally)] {
        var rows: [([(String, String)], IntervalCalibrator.Tally)] = []
        for (index, tally) in report.scores.byHorizon.enumerated() where tally.count > 0 {
            let upTo =
                index < IntervalCalibrator.horizons.count
                ? "\(Int(IntervalCalibrator.horizons[index]))" : "beyond"
            rows.append(([("horizon_minutes", upTo)], tally))
        }
        for (place, tally) in report.places { rows.append(([("delivery", place)], tally)) }
        for (place, tally) in report.steps { rows.append(([("step", place)], tally)) }
        return rows
    }

    /// A label's value, by its bytes: a quote, a backslash and an LF are escaped as the form has it,
    /// and no other control character goes out as it is.
    static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in Printable.text(text, keepingLineFeeds: true).unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
