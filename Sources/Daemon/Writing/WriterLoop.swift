import Engine
import Log
import Logging
import NIOCore
import Server
import Tracking
import Wire

/// How the writer paces itself; each is a setting.
public struct WriterOptions: Sendable {
    /// Lines of one batch.
    public var batchLines = 5_000
    /// While a commit is under way, this many lines are worth a step of their own.
    public var overlapLines = 1_000
    /// A checkpoint is due after this many changed containers …
    public var checkpointDirty = 500_000
    /// … or this many seconds, or one second of quiet.
    public var checkpointSeconds = 60.0
    /// Streams that a post may have.
    public var maxStreams = 1_000

    public init() {}
}

/// Times of the daemon: `engine` is what decisions are made with; it runs faster than the wall's
/// in demonstrations.
public struct DaemonClock: Sendable {
    public var wall: @Sendable () -> Instant
    public var speedup: Double
    /// At `origin.wall` the engine's clock shows `origin.engine`.
    public var origin: (wall: Instant, engine: Instant)

    public init(wall: @escaping @Sendable () -> Instant) {
        self.wall = wall
        speedup = 1
        origin = (.init(microseconds: 0), .init(microseconds: 0))
    }

    public func engineNow() -> Instant {
        let wall = wall()
        if speedup == 1, origin.wall == origin.engine { return wall }
        return origin.engine.advanced(minutes: wall.minutes(since: origin.wall) * speedup)
    }

    /// Seconds of the wall until the engine's clock shows `due`.
    func wallSeconds(until due: Instant) -> Double {
        due == .unset ? 0 : max(0, due.minutes(since: engineNow()) * 60 / speedup)
    }
}

/// The one way through the house: lines in, batch, step, commit, out. One task owns the engine;
/// while a batch commits, the next is decided.
public struct WriterLoop<Store: LogStore> {
    var engine: Engine
    private let log: String
    let store: Store
    let inbox: Inbox
    private let hub: TailHub
    let status: DaemonStatus
    private let clock: DaemonClock
    private let options: WriterOptions
    let logger: Logger
    var changes: [ConfigChange] = []
    private let figures: Figures
    private let inForce: PlanInForce?
    /// When open alerts were counted, and up to which line of the output.
    private var countedAlerts = (at: Instant.unset, seq: 0)
    /// Lines of the batch to come, by when they arrived.
    private var arrivals: [(lines: Int, at: NIODeadline)] = []
    private let book: PostRegistry?
    /// The reading of the book that the log knows of.
    var bookVersion: Int?
    /// Streams that may go on where their spools begin.
    var jumps: Recovery.JumpRule
    private var sessions: [Origin: any FeedSink] = [:]
    /// Sessions beyond which those that have ended are swept out.
    private var sweepAt = 64
    /// Of all that is durable since this loop leads.
    private var counts = LineCounts()
    private var refused: [LineReject.Code: Int] = [:]
    private var warned: [LineNote.Code: Int] = [:]
    private var reportedAt = Instant.unset
    /// The counts as of the last figures.
    private var reported = LineCounts()
    private let dismissed: SharedFlag
    var inFlight: Flight?
    var checkpointing: Running<Quiet?>?
    private var lastCheckpoint: Instant
    private var lastNow: Instant
    private var lastWork: Instant

    public init(
        recovered: Recovery.Result, store: Store, inbox: Inbox, hub: TailHub, status: DaemonStatus,
        figures: Figures = Figures(), clock: DaemonClock, options: WriterOptions, logger: Logger,
        inForce: PlanInForce? = nil, notBefore: Instant = .unset,
        dismissed: SharedFlag = SharedFlag(), book: PostRegistry? = nil
    ) {
        self.book = book
        self.figures = figures
        self.inForce = inForce
        self.dismissed = dismissed
        engine = recovered.engine
        jumps = recovered.jumps
        log = recovered.head.log
        self.store = store
        self.inbox = inbox
        self.hub = hub
        self.status = status
        self.clock = clock
        self.options = options
        self.logger = logger
        lastCheckpoint = clock.wall()
        lastNow = max(clock.engineNow(), notBefore)
        lastWork = lastCheckpoint
    }

