import Client
import Daemon
import Engine
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Server
import Simulation
import TLS
import TestKit
import Tracking
import Wire

/// Tails of the simulated store.
struct MemoryTails: TailSource {
    let log: MemoryLog

    func output(after seq: Int, limit: Int) async throws(StoreFailure) -> [OutputLine] {
        try await log.output(after: seq, limit: limit)
    }

    func outputRange() async throws(StoreFailure) -> (first: Int, last: Int) {
        try await log.outputRange()
    }

    let cursors = MemoryCursors()

    func consumer(_ cursor: CursorName) async throws(StoreFailure) -> (seq: Int?, others: Int) {
        cursors.places.withLockedValue { ($0[cursor], $0.keys.count { $0 != cursor }) }
    }

    func confirm(
        _ cursor: CursorName, _ seq: Int, names: Int
    ) async throws(StoreFailure) -> Bool {
        cursors.places.withLockedValue { places in
            guard places[cursor] != nil || places.count < names else { return false }
            places[cursor] = max(places[cursor] ?? 0, seq)
            return true
        }
    }

    func seq(before instant: Instant) async throws(StoreFailure) -> Int {
        log.commits.last { $0.now < instant }?.lastSeq ?? 0
    }
}

/// How far consumers have come, in memory.
final class MemoryCursors: Sendable {
    let places = NIOLockedValueBox<[CursorName: Int]>([:])
}

/// Consumers in memory, whom an operator may change.
final class MemoryConsumers: ConsumerSource {
    let enrolled: NIOLockedValueBox<[EnrolledConsumer]>

    init(_ consumers: [EnrolledConsumer]) { enrolled = NIOLockedValueBox(consumers) }

    func enrolledConsumers() async throws(StoreFailure) -> [EnrolledConsumer] {
        enrolled.withLockedValue { $0 }
    }
}

/// Posts in memory, which an operator may change.
final class MemoryPosts: PostSource {
    let roster: NIOLockedValueBox<[EnrolledPost]>
    let health = NIOLockedValueBox<[PostHealth]>([])

    init(_ posts: [EnrolledPost]) { roster = NIOLockedValueBox(posts) }

    func posts() async throws(StoreFailure) -> [EnrolledPost] { roster.withLockedValue { $0 } }

    func report(_ health: [PostHealth]) async throws(StoreFailure) {
        self.health.withLockedValue { $0 = health }
    }
}

/// The whole server in this process, over real sockets, with a store in memory.
final class TestServer: Sendable {
    let folder = ScratchFolder()
    let log = MemoryLog()
    /// The traffic of tests is history; what comes of it is said at once.
    private static var rules: AlertRules {
        var rules = AlertRules()
        rules.settleMinutes = 0
        return rules
    }

    let inbox = Inbox()
    let posts: MemoryPosts
    let consumers: MemoryConsumers
    let readers: ConsumerRegistry
    let tails: MemoryTails
    let book: PostRegistry
    private let listeners: Listeners

    init(
        feed: FeedOptions = FeedOptions(), tail: TailOptions = TailOptions(),
        writer: WriterOptions = WriterOptions(), ring: Int = 65_536,
        posts enrolled: [EnrolledPost] = [], tls: TLSContextHolder? = nil,
        allowsAnonymous: Bool = true, consumers enrolledConsumers: [EnrolledConsumer] = []
    ) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let hub = TailHub(capacity: ring)
        let status = DaemonStatus(clock: wallNow)
        posts = MemoryPosts(enrolled)
        consumers = MemoryConsumers(enrolledConsumers)
        readers = ConsumerRegistry(source: consumers, network: NetworkFile.shipped)
        tails = MemoryTails(log: log)
        book = PostRegistry(source: posts, network: NetworkFile.shipped, clock: wallNow)
        listeners = Listeners(
            group: MultiThreadedEventLoopGroup.singleton, logger: logger, tls: tls)
        var addresses = [ListenAddress.unix(path: folder.path + "/feed")]
        if tls != nil { addresses.append(.tls(host: "127.0.0.1", port: 0)) }
        try await listeners.feed(
            addresses, options: feed, inbox: inbox, status: status, book: book
        ) { _ in allowsAnonymous }
        try await listeners.tail(
            .unix(path: folder.path + "/tail"), options: tail, hub: hub, source: tails,
            consumers: readers, allowsAnonymous: allowsAnonymous, clock: wallNow)
        if tls != nil {
            try await listeners.tail(
                .tls(host: "127.0.0.1", port: 0), options: tail, hub: hub, source: tails,
                consumers: readers, allowsAnonymous: allowsAnonymous, clock: wallNow)
        }
        let recovered = try await Recovery.run(log)
        hub.begin(log: recovered.head.log, last: recovered.head.seq)
        let (inbox, log, book) = (inbox, log, book)
        await book.refresh()
        Task.detached {
            var loop = WriterLoop(
                recovered: recovered, store: log, inbox: inbox, hub: hub, status: status,
                clock: DaemonClock(wall: wallNow), options: writer, logger: logger, book: book)
            try? await loop.run(
                changes: [.rules(TestServer.rules), .network(.shipped)])
        }
    }

    deinit { inbox.stop() }

    /// Waits until a checkpoint has been written in which containers rest, and the engine has let
    /// them go.
    func waitUntilResting() async throws {
        let deadline = LineSocket.now() + 20
        while log.restingCount == 0 {
            guard LineSocket.now() < deadline else { throw Shell.Failed("nothing rests") }
            try await Task.sleep(for: .milliseconds(20))
        }
        try await Task.sleep(for: .milliseconds(300))
    }

    /// The port of the encrypted feed.
    var tlsPort: Int {
        listeners.addresses.compactMap(\.port).first ?? 0
    }

    func encrypted(_ context: TLSContext) throws -> LineSocket {
        try LineSocket("tls:localhost:\(tlsPort)", tls: context)
    }

    func feed() throws -> LineSocket { try LineSocket(folder.path + "/feed") }
    func tail() throws -> LineSocket { try LineSocket(folder.path + "/tail") }

    /// The encrypted tail.
    func tail(_ context: TLSContext) throws -> LineSocket {
        let port = listeners.addresses.compactMap(\.port).last ?? 0
        return try LineSocket("tls:localhost:\(port)", tls: context)
    }
}

extension LineSocket {
    /// The next line, without holding a thread of the pool on which the server's tasks run.
    func next(seconds: Double = 30) async throws -> String? {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            if let line = bufferedLine() { return line }
            if isAtEnd { return nil }
            if wait(write: false, milliseconds: 0).canRead {
                try fill()
            } else {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        throw Shell.Failed("no line from \(address) within \(Int(seconds)) s")
    }
}
