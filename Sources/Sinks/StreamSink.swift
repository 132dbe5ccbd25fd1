import Engine
import FoundationEssentials
import Glibc
import Host
import Logging
import Server
import Tracking
import Wire

/// The output on stdout, for the journal and for containers: as it is, or as people read it. From the
/// start of the process on; whoever wants each line exactly once reads files or a tail.
public actor StreamSink {
    public enum Form: String, Sendable, CaseIterable {
        case json, text
    }

    private nonisolated let executor = QueueExecutor("caravan.sink.stdout")
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    private let form: Form
    private let hub: TailHub
    private let source: any TailSource
    private let logger: Logger
    private let isJournal: Bool

    public init(form: Form, hub: TailHub, source: any TailSource, logger: Logger) {
        self.form = form
        self.hub = hub
        self.source = source
        self.logger = logger
        isJournal = StandardStream.isJournal(1)
    }

    /// Runs until it is cancelled, or nobody reads stdout any more.
    public func run() async {
        var cursor: (log: String, seq: Int)?
        while !Task.isCancelled {
            guard let place = hub.place else {
                await hub.wait(after: .max, of: "")
                continue
            }
            if cursor?.log != place.log {
                cursor = (place.log, cursor == nil ? place.beginning : place.last)
            }
            let seq = cursor?.seq ?? place.last
            do {
                let lines = try await hub.lines(after: seq, limit: 1_000, source: source)
                if let end = lines.last {
                    cursor?.seq = end.seq
                    try ByteFile.standardOutput.write(lines.flatMap(rendered))
                    continue
                }
            } catch let failure as HostFailure {
                if failure.code == EPIPE {
                    return logger.error("nobody reads stdout any more: no output goes there")
                }
                logger.error(
                    "output lines are missing on stdout", metadata: ["cause": "\(failure)"])
                try? await Task.sleep(for: .seconds(1))
                continue
            } catch {
                try? await Task.sleep(for: .seconds(1))
                continue
            }
            await hub.wait(after: seq, of: place.log)
        }
    }

    private func rendered(_ line: OutputLine) -> [UInt8] {
        let prefix = isJournal ? Array("<\(StreamSink.priority(line))>".utf8) : []
        switch form {
        case .json: return prefix + line.bytes + [0x0A]
        case .text: return prefix + Array((OutputText.text(line) + "\n").utf8)
        }
    }

    /// syslog(3)'s numbers: an alert by its severity, while it is open; the rest is information.
    private static func priority(_ line: OutputLine) -> Int {
        guard line.kind == "alert", let severity = line.severity else { return 6 }
        let state = FlatObject(String(decoding: line.bytes, as: UTF8.self))?.text("state")
        if state == "cleared" || state == "withdrawn" { return 6 }
        return switch severity {
        case .critical: 3
        case .warning: 4
        case .info: 5
        }
    }
}

/// A line of the output in one line of plain words, with its kind and severity first.
enum OutputText {
    static func text(_ line: OutputLine) -> String {
        let json = String(decoding: line.bytes, as: UTF8.self)
        guard let object = FlatObject(json) else { return Printable.text(json) }
        var words: [String] = [line.kind.uppercased()]
        func add(_ text: String?, _ label: String = "") {
            if let text { words.append(label + Printable.text(text)) }
        }
        switch line.kind {
        case "alert":
            add(line.severity?.code)
            add(line.type)
            add(object.text("state"))
            add(object.text("text"))
        case "eta":
            add(line.container)
            add(line.place)
            if let actual = object.text("actual") {
                add(actual, "arrived ")
                add(object.integer("deviationMinutes").map { "\($0) min" }, "deviation ")
            } else if let unknown = object.text("unknown") {
                add(unknown, "unknown: ")
            } else {
                add(object.text("p50"))
                add(object.text("p10"), "p10 ")
                add(object.text("p90"), "p90 ")
                add(
                    object.number("lateProbability").map { "\(Int(($0 * 100).rounded())) %" },
                    "late ")
            }
            add(line.shipment, "shipment ")
        default: return Printable.json(json)
        }
        words.append("#\(line.seq)")
        return words.joined(separator: " ")
    }
}
