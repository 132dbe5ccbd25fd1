import Engine
import Glibc
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TLS
import Tracking
import Wire

/// Where a listener listens.
public enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case tls(host: String, port: Int)
    case unix(path: String)

    public var description: String {
        switch self {
        case .tcp(let host, let port): "\(host):\(port)"
        case .tls(let host, let port): "tls:\(host):\(port)"
        case .unix(let path): path
        }
    }

    /// Nil for a Unix socket.
    public var hostAndPort: (host: String, port: Int)? {
        switch self {
        case .tcp(let host, let port), .tls(let host, let port): (host, port)
        case .unix: nil
        }
    }

    /// Reached by programs of this machine only.
    public var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _), .tls(let host, _):
            host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }
}

/// Opens listeners and keeps count of their connections.
public final class Listeners: Sendable {
    private let group: any EventLoopGroup
    private let logger: Logger
    private let channels = NIOLockedValueBox<[any Channel]>([])
    private let counter = NIOLockedValueBox(0)
    private let connections = NIOLockedValueBox<[ObjectIdentifier: Connection]>([:])
    private let tls: TLSContextHolder?
    private let inherited: InheritedSockets
    private let tailConnections = NIOLockedValueBox(TailCounts())

    private struct TailCounts {
        var all = 0
        var addresses: [String: Int] = [:]
    }

    private struct Connection {
        let channel: any Channel
        let isFeed: Bool
    }

    /// `tls`: what encrypted listeners show; they cannot be opened without.
    public init(
        group: any EventLoopGroup, logger: Logger, tls: TLSContextHolder? = nil,
        inherited: InheritedSockets = InheritedSockets()
    ) {
        self.group = group
        self.logger = logger
        self.tls = tls
        self.inherited = inherited
    }

    /// Where the open listeners listen.
    public var addresses: [SocketAddress] {
        channels.withLockedValue { $0.compactMap(\.localAddress) }
    }

    /// Open connections of feed and tail.
    public var connectionCounts: (feed: Int, tail: Int) {
        connections.withLockedValue { all in
            let feeds = all.values.count(where: \.isFeed)
            return (feeds, all.count - feeds)
        }
    }

    /// Until when what encrypted listeners show is good; nil: nothing is encrypted.
    public var validity: TLSValidity? { tls?.validity }

    /// Opens the feed at `addresses`, under common caps. `allowsAnonymous`: whether senders are
    /// let in there that do not say who they are.
    public func feed(
        _ addresses: [ListenAddress], options: FeedOptions, inbox: Inbox, status: DaemonStatus,
        book: PostRegistry, allowsAnonymous: @Sendable (ListenAddress) -> Bool = \.isLocal
    ) async throws {
        let caps = ConnectionCaps(
            ConnectionCaps.Limits(
                all: options.maxConnections, unauthenticated: options.maxUnauthenticated,
                anonymous: options.maxAnonymous, perAddress: options.maxPerAddress,
                perPost: options.maxPerPost))
        let ids = IDMemory(capacity: options.idMemory)
        let unreadable = UnreadableMemory()
        for address in addresses {
            let access = FeedAccess(
                book: book, caps: caps, allowsAnonymous: allowsAnonymous(address), ids: ids,
                unreadable: unreadable, logger: logger)
            try await listen(address, name: "feed", handshakeSeconds: options.handshakeSeconds) {
                channel in
                let peer = channel.remoteAddress?.ipAddress
                let admission = caps.admit(address: peer) {
                    channel.triggerUserOutboundEvent(
                        Farewell(prose: Listeners.makesRoom, code: .limit), promise: nil)
                    // One whose handshake is not done cannot be told.
                    channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
                }
                switch admission {
                case .refused(let bound):
                    Listeners.turnAway(channel, bound)
                    return nil
                case .admitted(let number):
                    return FeedHandler(
                        id: self.nextID(), options: options, inbox: inbox, status: status,
                        access: access, address: peer, number: number)
                }
            }
        }
    }

    private static let makesRoom =
        "others wait to say who they are, and this connection has not said a word yet"

    /// Opens the tail at `address`.
    public func tail(
        _ address: ListenAddress, options: TailOptions, hub: TailHub, source: any TailSource,
        consumers: ConsumerRegistry, allowsAnonymous: Bool,
        network: @escaping @Sendable () -> Network = { Network() },
        clock: @escaping @Sendable () -> Instant
    ) async throws {
        try await listen(address, name: "tail", handshakeSeconds: 10) { channel in
            // Of a Unix socket nobody knows more than that it is this machine's.
            let peer = channel.remoteAddress?.ipAddress
            let counts = self.tailConnections.withLockedValue { counts in
                counts.all += 1
                if let peer { counts.addresses[peer, default: 0] += 1 }
                return (all: counts.all, address: peer.flatMap { counts.addresses[$0] } ?? 0)
            }
            channel.closeFuture.whenComplete { _ in
                self.tailConnections.withLockedValue { counts in
                    counts.all -= 1
                    guard let peer else { return }
                    let left = (counts.addresses[peer] ?? 1) - 1
                    counts.addresses[peer] = left > 0 ? left : nil
                }
            }
            if counts.all > options.maxConnections {
                Listeners.turnAway(
                    channel, "\(options.maxConnections) connections are open already")
                return nil
            }
            if counts.address > options.maxPerAddress, let peer {
                Listeners.turnAway(
                    channel, "\(options.maxPerAddress) connections from \(peer) are open already")
                return nil
            }
            return TailHandler(
                options: options, hub: hub, source: source,
                access: TailAccess(registry: consumers, allowsAnonymous: allowsAnonymous),
                network: network, clock: clock)
        }
    }

