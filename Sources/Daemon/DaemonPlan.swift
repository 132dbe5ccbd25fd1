import Engine
import FoundationEssentials
import Logging
import Server
import Settings
import Sinks
import Store
import TLS
import Tracking
import Wire

/// The settings turned into what the parts of the daemon want.
public struct DaemonPlan: Sendable {
    let settings: Settings
    let conninfo: String
    let feeds: [ListenAddress]
    let tails: [ListenAddress]
    let feed: FeedOptions
    let tail: TailOptions
    var writer = WriterOptions()
    let inboxLines: Int
    let ringLines: Int
    let retentionDays: Int
    let partitionDays: Int
    /// nil: none is written.
    let metricsFile: String?
    let output: FileSink.Options?
    let stdout: StreamSink.Form?
    let network: LoadedNetwork
    let tls: TLSFiles?
    let anonymous: String
    let anonymousTails: String
    public let runFolder: String
    /// Empty: the run folder.
    public let stateFolder: String
    let advertised: String
    let leaseSeconds: Double
    let rules: AlertRules
    public let logLevel: Logger.Level
    let speedup: Double
    let engineStart: Instant?

    public init(_ settings: Settings) throws {
        self.settings = settings
        let url = settings.text("database.url")
        guard !url.isEmpty else {
            throw ValidationFailure(
                "database.url is not set; say where PostgreSQL is, such as "
                    + "postgresql:///caravan?host=/run/postgresql")
        }
        conninfo = try ConnectionString(url).with(
            passwordFile: settings.text("database.password-file"))
        let folder = settings.text("run.folder")
        let metrics = settings.text("metrics.file")
        metricsFile =
            metrics == "none" || metrics.isEmpty
            ? nil : metrics.hasPrefix("/") ? metrics : folder + "/" + metrics
        feeds = try settings.list("feed.listen").map {
            try DaemonPlan.address($0, "feed.listen", folder)
        }
        tails = try settings.list("tail.listen").map {
            try DaemonPlan.address($0, "tail.listen", folder)
        }
        feed = DaemonPlan.feed(settings)
        tail = DaemonPlan.tail(settings)
        anonymous = settings.text("feed.anonymous")
        anonymousTails = settings.text("tail.anonymous")
        leaseSeconds = settings.number("writer.lease-seconds")
        runFolder = folder
        stateFolder = settings.text("state.folder")
        let stated = settings.text("feed.advertise")
        advertised = stated.isEmpty ? feeds.first?.description ?? "nowhere" : stated
        tls = try DaemonPlan.tls(settings)
        try DaemonPlan.check(feeds: feeds, tails: tails, hasCertificate: tls != nil)
        inboxLines = settings.integer("feed.inbox-lines")
        ringLines = settings.integer("tail.ring-lines")
        writer.batchLines = settings.integer("writer.batch-lines")
        writer.maxStreams = settings.integer("feed.max-streams")
        writer.checkpointSeconds = settings.number("writer.checkpoint-seconds")
        writer.checkpointDirty = settings.integer("writer.checkpoint-changes")
        retentionDays = settings.integer("retention.days")
        partitionDays = settings.integer("partitions.days-ahead")
        output = DaemonPlan.output(settings)
        stdout = StreamSink.Form(rawValue: settings.text("output.stdout"))
        network = try DaemonPlan.network(settings.text("network.file"))
        rules = try settings.rules()
        logLevel = Logger.Level(rawValue: settings.text("log.level")) ?? .info
        speedup = settings.number("clock.speedup")
        let start = settings.text("clock.start")
        engineStart = start.isEmpty ? nil : TimeText.parse(start)?.instant
        if !start.isEmpty, engineStart == nil {
            throw ValidationFailure("clock.start is '\(start)'; allowed is an RFC 3339 time")
        }
    }

    /// What would keep a listener from being opened.
    private static func check(
        feeds: [ListenAddress], tails: [ListenAddress], hasCertificate: Bool
    ) throws {
        guard !feeds.isEmpty else {
            throw ValidationFailure("feed.listen is empty: nobody could send a line")
        }
        var seen: Set<String> = []
        for address in feeds + tails {
            let text = address.description
            let plain = text.hasPrefix("tls:") ? String(text.dropFirst(4)) : text
            if address.hostAndPort?.port != 0, !seen.insert(plain).inserted {
                throw ValidationFailure("\(plain) stands twice in feed.listen and tail.listen")
            }
            if case .tls = address, !hasCertificate {
                throw ValidationFailure("\(address) needs tls.certificate and tls.key")
            }
        }
    }