    /// Runs until the inbox is stopped and empty, or the log has gone to another writer. Leaves
    /// nothing under way: a commit that went on by itself would write under the next one's name.
    public mutating func run(changes: [ConfigChange] = []) async throws(StoreFailure) {
        do throws(StoreFailure) {
            try await lead(changes: changes)
        } catch {
            inFlight?.running.cancel()
            checkpointing?.cancel()
            _ = await inFlight?.running.value()
            _ = await checkpointing?.value()
            throw error
        }
    }

    private mutating func lead(changes: [ConfigChange]) async throws(StoreFailure) {
        status.set(.ok)
        // In this order: what is newer than what is taken here is heard of later.
        _ = inForce?.takeChanges()
        self.changes = changes + (inForce?.changes ?? [])
        try await turn([], changes: self.changes)
        while !(inbox.isStopped && inbox.isEmpty) {
            await wait()
            if dismissed.isSet {
                throw StoreFailure(.fenced, "leading", "another daemon holds the lease now")
            }
            if let flight = inFlight, flight.running.isDone { try await finishCommit() }
            if let fresh = inForce?.takeChanges(), !fresh.isEmpty {
                self.changes = fresh
                try await turn([], changes: fresh)
            }
            let intakes = inbox.drain(limit: options.batchLines)
            try await work(intakes)
            try await settleCheckpoint()
            report()
        }
        report(isLast: true)
        status.set(.draining)
        try await finishCommit()
        if let running = checkpointing, await running.value() == nil {
            throw StoreFailure(
                .unavailable, "writing the checkpoint",
                "the database is away; it is made anew later")
        }
        if engine.dirtyCount > 0 { try await store.checkpoint(engine.cut(now: lastNow)) }
        logger.info("the log is at rest", metadata: ["batch": "\(engine.batch)"])
    }

    /// Every few seconds, and at the end, the figures for whoever wants them.
    private mutating func report(isLast: Bool = false) {
        let now = clock.wall()
        guard isLast || reportedAt == .unset || now.minutes(since: reportedAt) * 60 >= 2 else {
            return
        }
        reportedAt = now
        reported = counts
        let isTimeForAlerts =
            countedAlerts.at == .unset
            || now.minutes(since: countedAlerts.at) * 60 >= alertsInterval
        if isTimeForAlerts { countedAlerts = (now, engine.seq) }
        figures.report(
            WriterReport(
                counts: counts, refused: refused, warned: warned, batch: engine.batch,
                seq: engine.seq,
                containers: engine.liveContainers, waiting: inbox.depth,
                scores: engine.intervals, places: engine.placeScores, steps: engine.stepScores),
            alerts: isTimeForAlerts ? engine.alertCounts : nil)
    }

    /// Counting them looks at every container: the less often, the more there are. Seconds.
    private var alertsInterval: Double { Double(10 + engine.liveContainers / 20_000) }

    // MARK: Waiting

    /// Waits for lines, the next timer, or a second of quiet that allows a checkpoint.
    private mutating func wait() async {
        var seconds = 60.0
        let due = engine.nextDue
        if due != .never { seconds = min(seconds, clock.wallSeconds(until: due)) }
        // Timers need not be finer than this, so that they come in batches.
        seconds = max(seconds, 0.02)
        if engine.dirtyCount > 0, checkpointing == nil { seconds = min(seconds, 1) }
        // What changed since the last figures is told soon, also when nothing more comes.
        if counts != reported { seconds = min(seconds, 2) }
        if engine.seq != countedAlerts.seq { seconds = min(seconds, alertsInterval) }
        let inbox = inbox
        let alarm = Task {
            try? await Task.sleep(for: .seconds(seconds))
            if !Task.isCancelled { inbox.poke() }
        }
        await inbox.wait(threshold: inFlight == nil ? 1 : options.overlapLines)
        alarm.cancel()
    }

