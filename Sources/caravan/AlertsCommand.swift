import ArgumentParser
import Client
import FoundationEssentials
import Glibc
import Host
import TLS
import Tracking
import Wire

struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts",
        abstract: "What is open; acknowledge it, silence it, look at its history.",
        discussion: """
            Incidents (posts, places) come first, then what is open of boxes, worst first, what somebody sees
            to last. Boxes of one convoy are folded into its first one, what a closure delays into the
            closure; --all shows each.

            EXAMPLES
              caravan alerts
              caravan alerts open --types overdue stuck --severity warning
              caravan alerts history a933a807-51ab-5982-854e-6277eda766e0
              caravan alerts acknowledge a933a807-51ab-5982-854e-6277eda766e0 --note "called the terminal"
              caravan alerts silence S-1 --types overdue --place KZHOR --hours 12 --reason "works at the gate"
            """,
        subcommands: [Open.self, History.self, Acknowledge.self, Silence.self],
        defaultSubcommand: Open.self)

    /// Where alerts are read.
    struct Source {
        let reader: ReaderOptions
        let folder: OwnFolderOption
        let tls: TLSContext?

        /// The lines of all alerts that are kept, in order, as far as a filter wants them.
        func lines(_ filter: (inout JSONWriter) -> Void = { _ in }) throws -> [AlertLine] {
            var out = JSONWriter()
            out.begin()
            out.field("tail", "caravan/1")
            out.field("after", "start")
            out.list("kinds", ["alert"])
            filter(&out)
            reader.write(try reader.token(), to: &out)
            out.endLine()
            let server = try reader.address(folder)
            let socket = try LineSocket(server, tls: tls)
            try socket.send(out.bytes)
            var found: [AlertLine] = []
            while let line = try socket.readLine(seconds: 60) {
                guard let object = FlatObject(line) else { continue }
                if let error = object.text("error") { throw Failure(Printable.text(error)) }
                if object.text("kind") == "caught-up" { return found }
                if let alert = AlertLine(line, object) { found.append(alert) }
            }
            throw Failure("\(server) closed the connection before its history was through")
        }
    }

    /// Where orders go.
    struct Target: ParsableArguments {
        @Option(
            name: .long,
            help: "The feed: host:port, or the path of a Unix socket; 127.0.0.1:7601 otherwise.")
        var feed: String?

        @Option(name: .long, help: "The post in whose name; it has to be enrolled with --operate.")
        var post: String?

        @Option(name: .long, help: "File with the post's token.")
        var tokenFile: String?

        func validate() throws {
            if let flaw = feed.flatMap(LineSocket.flaw(of:)) { throw ValidationError(flaw) }
        }

        /// Sends one line and waits until it is durable.
        func send(
            _ folder: OwnFolderOption, _ tls: TLSContext?, _ body: (inout JSONWriter) -> Void
        ) throws {
            let feed = try folder.address("feed", stated: feed) ?? "127.0.0.1:7601"
            let socket = try LineSocket(feed, tls: tls)
            var next = 1
            if let post {
                let token = try tokenFile.map { try CertificateOptions.token(in: $0) }
                var hello = JSONWriter()
                hello.begin()
                hello.field("hello", "caravan/1")
                hello.field("post", post)
                hello.field("stream", "orders")
                hello.field("token", token)
                hello.endLine()
                try socket.send(hello.bytes)
                guard let reply = try socket.readLine(), let object = FlatObject(reply) else {
                    throw Failure("\(feed) closed the connection")
                }
                if let error = object.text("error") { throw Failure(Printable.text(error)) }
                next = (object.integer("resume") ?? 0) + 1
            }
            var out = JSONWriter()
            out.begin()
            body(&out)
            if post != nil { out.field("seq", next) }
            out.endLine()
            try socket.send(out.bytes)
            while let reply = try socket.readLine(seconds: 30) {
                guard let object = FlatObject(reply) else { continue }
                if let error = object.text("error") { throw Failure(Printable.text(error)) }
                if object.has("reject") {
                    throw Failure(Printable.text(object.text("detail") ?? reply))
                }
                if object.has("warn") {
                    Console.error("caravan: \(object.text("detail") ?? reply)")
                }
                if object.has("ack") { return }
            }
            throw Failure("\(feed) did not acknowledge it; whether it was taken is not known")
        }
    }

    struct Open: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What is open, worst first.")

        @OptionGroup var folder: OwnFolderOption
        @OptionGroup var reader: ReaderOptions
        @OptionGroup var certificates: CertificateOptions
        @OptionGroup var filter: FilterOptions
        @Flag(name: .long, help: "Each box of a convoy and of an incident, not only the first.")
        var all = false
        @Flag(name: .long, help: "The last line of each as JSON, even on a terminal.")
        var json = false

        func run() async throws {
            try await Console.failing {
                // A level is asked of what stands now: an alert may have been worse.
                var asked = filter
                asked.severity = nil
                let lines = try Source(
                    reader: reader, folder: folder, tls: try certificates.context()
                ).lines {
                    asked.write(to: &$0)
                }
                let least = try filter.severity.map { text in
                    guard let level = Severity(code: text) else {
                        throw Failure("--severity is info, warning or critical")
                    }
                    return level
                }
                let now = max(wallNow(), lines.last?.time ?? .unset)
                let board = AlertBoard(lines, now: now)
                let rows = (all ? board.rows : board.folded)
                    .filter { $0.alert.severity >= least ?? .info }
                if json || !Terminal.isTerminal {
                    for row in rows { Console.write(Array(row.alert.last.utf8) + [0x0A]) }
                    return
                }
                AlertBoardPrinter(terminal: Terminal()).draw(rows)
            }
        }
    }

    struct History: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All lines of one alert, from its first to its end.")

        @Argument(help: "The alert's id.") var alert: String
        @OptionGroup var folder: OwnFolderOption
        @OptionGroup var reader: ReaderOptions
        @OptionGroup var certificates: CertificateOptions
        @Flag(name: .long, help: "JSON lines even on a terminal.") var json = false

        func run() async throws {
            try await Console.failing {
                let lines = try Source(
                    reader: reader, folder: folder, tls: try certificates.context()
                ).lines()
                    .filter { $0.id == alert.lowercased() }
                guard !lines.isEmpty else {
                    throw Failure("no alert \(Printable.text(alert)) is kept")
                }
                let printer = TailPrinter(terminal: Terminal())
                for line in lines {
                    if json || !Terminal.isTerminal {
                        Console.write(Array(line.text.utf8) + [0x0A])
                    } else if let text = printer.text(line.text) {
                        print(text)
                    }
                }
            }
        }
    }

    struct Acknowledge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say that you see to it. It ends when evidence ends it, not by this.")

        @Argument(help: "The alert's id.") var alert: String
        @Option(name: .long, help: "The line that was seen; otherwise the last one.")
        var rev: Int?
        @Option(name: .long, help: "What was done.") var note: String?
        @Option(name: .long, help: "Until when (RFC 3339); otherwise as long as it is open.")
        var until: String?
        @OptionGroup var folder: OwnFolderOption
        @OptionGroup var reader: ReaderOptions
        @OptionGroup var target: Target
        @OptionGroup var certificates: CertificateOptions

        func run() async throws {
            try await Console.failing {
                let seen: Int
                if let rev {
                    seen = rev
                } else {
                    guard
                        let last = try Source(
                            reader: reader, folder: folder, tls: try certificates.context()
                        )
                        .lines().last(where: {
                            $0.id == alert.lowercased() && $0.state != "acknowledged"
                        })
                    else {
                        throw Failure("no alert \(Printable.text(alert)) is kept")
                    }
                    seen = last.rev
                }
                try target.send(folder, try certificates.context()) { out in
                    out.field("acknowledge", alert)
                    out.field("rev", seen)
                    out.field("note", note)
                    out.field("until", until)
                }
                Console.error("acknowledged; it ends when evidence ends it")
            }
        }
    }

    struct Silence: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Mark alerts for a while, because their cause is known. They are published still.")

        @Argument(help: "A name for the silence; stated again it changes.") var silence: String
        @Option(name: .long, parsing: .upToNextOption, help: "Types.") var types: [String] = []
        @Option(name: .long, parsing: .upToNextOption, help: "Places.") var place: [String] = []
        @Option(name: .long, parsing: .upToNextOption, help: "Container numbers.")
        var container: [String] = []
        @Option(name: .long, parsing: .upToNextOption, help: "Shipments.")
        var shipment: [String] = []
        @Option(name: .long, help: "Hours, from its beginning on.") var hours: Double?
        @Option(name: .long, help: "From when (RFC 3339); otherwise from now.") var from: String?
        @Option(name: .long, help: "Until when (RFC 3339).") var until: String?
        @Option(name: .long, help: "Why.") var reason: String?
        @Flag(name: .long, help: "Take it back.") var end = false
        @OptionGroup var folder: OwnFolderOption
        @OptionGroup var target: Target
        @OptionGroup var certificates: CertificateOptions

        func validate() throws {
            guard end || hours != nil || until != nil else {
                throw ValidationError("say how long: --hours 12, or --until TIME")
            }
            if let hours, !(hours > 0 && hours <= Silence.mostHours) {
                throw ValidationError(
                    "--hours is more than 0 and at most \(Int(Silence.mostHours))")
            }
            if end { return }
            let (begins, ends) = try span(wallNow())
            if ends <= max(begins, wallNow()) {
                throw ValidationError("it would end before it begins, or has ended already")
            }
            if ends.minutes(since: begins) > Silence.mostHours * 60 {
                throw ValidationError("it would last longer than a year")
            }
            guard end || !(types + place + container + shipment).isEmpty else {
                throw ValidationError(
                    "say what to silence: --types, --place, --container, --shipment")
            }
        }

        /// For longer than a year nobody knows a cause.
        private static let mostHours = 366.0 * 24

        private func span(_ now: Instant) throws -> (begins: Instant, ends: Instant) {
            let begins = try from.map { try Silence.instant($0, "--from") } ?? now
            let ends = try until.map { try Silence.instant($0, "--until") }
            return (begins, ends ?? begins.advanced(minutes: (hours ?? 0) * 60))
        }

        private static func instant(_ text: String, _ option: String) throws -> Instant {
            guard let read = TimeText.parse(text), read.offsetMinutes != nil else {
                throw ValidationError("\(option) is a time such as 2026-11-28T12:00:00Z")
            }
            return read.instant
        }

        func run() async throws {
            try await Console.failing {
                let now = wallNow()
                let (begins, ends) = try span(now)
                try target.send(folder, try certificates.context()) { out in
                    out.field("silence", silence)
                    if end {
                        out.field("retract", true)
                        out.field("updated", now)
                        return
                    }
                    if !types.isEmpty { out.list("types", types) }
                    if !place.isEmpty { out.list("places", place) }
                    if !container.isEmpty { out.list("containers", container) }
                    if !shipment.isEmpty { out.list("shipments", shipment) }
                    out.field("from", begins)
                    out.field("until", ends)
                    out.field("reason", reason)
                    out.field("updated", now)
                }
                let when = begins <= now ? "now on" : TimeText.string(begins)
                Console.error(
                    end
                        ? "\(silence) has ended"
                        : "\(silence) marks alerts from \(when) until \(TimeText.string(ends))")
            }
        }
    }
}
