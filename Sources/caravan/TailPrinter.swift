import FoundationEssentials
import Host
import Tracking
import Wire

/// Output lines as people read them.
struct TailPrinter {
    private let terminal: Terminal
    private let network: Network

    init(terminal: Terminal, network: Network = NetworkFile.shipped) {
        self.terminal = terminal
        self.network = network
    }

    /// One line of text for a JSON line; nil for those that say nothing to a person.
    func text(_ line: String) -> String? {
        guard let object = FlatObject(line) else { return Printable.text(line) }
        switch object.text("kind") {
        case "eta": return eta(object)
        case "alert": return alert(object)
        case "gap":
            let (from, to) = (object.integer("from") ?? 0, object.integer("to") ?? 0)
            return terminal.paint("lines \(from) to \(to) are no longer kept", .yellow)
        case "score": return score(object)
        case "welcome", "heartbeat", "caught-up": return nil
        default:
            if let error = shown(object, "error") { return terminal.paint(error, .red) }
            return Printable.json(line)
        }
    }

    /// A member as a terminal may have it: what it holds may be a stranger's.
    private func shown(_ object: FlatObject, _ key: String) -> String? {
        object.text(key).map { Printable.text($0) }
    }

    private func place(_ object: FlatObject) -> (name: String, zone: ZoneRule) {
        let id = object.text("place") ?? ""
        guard let known = network.place(id) else { return (Printable.text(id), .utc) }
        return (network.places[known].name, network.places[known].zone)
    }

    private func eta(_ object: FlatObject) -> String {
        let (name, zone) = place(object)
        if let actual = object.text("actual") { return arrival(object, actual, name, zone) }
        if let unknown = shown(object, "unknown") {
            let time = object.instant("time").map { Terminal.local($0, zone) } ?? ""
            return terminal.paint(time, .grey) + "  " + terminal.paint("eta  ", .cyan) + " "
                + terminal.paint(shown(object, "container") ?? "", .bold) + " "
                + Terminal.padded(name, 22) + " " + terminal.paint("unknown: \(unknown)", .yellow)
        }
        guard let p50 = object.instant("p50"), let p10 = object.instant("p10"),
            let p90 = object.instant("p90"), let time = object.instant("time")
        else { return "" }
        var text = terminal.paint(Terminal.local(time, zone), .grey) + "  "
        text += terminal.paint("eta  ", .cyan) + " "
        text += terminal.paint(shown(object, "container") ?? "", .bold) + " "
        text += Terminal.padded(name, 22) + " "
        text += Terminal.local(p50, zone)
        let width = p90.minutes(since: p10)
        text += "  ±\(Terminal.padded(Terminal.span(width / 2), 9))"
        text += " " + bar(object.number("lateProbability"))
        if object.bool("partial") == true {
            let basis =
                switch object.integer("wentOn") {
                case nil: ""
                case 0: ", it is the network's nearest place"
                case let count?: ", \(count) boxes went on from there"
                }
            text += terminal.paint(
                " a guess: no plan says where it goes next\(basis)", .grey)
        }
        let isElsewhere = object.objects("because").contains { $0.text("cause") == "route" }
        if isElsewhere, object.integer("changeMinutes") ?? 0 == 0 {
            text += terminal.paint(" by another way", .yellow)
        }
        if let change = object.integer("changeMinutes"), change != 0 {
            let ink: Terminal.Ink = change > 0 ? .yellow : .green
            text +=
                " " + terminal.paint((change > 0 ? "+" : "") + Terminal.span(Double(change)), ink)
            if let cause = object.objects("because").first {
                let id = cause.text("place") ?? ""
                let place =
                    network.place(id).map { network.places[$0].name } ?? Printable.text(id)
                text += terminal.paint(" \(shown(cause, "cause") ?? "") \(place)", .grey)
            }
        }
        return text
    }

    private func arrival(
        _ object: FlatObject, _ actual: String, _ name: String, _ zone: ZoneRule
    ) -> String {
        // Where only the day is known it is said as it is.
        let shown = TimeText.parse(actual).map { Terminal.local($0.instant, zone) }
        let time = object.instant("time").map { Terminal.local($0, zone) } ?? ""
        var text = terminal.paint(time, .grey) + "  "
        text += terminal.paint("eta  ", .cyan) + " "
        text += terminal.paint(self.shown(object, "container") ?? "", .bold) + " "
        text += Terminal.padded(name, 22) + " " + (shown ?? Printable.text(actual)) + "  arrived"
        if let deviation = object.integer("deviationMinutes") {
            let ink: Terminal.Ink = deviation > 0 ? .red : .green
            text += " " + terminal.paint(Terminal.lateness(Double(deviation)), ink)
        }
        return text
    }

    /// The late probability as five cells.
    private func bar(_ probability: Double?) -> String {
        guard let probability else { return "      " }
        let full = Int((probability * 5).rounded())
        let cells = String(repeating: "█", count: full) + String(repeating: "░", count: 5 - full)
        let ink: Terminal.Ink = probability >= 0.6 ? .red : probability >= 0.4 ? .yellow : .green
        return terminal.paint(cells, ink) + String(format: "%3.0f%%", probability * 100)
    }

    /// How good the forecasts were, in one line; `caravan show --scores` has the rest.
    private func score(_ object: FlatObject) -> String {
        let rows = object.objects("horizons")
        let arrivals = rows.reduce(0) { $0 + ($1.integer("arrivals") ?? 0) }
        func mean(_ key: String) -> Double {
            let sum = rows.reduce(0) {
                $0 + Double($1.integer("arrivals") ?? 0) * ($1.number(key) ?? 0)
            }
            return sum / Double(max(1, arrivals))
        }
        let time = object.instant("time").map { Terminal.local($0, .utc) } ?? ""
        return terminal.paint(time, .grey) + "  " + terminal.paint("score", .cyan)
            + " \(arrivals) arrivals judged, "
            + String(format: "%.0f%% within p10 to p90, ", mean("coverage") * 100)
            + "mean error \(Terminal.span(mean("errorMinutes")))"
    }

    private func alert(_ object: FlatObject) -> String {
        let (_, zone) = place(object)
        let time = object.instant("time").map { Terminal.local($0, zone) } ?? ""
        let state = object.text("state") ?? ""
        let ink: Terminal.Ink
        switch (state, object.text("severity")) {
        case ("cleared", _), ("withdrawn", _): ink = .green
        case ("acknowledged", _): ink = .cyan
        case (_, "critical"): ink = .red
        case (_, "warning"): ink = .yellow
        default: ink = .blue
        }
        let mark = terminal.paint("ALERT", ink)
        let head = terminal.paint(
            "\(shown(object, "type") ?? "") \(Printable.text(state))", ink)
        var text =
            terminal.paint(time, .grey) + "  " + mark + " " + head + ": "
            + (shown(object, "text") ?? "")
        if object.bool("flapping") == true {
            text += terminal.paint(" (it comes and goes)", .grey)
        }
        if let convoy = object.object("convoy"), let count = convoy.integer("count"), count > 1 {
            text += terminal.paint(" (\(count) boxes of one train so far)", .grey)
        }
        if let silence = shown(object, "silenced") {
            text += terminal.paint(" (silenced by \(silence))", .grey)
        }
        return text
    }
}
