import ArgumentParser
import Client
import FoundationEssentials
import Glibc
import TLS
import Wire

/// Which lines are wanted: the same for whoever follows them and whoever looks at what is open.
struct FilterOptions: ParsableArguments {
    @Option(
        name: .long, parsing: .upToNextOption, help: "Alert types, such as late, overdue, stuck.")
    var types: [String] = []

    @Option(name: .long, help: "Alerts at least this bad: info, warning, critical.")
    var severity: String?

    @Option(name: .long, parsing: .upToNextOption, help: "Container numbers.")
    var container: [String] = []

    @Option(name: .long, parsing: .upToNextOption, help: "Shipments.")
    var shipment: [String] = []

    @Option(name: .long, parsing: .upToNextOption, help: "Places.")
    var place: [String] = []

    @Option(
        name: .customLong("about-post"), parsing: .upToNextOption, help: "Alerts about these posts."
    )
    var posts: [String] = []

    /// As members of a tail's request.
    func write(to out: inout JSONWriter) {
        if !types.isEmpty { out.list("types", types) }
        out.field("severity", severity)
        if !container.isEmpty { out.list("containers", container) }
        if !shipment.isEmpty { out.list("shipments", shipment) }
        if !place.isEmpty { out.list("places", place) }
        if !posts.isEmpty { out.list("posts", posts) }
    }
}

struct Tail: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow the output: forecasts and alerts, resumed after a lost connection.",
        discussion: """
            On a terminal lines are text; in a pipe they are the JSON lines themselves.

            EXAMPLES
              caravan tail
              caravan tail --kinds alert --severity warning
              caravan tail --container MSKU0308961 --after start
              caravan tail --after 81234 | jq .p50
              caravan tail --after 2026-11-01T00:00:00Z --kinds alert --until-caught-up
              caravan tail --server tls:tower.example:7612 --ca ca.pem --consumer TOWER-1 \\
                --consumer-token-file token --name pager
            """)

    @OptionGroup var folder: OwnFolderOption
    @OptionGroup var reader: ReaderOptions
    @OptionGroup var certificates: CertificateOptions

    @Option(
        name: .long, help: "A sequence number, now, start, or a time such as 2026-11-01T00:00:00Z.")
    var after: String?

    @Option(name: .long, parsing: .upToNextOption, help: "Kinds of lines: eta, alert, score.")
    var kinds: [String] = []

    @OptionGroup var filter: FilterOptions

    @Flag(
        name: .long,
        help: ArgumentHelp(
            "Of an alert that the boxes of one train have, the first one's alone; of what a closure "
                + "delays, the closure's."))
    var convoyLeads = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A name: the daemon remembers how far it has read. What was written to a pipe counts, also "
                + "where whoever reads that ends before it has."))
    var name: String?

    @Option(name: .long, help: "Stop after this many lines.")
    var count: Int?

    @Flag(name: .long, help: "Stop once history is through.")
    var untilCaughtUp = false

    @Flag(name: .long, help: "JSON lines even on a terminal.")
    var json = false

    func validate() throws {
        if let flaw = certificates.flaw(for: reader.server) { throw ValidationError(flaw) }
    }

    func run() async throws {
        try await Console.failing {
            let token = try reader.token()
            var follower = TailFollower(
                server: try reader.address(folder), tls: try certificates.context(),
                request: { request($0, token) }, name: name,
                after: after.flatMap { Int($0) }.map { .number($0) } ?? after.map { .word($0) })
            let printer = TailPrinter(terminal: Terminal())
            let plain = json || !Terminal.isTerminal
            var printed = 0
            try follower.follow { line, seq, kind in
                if plain {
                    Console.write(Array(line.utf8) + [0x0A])
                } else if let text = printer.text(line) {
                    print(text)
                    fflush(nil)
                }
                if kind == "caught-up", untilCaughtUp { return false }
                if seq != nil, kind == "eta" || kind == "alert" { printed += 1 }
                return count.map { printed < $0 } ?? true
            }
        }
    }

    private func request(_ after: TailFollower.Place?, _ token: String?) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("tail", "caravan/1")
        switch after {
        case .number(let seq): out.field("after", seq)
        case .word(let word): out.field("after", word)
        case nil: break
        }
        // Whoever asks for types of alerts asks for alerts.
        let wanted = kinds.isEmpty && !filter.types.isEmpty ? ["alert"] : kinds
        if !wanted.isEmpty { out.list("kinds", wanted) }
        if convoyLeads { out.field("convoys", "lead") }
        filter.write(to: &out)
        reader.write(token, to: &out)
        out.field("name", name)
        out.endLine()
        return out.bytes
    }
}

