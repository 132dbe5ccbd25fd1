import Engine
import FoundationEssentials
import Host
import Tracking
import Wire

/// A container on a terminal: its journeys as timelines, and what was reported of it.
struct JourneyDrawing {
    let now: Instant
    private let terminal = Terminal()

    init(now: Instant) { self.now = now }

    func draw(_ view: ContainerTimeline, _ reports: ReportList) {
        for journey in view.journeys {
            var head = terminal.paint(view.container.description, .bold)
            head += journey.shipment.map { "  \(Printable.text($0))" } ?? "  no plan"
            print(head)
            drawVerdict(journey)
            drawWay(journey)
            for alert in journey.alerts { print(line(alert)) }
            if journey.flags.contains(.zoneUnknown) {
                print(
                    "  times of the plan without offset, at places whose zone nobody knows: as UTC")
            } else if journey.flags.contains(.offsetAssumed) {
                print("  times of the plan without offset: on the clock of the place or the post")
            }
            if journey.isGuess {
                let basis =
                    journey.wentOn > 0
                    ? "by \(journey.wentOn) boxes that went on from there of late"
                    : "too few went on from there to one place, it is the nearest of the network"
                wrapped("the next place is a guess: \(basis)", indent: 0, .grey)
            }
            drawStops(journey)
            for estimate in journey.estimates { draw(estimate, journey) }
            print("")
        }
        if view.journeys.isEmpty {
            print(terminal.paint(view.container.description, .bold) + "  no plan")
        }
        drawReports(reports)
    }

    private func drawVerdict(_ journey: ContainerTimeline.JourneyView) {
        let zone = journey.stops.last?.zone ?? .utc
        var parts: [String] = []
        if let promised = journey.promised { parts.append("promised \(local(promised, zone))") }
        if let arrived = journey.arrived {
            var text = "arrived \(journey.isDayAlone ? day(arrived, zone) : local(arrived, zone))"
            if let deviation = journey.deviationMinutes {
                text = "arrived \(Terminal.lateness(Double(deviation))), \(local(arrived, zone))"
                text = terminal.paint(text, deviation > 0 ? .red : .green)
            }
            parts.append(text)
        } else if let probability = journey.lateProbability {
            parts.append(
                terminal.paint(
                    String(format: "late with probability %.0f %%", probability * 100),
                    probability > 0.5 ? .red : .green))
        }
        if !parts.isEmpty { print(parts.joined(separator: ", ")) }
    }

    /// What somebody says, and what is made of it.
    private func draw(_ estimate: Estimate, _ journey: ContainerTimeline.JourneyView) {
        let stop = journey.stops.first { $0.place == estimate.place && $0.code == estimate.code }
        let zone = stop?.zone ?? .utc
        let who = estimate.source.isEmpty ? "somebody" : Printable.text(estimate.source)
        var text =
            "\(who) expects \(estimate.code.code) "
            + "\(Printable.text(stop?.name ?? estimate.place)) \(local(estimate.stated, zone)), "
            + "said \(local(estimate.saidAt, zone)): "
        let share = Int((estimate.weight * 100).rounded())
        if !estimate.isKnown {
            text += "does not count yet, as nobody knows what its word is worth"
        } else if share == 0 {
            text += "does not count, by how its word came true so far"
        } else {
            text +=
                "makes \(share) % of the forecast, as \(local(estimate.p50, zone)) by how its word "
                + "came true so far"
        }
        wrapped(text, indent: 2, .grey)
    }

    private func line(_ alert: ContainerTimeline.OpenAlert) -> String {
        var text = "\(alert.type.code) (\(alert.severity.code))"
        if let since = alert.raisedAt { text += " since \(local(since, .utc))" }
        if alert.type == .late, alert.delayMinutes <= 0 {
            text += ": not any more, as it looks; the alert is about to end"
        } else {
            text += ": \(Printable.text(alert.text))"
        }
        if alert.acknowledgedUntil != nil { text += "; somebody sees to it" }
        return terminal.paint(text, .red)
    }

    private func local(_ instant: Instant, _ zone: ZoneRule) -> String {
        Terminal.local(instant, zone, now: now)
    }

    /// A timeline: dots for what happened, bars from p10 to p90 for what is expected; at most 80 columns.
    private func drawStops(_ journey: ContainerTimeline.JourneyView) {
        let known = journey.stops.compactMap { $0.reached ?? $0.p10 }
        let ends = journey.stops.compactMap { $0.reached ?? $0.p90 } + [now]
        let first = min(known.min() ?? now, now)
        let last = ends.max() ?? now
        let width = 24
        let whole = max(last.minutes(since: first), 1)
        func column(_ instant: Instant) -> Int {
            min(width - 1, max(0, Int(instant.minutes(since: first) / whole * Double(width - 1))))
        }
        for stop in journey.stops {
            var cells = [Character](repeating: "·", count: width)
            cells[column(now)] = "│"
            var when = ""
            var ink = Terminal.Ink.grey
            if let reached = stop.reached {
                cells[column(reached)] = stop.isImplied ? "○" : "●"
                when = stop.isDayAlone ? day(reached, stop.zone) : local(reached, stop.zone)
                if stop.isImplied { when = "by " + when.trimmed }
                ink = .green
            } else if stop.isPassed {
                when = "not reported"
            } else if stop.isProbablyPassed {
                when = "probably passed"
            } else if let p10 = stop.p10, let p50 = stop.p50, let p90 = stop.p90 {
                for at in column(p10)...max(column(p10), column(p90)) { cells[at] = "─" }
                cells[column(p50)] = "◆"
                when =
                    local(p50, stop.zone)
                    + " ±" + Terminal.span(p90.minutes(since: p10) / 2)
                ink = .cyan
            } else {
                when = "unknown"
            }
            let mark = stop.isExtra && stop.isPassed ? terminal.paint("+", .yellow) : " "
            print(
                " \(mark)\(stop.code.code) \(Terminal.fitted(Printable.text(stop.name), 24)) "
                    + terminal.paint(String(cells), ink) + " \(when)")
        }
        if journey.stops.contains(where: { $0.isExtra && $0.isPassed }) {
            print(terminal.paint(" + not on the plan", .grey))
        }
    }

