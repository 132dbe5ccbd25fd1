import ArgumentParser
import Engine
import Forecast
import Foundation
import Store
import Tracking
import Wire

struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "A container's or shipment's journey: what happened, what is expected, what is late.",
        discussion: """
            Reads the daemon's snapshots, which follow the log by a second when it is quiet and by
            at most a minute under load.

            EXAMPLES
              caravan show MSKU0308961
              caravan show SHP-1 --config /etc/caravan/caravan.yaml
              caravan show --scores
            """)

    @Argument(help: "A container number or a shipment.")
    var name: String?

    @Flag(name: .long, help: "How good the forecasts have been so far, by horizon and by place.")
    var scores = false

    @OptionGroup var options: DatabaseOptions

    @Option(
        name: .long, help: "Seen from this moment (RFC 3339); otherwise now, or the last batch.")
    var at: String?

    func validate() throws {
        guard scores || name != nil else {
            throw ValidationError("say what to show: a container, a shipment, or --scores")
        }
    }

    func run() async throws {
        try await Console.failing {
            if scores {
                let store = PostgresLog(
                    StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
                var engine = Engine()
                try engine.restore(try await fresh(store, about: ""))
                return showScores(engine)
            }
            let name = name ?? ""
            let store = PostgresLog(
                StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
            let snapshot = try await fresh(store, about: name)
            var engine = Engine()
            try engine.restore(snapshot)
            var seen = wallNow()
            // A demonstration's clock runs ahead of the wall's.
            if let last = try await store.lastStep() { seen = max(seen, last) }
            if let at {
                guard let time = TimeText.parse(at)?.instant else {
                    throw Failure("--at is '\(at)'; allowed is an RFC 3339 time")
                }
                seen = time
            }
            var containers = engine.containers(of: name) ?? []
            if let number = ContainerNumber(name) { containers = [number] }
            let views = containers.compactMap { engine.view($0, now: seen) }
            guard !views.isEmpty else { throw Failure("nothing is known of \(name)") }
            for view in views {
                if Terminal.isTerminal { draw(view, seen) } else { writeJSON(view) }
            }
        }
    }

    private func showScores(_ engine: Engine) {
        func row(_ kind: StaticString, _ name: String, _ tally: IntervalGuard.Tally) {
            if Terminal.isTerminal {
                print(
                    Terminal.padded(Printable.text(name), 22)
                        + String(
                            format: "%7d arrivals, %5.1f %% within p10…p90, ", tally.count,
                            tally.coverage * 100)
                        + "interval \(Terminal.span(tally.meanWidthMinutes)), "
                        + "error \(Terminal.span(tally.meanErrorMinutes))")
                return
            }
            var out = JSONWriter()
            out.begin()
            out.field(kind, name)
            out.field("arrivals", tally.count)
            out.share("coverage", tally.coverage)
            out.field("widthMinutes", Int(tally.meanWidthMinutes.rounded()))
            out.field("errorMinutes", Int(tally.meanErrorMinutes.rounded()))
            out.endLine()
            Console.write(out.bytes)
        }
        for (index, tally) in engine.intervals.byHorizon.enumerated() {
            let name =
                index < IntervalGuard.horizons.count
                ? "up to " + Terminal.span(IntervalGuard.horizons[index]) + " ahead" : "beyond"
            row("horizon", name, tally)
        }
        for score in engine.placeScores { row("place", score.place, score.tally) }
        for score in engine.stepScores { row("step", score.place, score.tally) }
    }

    /// The snapshots, once they hold what the log held when we asked; or after three seconds as
    /// they are.
    private func fresh(_ store: PostgresLog, about name: String) async throws -> Snapshot {
        let head = try await store.headBatch()
        for _ in 0..<30 {
            let snapshot = try await store.snapshot(about: name)
            if snapshot.batch >= head { return snapshot }
            try await Task.sleep(for: .milliseconds(100))
        }
        return try await store.snapshot(about: name)
    }

    // MARK: On a terminal

    private func draw(_ view: ContainerView, _ now: Instant) {
        let terminal = Terminal()
        for journey in view.journeys {
            var head = terminal.paint(view.container.description, .bold)
            if let shipment = journey.shipment { head += "  \(Printable.text(shipment))" }
            print(head)
            if let promised = journey.promised {
                let zone = journey.stops.last?.zone ?? .utc
                var line = "promised \(Terminal.local(promised, zone))"
                if let probability = journey.lateProbability {
                    let ink: Terminal.Ink = probability > 0.5 ? .red : .green
                    line += terminal.paint(
                        String(format: ", late with probability %.0f %%", probability * 100), ink)
                }
                print(line)
            }
            for alert in journey.alerts {
                print(
                    terminal.paint(
                        "\(alert.type.code) (\(alert.severity.code)) at "
                            + "\(Printable.text(alert.place)): "
                            + Terminal.span(Double(alert.delayMinutes)), .red))
            }
            drawStops(journey, terminal, now)
            print("")
        }
        if view.journeys.isEmpty { drawReports(view, terminal) }
    }

    /// A timeline: dots for what happened, bars from p10 to p90 for what is expected.
    private func drawStops(
        _ journey: ContainerView.JourneyView, _ terminal: Terminal, _ now: Instant
    ) {
        let known = journey.stops.compactMap { $0.reached ?? $0.p10 }
        let ends = journey.stops.compactMap { $0.reached ?? $0.p90 } + [now]
        guard let first = known.min(), let last = ends.max() else { return }
        let width = 40
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
                cells[column(reached)] = "●"
                when = Terminal.local(reached, stop.zone)
                ink = .green
            } else if let p10 = stop.p10, let p50 = stop.p50, let p90 = stop.p90 {
                for at in column(p10)...max(column(p10), column(p90)) { cells[at] = "─" }
                cells[column(p50)] = "◆"
                when =
                    Terminal.local(p50, stop.zone)
                    + " ±" + Terminal.span(p90.minutes(since: p10) / 2)
                ink = .cyan
            } else {
                when = "not reported"
            }
            print(
                "  \(stop.code.code) \(Terminal.padded(Printable.text(stop.name), 26)) "
                    + terminal.paint(String(cells), ink) + " \(when)")
        }
    }

    private func drawReports(_ view: ContainerView, _ terminal: Terminal) {
        print(terminal.paint(view.container.description, .bold) + "  no plan")
        for report in view.reports {
            print(
                "  \(Terminal.local(report.time, report.zone))  \(report.code.prose) "
                    + Printable.text(report.name)
                    + (report.retracted ? " (retracted)" : ""))
        }
    }

    // MARK: In a pipe

    private func writeJSON(_ view: ContainerView) {
        var out = JSONWriter()
        out.begin()
        out.field("container", view.container)
        out.objects("journeys", view.journeys) { journey, out in
            out.field("shipment", journey.shipment)
            out.field("promised", journey.promised)
            out.share("lateProbability", journey.lateProbability)
            out.objects("milestones", journey.stops) { stop, out in
                out.field("place", stop.place)
                out.field("event", stop.code.code)
                out.field("planned", stop.planned)
                out.field("actual", stop.reached)
                if stop.reached == nil {
                    out.field("p10", stop.p10)
                    out.field("p50", stop.p50)
                    out.field("p90", stop.p90)
                }
            }
            out.objects("alerts", journey.alerts) { alert, out in
                out.field("type", alert.type.code)
                out.field("severity", alert.severity.code)
                out.field("place", alert.place)
                out.field("delayMinutes", alert.delayMinutes)
            }
        }
        out.objects("events", view.reports) { report, out in
            out.field("time", report.time)
            out.field("event", report.code.code)
            out.field("class", report.eventClass.code)
            out.field("place", report.place)
            out.field("shipment", report.shipment)
            if report.retracted { out.field("retracted", true) }
        }
        out.endLine()
        Console.write(out.bytes)
    }
}