    // MARK: Steps

    private mutating func work(_ intakes: [Intake]) async throws(StoreFailure) {
        var chunks: [FeedChunk] = []
        var connections: [Int: any FeedSink] = [:]
        for intake in intakes {
            switch intake.content {
            case .lines(let chunk):
                if jumps.wentBack, !chunk.origin.stream.isEmpty {
                    jumps.settled.insert(chunk.origin)
                }
                chunks.append(chunk)
                arrivals.append((chunk.lines.count, intake.arrivedAt))
                connections[chunk.source] = intake.connection
            case .hello(let hello):
                try await turn(chunks, connections)
                chunks = []
                try await open(hello, intake.connection)
            }
        }
        // An enrolment can be news of itself: a clock that is set right moves what was said before.
        let isBookNews = book.map { $0.isRead && $0.version != bookVersion } ?? false
        if !chunks.isEmpty || isBookNews || engine.nextDue <= clock.engineNow() {
            try await turn(chunks, connections)
        }
    }

    /// One step and the start of its commit.
    private mutating func turn(
        _ chunks: [FeedChunk], _ connections: [Int: any FeedSink] = [:],
        changes: [ConfigChange] = []
    ) async throws(StoreFailure) {
        var effects: Effects
        repeat {
            effects = try await decide(chunks, changes)
            // Where the batch before had to be taken apart, this one was decided on sand.
        } while try await finishCommit()
        inFlight = launch(effects, chunks, connections)
    }

    mutating func decide(
        _ chunks: [FeedChunk], _ changes: [ConfigChange]
    ) async throws(StoreFailure) -> Effects {
        try await fetch(chunks)
        lastNow = tick()
        let changes = changes + enrolments()
        let effects = status.step { engine.step(chunks, changes: changes, now: lastNow) }
        lastWork = clock.wall()
        return effects
    }

    /// What was decided is durable: now it counts, once, however often it was decided.
    private mutating func count(_ effects: Effects) {
        counts += effects.counts
        for (code, count) in effects.warned { warned[code, default: 0] += count }
        for (code, count) in effects.refused {
            refused[code, default: 0] += count
            logger.debug("refused lines", metadata: ["code": "\(code)", "count": "\(count)"])
        }
    }

    /// The posts as they are enrolled, where that is not what the log knows. A sender is let in by the
    /// book, so whatever it sends comes behind the enrolment by which it was.
    private mutating func enrolments() -> [ConfigChange] {
        guard let book, book.version != bookVersion, let (version, posts) = book.enrolments() else {
            return []
        }
        bookVersion = version
        return [.posts(posts)]
    }

    /// The engine's time does not run backwards where a clock is set right or another machine takes
    /// over. One that was far ahead is followed back, or nothing would fall due for as long.
    private func tick() -> Instant {
        let now = clock.engineNow()
        guard now < lastNow else { return now }
        let minutes = lastNow.minutes(since: now)
        if minutes <= WriterLoop.heldBackMinutes { return lastNow }
        logger.warning(
            "the clock was set back; the log goes on from there",
            metadata: ["minutes": "\(Int(minutes))"])
        return now
    }

    private static var heldBackMinutes: Double { 90 }

    /// Brings back the records that a batch needs and that rest in the store: of the containers that
    /// it names, and of those that are in one shipment with them.
    private mutating func fetch(_ chunks: [FeedChunk]) async throws(StoreFailure) {
        var asked = Wanted()
        while true {
            let missing = engine.missing(chunks)
            if missing.isEmpty || missing == asked { return }
            asked = missing
            let records = try await persist("loading journeys") { (store) throws(StoreFailure) in
                try await store.load(missing)
            }
            do { try engine.admit(records) } catch {
                throw StoreFailure(.fatal, "loading journeys", error.detail)
            }
        }
    }

