import Engine
import Foundation
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

/// The composition root: listeners, log, engine and writer, and their life.
struct Daemon: Service {
    let plan: DaemonPlan
    let run: RunFolder
    let group: any EventLoopGroup
    let logger: Logger

    func run() async throws {
        raiseDescriptors()
        let wall: @Sendable () -> Instant = {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return Instant(
                microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
        }
        let logger = logger
        let run = run
        let store = PostgresLog(
            StoreOptions(
                conninfo: plan.conninfo, clock: wall, known: { run.known },
                remember: { run.remember($0) }, notice: { logger.warning("\($0)") }))
        let tls = try plan.tls.map { try TLSContextHolder($0) }
        let house = Services(
            store: store, inbox: Inbox(highLines: plan.inboxLines),
            hub: TailHub(capacity: plan.ringLines), status: DaemonStatus(clock: wall),
            book: PostRegistry(source: store, network: plan.network.network, clock: wall),
            listeners: Listeners(group: group, logger: logger, tls: tls), wall: wall)
        try await open(house)
        let beside = Task { await lookAfter(house, tls) }
        defer { beside.cancel() }
        try await withGracefulShutdownHandler {
            try await serve(house)
        } onGracefulShutdown: {
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
        let book: PostRegistry
        let listeners: Listeners
        let wall: @Sendable () -> Instant
    }

    private func open(_ house: Services) async throws {
        let anonymous = plan.anonymous
        try await house.listeners.feed(
            plan.feeds, options: plan.feed, inbox: house.inbox, status: house.status,
            book: house.book
        ) { address in
            anonymous == "everywhere" || anonymous == "local" && address.isLocal
        }
        for address in plan.tails {
            try await house.listeners.tail(
                address, options: plan.tail, hub: house.hub, source: house.store,
                network: plan.network.network, clock: house.wall)
        }
    }

    // MARK: Leading and standing by

    /// Leads where nobody else does, stands by where somebody does; comes back from whatever the
    /// database does. Returns when the daemon is told to stop.
    private func serve(_ house: Services) async throws {
        var attempt = 0
        while !Task.isShuttingDownGracefully {
            do throws(StoreFailure) {
                let writer = try await house.store.claimLease(
                    holder: run.holder, insteadOf: run.former, address: plan.advertised,
                    seconds: plan.leaseSeconds)
                if writer.holder == run.holder {
                    run.forgetFormer()
                    house.status.stand(by: nil)
                    try await lead(house)
                } else {
                    try await standBy(house, writer)
                }
                attempt = 0
            } catch let failure {
                if Task.isShuttingDownGracefully { break }
                let hint =
                    failure.state == "42883" || failure.state == "42P01"
                    ? " (run caravan migrate)" : ""
                house.status.set(.noDatabase)
                logger.error(
                    failure.kind == .fenced
                        ? "another daemon writes now" : "the log is out of reach; trying again",
                    metadata: ["cause": "\(failure)\(hint)", "attempt": "\(attempt + 1)"])
                await pause(Backoff.seconds(attempt))
                attempt += 1
            }
        }
        try? await house.store.releaseLease(holder: run.holder)
    }

    /// Lines were taken that will not be answered: whoever sent them has to begin anew, and whoever
    /// comes in between as well. Tails go on: the log is the same whoever writes it.
    private func startOver(_ house: Services, _ prose: String) async {
        await house.listeners.sayFarewell(prose, feedsOnly: true)
        house.inbox.reset()
        await house.listeners.sayFarewell(prose, feedsOnly: true)
    }

    /// Sleeps, but not through a stop.
    private func pause(_ seconds: Double) async {
        let until = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < until, !Task.isShuttingDownGracefully {
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Serves tails from the log that another daemon writes, and tells posts where that is.
    private func standBy(
        _ house: Services, _ writer: LeaseHolder
    ) async throws(StoreFailure) {
        if house.status.writer != writer.address {
            logger.notice(
                "standing by",
                metadata: ["writer": "\(writer.holder)", "feed": "\(writer.address)"])
            house.status.stand(by: writer.address)
            await startOver(
                house, "this daemon is a standby; the writer's feed is at \(writer.address)")
        }
        var head = try await house.store.head()
        if let known = run.known, known.log == head.log, head.batch < known.batch,
            try await house.store.declareWentBack(known)
        {
            head = try await house.store.head()
            let change = "log was \(known.log) at \(known.batch), is \(head.log) at \(head.batch)"
            logger.error("the database went back: \(change)")
        }
        run.remember(head.known)
        if house.hub.isAnother(log: head.log, last: head.seq) {
            house.hub.begin(log: head.log, last: head.seq)
        }
        try await house.hub.follow(house.store)
        try? await Task.sleep(for: .milliseconds(300))
    }

    /// Writes the log until told to stop or fenced off.
    private func lead(_ house: Services) async throws(StoreFailure) {
        let dismissed = SharedFlag()
        let log = LeadingLog()
        let renewing = Task { await renew(house, log, dismissed) }
        defer { renewing.cancel() }
        let recovered = try await Recovery.run(house.store)
        let lastStep = try await house.store.lastStep()
        let clock = clock(house, lastStep)
        log.name = recovered.head.log
        await makePartitions(house.store)
        house.hub.begin(log: recovered.head.log, last: recovered.head.seq)
        if recovered.diverged > 0 {
            logger.warning(
                "batches of an earlier version would be decided otherwise now; what was said stands",
                metadata: ["batches": "\(recovered.diverged)"])
        }
        logger.info(
            "ready",
            metadata: [
                "batch": "\(recovered.head.batch)", "seq": "\(recovered.head.seq)",
                "containers": "\(recovered.engine.liveContainers)",
                "replayed": "\(recovered.replayed)",
            ])
        let maintenance = Task { await maintain(house.store) }
        let desk = QuarantineReplayer(
            source: house.store, inbox: house.inbox, book: house.book,
            limits: plan.feed.limits, logger: logger)
        let replaying = Task { await desk.run() }
        defer {
            maintenance.cancel()
            replaying.cancel()
        }
        var loop = WriterLoop(
            recovered: recovered, store: house.store, inbox: house.inbox, hub: house.hub,
            status: house.status, clock: clock, options: plan.writer, logger: logger,
            notBefore: lastStep ?? .unset, dismissed: dismissed, book: house.book)
        do throws(StoreFailure) {
            try await loop.run(changes: [.rules(plan.rules), .network(plan.network)])
        } catch {
            house.status.set(.noDatabase)
            await startOver(house, "the log is opened anew; what is not acknowledged, send again")
            throw error
        }
    }

    private func clock(_ house: Services, _ lastStep: Instant?) -> DaemonClock {
        var clock = DaemonClock(wall: house.wall)
        clock.speedup = plan.speedup
        let wall = house.wall()
        var start = plan.engineStart ?? wall
        if plan.speedup > 1, let lastStep { start = max(start, lastStep) }
        if plan.speedup != 1 || plan.engineStart != nil { clock.origin = (wall, start) }
        return clock
    }

    // MARK: Beside

    /// Shows that this daemon lives, three times as often as it must, and steps down where another
    /// one has taken the lease meanwhile.
    private func renew(_ house: Services, _ log: LeadingLog, _ dismissed: SharedFlag) async {
        var wasAway = false
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(plan.leaseSeconds / 3))
            if Task.isCancelled { return }
            do {
                let holder = try await house.store.claimLease(
                    holder: run.holder, address: plan.advertised, seconds: plan.leaseSeconds)
                // Another daemon saw that the log went back: it has to be opened anew.
                let isAnother = !log.name.isEmpty && holder.log != log.name
                if holder.holder != run.holder || isAnother {
                    dismissed.set()
                    return house.inbox.poke()
                }
                // A commit that still fails says so again.
                if wasAway, house.status.state == .noDatabase { house.status.set(.ok) }
                wasAway = false
            } catch {
                // Also where there is nothing to write: who asks is told the truth.
                wasAway = true
                if house.status.state == .ok { house.status.set(.noDatabase) }
            }
        }
    }

    /// Reads the posts again now and then, and certificates on SIGHUP.
    private func lookAfter(_ house: Services, _ tls: TLSContextHolder?) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                while !Task.isCancelled {
                    await house.book.refresh()
                    await house.book.reportHealth()
                    try? await Task.sleep(for: .seconds(5))
                }
            }
            tasks.addTask {
                guard let file = plan.metricsFile else { return }
                while !Task.isCancelled {
                    // Whole or not at all: written beside, then renamed.
                    try? house.status.metrics.write(
                        toFile: file, atomically: true, encoding: .utf8)
                    try? await Task.sleep(for: .seconds(2))
                }
            }
            tasks.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sighup) {
                    do {
                        try tls?.reload()
                        await house.book.refresh()
                        logger.notice("certificates and posts are read anew")
                    } catch {
                        logger.error(
                            "the new certificates are not good; the old ones stay",
                            metadata: ["cause": "\(error)"])
                    }
                }
            }
        }
    }

    /// Keeps partitions ahead of need.
    private func maintain(_ store: PostgresLog) async {
        while !Task.isCancelled {
            await makePartitions(store)
            do {
                let dropped = try await store.tidyPartitions(keepDays: plan.retentionDays)
                if dropped > 0 {
                    logger.info("old partitions dropped", metadata: ["number": "\(dropped)"])
                }
            } catch {
                logger.warning("old partitions stay", metadata: ["cause": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(3_600))
        }
    }

    /// A missing partition stops nothing: its rows lie in the default one until it is made.
    private func makePartitions(_ store: PostgresLog) async {
        do {
            let done = try await store.makePartitions(daysAhead: plan.partitionDays)
            if done.made > 0 {
                logger.info("partitions made", metadata: ["number": "\(done.made)"])
            }
            if done.inDefault > 0 {
                logger.error(
                    "rows lie in a default partition: is the clock right?",
                    metadata: ["rows": "\(done.inDefault)"])
            }
        } catch {
            logger.warning("partitions could not be made", metadata: ["cause": "\(error)"])
        }
    }
}

/// The log that is led, once it is known.
final class LeadingLog: Sendable {
    private let value = Mutex("")

    var name: String {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
