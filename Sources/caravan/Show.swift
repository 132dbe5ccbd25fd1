import ArgumentParser
import Engine
import Forecast
import FoundationEssentials
import Glibc
import Host
import Store
import Tracking
import Wire

struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "A container's or shipment's journey: what happened, what is expected, what is late.",
        discussion: """
            Reads the daemon's snapshots, and of a container what was reported since. Plans follow within a
            second when it is quiet, and within a minute under load.

            EXAMPLES
              caravan show MSKU0308961
              caravan show SHP-1 --config /etc/caravan/caravan.yaml
              caravan show --scores
              caravan show --sources
            """)

    @Argument(help: "A container number or a shipment.")
    var name: String?

    @Flag(name: .long, help: "How good the forecasts have been so far, by horizon and by place.")
    var scores = false

    @Flag(name: .long, help: "What those who say when boxes arrive have been worth, by source.")
    var sources = false

    @OptionGroup var options: DatabaseOptions

    @Option(
        name: .long, help: "Seen from this moment (RFC 3339); otherwise now, or the last batch.")
    var at: String?

    func validate() throws {
        if let at, TimeText.parse(at)?.instant == nil {
            throw ValidationError("--at is '\(at)'; allowed is an RFC 3339 time")
        }
        guard scores || sources || name != nil else {
            throw ValidationError(
                "say what to show: a container, a shipment, --scores or --sources")
        }
    }

    func run() async throws {
        try await Console.failing {
            if scores || sources {
                let store = PostgresLog(
                    StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
                var engine = Engine()
                try engine.restore(try await fresh(store, about: ""))
                if scores { showScores(engine) }
                if sources { SourceTable.show(engine.sourceRecords) }
                return
            }
            let name = name ?? ""
            let store = PostgresLog(
                StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
            let snapshot = try await fresh(store, about: name)
            var engine = Engine()
            try engine.restore(snapshot)
            if snapshot.network == nil { try await Show.configure(&engine, store) }
            var seen = wallNow()
            // A demonstration's clock runs ahead of the wall's.
            if let last = try await store.lastStep() { seen = max(seen, last) }
            if let at, let time = TimeText.parse(at)?.instant { seen = time }
            // A shipment may be named like a container.
            var containers = engine.containers(of: name) ?? []
            if containers.isEmpty {
                // One that only events name.
                containers = try await store.containers(naming: name)
                for container in containers {
                    let more = try await store.snapshot(about: container.description)
                    try engine.admit(Loaded(journeys: more.journeys, shipments: more.shipments))
                }
            }
            if let number = ContainerNumber(ContainerNumber.plain(name)) {
                containers.removeAll { $0 == number }
                containers.insert(number, at: 0)
            }
            var lines: [ContainerNumber: [StoredLine]] = [:]
            for container in containers {
                let found = try await store.lines(of: container)
                Show.catchUp(&engine, found.filter { $0.batch > snapshot.batch })
                lines[container] = found
            }
            let views = containers.compactMap { engine.view($0, now: seen) }
            guard !views.isEmpty else { throw Failure(Show.unknown(name)) }
            for view in views {
                let reports = ReportList(view, lines: lines[view.container] ?? [])
                if Terminal.isTerminal {
                    JourneyDrawing(now: seen).draw(view, reports)
                } else {
                    JourneyText.write(view, reports)
                }
            }
        }
    }

    /// Before the first snapshot what came into force stands in the log's first batch.
    private static func configure(_ engine: inout Engine, _ store: PostgresLog) async throws {
        guard let first = try await store.batches(after: 0).first else { return }
        _ = engine.step([], changes: try engine.inputs(of: first).changes, now: first.now)
    }

    /// Takes in what was reported since the snapshot: what is acknowledged is shown.
    private static func catchUp(_ engine: inout Engine, _ lines: [StoredLine]) {
        for line in lines {
            var chunk = FeedChunk(
                source: 0, origin: Origin(post: line.post ?? ""), text: line.bytes + [0x0A],
                parser: FeedParser())
            chunk.isLogged = true
            _ = engine.step([chunk], changes: [], now: line.received)
        }
    }

    private static func unknown(_ name: String) -> String {
        guard ContainerNumber(ContainerNumber.plain(name)) == nil else {
            return "nothing is known of \(name)"
        }
        let meant = ContainerNumber.corrected(name) ?? ContainerNumber.meant(name)
        let hint = meant.map { "; is \($0) meant?" } ?? ""
        return "nothing is known of \(name)\(hint)"
    }

    private func showScores(_ engine: Engine) {
        func row(_ kind: StaticString, _ name: String, _ tally: IntervalCalibrator.Tally) {
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
                index < IntervalCalibrator.horizons.count
                ? "up to " + Terminal.span(IntervalCalibrator.horizons[index]) + " ahead" : "beyond"
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
        Console.error(
            "caravan: the daemon is busy; what came within the last writer.checkpoint-seconds (60, if they "
                + "are not set) may not be in this yet")
        return try await store.snapshot(about: name)
    }
}
