import Engine
import FoundationEssentials
import Glibc
import Host
import Logging
import Server
import Settings
import Sinks
import Store
import TLS
import Tracking
import UnixSignals
import Wire

/// What goes on beside the feed, whoever leads.
extension Daemon {
    /// Reads the posts again now and then, and certificates on SIGHUP.
    func lookAfter(_ house: Services, _ tls: TLSContextHolder?) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                while !Task.isCancelled {
                    let known = house.book.version
                    await house.book.refresh()
                    if house.book.version != known { house.inbox.poke() }
                    await house.consumers.refresh()
                    await house.book.reportHealth()
                    try? await Task.sleep(for: .seconds(5))
                }
            }
            tasks.addTask {
                var wasWell = true
                while !Task.isCancelled {
                    if let file = inForce.current.metricsFile {
                        let cause = Daemon.write(metrics(house), to: file)
                        if let cause, wasWell {
                            logger.error(
                                "the figures cannot be written",
                                metadata: [
                                    "cause": "\(cause)", "file": "\(file)",
                                    "hint": "systemd lets it write where ReadWritePaths says",
                                ])
                        }
                        wasWell = cause == nil
                    }
                    try? await Task.sleep(for: .seconds(2))
                }
            }
            tasks.addTask {
                while !Task.isCancelled {
                    if let head = try? await house.store.head(),
                        let cursors = try? await house.store.consumers(limit: Figures.maxConsumers)
                    {
                        house.figures.note(head: head.seq, consumers: cursors)
                    }
                    try? await Task.sleep(for: .seconds(15))
                }
            }
            tasks.addTask { await tellManager(house) }
            if let options = plan.output {
                let sink = FileSink(
                    options: options, hub: house.hub, source: house.store, logger: logger)
                tasks.addTask { await sink.run() }
            }
            if let form = plan.stdout {
                let sink = StreamSink(
                    form: form, hub: house.hub, source: house.store, logger: logger)
                tasks.addTask { await sink.run() }
            }
            tasks.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sighup) {
                    manager.reloading()
                    await reload(house, tls)
                    manager.ready()
                }
            }
        }
    }

    /// Says what of TLS is past its time: posts are refused for it, and not by the daemon's fault.
    func warnOfEnds(_ house: Services) {
        guard let validity = house.listeners.validity else { return }
        let now = house.wall().microseconds / 1_000_000
        for (file, end) in [
            ("certificate", validity.certificateEnds), ("authorities", validity.authoritiesEnd),
            ("revocations", validity.revocationsEnd),
        ] {
            guard let end, end < now else { continue }
            logger.error(
                "a file of TLS is past its time: encrypted connections fail",
                metadata: [
                    "file": "\(file)",
                    "ended": "\(TimeText.string(Instant(microseconds: end * 1_000_000)))",
                ])
        }
    }

    /// Writes a file that everybody may read, whole or not at all; returns why it could not.
    private static func write(_ text: String, to path: String) -> String? {
        do {
            let fresh = try Replacement(of: path, mode: 0o644)
            try fresh.file.write(text.utf8)
            try fresh.commit()
            return nil
        } catch { return error.description }
    }

    /// Takes over a newer configuration with its network and certificates, all of it or nothing.
    private func reload(_ house: Services, _ tls: TLSContextHolder?) async {
        // Whoever asks is answered each time.
        let number = reloads.next()
        do {
            let fresh = try await load()
            if let tls, let files = fresh.tls { try tls.reload(files) }
            level.level = fresh.logLevel
            house.book.use(fresh.network.network)
            house.consumers.use(fresh.network.network)
            let rest = inForce.replace(by: fresh)
            house.inbox.poke()
            for setting in rest {
                logger.warning(
                    "a setting has changed that counts from the next start on",
                    metadata: ["setting": "\(setting.key)"])
            }
            if fresh.conninfo != plan.conninfo, !rest.contains(where: { $0.key == "database.url" })
            {
                logger.warning(
                    "the database's address or password has changed; it counts from the next start on"
                )
            }
            if fresh.network.isCut {
                logger.warning(
                    "the network file's last line has no line feed at its end: it may be cut off",
                    metadata: ["reload": "\(number)"])
            }
            for warning in fresh.settings.warnings { logger.warning("\(warning)") }
            logger.notice(
                "configuration, network, certificates and posts are read anew",
                metadata: ["reload": "\(number)"])
            warnOfEnds(house)
        } catch {
            logger.error(
                "the new configuration is not good; the old one stays",
                metadata: ["cause": "\(error)", "reload": "\(number)"])
        }
        await house.book.refresh()
        await house.consumers.refresh()
    }

    /// The figures as they stand.
    func metrics(_ house: Services) -> String {
        MetricsText(
            figures: house.figures.snapshot, state: house.status.state,
            isLeader: house.status.writer == nil && house.status.state != .noDatabase
                && house.status.state != .readOnly,
            lostLines: house.status.lostLines, connections: house.listeners.connectionCounts,
            validity: house.listeners.validity, version: Version.number
        ).text
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
                let dropped = try await store.tidyPartitions(
                    keepDays: inForce.current.retentionDays)
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
            let done = try await store.makePartitions(daysAhead: inForce.current.partitionDays)
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
