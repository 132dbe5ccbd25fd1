import Engine
import Foundation
import Logging
import NIOCore
import Server
import ServiceLifecycle
import Settings
import Store
import TLS
import Tracking
import UnixSignals
import Wire

/// The composition root: listeners, log, engine and writer, and their life.
struct Daemon: Service {
    let plan: DaemonPlan
    let group: any EventLoopGroup
    let logger: Logger

    func run() async throws {
        let wall: @Sendable () -> Instant = {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return Instant(
                microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
        }
        let logger = logger
        let store = PostgresLog(
            StoreOptions(conninfo: plan.conninfo, clock: wall) { logger.warning("\($0)") })
        let tls = try plan.tls.map { try TLSKeeper($0) }
        let house = House(
            store: store, inbox: Inbox(highLines: plan.inboxLines),
            hub: TailHub(capacity: plan.ringLines), status: FeedStatus(clock: wall),
            book: PostBook(source: store, network: plan.network, clock: wall),
            listeners: Listeners(group: group, logger: logger, tls: tls), wall: wall)
        try await open(house)
        let beside = Task { await lookAfter(house, tls) }
        defer { beside.cancel() }
        try await withGracefulShutdownHandler {
            try await serve(house)
        } onGracefulShutdown: {
            house.status.set("draining")
            Task {
                await house.listeners.close()
                house.inbox.stop()
            }
        }
        await house.listeners.close()
        await house.listeners.sayFarewell("the daemon stops; what is not acknowledged, send again")
    }

    /// What lives as long as the process.
    struct House: Sendable {
        let store: PostgresLog
        let inbox: Inbox
        let hub: TailHub
        let status: FeedStatus
        let book: PostBook
        let listeners: Listeners
        let wall: @Sendable () -> Instant
    }

    private func open(_ house: House) async throws {
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
                clock: house.wall)
        }
    }

    // MARK: Leading and standing by

    /// Leads where nobody else does, stands by where somebody does; comes back from whatever the
    /// database does. Returns when the daemon is told to stop.
    private func serve(_ house: House) async throws {
        var attempt = 0
        var hasLed = false
        while !Task.isShuttingDownGracefully {
            do throws(StoreFailure) {
                let writer = try await house.store.claimLease(
                    holder: plan.holder, address: plan.advertised, seconds: plan.leaseSeconds)
                if writer.holder == plan.holder {
                    house.status.stand(by: nil)
                    attempt = 0
                    try await lead(house)
                    hasLed = true
                } else {
                    try await standBy(house, writer)
                }
            } catch let failure {
                let isOurs = failure.kind == .fatal && !hasLed
                if isOurs, failure.state == nil || failure.state == "42P01" { throw failure }
                let hint =
                    failure.state == "42883" || failure.state == "42P01"
                    ? " (run caravan migrate)" : ""
                logger.error(
                    failure.kind == .fenced
                        ? "another daemon writes now" : "the log is out of reach; trying again",
                    metadata: ["cause": "\(failure)\(hint)", "attempt": "\(attempt + 1)"])
                if failure.kind != .unavailable {
                    house.status.set("no-database")
                    await house.listeners.sayFarewell(
                        "the log is opened anew; what is not acknowledged, send again")
                    house.inbox.reset()
                }
                try? await Task.sleep(for: .seconds(Backoff.seconds(attempt)))
                attempt += 1
            }
        }
        try? await house.store.releaseLease(holder: plan.holder)
    }

    /// Serves tails from the log that another daemon writes, and tells posts where that is.
    private func standBy(
        _ house: House, _ writer: LeaseHolder
    ) async throws(StoreFailure) {
        if house.status.writer == nil {
            logger.notice(
                "standing by",
                metadata: ["writer": "\(writer.holder)", "feed": "\(writer.address)"])
            house.status.stand(by: writer.address)
            await house.listeners.sayFarewell(
                "this daemon is a standby; the writer's feed is at \(writer.address)")
            house.inbox.reset()
        }
        let head = try await house.store.head()
        if house.hub.isBlank { house.hub.begin(log: head.log, last: head.seq) }
        try await house.hub.follow(house.store)
        try? await Task.sleep(for: .milliseconds(300))
    }

    /// Writes the log until told to stop or fenced off.
    private func lead(_ house: House) async throws(StoreFailure) {
        let renewing = Task { await renew(house) }
        defer { renewing.cancel() }
        _ = try await house.store.maintainPartitions(
            daysAhead: plan.partitionDays, keepDays: plan.retentionDays)
        let recovered = try await Recovery.run(
            house.store, parser: FeedParser(limits: plan.feed.limits))
        let clock = try await clock(house)
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
        let desk = ReplayDesk(
            source: house.store, inbox: house.inbox, book: house.book,
            limits: plan.feed.limits, logger: logger)
        let replaying = Task { await desk.run() }
        defer {
            maintenance.cancel()
            replaying.cancel()
        }
        var loop = WriterLoop(
            engine: recovered.engine, store: house.store, inbox: house.inbox, hub: house.hub,
            status: house.status, clock: clock, options: plan.writer, logger: logger)
        try await loop.run(ordinances: [.rules(plan.rules), .network(plan.networkBytes)])
    }

    private func clock(_ house: House) async throws(StoreFailure) -> DaemonClock {
        var clock = DaemonClock(wall: house.wall)
        clock.speedup = plan.speedup
        let wall = house.wall()
        var start = plan.engineStart ?? wall
        if plan.speedup > 1, let last = try await house.store.lastStep(), last > start {
            start = last
        }
        if plan.speedup != 1 || plan.engineStart != nil { clock.origin = (wall, start) }
        return clock
    }

    // MARK: Beside

    /// Shows that this daemon lives, three times as often as it must.
    private func renew(_ house: House) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(plan.leaseSeconds / 3))
            if Task.isCancelled { return }
            // A failure shows where it matters, at the next commit.
            _ = try? await house.store.claimLease(
                holder: plan.holder, address: plan.advertised, seconds: plan.leaseSeconds)
        }
    }

    /// Reads the posts again now and then, and certificates on SIGHUP.
    private func lookAfter(_ house: House, _ tls: TLSKeeper?) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                while !Task.isCancelled {
                    await house.book.refresh()
                    try? await Task.sleep(for: .seconds(5))
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
            do {
                let done = try await store.maintainPartitions(
                    daysAhead: plan.partitionDays, keepDays: plan.retentionDays)
                if done.made + done.dropped > 0 {
                    logger.info(
                        "partitions",
                        metadata: ["made": "\(done.made)", "dropped": "\(done.dropped)"])
                }
                if done.inDefault > 0 {
                    logger.error(
                        "rows lie in a default partition: is the clock right?",
                        metadata: ["rows": "\(done.inDefault)"])
                }
            } catch {
                logger.warning("partitions could not be made", metadata: ["cause": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(3_600))
        }
    }
}
