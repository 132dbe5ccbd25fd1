import Engine
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Tracking

/// Where a listener listens.
public enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)

    public var description: String {
        switch self {
        case .tcp(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// Opens listeners and keeps count of their connections.
public final class Listeners: Sendable {
    private let group: any EventLoopGroup
    private let logger: Logger
    private let channels = Mutex<[any Channel]>([])
    private let counter = Mutex(0)
    private let open = Mutex<[String: Int]>([:])

    public init(group: any EventLoopGroup, logger: Logger) {
        self.group = group
        self.logger = logger
    }

    /// Opens the feed at `address`.
    public func feed(
        _ address: ListenAddress, options: FeedOptions, inbox: Inbox, status: FeedStatus
    ) async throws {
        try await listen(address, name: "feed", most: options.maxConnections) { id in
            FeedHandler(id: id, options: options, inbox: inbox, status: status)
        }
    }

    /// Opens the tail at `address`.
    public func tail(
        _ address: ListenAddress, options: TailOptions, hub: TailHub, source: any TailSource,
        clock: @escaping @Sendable () -> Instant
    ) async throws {
        try await listen(address, name: "tail", most: options.maxConnections) { _ in
            TailHandler(options: options, hub: hub, source: source, clock: clock)
        }
    }

    private func listen(
        _ address: ListenAddress, name: String, most: Int,
        _ make: @escaping @Sendable (Int) -> any ChannelHandler
    ) async throws {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1_024, initial: 8_192, maximum: 262_144)
            )
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard self.admit(name, channel, most: most) else { return }
                    if case .tcp = address {
                        try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    }
                    try channel.pipeline.syncOperations.addHandler(make(self.nextID()))
                }
            }
        let channel: any Channel
        switch address {
        case .tcp(let host, let port):
            channel = try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            channel = try await bootstrap.bind(
                unixDomainSocketPath: path, cleanupExistingSocketFile: true
            ).get()
        }
        channels.withLock { $0.append(channel) }
        let bound = channel.localAddress?.description ?? address.description
        logger.info("listening", metadata: ["socket": "\(name)", "address": "\(bound)"])
    }

    private func nextID() -> Int {
        counter.withLock { number in
            number += 1
            return number
        }
    }

    /// Counts a connection in, or turns it away with the reason.
    private func admit(_ name: String, _ channel: any Channel, most: Int) -> Bool {
        let admitted = open.withLock { open -> Bool in
            if open[name, default: 0] >= most { return false }
            open[name, default: 0] += 1
            return true
        }
        guard admitted else {
            let line = #"{"error":"\#(most) connections are open already","code":"limit"}"# + "\n"
            channel.writeAndFlush(ByteBuffer(string: line))
                .whenComplete { _ in channel.close(promise: nil) }
            return false
        }
        channel.closeFuture.whenComplete { _ in
            self.open.withLock { $0[name, default: 1] -= 1 }
        }
        return true
    }

    /// Stops taking connections; those that are open stay.
    public func close() async {
        let open = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in open { try? await channel.close().get() }
    }
}
