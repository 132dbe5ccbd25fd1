import ArgumentParser
import Forecast
import FoundationEssentials
import Glibc
import Host
import Settings
import Simulation
import Tracking
import Wire

struct BacktestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backtest",
        abstract: "Replay recorded lines in event time and score the forecasts and alerts.",
        discussion: """
            After every event the shipment's delivery is forecast with what was known by then, and
            compared with what happened: by the truth file, else by the lines themselves.

            EXAMPLES
              caravan backtest --lines lines.ndjson --truth truth.csv
              zcat lines.ndjson.gz | caravan backtest --lines - --forecasts forecasts.ndjson
              caravan backtest --lines lines.ndjson --compare strict.yaml
              caravan backtest --lines lines.ndjson --truth truth.csv --without each
            """)

    @Option(name: .long, help: "Feed lines in the order of time; - for standard input.")
    var lines = "-"

    @Option(name: .long, help: "CSV with the columns plan and delivered.")
    var truth: String?

    @Option(name: .long, help: "Write each forecast as a JSON line to this file.")
    var forecasts: String?

    @Option(name: .long, help: "Write each line of the output to this file.")
    var output: String?

    @Option(name: .long, help: "Network file; the shipped one otherwise.")
    var network: String?

    @Option(
        name: .long,
        help: "A second configuration (YAML) to replay under; the difference is printed.")
    var compare: String?

    @Option(
        name: .long, help: "The configuration (YAML) whose rules count; the defaults otherwise.")
    var config: String?

    @Option(
        name: .long, parsing: .upToNextOption,
        help: ArgumentHelp(
            "Replay without a view, and print what it is worth: "
                + Views.all.map(\.name).joined(separator: ", ") + "; each: one after the other.",
            valueName: "view"))
    var without: [String] = []

    func validate() throws {
        for name in without where name != "each" && !Views.all.contains(where: { $0.name == name })
        {
            throw ValidationError(
                "there is no view \(name); there are "
                    + Views.all.map(\.name).joined(separator: ", "))
        }
    }

    func run() async throws {
        try await Console.failing {
            let input: [UInt8] = try read()
            let truth = try truth.map { try readTruth($0) } ?? (delivered: [:], held: [])
            let first = try await replay(input, config, forecasts, output, without: [])
            let scores = first.backtest.scores(truth: truth.delivered)
            report(first.backtest, scores, first.seconds)
            report(first.backtest.attention(truth: truth.delivered, held: truth.held))
            try await leaveOut(input, truth.delivered, scores)
            guard let compare else { return }
            let second = try await replay(input, compare, nil, nil, without: [])
            let others = second.backtest.scores(truth: truth.delivered)
            print("\nunder \(compare)")
            report(second.backtest, others, second.seconds)
            report(second.backtest.attention(truth: truth.delivered, held: truth.held))
            difference(scores, others)
        }
    }

    private func read() throws -> [UInt8] {
        let input = lines == "-" ? ByteFile.standardInput : try ByteFile(reading: lines)
        let bytes = try input.readAll()
        guard !bytes.isEmpty else { throw Failure("\(lines) is empty") }
        return bytes
    }

    private func replay(
        _ input: [UInt8], _ config: String?, _ forecasts: String?, _ output: String?,
        without: Views
    ) async throws -> (backtest: Backtest, seconds: Double) {
        let settings = try await Settings.load(
            file: config, overrides: network.map { ["network.file=\($0)"] } ?? [], environment: [:])
        var network = LoadedNetwork.shipped
        let networkFile = settings.text("network.file")
        if !networkFile.isEmpty {
            guard let data = FileManager.default.contents(atPath: networkFile) else {
                throw Failure("\(networkFile) cannot be read")
            }
            network = try LoadedNetwork(file: Array(data))
        }
        let sink = try forecasts.map { try ByteFile(writing: $0) }
        let file = try output.map { try ByteFile(writing: $0) }
        var said: [UInt8] = []
        var backtest = Backtest(
            network: network, rules: try settings.rules(), without: without,
            output: file == nil
                ? nil
                : { lines in for line in lines { said += line.bytes + [0x0A] } })
        let progress = Progress()
        var pending: [UInt8] = []
        let started = Date()
        var start = 0
        while start < input.count {
            let end = input[start...].firstIndex(of: 0x0A) ?? input.count
            backtest.replay(Array(input[start..<end])) { prediction in
                if sink != nil { pending += Backtest.line(prediction) }
            }
            start = end + 1
            if let sink, pending.count > 1 << 20 {
                try sink.write(pending)
                pending.removeAll(keepingCapacity: true)
            }
            if backtest.lines % 1_000 == 0 {
                progress.show("\(backtest.lines) lines, \(backtest.predictions.count) forecasts")
            }
        }
        try sink?.write(pending)
        try file?.write(said)
        progress.end()
        return (backtest, Date().timeIntervalSince(started))
    }

    /// What each view is worth: how much worse the same forecasts are without it.
    private func leaveOut(
        _ input: [UInt8], _ delivered: [String: Instant], _ all: BacktestScores
    ) async throws {
        guard !without.isEmpty, let with = all.rows.last else { return }
        let isEach = without.contains("each")
        print("\nwithout              MAE           pinball    coverage    MCC  the view")
        print(
            Terminal.padded("(nothing)", 12)
                + String(
                    format: "%10.1f         %10.1f         %8.3f %8.3f", with.maeMinutes,
                    with.pinballMinutes, with.coverage, with.mcc))
        for (name, view) in Views.all where isEach || without.contains(name) {
            let other = try await replay(input, config, nil, nil, without: view)
            guard let row = other.backtest.scores(truth: delivered).rows.last else { continue }
            func share(_ a: Double, _ b: Double) -> Double { b == 0 ? 1 : a / b }
            print(
                Terminal.padded(name, 12)
                    + String(
                        format: "%10.1f (%.3f) %10.1f (%.3f) %8.3f %8.3f", row.maeMinutes,
                        share(row.maeMinutes, with.maeMinutes), row.pinballMinutes,
                        share(row.pinballMinutes, with.pinballMinutes), row.coverage, row.mcc)
                    + "  "
                    + BacktestCommand.verdict(share(row.pinballMinutes, with.pinballMinutes)))
        }
        print(
            "one view at a time; minutes, and in brackets how many times what it is with all of them; "
                + "a few weeks of an empty daemon, or less than half a percent, say little")
    }

    /// `ratio`: of the pinball without the view to that with it.
    private static func verdict(_ ratio: Double) -> String {
        if ratio == 1 { return "is not used by these lines" }
        if abs(ratio - 1) < 0.005 { return "makes no difference" }
        return ratio > 1 ? "helps" : "harms here"
    }

    private func difference(_ a: BacktestScores, _ b: BacktestScores) {
        guard let x = a.rows.last, let y = b.rows.last else { return }
        print(
            String(
                format: "difference: MAE %+.1f min, pinball %+.1f min, coverage %+.3f, MCC %+.3f; "
                    + "alerts %+d raised, precision %+.3f, recall %+.3f, %+.2f toggles per shipment",
                y.maeMinutes - x.maeMinutes, y.pinballMinutes - x.pinballMinutes,
                y.coverage - x.coverage, y.mcc - x.mcc, b.alerts.raised - a.alerts.raised,
                b.alerts.precision - a.alerts.precision, b.alerts.recall - a.alerts.recall,
                b.alerts.togglesPerShipment - a.alerts.togglesPerShipment))
    }

    private func readTruth(
        _ path: String
    ) throws -> (delivered: [String: Instant], held: Set<String>) {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure("\(path) cannot be read")
        }
        let rows = text.split(whereSeparator: \.isNewline).map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        guard let header = rows.first,
            let plan = header.firstIndex(where: { $0 == "plan" || $0 == "shipment" }),
            let delivered = header.firstIndex(of: "delivered")
        else { throw Failure("\(path) has no columns plan (or shipment) and delivered") }
        let heldAt = header.firstIndex(of: "held")
        var found: [String: Instant] = [:]
        var held: Set<String> = []
        for row in rows.dropFirst() where row.count > max(plan, delivered) {
            if let time = TimeText.parse(String(row[delivered]))?.instant {
                found[String(row[plan])] = time
            }
            if let heldAt, heldAt < row.count, !row[heldAt].isEmpty {
                held.insert(String(row[plan]))
            }
        }
        return (found, held)
    }

    private func report(_ scores: AttentionScores) {
        print(
            String(
                format:
                    "output: %.1f eta lines per journey, pinball of the published one %.3f times "
                    + "that of the moment, %.2f of changes taken back",
                scores.etasPerJourney, scores.publishedPinballRatio, scores.takenBackShare))
        print("alert            raised  per journey  precision  ended  open, min  lead, min")
        for row in scores.types {
            print(
                Terminal.padded(row.type.code, 16)
                    + String(format: "%7d %12.3f ", row.raised, row.perJourney)
                    + (row.precision.map { String(format: "%10.3f", $0) } ?? "         -")
                    + String(
                        format: "%7d %10.0f %10.0f", row.ended, row.medianOpenMinutes,
                        row.medianLeadMinutes))
        }
        print(
            String(
                format: "alerts of all types: %.2f per journey; of journeys that were late or held "
                    + "%.3f had one before", scores.alertsPerJourney, scores.recall))
    }

    /// What was said of boxes without a plan.
    private func report(_ guesses: GuessScores) {
        guard guesses.judged > 0 else { return }
        print(
            String(
                format:
                    "boxes without a plan: %d went on, %.3f of them to the place that was said; "
                    + "of these MAE %.1f, coverage %.3f", guesses.judged, guesses.rightShare,
                guesses.maeMinutes, guesses.coverage))
    }

    private func report(_ backtest: Backtest, _ scores: BacktestScores, _ seconds: Double) {
        print(
            "\(backtest.lines) lines, \(backtest.refused) refused, \(scores.shipments) deliveries, "
                + String(format: "%.1f s", seconds))
        print(
            "stage          forecasts      MAE   median  pinball  coverage    width   Brier"
                + "    MCC  precision  recall")
        for row in scores.rows {
            print(
                Terminal.padded(row.name, 12)
                    + String(
                        format: "%12d %8.1f %8.1f %8.1f %9.3f %8.1f %7.3f %6.3f %10.3f %7.3f",
                        row.count, row.maeMinutes, row.medianErrorMinutes, row.pinballMinutes,
                        row.coverage, row.widthMinutes, row.brier, row.mcc, row.precision,
                        row.recall))
        }
        if scores.first.count > 0 {
            print(
                String(
                    format: "the first %d shipments: MAE %.1f, coverage %.3f, width %.1f",
                    min(BacktestScores.firstShipments, scores.shipments), scores.first.maeMinutes,
                    scores.first.coverage, scores.first.widthMinutes))
        }
        report(backtest.guesses)
        if let all = scores.rows.last, all.naiveCount > 0 {
            print(
                String(
                    format: "plan + current delay: MAE %.1f; ours on the same %d forecasts: %.1f",
                    all.naiveMaeMinutes, all.naiveCount, all.ownMaeMinutes))
        }
        if let all = scores.rows.last, all.mediansCount > 0 {
            print(
                String(
                    format:
                        "historical medians of the steps: MAE %.1f; ours on the same %d forecasts: %.1f",
                    all.mediansMaeMinutes, all.mediansCount, all.ownBesideMediansMinutes))
            let stages = scores.rows.dropLast().filter { $0.mediansCount > 0 }.map {
                $0.name
                    + String(format: " %.2f", $0.ownBesideMediansMinutes / $0.mediansMaeMinutes)
            }
            print("ours as a share of theirs: " + stages.joined(separator: ", "))
        }
        for (index, tally) in backtest.ownScores.byHorizon.enumerated() where tally.count > 0 {
            let name =
                index < IntervalCalibrator.horizons.count
                ? "up to " + Terminal.span(IntervalCalibrator.horizons[index]) + " ahead" : "beyond"
            print(
                Terminal.padded(name, 18)
                    + String(
                        format: "%7d judged, coverage %.3f, width %.0f, error %.0f",
                        tally.count, tally.coverage, tally.meanWidthMinutes,
                        tally.meanErrorMinutes))
        }
        for (place, tally) in backtest.ownStepScores where tally.count >= 200 {
            print(
                Terminal.padded("next: " + place, 18)
                    + String(
                        format: "%7d judged, coverage %.3f, width %.0f, error %.0f",
                        tally.count, tally.coverage, tally.meanWidthMinutes,
                        tally.meanErrorMinutes))
        }
        let alerts = scores.alerts
        print(
            String(
                format: "late alerts: %d raised, precision %.3f, recall %.3f, median lead %.0f min,"
                    + " %.2f toggles per shipment", alerts.raised, alerts.precision, alerts.recall,
                alerts.medianLeadMinutes, alerts.togglesPerShipment))
        print(String(format: "mean step of the published eta: %.1f min", scores.meanStepMinutes))
        print("errors, pinball and width in minutes; coverage of the 80 % interval")
    }
}
