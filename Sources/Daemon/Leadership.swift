import Engine
import Logging
import Server
import ServiceLifecycle
import Store
import Synchronization
import Tracking

/// Who writes the log: leads where nobody else does, stands by where somebody does.
extension Daemon {
    /// Leads where nobody else does, stands by where somebody does; comes back from whatever the
    /// database does. Returns when the daemon is told to stop; throws what no trying mends.
    func serve(_ house: Services) async throws {
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
                if failure.kind == .fatal { throw failure }
                let hint =
                    failure.kind == .unprepared
                    ? "its schema is missing or older, or not this account's: caravan migrate" : nil
                house.status.set(failure.daemonState, because: hint)
                logger.error(
                    failure.kind == .fenced
                        ? "another daemon writes now" : "the log is out of reach; trying again",
                    metadata: [
                        "cause": "\(failure)\(hint.map { "; \($0)" } ?? "")",
                        "attempt": "\(attempt + 1)",
                    ])
                await pause(Backoff.seconds(attempt))
                attempt += 1
            }
        }
        try? await house.store.releaseLease(holder: run.holder)
    }

    /// Lines were taken that will not be answered: whoever sent them has to begin anew, and whoever
    /// comes in between as well. Tails go on: the log is the same whoever writes it.
    func startOver(_ house: Services, _ prose: String) async {
        await house.listeners.sayFarewell(prose, feedsOnly: true)
        house.inbox.reset()
        await house.listeners.sayFarewell(prose, feedsOnly: true)
    }

    /// Sleeps, but not through a stop.
    func pause(_ seconds: Double) async {
        let until = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < until, !Task.isShuttingDownGracefully {
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Serves tails from the log that another daemon writes, and tells posts where that is.
    func standBy(
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
        house.status.set(.ok)
        if house.hub.isAnother(log: head.log, last: head.seq) {
            house.hub.begin(log: head.log, last: head.seq)
        }
        try await house.hub.follow(house.store)
        try? await Task.sleep(for: .milliseconds(300))
    }

    /// Writes the log until told to stop or fenced off.
    func lead(_ house: Services) async throws(StoreFailure) {
        let dismissed = SharedFlag()
        let log = LeadingLog()
        let renewing = Task { await renew(house, log, dismissed) }
        defer { renewing.cancel() }
        let status = house.status
        let recovered = try await Recovery.run(house.store) { status.step($0) }
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
            if !Task.isShuttingDownGracefully { house.figures.rest() }
        }
        var loop = WriterLoop(
            recovered: recovered, store: house.store, inbox: house.inbox, hub: house.hub,
            status: house.status, figures: house.figures, clock: clock, options: plan.writer,
            logger: logger, inForce: inForce,
            notBefore: lastStep ?? .unset, dismissed: dismissed, book: house.book)
        do throws(StoreFailure) {
            try await loop.run()
        } catch {
            house.status.set(.noDatabase)
            await startOver(house, "the log is opened anew; what is not acknowledged, send again")
            throw error
        }
    }

    func clock(_ house: Services, _ lastStep: Instant?) -> DaemonClock {
        var clock = DaemonClock(wall: house.wall)
        clock.speedup = plan.speedup
        let wall = house.wall()
        var start = plan.engineStart ?? wall
        if plan.speedup > 1, let lastStep { start = max(start, lastStep) }
        if plan.speedup != 1 || plan.engineStart != nil { clock.origin = (wall, start) }
        return clock
    }

    /// Shows that this daemon lives, three times as often as it must, and steps down where another
    /// one has taken the lease meanwhile.
    func renew(_ house: Services, _ log: LeadingLog, _ dismissed: SharedFlag) async {
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
                if wasAway, house.status.state != .draining {
                    if house.status.state == .noDatabase { house.status.set(.ok) }
                    logger.notice("the database answers again")
                }
                wasAway = false
            } catch {
                // Also where there is nothing to write: who asks is told the truth.
                if !wasAway {
                    logger.error(
                        "the database does not answer", metadata: ["cause": "\(error)"])
                }
                wasAway = true
                if house.status.state == .ok { house.status.set(.noDatabase) }
            }
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
