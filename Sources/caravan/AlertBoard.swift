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
    /// The alert that tells of this one, too.
    let incident: String?
    /// It is about a post or a place.
    let isIncident: Bool
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
        incident = object.text("incident")
        isIncident = !object.has("container")
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
        /// Its parent, and whether it is one.
        var incident: String?
        var isIncident = false
        /// The last line that tells how it stands.
        var told: AlertLine
        var last: String
        var rev: Int

        var delayMinutes: Int { told.object.integer("delayMinutes") ?? 0 }
    }

    /// Incidents first, then worst first, those that somebody sees to last; of equals first what costs the most
    /// time, and the oldest.
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
                        convoy: line.convoy, incident: line.incident,
                        isIncident: line.isIncident, told: line, last: line.text, rev: line.rev)
                // Who saw to it saw less than this.
                if line.severity > alert.severity { alert.acknowledged = nil }
                alert.severity = line.severity
                alert.incident = line.incident ?? alert.incident
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
            if a.isIncident != b.isIncident { return a.isIncident }
            if a.severity != b.severity { return a.severity > b.severity }
            let (p, q) = (a.convoy?.isLead == true ? 0 : 1, b.convoy?.isLead == true ? 0 : 1)
            return (p, -a.delayMinutes, a.raised, a.id) < (q, -b.delayMinutes, b.raised, b.id)
        }
    }

    /// One line of the board, and what is folded into it.
    struct Row {
        var alert: Alert
        /// More boxes of its convoy, and how many of all are seen to.
        var more = 0
        var seen = 0
        /// Alerts of which it is the parent.
        var children = 0
    }

    var rows: [Row] { open.map { Row(alert: $0) } }

    /// Of boxes of one convoy the first, and how many more there are; of an incident itself, and how many
    /// alerts of boxes it tells of.
    var folded: [Row] {
        let parents = Set(open.filter(\.isIncident).map(\.id))
        var children: [String: Int] = [:]
        var convoys: [String: (count: Int, seen: Int)] = [:]
        for alert in open {
            if let parent = alert.incident, parents.contains(parent) {
                children[parent, default: 0] += 1
            } else if let convoy = alert.convoy {
                convoys[convoy.id, default: (0, 0)].count += 1
                if alert.acknowledged != nil { convoys[convoy.id]?.seen += 1 }
            }
        }
        var shown: Set<String> = []
        return open.compactMap { alert in
            if let parent = alert.incident, parents.contains(parent) { return nil }
            guard let convoy = alert.convoy else {
                return Row(alert: alert, children: children[alert.id] ?? 0)
            }
            guard shown.insert(convoy.id).inserted else { return nil }
            let all = convoys[convoy.id] ?? (1, 0)
            return Row(alert: alert, more: all.count - 1, seen: all.seen)
        }
    }
}

/// The board on a terminal.
struct AlertBoardPrinter {
    private static let boxesShown = 5

    let terminal: Terminal

    func draw(_ rows: [AlertBoard.Row]) {
        guard !rows.isEmpty else { return print("nothing is open") }
        for row in rows { draw(row) }
        let count = rows.reduce(0) { $0 + 1 + $1.more + $1.children }
        print(terminal.paint("\(count) open", .grey))
    }

    private func draw(_ row: AlertBoard.Row) {
        let (alert, more, seen) = (row.alert, row.more, row.seen)
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
        if row.children > 0 {
            details.insert("\(row.children) alerts of boxes are told by it", at: 0)
        }
        if let boxes = object.texts("containers"), !boxes.isEmpty {
            let count = object.integer("children") ?? boxes.count
            let shown = boxes.prefix(AlertBoardPrinter.boxesShown).joined(separator: " ")
            let rest = count > AlertBoardPrinter.boxesShown ? " …" : ""
            details.append(
                "\(count == 1 ? "1 box" : "\(count) boxes"): \(Printable.text(shown))\(rest)")
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
