import ArgumentParser
import Client
import FoundationEssentials
import Glibc
import Host
import TLS
import Wire

struct Push: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send lines to the feed and see each acknowledged.",
        discussion: """
            Lines are kept until they are acknowledged, and sent again after a lost connection;
            what the daemon already has counts as a duplicate. With --spool they are kept on disk:
            what was taken in survives a power failure, and is sent whenever there is a link. The
            spool opens a session, so its post is named with --post, and proves it with a token or
            a certificate where the feed asks for it.

            Status 0: every line is durable, and none is known to be rejected: where a link broke before
            the verdict on a line came, it is said. Status 1: a line was rejected, or could not be
            delivered in time; what is in the spool stays there.

            With --folder it takes the files of a folder, oldest name first, and deletes each once all
            of it is acknowledged. Write a file elsewhere on the same disk and rename it into the
            folder when it is finished. A file that is written in the folder itself is taken once
            it has not changed between two looks a second apart and nobody has it open for writing, as
            far as can be seen; one whose last line has no end, once it has not changed for 60 s.
            Names that begin with a dot are left alone.

            EXAMPLES
              caravan push events.ndjson
              zcat lines.ndjson.gz | caravan push
              caravan push --server gate.example:7601 --patience 3600 < events.ndjson
              caravan push --spool /var/spool/caravan --post KZHOR-GATE2 --token-file token \\
                  --server tls:a.example:7602 --server tls:b.example:7602 --ca ca.pem --follow
              caravan push --spool /var/spool/caravan --post KZHOR-GATE2 --folder /var/gate/out
              caravan push --spool /var/spool/caravan --status
            """)

    /// Room for what is read in one go, several times over.
    static let leastSpool = 1 << 20

    @Argument(help: "A file of lines; - or nothing: standard input.")
    var file: String?

    @Option(
        name: .customLong("server"),
        help: "host:port, tls:host:port, or the path of a Unix socket; several are tried in turn.")
    var servers: [String] = []

    @OptionGroup var own: OwnFolderOption

    @Option(name: .long, help: "Seconds without progress after which it gives up.")
    var patience = 300.0

    @Option(name: .long, help: "Lines that may wait for their ack.")
    var window = 50_000

    @Option(name: .long, help: "Keep lines in this folder until they are acknowledged.")
    var spool: String?

    @Option(name: .long, help: "Bytes that the spool may hold; beyond, no more lines are taken in.")
    var spoolLimit = 1 << 30

    @Option(
        name: .long,
        help: "With a spool: take in the finished files of this folder, oldest name first.")
    var folder: String?

    @Option(name: .long, help: "With a spool: the post that speaks.")
    var post: String?

    @Option(name: .long, help: "With a spool: the file that holds the post's token.")
    var tokenFile: String?

    @Option(name: .long, help: "Authority that the server's certificate must be of (PEM).")
    var ca: String?

    @Option(name: .long, help: "The post's certificate chain (PEM).")
    var certificate: String?

    @Option(name: .long, help: "The key of that certificate (PEM).")
    var key: String?

    @Flag(name: .long, help: "With a spool: go on when everything is sent, and wait for more.")
    var follow = false

    @Flag(
        name: .long, help: "Say what the spool holds, as JSON; status 0 where nothing waits long.")
    var status = false

    @Option(name: .long, help: "With --status: what has waited longer than this is an alarm.")
    var alarmMinutes = 60.0

    @Flag(name: .shortAndLong, help: "No summary and no progress.")
    var quiet = false

    func validate() throws {
        if spool == nil, status || follow || folder != nil || post != nil || tokenFile != nil {
            throw ValidationError(
                "--status, --follow, --folder, --post and --token-file need --spool")
        }
        if spool != nil, post == nil, !status {
            throw ValidationError("a spool sends for a post: say --post NAME")
        }
        for server in servers {
            if let flaw = LineSocket.flaw(of: server) { throw ValidationError(flaw) }
        }
        if folder != nil, file != nil { throw ValidationError("a file or --folder, not both") }
        if (certificate == nil) != (key == nil) {
            throw ValidationError("--certificate and --key belong together")
        }
        guard window > 0, patience > 0 else {
            throw ValidationError("--window and --patience are at least 1")
        }
        guard spoolLimit >= Push.leastSpool else {
            throw ValidationError("--spool-limit is at least \(Push.leastSpool) bytes")
        }
    }

    private func addresses() throws -> [String] {
        let own = try own.address("feed", stated: servers.first)
        return servers.isEmpty ? [own ?? "127.0.0.1:7601"] : servers
    }

    func run() async throws {
        try await Console.failing {
            if status { return try showStatus() }
            let list = ServerList(try addresses(), tls: try tls())
            if spool != nil { return try sendSpool(list) }
            var sender = BareSender(
                servers: list, window: window, patience: patience,
                input: try input(), quiet: quiet)
            try sender.run()
            if sender.rejected > 0 { throw ExitCode(1) }
        }
    }

    private func tls() throws -> TLSContext? {
        guard let ca else { return nil }
        let files = certificate.map {
            TLSFiles(certificateChain: $0, privateKey: key ?? "")
        }
        return try TLSContext(client: files, authorities: ca)
    }

    private func input() throws -> ByteFile {
        guard let file, file != "-" else { return .standardInput }
        return try ByteFile(reading: file)
    }

    // MARK: With a spool

    private func sendSpool(_ list: ServerList) throws {
        let opened = try Spool(spool ?? "", limitBytes: spoolLimit)
        if let post { try opened.belong(to: post) }
        let source: SpoolSource
        if let folder {
            source = .folder(folder)
        } else if file == nil, isatty(0) == 1 {
            source = .nothing
        } else {
            source = .stream(try input())
        }
        let token = try tokenFile.map { try CertificateOptions.token(in: $0) }
        var sender = SpoolSender(
            spool: opened, servers: list, intake: SpoolIntake(opened, source), post: post ?? "",
            token: token, patience: patience, follow: follow, quiet: quiet)
        try sender.run()
        if sender.rejected > 0 || sender.intake.left > 0 { throw ExitCode(1) }
    }

    private func showStatus() throws {
        let found = try Spool.status(spool ?? "")
        var out = JSONWriter()
        out.begin()
        out.field("waiting", found.waiting)
        out.field("acknowledged", found.acknowledged)
        out.field("bytes", found.bytes)
        out.field("limitBytes", spoolLimit)
        out.field("oldestSeconds", found.oldestSeconds)
        out.field("stream", found.stream)
        out.endLine()
        Console.write(out.bytes)
        if Double(found.oldestSeconds ?? 0) > alarmMinutes * 60 { throw ExitCode(1) }
    }
}

