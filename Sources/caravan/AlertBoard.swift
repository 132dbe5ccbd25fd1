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
        /// Somebody sees to it: who, and what was said.
        var acknowledged: (by: String, note: String)?
        var convoy: (id: String, isLead: Bool)?
        /// The last line that tells how it stands.
        var told: AlertLine
        var last: String
    }

    /// Worst first, those that somebody sees to last; of equals the oldest first.
    let open: [Alert]

    init(_ lines: [AlertLine]) {
        var alerts: [String: Alert] = [:]
        for line in lines {
            switch line.state {
            case "cleared", "withdrawn": alerts[line.id] = nil
            case "acknowledged":
                alerts[line.id]?.acknowledged = (
                    line.object.text("by") ?? "somebody", line.object.text("note") ?? ""
                )
                alerts[line.id]?.last = line.text
            default:
                var alert =
                    alerts[line.id]
                    ?? Alert(
                        id: line.id, severity: line.severity, raised: line.time,
                        convoy: line.convoy, told: line, last: line.text)
                // Who saw to it saw less than this.
                if line.severity > alert.severity { alert.acknowledged = nil }
                alert.severity = line.severity
                alert.told = line
                alert.last = line.text
                alerts[line.id] = alert
            }
        }
        open = alerts.values.sorted { a, b in
            let (x, y) = (a.acknowledged == nil ? 0 : 1, b.acknowledged == nil ? 0 : 1)
            if x != y { return x < y }
            if a.severity != b.severity { return a.severity > b.severity }
            return (a.raised, a.id) < (b.raised, b.id)
        }
    }
}

/// The board on a terminal.
struct AlertBoardPrinter {
    let terminal: Terminal

    func draw(_ open: [AlertBoard.Alert], all: Bool) {
        guard !open.isEmpty else { return print("nothing is open") }
        var convoys: [String: Int] = [:]
        for alert in open { if let convoy = alert.convoy { convoys[convoy.id, default: 0] += 1 } }
        var shown: Set<String> = []
        for alert in open {
            var more = 0
            if !all, let convoy = alert.convoy {
                guard shown.insert(convoy.id).inserted else { continue }
                more = (convoys[convoy.id] ?? 1) - 1
            }
            draw(alert, more: more)
        }
        let seen = open.count { $0.acknowledged != nil }
        print(
            terminal.paint(
                "\(open.count) open, \(seen) of them acknowledged", .grey))
    }

    private func draw(_ alert: AlertBoard.Alert, more: Int) {
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
            "since \(Terminal.local(alert.raised, .utc)) UTC",
            "\(Printable.text(alert.id)) rev \(alert.told.rev)",
        ]
        if more > 0 { details.insert("and \(more) more of its convoy", at: 0) }
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