    /// Asks the store until it answers: what was taken from the inbox must not be lost because the
    /// database is away.
    func persist<Value: Sendable>(
        _ operation: String, _ ask: (Store) async throws(StoreFailure) -> Value
    ) async throws(StoreFailure) -> Value {
        var attempt = 0
        while true {
            do throws(StoreFailure) {
                let value = try await ask(store)
                if attempt > 0 { status.set(.ok) }
                return value
            } catch {
                guard error.kind == .unavailable, !inbox.isStopped, !Task.isCancelled else {
                    throw error
                }
                status.set(error.daemonState)
                logger.error(
                    "the database is out of reach; trying again",
                    metadata: ["cause": "\(error)", "while": "\(operation)"])
                try? await Task.sleep(for: .seconds(Backoff.seconds(attempt)))
                attempt += 1
            }
        }
    }

    /// A batch on its way into the store, with all that is needed to decide it anew.
    struct Flight {
        let effects: Effects
        let chunks: [FeedChunk]
        let connections: [Int: any FeedSink]
        let running: Running<StoreFailure?>
    }

    mutating func launch(
        _ effects: Effects, _ chunks: [FeedChunk], _ connections: [Int: any FeedSink]
    ) -> Flight {
        let (store, hub, status, logger, inbox) = (store, hub, status, logger, inbox)
        let (figures, arrivals) = (figures, arrivals)
        self.arrivals = []
        let running = Running<StoreFailure?> {
            if var commit = effects.commit {
                // Here, and not in the step: the next one is decided meanwhile.
                commit.render()
                let failure = await WriterLoop.makeDurable(
                    commit, store, status, figures, logger, inbox)
                if let failure { return failure }
                hub.publish(commit.outputs)
            }
            for reply in effects.replies { connections[reply.source]?.deliver(reply) }
            let now = NIODeadline.now()
            for (lines, at) in arrivals {
                figures.acknowledged(lines: lines, seconds: Double((now - at).nanoseconds) / 1e9)
            }
            return nil
        } whenDone: {
            inbox.poke()
        }
        return Flight(
            effects: effects, chunks: chunks, connections: connections, running: running)
    }

    /// Tries the same commit until it is durable; returns only failures that no trying mends.
    private static func makeDurable(
        _ commit: Commit, _ store: Store, _ status: DaemonStatus, _ figures: Figures,
        _ logger: Logger, _ inbox: Inbox
    ) async -> StoreFailure? {
        var attempt = 0
        while true {
            do {
                let began = NIODeadline.now()
                try await store.commit(commit)
                figures.committed(
                    lines: commit.entries,
                    seconds: Double((NIODeadline.now() - began).nanoseconds) / 1e9)
                if attempt > 0 {
                    status.set(.ok)
                    logger.notice("the database is back", metadata: ["batch": "\(commit.batch)"])
                }
                return nil
            } catch {
                // Told to stop, it gives up: nothing of it was acknowledged.
                if error.kind != .unavailable || Task.isCancelled || inbox.isStopped {
                    return error
                }
                figures.commitFailed()
                status.set(error.daemonState)
                let pause = Backoff.seconds(attempt)
                logger.error(
                    "the database does not take the batch; trying again",
                    metadata: ["cause": "\(error)", "attempt": "\(attempt + 1)"])
                attempt += 1
                try? await Task.sleep(for: .seconds(pause))
            }
        }
    }

    /// Waits for the batch under way. True: the database refused some of it, and the engine was
    /// brought back to what the log says, without those lines.
    @discardableResult
    mutating func finishCommit() async throws(StoreFailure) -> Bool {
        guard let flight = inFlight else { return false }
        inFlight = nil
        guard let failure = await flight.running.value() else {
            count(flight.effects)
            return false
        }
        guard failure.kind == .data, var commit = flight.effects.commit else { throw failure }
        commit.render()
        return try await bisect(flight, commit, failure)
    }