/// What no waiting mends, as the server's codes tell it.
enum LastingFailure {
    static func advice(code: String) -> String? {
        switch code {
        case "unauthorised":
            "waiting does not mend this: see caravan post list on the server, then --post, --token-file, "
                + "or --certificate and --key"
        case "protocol": "waiting does not mend this: the two programs do not speak alike"
        default: nil
        }
    }
}

/// The servers that a sender may turn to, one after the other.
final class ServerList {
    private let addresses: [String]
    private let tls: TLSContext?
    private var at = 0

    init(_ addresses: [String], tls: TLSContext?) {
        self.addresses = addresses
        self.tls = tls
    }

    var current: String { addresses[at] }

    /// Servers that no waiting brings round, with the reasons.
    private var lost: [String: String] = [:]

    func connect() throws(SocketFailure) -> LineSocket {
        let socket = try LineSocket(current, tls: tls)
        lost[current] = nil
        return socket
    }

    /// Ends it where what went wrong is the same tomorrow, with every server.
    func note(_ failure: SocketFailure) throws {
        guard let advice = failure.advice else { return }
        lost[current] = "\(failure)\n\(advice)"
        guard addresses.allSatisfy({ lost[$0] != nil }) else { return }
        throw Failure(addresses.compactMap { lost[$0] }.joined(separator: "\n"))
    }

    func next() { at = (at + 1) % addresses.count }

    /// Seconds until the next attempt: up to 1, 2, 4 … 60, all of it at random, so that posts that
    /// lost one server together do not come back together. The other servers are tried at once.
    func pause(_ attempt: Int) -> Double {
        if addresses.count > 1, attempt % addresses.count != 0 { return 0 }
        let round = max(1, attempt / addresses.count)
        return min(60, Double(1 << min(round - 1, 6))) * Double.random(in: 0...1)
    }
}
