import Engine
import FoundationEssentials
import Glibc
import Host
import Logging
import NIOCore
import Server
import ServiceLifecycle
import Settings
import Store
import Synchronization
import TLS
import Tracking
import UnixSignals
import Wire

extension PostgresLog: TailSource, PostSource, ConsumerSource, QuarantineSource {}

/// Counts what happens now and then.
final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

/// Listeners, log, engine and writer, and their life.
public struct Daemon: Service {
    /// As at the start.
    let plan: DaemonPlan
    let inForce: PlanInForce
    /// How often it was told to read its configuration anew.
    let reloads = Counter()
    /// Reads the configuration anew.
    let load: @Sendable () async throws -> DaemonPlan
    let level: LogLevel
    let run: RunFolder
    let group: any EventLoopGroup
    let logger: Logger
    let manager: ServiceManager
    let inherited: InheritedSockets

    public init(
        plan: DaemonPlan, load: @escaping @Sendable () async throws -> DaemonPlan, run: RunFolder,
        group: any EventLoopGroup, logger: Logger, level: LogLevel, manager: ServiceManager,
        inherited: InheritedSockets
    ) {
        self.manager = manager
        self.inherited = inherited
        self.plan = plan
        inForce = PlanInForce(plan)
        self.load = load
        self.level = level
        self.run = run
        self.group = group
        self.logger = logger
    }

    public func run() async throws {
        raiseDescriptors()
        let wall: @Sendable () -> Instant = { Instant(microseconds: HostClock.wallMicroseconds) }
        let logger = logger
        let run = run
        let store = PostgresLog(
            StoreOptions(
                conninfo: plan.conninfo, clock: wall, known: { run.known },
                remember: { run.remember($0) },
                link: { HashChain.link(after: $0, $1) }, notice: { logger.warning("\($0)") }))
        let tls = try plan.tls.map { try TLSContextHolder($0) }
        let house = Services(
            store: store, inbox: Inbox(highLines: plan.inboxLines),
            hub: TailHub(capacity: plan.ringLines), status: DaemonStatus(clock: wall),
            figures: Figures(),
            book: PostRegistry(source: store, network: plan.network.network, clock: wall),
            consumers: ConsumerRegistry(source: store, network: plan.network.network),
            listeners: Listeners(
                group: group, logger: logger, tls: tls, inherited: inherited), wall: wall)
        try await open(house)
        for address in inherited.untaken {
            logger.error(
                "a socket was handed over that nothing listens on: name it in feed.listen or tail.listen",
                metadata: ["address": "\(address)"])
        }
        warnOfEnds(house)
        // Listeners, configuration and certificates are good. A database that is down is a state.
        manager.ready()
        let beside = Task { await lookAfter(house, tls) }
        defer { beside.cancel() }
        try await withGracefulShutdownHandler {
            do { try await serve(house) } catch {
                logger.critical("the daemon ends", metadata: ["cause": "\(error)"])
                manager.status("ended: \(error)")
                await house.listeners.close()
                await house.listeners.sayFarewell("the daemon ends, and its operator has to look")
                throw error
            }
        } onGracefulShutdown: {
            manager.stopping()
            let isAway = house.status.state != .ok
            house.status.set(.draining)
            Task {
                await house.listeners.close()
                house.inbox.stop()
            }
            endInTime(house, isAway: isAway)
        }
        await house.listeners.close()
        await house.listeners.sayFarewell("the daemon stops; what is not acknowledged, send again")
    }

    /// A stop waits for nothing that is away: what is not acknowledged is sent again, and what no
    /// checkpoint has is replayed.
    private func endInTime(_ house: Services, isAway: Bool) {
        let logger = logger
        Task {
            try? await Task.sleep(for: .seconds(isAway ? 1 : Daemon.drainSeconds))
            house.store.abandon()
            try? await Task.sleep(for: .seconds(isAway ? 3 : Daemon.lastSeconds))
            logger.warning("the database does not answer; stopped without it")
            _exit(0)
        }
    }

    /// Seconds after which a stop waits for the database no longer, and after which for nothing.
    private static let drainSeconds = 5.0
    private static let lastSeconds = 2.0

    /// Each connection is a file: takes as many as the system allows, and says where the caps
    /// promise more.
    private func raiseDescriptors() {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(7), &limits) == 0 else { return }
        limits.rlim_cur = limits.rlim_max
        _ = setrlimit(__rlimit_resource_t(7), &limits)
        getrlimit(__rlimit_resource_t(7), &limits)
        let wanted = max(plan.feed.maxConnections, plan.tail.maxConnections) + 64
        if Int(clamping: limits.rlim_cur) < wanted {
            logger.warning(
                "fewer files may be open than connections are allowed",
                metadata: ["files": "\(limits.rlim_cur)", "connections": "\(wanted)"])
        }
    }

    /// What lives as long as the process.
    struct Services: Sendable {
        let store: PostgresLog
        let inbox: Inbox
        let hub: TailHub
        let status: DaemonStatus
        let figures: Figures
        let book: PostRegistry
        let consumers: ConsumerRegistry
        let listeners: Listeners
        let wall: @Sendable () -> Instant
    }

    /// Whether an address takes whoever does not say who they are.
    private static func letsIn(_ anonymous: String, _ address: ListenAddress) -> Bool {
        anonymous == "everywhere" || anonymous == "local" && address.isLocal
    }

    private func open(_ house: Services) async throws {
        let inForce = inForce
        let (anonymous, readers) = (plan.anonymous, plan.anonymousTails)
        try await house.listeners.feed(
            plan.feeds, options: plan.feed, inbox: house.inbox, status: house.status,
            book: house.book
        ) { address in Daemon.letsIn(anonymous, address) }
        for address in plan.tails {
            try await house.listeners.tail(
                address, options: plan.tail, hub: house.hub, source: house.store,
                consumers: house.consumers, allowsAnonymous: Daemon.letsIn(readers, address),
                network: { inForce.current.network.network }, clock: house.wall)
        }
    }
}