    private static func feed(_ settings: Settings) -> FeedOptions {
        var feed = FeedOptions()
        feed.limits.maxLine = settings.integer("feed.max-line")
        feed.limits.maxText = settings.integer("feed.max-text")
        feed.limits.maxContainers = settings.integer("feed.max-containers")
        feed.limits.maxMilestones = settings.integer("feed.max-milestones")
        feed.limits.maxWork = settings.integer("feed.max-plan-work")
        feed.window = settings.integer("feed.window")
        feed.maxUnauthenticated = settings.integer("feed.max-unauthenticated")
        feed.maxAnonymous = settings.integer("feed.max-anonymous")
        feed.maxPerAddress = settings.integer("feed.max-per-address")
        feed.maxPerPost = settings.integer("feed.max-per-post")
        feed.idMemory = settings.integer("feed.id-memory")
        feed.handshakeSeconds = settings.integer("feed.handshake-seconds")
        feed.maxConnections = settings.integer("feed.max-connections")
        feed.firstLineSeconds = settings.integer("feed.first-line-seconds")
        feed.lineSeconds = settings.integer("feed.line-seconds")
        feed.stallSeconds = settings.integer("feed.stall-seconds")
        feed.heartbeatSeconds = settings.integer("feed.heartbeat-seconds")
        return feed
    }

    private static func tail(_ settings: Settings) -> TailOptions {
        var tail = TailOptions()
        tail.heartbeatSeconds = settings.integer("tail.heartbeat-seconds")
        tail.slowSeconds = settings.integer("tail.slow-seconds")
        tail.maxNames = settings.integer("tail.max-names")
        tail.maxPerAddress = settings.integer("tail.max-per-address")
        tail.maxConnections = settings.integer("tail.max-connections")
        return tail
    }

    private static func output(_ settings: Settings) -> FileSink.Options? {
        let folder = settings.text("output.files")
        if folder.isEmpty { return nil }
        var options = FileSink.Options(
            folder: folder.hasPrefix("/") ? folder : settings.text("run.folder") + "/" + folder)
        options.segmentBytes = settings.integer("output.files-megabytes") << 20
        options.keepDays = settings.integer("output.files-days")
        return options
    }

    /// What the log has to say of it.
    var changes: [ConfigChange] { [.rules(rules), .network(network)] }

    private static func address(
        _ text: String, _ key: String, _ folder: String
    ) throws -> ListenAddress {
        if text.hasPrefix("unix:") {
            let name = String(text.dropFirst(5))
            let path = name.hasPrefix("/") ? name : folder + "/" + name
            guard !name.isEmpty, !name.hasSuffix("/"), !name.hasPrefix("caravand.") else {
                throw ValidationFailure("\(key) is '\(text)'; that is no name for a socket")
            }
            guard path.utf8.count <= 103 else {
                throw ValidationFailure(
                    "\(key) is '\(path)'; a Unix socket's path has at most 103 bytes")
            }
            return .unix(path: path)
        }
        let isEncrypted = text.lowercased().hasPrefix("tls:")
        let text = isEncrypted ? String(text.dropFirst(4)) : text
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port), colon > text.startIndex
        else {
            throw ValidationFailure(
                "\(key) is '\(text)'; allowed is host:port, tls:host:port or unix:name")
        }
        let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
        return isEncrypted ? .tls(host: host, port: port) : .tcp(host: host, port: port)
    }

    private static func tls(_ settings: Settings) throws -> TLSFiles? {
        let (certificate, key) = (settings.text("tls.certificate"), settings.text("tls.key"))
        if certificate.isEmpty, key.isEmpty { return nil }
        guard !certificate.isEmpty, !key.isEmpty else {
            throw ValidationFailure("tls.certificate and tls.key belong together: set both")
        }
        let authorities = settings.text("tls.client-authorities")
        let revocations = settings.text("tls.revocations")
        if authorities.isEmpty, !revocations.isEmpty {
            throw ValidationFailure("tls.revocations needs tls.client-authorities")
        }
        return TLSFiles(
            certificateChain: certificate, privateKey: key,
            clientAuthorities: authorities.isEmpty ? nil : authorities,
            revocations: revocations.isEmpty ? nil : revocations)
    }

    private static func network(_ file: String) throws -> LoadedNetwork {
        if file.isEmpty { return .shipped }
        guard let data = FileManager.default.contents(atPath: file) else {
            throw ValidationFailure("network.file is '\(file)', which cannot be read")
        }
        do { return try LoadedNetwork(file: Array(data)) } catch {
            throw ValidationFailure("network.file \(file): \(error)")
        }
    }
}

struct ValidationFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
