import Foundation
import Logging
import Server
import Store
import TLS
import UnixSignals

/// What goes on beside the feed, whoever leads.
extension Daemon {
    /// Reads the posts again now and then, and certificates on SIGHUP.
    func lookAfter(_ house: Services, _ tls: TLSContextHolder?) async {
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
            tasks.addTask { await tellManager(house) }
            tasks.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sighup) {
                    manager.reloading()
                    defer { manager.ready() }
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

    /// Tells systemd how the daemon is doing, and that it goes on: its sockets are read and its engine has
    /// not lost itself in a step. To wait for the database is to go on.
    private func tellManager(_ house: Services) async {
        guard manager.isThere else { return }
        let pulse = Pulse(group)
        let limit = manager.watchdogSeconds / 2
        var said = ""
        while !Task.isCancelled {
            let words = house.status.prose
            if words != said { manager.status(words) }
            said = words
            if limit > 0, !pulse.isStuck(seconds: limit), !house.status.isStuck(seconds: limit) {
                manager.isAlive()
            }
            try? await Task.sleep(for: .seconds(limit > 0 ? min(1, limit / 4) : 1))
        }
    }

    /// Keeps partitions ahead of need.
    func maintain(_ store: PostgresLog) async {
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
    func makePartitions(_ store: PostgresLog) async {
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
