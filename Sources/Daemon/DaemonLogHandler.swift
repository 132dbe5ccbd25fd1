import Glibc
import Host
import Logging
import NIOConcurrencyHelpers
import Tracking
import Wire

/// One line an event on stderr: when, how severe, what, and `key=value` of what it is about. Where stderr
/// is the journal's, the severity stands as sd-daemon(3) has it and the time is the journal's own.
/// Strangers' words in it, such as the name in a refused hello, act on nothing that shows them, and begin
/// no lines of their own. What is said again and again is said a few times a minute, and counted.
public struct DaemonLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    private let level: LogLevel
    private let repeats: LogRepeats
    private let isJournal: Bool

    public init(label: String, level: LogLevel) {
        self.level = level
        repeats = .shared
        isJournal = DaemonLogHandler.isStandardErrorTheJournal
    }

    /// Of all handlers together: it can be changed while they are in use.
    public var logLevel: Logger.Level {
        get { level.level }
        set {}
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        guard event.level >= level.level else { return }
        let message = event.message.description
        var text = ""
        if event.level >= .info {
            // A setting, a number, a stream or an order is a fact of its own; of the rest the words tell.
            let fact = ["seq", "setting", "stream", "reload"].compactMap {
                event.metadata?[$0]?.description
            }.joined(separator: " ")
            let verdict = repeats.judge(
                fact.isEmpty ? message : message + " " + fact,
                seconds: Double(HostClock.steadyMicroseconds) / 1e6)
            for (message, count) in verdict.summaries {
                text += line(.notice, "\(message) (the same \(count) times more)", [:])
            }
            if !verdict.isSaid { return text.isEmpty ? () : ByteFile.standardError.say(text) }
        }
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        text += line(event.level, message, all)
        ByteFile.standardError.say(text)
    }

    private func line(
        _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
    ) -> String {
        var text = Printable.text(message)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            text += " \(key)=" + Printable.text(DaemonLogHandler.quoted(value.description))
        }
        if isJournal { return "<\(DaemonLogHandler.priority(level))>\(text)\n" }
        let second = HostClock.wallMicroseconds / 1_000_000 * 1_000_000
        return "\(TimeText.string(Instant(microseconds: second))) \(level) \(text)\n"
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && !value.contains { $0.isWhitespace || "\"=\\".contains($0) }
        if isPlain { return value }
        return "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// syslog(3)'s numbers.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private static let isStandardErrorTheJournal = StandardStream.isJournal(2)
}

/// Which messages have been said lately, by their words without what they are about. One that goes on is
/// said ever more rarely, each time with how often it was not.
final class LogRepeats: Sendable {
    private struct Saying {
        var began: Double
        var seconds = LogRepeats.windowSeconds
        var limit = LogRepeats.limit
        var said = 0
        var withheld = 0
    }

    static let shared = LogRepeats()
    /// So often within so many seconds a message is said; after that once in a window, each of which is
    /// twice as long as the one before, up to a bound.
    static let limit = 5
    static let windowSeconds = 60.0
    static let maxWindowSeconds = 600.0
    /// Messages kept in mind; the words are ours, so there are not many.
    static let maxMessages = 512

    private let sayings = NIOLockedValueBox<[String: Saying]>([:])

    /// Whether a message is said at a time, and what has to be said of those that were not.
    func judge(_ message: String, seconds now: Double) -> (
        isSaid: Bool, summaries: [(message: String, count: Int)]
    ) {
        sayings.withLockedValue { sayings in
            var summaries: [(message: String, count: Int)] = []
            for (each, saying) in sayings where now - saying.began >= saying.seconds {
                if saying.withheld > 0 { summaries.append((each, saying.withheld)) }
                let goesOn = each == message && saying.withheld > 0
                sayings[each] =
                    goesOn
                    ? Saying(
                        began: now, seconds: min(LogRepeats.maxWindowSeconds, saying.seconds * 2),
                        limit: 1) : nil
            }
            if sayings.count >= LogRepeats.maxMessages, sayings[message] == nil {
                return (true, summaries)
            }
            var saying = sayings[message] ?? Saying(began: now)
            let isSaid = saying.said < saying.limit
            if isSaid { saying.said += 1 } else { saying.withheld += 1 }
            sayings[message] = saying
            return (isSaid, summaries.sorted { $0.message < $1.message })
        }
    }
}
