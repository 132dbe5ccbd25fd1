import Engine
import Foundation
import Logging
import NIOCore
import Server
import ServiceLifecycle
import Settings
import Store
import Tracking
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
        let inbox = Inbox(highLines: plan.inboxLines)
        let hub = TailHub(capacity: plan.ringLines)
        let listeners = Listeners(group: group, logger: logger)
        let logger = logger
        let store = PostgresLog(
            StoreOptions(conninfo: plan.conninfo, clock: wall) { logger.warning("\($0)") })
        var clock = DaemonClock(wall: wall)
        clock.speedup = plan.speedup
        let status = FeedStatus(clock: wall)
        for address in plan.feeds {
            try await listeners.feed(
                address, options: plan.feed, inbox: inbox, status: status)
        }
        for address in plan.tails {
            try await listeners.tail(
                address, options: plan.tail, hub: hub, source: store, clock: wall)
        }
        try await withGracefulShutdownHandler {
            try await work(store, inbox, hub, status, &clock)
        } onGracefulShutdown: {
            Task {
                await listeners.close()
                inbox.stop()
            }
        }
        await listeners.close()
    }

    private func work(
        _ store: PostgresLog, _ inbox: Inbox, _ hub: TailHub, _ status: FeedStatus,
        _ clock: inout DaemonClock
    ) async throws {
        guard let recovered = try await recover(store, inbox) else { return }
        let wall = clock.wall()
        var start = plan.engineStart ?? wall
        if plan.speedup > 1, let last = recovered.lastNow, last > start { start = last }
        clock.origin =
            plan.speedup == 1 && plan.engineStart == nil
            ? clock.origin : (wall, start)
        hub.begin(log: recovered.result.head.log, last: recovered.result.head.seq)
        logger.info(
            "ready",
            metadata: [
                "batch": "\(recovered.result.head.batch)", "seq": "\(recovered.result.head.seq)",
                "containers": "\(recovered.result.engine.liveContainers)",
                "replayed": "\(recovered.result.replayed)",
            ])
        let maintenance = Task { await maintain(store) }
        defer { maintenance.cancel() }
        var loop = WriterLoop(
            engine: recovered.result.engine, store: store, inbox: inbox, hub: hub,
            status: status, clock: clock, options: plan.writer, logger: logger)
        try await loop.run(ordinances: [.rules(plan.rules), .network(plan.networkBytes)])
    }

    private struct Recovered {
        var result: Recovery.Result
        var lastNow: Instant?
    }

    /// Reads the log; a database that is down is a state, not a failure.
    private func recover(_ store: PostgresLog, _ inbox: Inbox) async throws -> Recovered? {
        var attempt = 0
        while !Task.isShuttingDownGracefully {
            do throws(StoreFailure) {
                _ = try await store.maintainPartitions(
                    daysAhead: plan.partitionDays, keepDays: plan.retentionDays)
                let result = try await Recovery.run(
                    store, parser: FeedParser(limits: plan.feed.limits))
                return Recovered(result: result, lastNow: try await store.lastStep())
            } catch let failure {
                guard failure.kind == .unavailable || failure.state == "42883" else {
                    throw failure
                }
                let hint = failure.state == "42883" ? " (run caravan migrate)" : ""
                logger.error(
                    "the database is not there yet; trying again",
                    metadata: ["cause": "\(failure)\(hint)", "attempt": "\(attempt + 1)"])
                try await Task.sleep(for: .seconds(Backoff.seconds(attempt)))
                attempt += 1
            }
        }
        return nil
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