    /// Where the box left the plan's way, and what can not be said.
    private func drawWay(_ journey: ContainerTimeline.JourneyView) {
        if let left = journey.leftAt {
            // A plan that leaves its way open is not left by going one.
            let isOpen = journey.isWayAssumed
            var text =
                isOpen
                ? "its plan leaves the way open; it goes by \(Printable.text(left.name))"
                : "off the planned way since \(Printable.text(left.name))"
            if let reached = left.reached { text += ", \(local(reached, left.zone))" }
            print(terminal.paint(text, .yellow))
            if !journey.bypassed.isEmpty, !isOpen {
                let names = Printable.text(journey.bypassed.joined(separator: ", "))
                wrapped("not on it any more: \(names)", indent: 2, .grey)
            }
        }
        if !journey.ways.isEmpty {
            let ways = journey.ways.map {
                "\(Printable.text($0.name)) \(Int(($0.share * 100).rounded())) %"
                    + ($0.isShown && !journey.isGuess ? " (shown; the end counts all)" : "")
            }
            let onward = journey.isGuess ? "from there boxes went on to" : "by"
            wrapped("\(onward) \(ways.joined(separator: ", "))", indent: 0, .yellow)
        }
        if let unknown = journey.unknown {
            wrapped("unknown: \(Printable.text(unknown))", indent: 0, .yellow)
        }
    }

    /// Prints a text in lines of 80 columns.
    private func wrapped(_ text: String, indent: Int, _ ink: Terminal.Ink) {
        let margin = String(repeating: " ", count: indent)
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + line.count + word.count + 1 > 80 {
                print(margin + terminal.paint(line, ink))
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { print(margin + terminal.paint(line, ink)) }
    }

    // MARK: Reports

    private func drawReports(_ list: ReportList) {
        guard !list.reports.isEmpty else { return }
        print("reported:")
        for report in list.reports {
            var text = "  \(when(report))  \(words(report))"
            if report.standing != .stands { text += " (\(report.standing.rawValue))" }
            let isEvidence = report.standing == .stands && report.role != .contradiction
            print(isEvidence ? text : terminal.paint(text, .grey))
            let more = details(report)
            if !more.isEmpty { wrapped(Printable.text(more), indent: 6, .grey) }
            if let why = report.why { wrapped("set aside: \(why)", indent: 6, .yellow) }
            switch report.idle {
            case .noMilestone:
                wrapped(
                    "changes nothing: its way has no such milestone, or it lies too far off",
                    indent: 6, .yellow)
            case .noPlan: wrapped("changes nothing: no plan names the box", indent: 6, .yellow)
            case .outdated: wrapped("does not count (any more)", indent: 6, .grey)
            case nil: break
            }
        }
    }

    private func when(_ report: ReportList.Report) -> String {
        let local = local(report.time, report.zone)
        guard report.flags.contains(.dateOnly) else { return local }
        return Terminal.padded(day(report.time, report.zone), local.count)
    }

    /// Where only the day is known.
    private func day(_ instant: Instant, _ zone: ZoneRule) -> String {
        local(instant, zone).split(separator: " ").prefix { !$0.contains(":") }
            .joined(separator: " ")
    }

    /// What happened, or what somebody says will.
    private func words(_ report: ReportList.Report) -> String {
        let place = Printable.text(report.name)
        let who = report.source ?? report.post
        let by = who.map { " by \(Printable.text($0))" } ?? ""
        switch report.eventClass {
        case .act: return "\(report.code.prose) \(place)"
        case .est: return "expected\(by): \(report.code.code) \(place)"
        case .pln: return "planned\(by): \(report.code.code) \(place)"
        }
    }

    private func details(_ report: ReportList.Report) -> String {
        var parts: [String] = []
        if let reason = report.reason { parts.append("reason \(reason)") }
        if let remark = report.remark { parts.append("“\(remark)”") }
        if !report.seals.isEmpty { parts.append("seals " + report.seals.joined(separator: " ")) }
        if let shipment = report.shipment { parts.append("shipment \(shipment)") }
        if report.mode != .unknown { parts.append(report.mode.code) }
        if let vehicle = report.vehicle { parts.append("vehicle \(vehicle)") }
        if let was = report.was { parts.append("moved here from \(was)") }
        if report.eventClass == .act, let source = report.source { parts.append("says \(source)") }
        if let post = report.post, report.eventClass == .act || report.source != nil {
            parts.append("post \(post)")
        }
        if report.eventClass != .act, let told = report.received {
            parts.append("told \(local(told, report.zone))")
        }
        for flag in report.flags.words { parts.append(JourneyDrawing.spoken[flag] ?? flag) }
        return parts.joined(separator: ", ")
    }

    private static let spoken = [
        "offset-assumed": "no offset sent: the clock of the place or the post",
        "zone-unknown": "nobody knows the zone: as UTC",
        "date-only": "only the day is known",
        "hour-repeated": "an hour that came twice: the earlier",
        "hour-missing": "an hour that never was: moved forward",
        "place-unknown": "no place of the network",
        "place-near": "nearly spelled like another place",
        "key-unknown": "with a key that nothing reads",
    ]
}