/// Follows a tail over lost connections.
struct TailFollower {
    enum Place {
        case number(Int)
        case word(String)
    }

    let server: String
    let tls: TLSContext?
    let request: (Place?) -> [UInt8]
    let name: String?
    var after: Place?
    /// The log that is followed.
    private var log: String?

    init(
        server: String, tls: TLSContext? = nil, request: @escaping (Place?) -> [UInt8],
        name: String?, after: Place?
    ) {
        self.server = server
        self.tls = tls
        self.request = request
        self.name = name
        self.after = after
    }

    /// Closes so that what was confirmed is read: with lines unread, a close would tear the link down.
    private func leave(_ socket: LineSocket) {
        socket.halfClose()
        let deadline = LineSocket.now() + 0.5
        while LineSocket.now() < deadline {
            if socket.wait(write: false, milliseconds: 50).canRead {
                guard (try? socket.fill()) == true else { return }
                while socket.bufferedLine() != nil {}
            }
        }
    }

    /// We were following, and the number that we came to is beyond the log's end.
    private func isBeyond(_ reply: FlatObject?, _ kind: String?) -> Bool {
        guard case .number = after, let log else { return false }
        return reply?.text("error")?.contains("last line of this log") == true
            && reply?.text("error")?.contains(log) == false
    }

    /// Calls `each` with a line, its number and its kind, until that says false.
    mutating func follow(_ each: (String, Int?, String?) throws -> Bool) throws {
        var attempt = 0
        var everConnected = false
        while true {
            do {
                let socket = try LineSocket(server, tls: tls)
                try socket.send(request(after))
                everConnected = true
                attempt = 0
                while let line = try socket.readLine(seconds: 60) {
                    let object = FlatObject(line)
                    let kind = object?.text("kind")
                    let seq = object?.integer("seq")
                    if let seq { after = .number(seq) }
                    if let read = object?.text("log") { log = read }
                    if kind == nil, object?.has("reject") == true || object?.has("ack") == true {
                        throw Failure(
                            "\(server) takes a feed's lines; a tail is at another address")
                    }
                    if object?.text("code") == "unauthorised" {
                        throw Failure(object?.text("error").map { Printable.text($0) } ?? line)
                    }
                    if object?.text("code") == "protocol" {
                        guard isBeyond(object, kind) else { throw Failure(line) }
                        Console.error(
                            "caravan: the daemon's log is not the one that was followed: its database "
                                + "went back, and its numbers began anew")
                        // Where the daemon keeps our place it has moved it; else nobody knows it.
                        after = name == nil ? .word("now") : nil
                        break
                    }
                    let goesOn = try each(line, seq, kind)
                    if name != nil, let seq, kind != "heartbeat" {
                        try socket.send("{\"ack\":\(seq)}\n")
                    }
                    if !goesOn {
                        if name != nil { leave(socket) }
                        return
                    }
                }
            } catch let failure as SocketFailure {
                if !everConnected && attempt == 0 {
                    Console.error("caravan: \(failure); is the daemon up? trying on")
                }
            }
            attempt += 1
            let seconds = min(60, Double(1 << min(attempt, 6))) * Double.random(in: 0.1...0.5)
            usleep(UInt32(seconds * 1e6))
        }
    }
}