    /// Says why a connection is not taken, and closes it.
    private static func turnAway(_ channel: any Channel, _ bound: String) {
        let line = #"{"error":"\#(bound)","code":"limit"}"# + "\n"
        channel.writeAndFlush(ByteBuffer(string: line))
            .whenComplete { _ in channel.close(promise: nil) }
    }

    /// `make`: the handler of a new connection; nil where it was turned away.
    private func listen(
        _ address: ListenAddress, name: String, handshakeSeconds: Int,
        _ make: @escaping @Sendable (any Channel) -> (any ChannelHandler)?
    ) async throws {
        if case .tls = address, tls == nil {
            throw SocketFlaw("\(address) needs tls.certificate and tls.key")
        }
        let bootstrap = ServerBootstrap(group: group)
            // Where descriptors run out, accepting waits instead of spinning.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 512, initial: 512, maximum: 262_144)
            )
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let handler = make(channel) else { return }
                    let pipeline = channel.pipeline.syncOperations
                    switch address {
                    case .unix: break
                    case .tcp: try Listeners.tune(channel)
                    case .tls:
                        try Listeners.tune(channel)
                        // So that one whose handshake waits is stopped after one reading.
                        try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
                        guard let tls = self.tls else { return }
                        try pipeline.addHandler(
                            TLSHandler(
                                tls, handshakeSeconds: handshakeSeconds, logger: self.logger))
                    }
                    try pipeline.addHandler(handler)
                    self.remember(Connection(channel: channel, isFeed: name == "feed"))
                }
            }
        let channel = try await Listeners.bind(bootstrap, address, try inherited.take(address))
        channels.withLockedValue { $0.append(channel) }
        let bound = channel.localAddress?.description ?? address.description
        logger.info("listening", metadata: ["socket": "\(name)", "address": "\(bound)"])
    }

    /// `held`: the socket that somebody has bound there for us already.
    private static func bind(
        _ bootstrap: ServerBootstrap, _ address: ListenAddress, _ held: CInt?
    ) async throws -> any Channel {
        if let held {
            return try await named(address) { try await bootstrap.withBoundSocket(held).get() }
        }
        switch address {
        case .tcp(let host, let port), .tls(let host, let port):
            return try await named(address) {
                try await bootstrap.bind(host: host, port: port).get()
            }
        case .unix(let path):
            try clear(path)
            return try await named(address) {
                try await bootstrap.bind(unixDomainSocketPath: path).get()
            }
        }
    }

    /// An address that cannot be listened at is named.
    private static func named(
        _ address: ListenAddress, _ bind: () async throws -> any Channel
    ) async throws -> any Channel {
        do { return try await bind() } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            throw SocketFlaw("\(address) cannot be listened at: \(reason)")
        } catch {
            throw SocketFlaw("\(address) cannot be listened at: \(error)")
        }
    }

    /// Makes room for a Unix socket: one that nobody answers on was left behind and goes; one that
    /// somebody listens on, and what is no socket at all, stays.
    private static func clear(_ path: String) throws {
        var entry = stat()
        guard lstat(path, &entry) == 0 else { return }
        guard entry.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketFlaw("\(path) is there and is no socket; it is not touched")
        }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard probe >= 0 else { throw SocketFlaw("no socket: \(String(cString: strerror(errno)))") }
        defer { Glibc.close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let size = MemoryLayout.size(ofValue: address.sun_path)
        withUnsafeMutableBytes(of: &address.sun_path) { space in
            for (at, byte) in path.utf8.prefix(size - 1).enumerated() { space[at] = byte }
        }
        let answer = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard answer != 0 else { throw SocketFlaw("another program listens at \(path)") }
        guard errno == ECONNREFUSED, unlink(path) == 0 else {
            throw SocketFlaw(
                "\(path) is in the way and cannot be looked into: "
                    + String(cString: strerror(errno)))
        }
    }

    /// A peer whose machine is gone is noticed within two minutes, also where nothing is written.
    private static func tune(_ channel: any Channel) throws {
        let options = channel.syncOptions
        try options?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try options?.setOption(.socketOption(.so_keepalive), value: 1)
        try options?.setOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 60)
        try options?.setOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 15)
        try options?.setOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 4)
    }

    private func nextID() -> Int {
        counter.withLockedValue { number in
            number += 1
            return number
        }
    }

    private func remember(_ connection: Connection) {
        let key = ObjectIdentifier(connection.channel)
        connections.withLockedValue { $0[key] = connection }
        connection.channel.closeFuture.whenComplete { _ in
            self.connections.withLockedValue { $0[key] = nil }
        }
    }

    private func open(feedsOnly: Bool) -> [any Channel] {
        connections.withLockedValue { open in
            open.values.compactMap { $0.isFeed || !feedsOnly ? $0.channel : nil }
        }
    }

    /// Tells every open connection, or those of the feed, why it ends, and closes it. Returns once
    /// they are closed, or after a second.
    public func sayFarewell(_ prose: String, feedsOnly: Bool = false) async {
        for channel in open(feedsOnly: feedsOnly) {
            channel.triggerUserOutboundEvent(Farewell(prose: prose), promise: nil)
        }
        for _ in 0..<100 where !open(feedsOnly: feedsOnly).isEmpty {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Stops taking connections; those that are open stay.
    public func close() async {
        let open = channels.withLockedValue { channels in
            defer { channels = [] }
            return channels
        }
        for channel in open { try? await channel.close().get() }
    }
}

/// The daemon ends, or begins anew: the connection is told and closed.
struct Farewell: Sendable {
    let prose: String
    var code = CloseCode.shutdown
}

/// A listener that cannot be opened.
struct SocketFlaw: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
