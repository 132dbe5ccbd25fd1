import ArgumentParser
import Foundation
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
            """)

    @Option(name: .long, help: "Feed lines in the order of time; - for standard input.")
    var lines = "-"

    @Option(name: .long, help: "CSV with the columns plan and delivered.")
    var truth: String?

    @Option(name: .long, help: "Write each forecast as a JSON line to this file.")
    var forecasts: String?

    @Option(name: .long, help: "Network file; the shipped one otherwise.")
    var network: String?

    func run() async throws {
        try await Console.failing {
            var networkBytes = NetworkFile.shippedBytes
            if let network {
                guard let data = FileManager.default.contents(atPath: network) else {
                    throw Failure("\(network) cannot be read")
                }
                networkBytes = Array(data)
            }
            guard
                let input = lines == "-"
                    ? FileHandle.standardInput : FileHandle(forReadingAtPath: lines)
            else { throw Failure("\(lines) cannot be read") }
            var sink: FileHandle?
            if let forecasts {
                _ = FileManager.default.createFile(atPath: forecasts, contents: nil)
                sink = FileHandle(forWritingAtPath: forecasts)
                if sink == nil { throw Failure("\(forecasts) cannot be written") }
            }
            let truths = try truth.map { try readTruth($0) } ?? [:]
            var backtest = Backtest(network: networkBytes)
            let progress = Progress()
            var pending = Data()
            var rest: [UInt8] = []
            let started = Date()
            while let data = try input.read(upToCount: 1 << 20), !data.isEmpty {
                rest += data
                var start = 0
                while let end = rest[start...].firstIndex(of: 0x0A) {
                    backtest.take(Array(rest[start..<end])) { prediction in
                        if sink != nil { pending.append(contentsOf: Backtest.line(prediction)) }
                    }
                    start = end + 1
                }
                rest.removeFirst(start)
                if let sink {
                    try sink.write(contentsOf: pending)
                    pending.removeAll(keepingCapacity: true)
                }
                progress.show("\(backtest.lines) lines, \(backtest.predictions.count) forecasts")
            }
            if !rest.isEmpty {
                backtest.take(rest) { pending.append(contentsOf: Backtest.line($0)) }
                try sink?.write(contentsOf: pending)
            }
            progress.end()
            report(backtest, backtest.scores(truth: truths), Date().timeIntervalSince(started))
        }
    }

    private func readTruth(_ path: String) throws -> [String: Instant] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure("\(path) cannot be read")
        }
        let rows = text.split(whereSeparator: \.isNewline).map { $0.split(separator: ",") }
        guard let header = rows.first,
            let plan = header.firstIndex(of: "plan"),
            let delivered = header.firstIndex(of: "delivered")
        else { throw Failure("\(path) has no columns plan and delivered") }
        var found: [String: Instant] = [:]
        for row in rows.dropFirst() where row.count > max(plan, delivered) {
            if let time = TimeText.parse(String(row[delivered]))?.instant {
                found[String(row[plan])] = time
            }
        }
        return found
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