    /// Opens a session: what it may resume after is what is durable.
    private mutating func open(
        _ hello: Hello, _ connection: any FeedSink
    ) async throws(StoreFailure) {
        try await finishCommit()
        let origin = Origin(post: hello.post, stream: hello.stream)
        if let older = sessions[origin], older.id != connection.id {
            older.close("a newer session has opened on this stream", .fenced)
        }
        guard hasRoom(for: origin) else {
            return connection.close(
                "post \(hello.post) has \(options.maxStreams) streams, and no more are kept; "
                    + "a spool that is kept keeps its stream, or see feed.max-streams", .limit)
        }
        sessions[origin] = connection
        if sessions.count > sweepAt {
            sessions = sessions.filter { $0.value.isOpen }
            sweepAt = max(64, 2 * sessions.count)
        }
        let mark = Int(engine.mark(of: origin))
        var welcome = Welcome(
            resume: mark, mayJump: jumps.allows(origin), log: log, now: clock.engineNow())
        welcome.isForgotten = mark == 0 && jumps.hasForgotten && !jumps.allows(origin)
        connection.welcome(hello, welcome)
    }

    /// A stream counts from its first line on, and as long as it is open.
    private func hasRoom(for origin: Origin) -> Bool {
        if engine.mark(of: origin) > 0 { return true }
        let fresh = sessions.count { other, connection in
            other.post == origin.post && other != origin && connection.isOpen
                && engine.mark(of: other) == 0
        }
        return engine.streams(of: origin.post) + fresh < options.maxStreams
    }

    // MARK: Checkpoints

    private mutating func settleCheckpoint() async throws(StoreFailure) {
        if let running = checkpointing {
            guard running.isDone else { return }
            checkpointing = nil
            guard let quiet = await running.value() else {
                // What it held is in no snapshot, and a later one would hide that.
                throw StoreFailure(
                    .fenced, "writing the checkpoint", "the log has gone to another writer")
            }
            engine.rest(quiet)
        }
        guard engine.dirtyCount > 0 else { return }
        let wall = clock.wall()
        let waited = wall.minutes(since: lastCheckpoint) * 60
        let quietFor = wall.minutes(since: lastWork) * 60
        let isDue =
            engine.dirtyCount >= options.checkpointDirty || waited >= options.checkpointSeconds
            || (quietFor >= 0.9 && inbox.depth == 0)
        guard isDue else { return }
        guard try await !finishCommit() else { return }
        lastCheckpoint = wall
        let checkpoint = engine.cut(now: lastNow)
        let (store, figures, logger, inbox) = (store, figures, logger, inbox)
        checkpointing = Running {
            await WriterLoop.save(checkpoint, store, figures, logger, inbox)
        } whenDone: {
            inbox.poke()
        }
    }

    private static func save(
        _ checkpoint: Checkpoint, _ store: Store, _ figures: Figures, _ logger: Logger,
        _ inbox: Inbox
    ) async -> Quiet? {
        var attempt = 0
        while !Task.isCancelled {
            do {
                let began = NIODeadline.now()
                try await store.checkpoint(checkpoint)
                figures.checkpointed(seconds: Double((NIODeadline.now() - began).nanoseconds) / 1e9)
                logger.debug(
                    "checkpoint",
                    metadata: [
                        "batch": "\(checkpoint.batch)", "journeys": "\(checkpoint.journeyCount)",
                    ])
                return checkpoint.quiet
            } catch {
                // It is kept until it is written: the next one holds only what changed since.
                // Told to stop, it waits for nothing: what it holds is replayed.
                if error.kind == .fenced || inbox.isStopped { return nil }
                logger.log(
                    level: error.kind == .unavailable ? .warning : .error,
                    "a checkpoint waits for the database", metadata: ["cause": "\(error)"])
                try? await Task.sleep(for: .seconds(Backoff.seconds(attempt)))
                attempt += 1
            }
        }
        return nil
    }
}
