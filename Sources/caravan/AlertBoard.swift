import Host
import Tracking
import Wire

/// One line of an alert, as far as a board needs it.
struct AlertLine {
    let text: String
    let id: String
    let rev: Int
    let state: String
    let severity: Severity
    let time: Instant
    let convoy: (id: String, isLead: Bool)?
    let object: FlatObject

    init?(_ text: String, _ object: FlatObject) {
        guard let id = object.text("alert"), let rev = object.integer("rev"),
            let state = object.text("state"), let time = object.instant("time"),
            let severity = object.text("severity").flatMap({ Severity(code: $0) })
        else { return nil }
        self.text = text
        self.id = id
        self.rev = rev
        self.state = state
        self.time = time
        self.severity = severity
        self.object = object
        convoy = object.object("convoy").flatMap { inner in
            inner.text("id").map { ($0, inner.bool("lead") == true) }
        }
    }
}

/// What is open, made from the lines of all alerts.
struct AlertBoard {
    struct Alert {
        var id: String
        var severity: Severity
        var raised: Instant
        /// Somebody sees to it: who, what was said, and until when.
        var acknowledged: (by: String, note: String, until: Instant?)?
        var convoy: (id: String, isLead: Bool)?
        /// The last line that tells how it stands.
        var told: AlertLine
        var last: String
        var rev: Int
    }

    /// Worst first, those that somebody sees to last; of equals the oldest first.
    let open: [Alert]

    /// `now`: what somebody saw to until before that is nobody's any more.
    init(_ lines: [AlertLine], now: Instant) {
        var alerts: [String: Alert] = [:]
        for line in lines {
            switch line.state {
            case "cleared", "withdrawn": alerts[line.id] = nil
            case "acknowledged":
                alerts[line.id]?.acknowledged = (
                    line.object.text("by") ?? "somebody", line.object.text("note") ?? "",
                    line.object.instant("until")
                )
                alerts[line.id]?.last = line.text
                alerts[line.id]?.rev = line.rev
            default:
                var alert =
                    alerts[line.id]
                    ?? Alert(
                        id: line.id, severity: line.severity, raised: line.time,
                        convoy: line.convoy, told: line, last: line.text, rev: line.rev)
                // Who saw to it saw less than this.
                if line.severity > alert.severity { alert.acknowledged = nil }
                alert.severity = line.severity
                alert.told = line
                alert.last = line.text
                alert.rev = line.rev
                alerts[line.id] = alert
            }
        }
        for (id, alert) in alerts {
            if let until = alert.acknowledged?.until, until <= now {
                alerts[id]?.acknowledged = nil
            }
        }
        open = alerts.values.sorted { a, b in
            let (x, y) = (a.acknowledged == nil ? 0 : 1, b.acknowledged == nil ? 0 : 1)
            if x != y { return x < y }
            if a.severity != b.severity { return a.severity > b.severity }
            let (p, q) = (a.convoy?.isLead == true ? 0 : 1, b.convoy?.isLead == true ? 0 : 1)
            return (a.raised, p, a.id) < (b.raised, q, b.id)
        }
    }

    /// Of boxes of one convoy the first, and how many more there are, and how many of all are seen to.
    var folded: [(alert: Alert, more: Int, seen: Int)] {
        var convoys: [String: (count: Int, seen: Int)] = [:]
        for alert in open {
            guard let convoy = alert.convoy else { continue }
            convoys[convoy.id, default: (0, 0)].count += 1
            if alert.acknowledged != nil { convoys[convoy.id]?.seen += 1 }
        }
        var shown: Set<String> = []
        return open.compactMap { alert in
            guard let convoy = alert.convoy else { return (alert, 0, 0) }
            guard shown.insert(convoy.id).inserted else { return nil }
            let all = convoys[convoy.id] ?? (1, 0)
            return (alert, all.count - 1, all.seen)
        }
    }
}

/// The board on a terminal.
struct AlertBoardPrinter {
    let terminal: Terminal

    func draw(_ rows: [(alert: AlertBoard.Alert, more: Int, seen: Int)]) {
        guard !rows.isEmpty else { return print("nothing is open") }
        for row in rows { draw(row.alert, more: row.more, seen: row.seen) }
        let count = rows.reduce(0) { $0 + 1 + $1.more }
        print(terminal.paint("\(count) open", .grey))
    }

    private func draw(_ alert: AlertBoard.Alert, more: Int, seen: Int) {
        let ink: Terminal.Ink =
            switch alert.severity {
            case .info: .blue
            case .warning: .yellow
            case .critical: .red
            }
        let object = alert.told.object
        func text(_ key: String) -> String { object.text(key).map { Printable.text($0) } ?? "" }
        print(
            terminal.paint(Terminal.padded(alert.severity.code, 9), ink)
                + Terminal.padded(text("type"), 13) + text("text"))
        var details = [
            "since \(Terminal.local(alert.raised, .utc))",
            "\(Printable.text(alert.id)) rev \(alert.rev)",
        ]
        if more > 0 {
            let known = seen > 0 ? ", \(seen) of them seen to" : ""
            details.insert("and \(more) more of its convoy\(known)", at: 0)
        }
        if let silence = object.text("silenced") {
            details.append("silenced by \(Printable.text(silence))")
        }
        if let seen = alert.acknowledged {
            let note = seen.note.isEmpty ? "" : ": \(Printable.text(seen.note))"
            details.append("\(Printable.text(seen.by)) sees to it\(note)")
        }
        print(terminal.paint("         " + details.joined(separator: " · "), .grey))
    }
}
