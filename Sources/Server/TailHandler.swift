import Engine
import NIOCore
import Tracking
import Wire

/// What a tail reads history and cursors from.
public protocol TailSource: Sendable {
    func output(after seq: Int, limit: Int) async throws(StoreFailure) -> [OutputLine]
    func outputRange() async throws(StoreFailure) -> (first: Int, last: Int)
    /// How far a named consumer has confirmed, nil: never; and how many other names there are.
    func consumer(_ cursor: CursorName) async throws(StoreFailure) -> (seq: Int?, others: Int)
    /// Writes that down; false where there are `names` others already.
    func confirm(_ cursor: CursorName, _ seq: Int, names: Int) async throws(StoreFailure) -> Bool
    /// The last output number before an instant.
    func seq(before instant: Instant) async throws(StoreFailure) -> Int
}

/// Bounds of a tail connection; each is a setting.
public struct TailOptions: Sendable {
    public var heartbeatSeconds = 15
    /// Seconds for which a consumer may leave its lines unread.
    public var slowSeconds = 30
    public var maxConnections = 10_000
    /// Of these, those of one address.
    public var maxPerAddress = 1_000
    /// Consumers that are known by name.
    public var maxNames = 1_000
    /// Lines in one reading of the store.
    public var pageLines = 1_000

    public init() {}
}

/// One tail connection. It holds a place in the output, no queue: while the socket takes bytes it
/// copies lines from the shared ring, or reads the store where it is further back.
final class TailHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let options: TailOptions
    private let hub: TailHub
    private let source: any TailSource
    private let access: TailAccess
    private let network: @Sendable () -> Network
    private let clock: @Sendable () -> Instant
    private var context: ChannelHandlerContext?
    private var framer = LineFramer(maxLine: 65_536)
    private var request: TailRequest?
    private var certificate: TLSEstablished?
    /// Who reads, and what; nil: that is not known yet.
    private var permit: TailPermit?
    private var view: TailView?
    private var cursor = 0
    /// The last number that the consumer has confirmed, and that the store knows of.
    private var confirmed = 0
    private var written = 0
    private var isConfirming = false
    private var isStarting = false
    private var isRunning = false
    private var isReading = false
    private var isCaughtUp = false
    private var isClosed = false
    private var startTimer: Scheduled<Void>?
    private var slowTimer: Scheduled<Void>?
    private var heartbeat: RepeatedTask?
    private var loop: TailLoop?

    init(
        options: TailOptions, hub: TailHub, source: any TailSource, access: TailAccess,
        network: @escaping @Sendable () -> Network,
        clock: @escaping @Sendable () -> Instant
    ) {
        self.network = network
        self.access = access
        self.options = options
        self.hub = hub
        self.source = source
        self.clock = clock
    }

    private func bound(_ context: ChannelHandlerContext) -> NIOLoopBound<TailHandler> {
        NIOLoopBound(self, eventLoop: context.eventLoop)
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let bound = bound(context)
        // Whoever may read without a word need not say one; others have as long as a feed's first line.
        startTimer = context.eventLoop.scheduleTask(
            in: .seconds(access.allowsAnonymous ? 1 : TailHandler.requestSeconds)
        ) {
            bound.value.startByItself()
        }
        context.fireChannelActive()
    }

    /// The time in which a request that has begun must be complete.
    private static let requestSeconds: Int64 = 10

    /// Nobody has asked for anything in particular; of who has begun to, it is waited for.
    private func startByItself() {
        guard request == nil, let context else { return }
        guard framer.isMidLine else { return accept([]) }
        let bound = bound(context)
        startTimer = context.eventLoop.scheduleTask(in: .seconds(TailHandler.requestSeconds)) {
            bound.value.refuse(
                "the request was not complete \(TailHandler.requestSeconds) s after it began", .idle
            )
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        if let name = cursorName, confirmed > written {
            // What it confirmed with its last breath counts as well.
            let (source, seq, names) = (source, confirmed, options.maxNames)
            Task { _ = try? await source.confirm(name, seq, names: names) }
        }
        startTimer?.cancel()
        slowTimer?.cancel()
        heartbeat?.cancel()
        loop?.remove(self)
        if let view { loop?.release(view) }
        view = nil
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        if let farewell = event as? Farewell {
            refuse(farewell.prose, .shutdown)
            promise?.succeed()
        } else {
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        // Taken out while it runs: what a line leads to may come back to this handler.
        var framer = framer
        self.framer = LineFramer(maxLine: 65_536)
        buffer.readableBytesView.withUnsafeBytes { raw in
            framer.feed(raw.bindMemory(to: UInt8.self)) { framed in
                switch framed {
                case .line(let bytes): self.receive(Array(bytes))
                case .tooLong: self.refuse("a request is one line of at most 64 kB", .protocol)
                }
            }
        }
        self.framer = framer
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A consumer that has nothing more to say still reads.
        if let event = event as? ChannelEvent, event == .inputClosed { return }
        if let event = event as? TLSEstablished { certificate = event }
        context.fireUserInboundEventTriggered(event)
    }

    private func receive(_ line: [UInt8]) {
        if request == nil { return accept(line) }
        let object = FlatObject(line)
        if object?.has("tail") == true {
            // Who goes on with what comes by itself does not get what it asked for.
            return refuse(
                "a request is the first line, and comes within a second; everything from now on has begun "
                    + "already: connect again", .protocol)
        }
        guard let name = cursorName, let object, object.has("ack") else { return }
        guard let seq = object.integer("ack"), seq >= 0 else {
            return refuse("ack is the number of a line that was sent", .protocol)
        }
        // A standby may lag behind what the writer has told.
        guard seq > confirmed, seq <= hub.last else { return }
        confirmed = max(confirmed, seq)
        if !isConfirming { confirm(name) }
    }

    /// Writes down how far the consumer has come: one at a time, the latest counts.
    private func confirm(_ name: CursorName) {
        guard let context, !isClosed, confirmed > written else { return }
        isConfirming = true
        let (source, seq, eventLoop) = (source, confirmed, context.eventLoop)
        let names = options.maxNames
        let bound = bound(context)
        Task {
            let isKept = try? await source.confirm(name, seq, names: names)
            if isKept == false { return eventLoop.execute { bound.value.refuseName() } }
            let isDone = isKept != nil
            eventLoop.scheduleTask(in: isDone ? .milliseconds(20) : .seconds(1)) {
                let handler = bound.value
                handler.isConfirming = false
                if isDone { handler.written = max(handler.written, seq) }
                handler.confirm(name)
            }
        }
    }

    /// Where its place is kept; nil: it is nobody's that has a name.
    private var cursorName: CursorName? {
        guard let name = request?.name, let permit else { return nil }
        return CursorName(consumer: permit.consumer, name: name)
    }

    private func refuseName() {
        refuse(
            "\(options.maxNames) consumers have names here, and no more are kept; "
                + "leave the name away, or see tail.max-names", .limit)
    }

    private func refuseAfter(_ after: Int, last: Int, _ log: String) {
        refuse(
            "after is \(after), and the last line of this log (\(log)) is \(last): ask for a number up "
                + "to that, \"start\" or \"now\"", .protocol)
    }

    private func accept(_ line: [UInt8]) {
        guard request == nil, let context else { return }
        startTimer?.cancel()
        do { request = try TailRequest.parse(line, network: network()) } catch {
            return refuse(error.detail, .protocol)
        }
        admit(context)
    }

    /// Finds out who asks, and what they may read.
    private func admit(_ context: ChannelHandlerContext) {
        let shown = certificate?.consumer
        if shown == nil, request?.token != nil, request?.consumer == nil {
            return refuse("a token needs the consumer whose it is", .unauthorised)
        }
        guard let name = shown ?? request?.consumer else {
            guard access.allowsAnonymous else {
                return refuse(
                    "say who you are, {\"tail\":\"caravan/1\",\"consumer\":…,\"token\":…}, or show "
                        + "a certificate; see caravan consumer enrol, and tail.anonymous",
                    .unauthorised)
            }
            return enter(TailPermit())
        }
        if let stated = request?.consumer, stated != name {
            return refuse(
                "the certificate is that of consumer \(name), not of \(stated)", .unauthorised)
        }
        let (bound, eventLoop, token) = (bound(context), context.eventLoop, request?.token)
        let registry = access.registry
        Task {
            let verdict = await registry.admit(name, token: token, certified: shown != nil)
            eventLoop.execute {
                switch verdict {
                case .granted(let permit): bound.value.enter(permit)
                case .refused(let prose): bound.value.refuse(prose, .unauthorised)
                }
            }
        }
    }

    private func enter(_ permit: TailPermit) {
        guard let context, !isClosed, let request else { return }
        if let (key, allowed) = permit.rights.contradicts(request.filter) {
            return refuse(
                "consumer \(permit.consumer) may not read such \(key); it may read "
                    + allowed.prefix(20).joined(separator: ", "), .unauthorised)
        }
        self.request?.filter.mayReadParents = permit.rights.isOpen
        let loop = hub.loop(for: context.eventLoop)
        loop.add(self)
        self.loop = loop
        take(permit)
        pump()
    }

    /// From now on it shows what that permits.
    private func take(_ permit: TailPermit) {
        guard let loop, let filter = request?.filter else { return }
        self.permit = permit
        if let view { loop.release(view) }
        view = loop.view(TailView.Key(filter: filter, rights: permit.rights))
    }

    /// What has become of its rights since: one that is revoked is cut, others go by what is so now.
    private func renew() {
        guard let permit, let standing = access.registry.standing(permit) else { return }
        switch standing {
        case .granted(let renewed):
            request?.filter.mayReadParents = renewed.rights.isOpen
            take(renewed)
        case .refused(let prose): refuse(prose, .unauthorised)
        }
    }

    /// Finds out where to begin, once the log is known.
    private func start(_ context: ChannelHandlerContext, log: String) {
        guard !isStarting, let request else { return }
        isStarting = true
        let bound = bound(context)
        let source = source
        let eventLoop = context.eventLoop
        let last = hub.last
        let (names, cursor) = (options.maxNames, cursorName)
        Task {
            var after = last
            var first = last + 1
            do {
                let range = try await source.outputRange()
                first = range.first
                var confirmed: Int?
                if let cursor {
                    var consumer = try await source.consumer(cursor)
                    if consumer.seq == nil, !cursor.consumer.isEmpty {
                        // It had its place before it had an identity.
                        consumer.seq = try await source.consumer(CursorName(name: cursor.name)).seq
                    }
                    confirmed = consumer.seq
                    guard confirmed != nil || consumer.others < names else {
                        return eventLoop.execute { bound.value.refuseName() }
                    }
                }
                switch request.after {
                case .seq(let seq): after = seq
                case .start: after = 0
                case .now: after = last
                case .time(let instant): after = try await source.seq(before: instant)
                case nil: after = confirmed ?? last
                }
                // A standby may lag behind what the writer has told.
                let end = max(last, range.last)
                if after > end {
                    let asked = after
                    return eventLoop.execute { bound.value.refuseAfter(asked, last: end, log) }
                }
                // Its name is known from its first connection on.
                // Where the database takes nothing just now it is once it confirms.
                if let cursor, confirmed == nil,
                    (try? await source.confirm(cursor, after, names: names)) == false
                {
                    return eventLoop.execute { bound.value.refuseName() }
                }
                let (from, oldest) = (after, first)
                eventLoop.execute { bound.value.begin(log, first: oldest, last: last, after: from) }
            } catch {
                eventLoop.scheduleTask(in: .seconds(1)) { bound.value.retryStart() }
            }
        }
    }

    private func retryStart() {
        isStarting = false
        pump()
    }

    private func begin(_ log: String, first: Int, last: Int, after: Int) {
        guard let context, !isClosed else { return }
        isRunning = true
        cursor = after
        var out = JSONWriter()
        TailControl.welcome(log: log, first: first, last: last, to: &out)
        if after + 1 < first, request?.after != .start {
            TailControl.gap(from: after + 1, to: first - 1, to: &out)
        }
        if after + 1 < first { cursor = first - 1 }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: out.bytes)), promise: nil)
        let bound = bound(context)
        let interval = TimeAmount.seconds(Int64(options.heartbeatSeconds))
        heartbeat = context.eventLoop.scheduleRepeatedTask(
            initialDelay: interval, delay: interval
        ) { _ in bound.value.beat() }
        pump()
    }

    private func beat() {
        renew()
        guard isCaughtUp, !isClosed, let context, context.channel.isWritable else { return }
        var out = JSONWriter()
        TailControl.heartbeat(seq: cursor, time: clock(), to: &out)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: out.bytes)), promise: nil)
    }

    // MARK: Lines

    /// Writes what there is while the socket takes it.
    func pump() {
        guard let context, let loop, !isClosed, request != nil, permit != nil else { return }
        guard isRunning else {
            if let log = hub.log { start(context, log: log) }
            return
        }
        // What is written may end the connection, and with it this.
        while !isClosed, context.channel.isWritable, !isReading {
            switch loop.look(after: cursor, hub) {
            case .batch(let batch): write(batch, context)
            case .behind: readStore(context)
            case .upToDate:
                if !isCaughtUp {
                    isCaughtUp = true
                    var out = JSONWriter()
                    TailControl.caughtUp(seq: cursor, to: &out)
                    context.writeAndFlush(
                        wrapOutboundOut(ByteBuffer(bytes: out.bytes)), promise: nil)
                }
                return
            }
        }
    }

    private func write(_ batch: TailBatch, _ context: ChannelHandlerContext) {
        cursor = batch.last
        guard let view else { return }
        if let text = batch.text(view, context.channel.allocator) {
            context.writeAndFlush(wrapOutboundOut(text), promise: nil)
        }
    }

    private func readStore(_ context: ChannelHandlerContext) {
        isReading = true
        let bound = bound(context)
        let source = source
        let (after, limit, upTo) = (cursor, options.pageLines, hub.last)
        let eventLoop = context.eventLoop
        Task {
            do {
                // Not beyond what is known to be durable.
                let lines = try await source.output(after: after, limit: limit)
                    .filter { $0.seq <= upTo }
                eventLoop.execute { bound.value.took(lines) }
            } catch {
                eventLoop.scheduleTask(in: .seconds(1)) { bound.value.took([]) }
            }
        }
    }

    private func took(_ lines: [OutputLine]) {
        isReading = false
        guard let context, !isClosed else { return }
        if lines.isEmpty {
            // Nothing there yet (the store was away): look again in a moment.
            let bound = bound(context)
            context.eventLoop.scheduleTask(in: .milliseconds(200)) { bound.value.pump() }
        } else {
            write(TailBatch(after: cursor, lines), context)
            pump()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            slowTimer?.cancel()
            slowTimer = nil
            pump()
        } else if slowTimer == nil {
            let bound = bound(context)
            slowTimer = context.eventLoop.scheduleTask(
                in: .seconds(Int64(options.slowSeconds))
            ) { bound.value.refuse("the consumer does not read; resume from its place", .slow) }
        }
        context.fireChannelWritabilityChanged()
    }

    /// The log that this tail reads is another one now.
    func logHasChanged() {
        // What was confirmed of the other one says nothing of this one.
        confirmed = written
        refuse("the log was restored to an older state; its numbers begin anew", .shutdown)
    }

    private func refuse(_ prose: String, _ code: CloseCode) {
        guard let context, !isClosed else { return }
        isClosed = true
        var out = JSONWriter()
        Reply.error(prose, code, to: &out)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: out.bytes)))
            .whenComplete { _ in bound.value.close(promise: nil) }
        // A consumer that does not read does not let the word through either.
        context.eventLoop.scheduleTask(in: .seconds(2)) { bound.value.close(promise: nil) }
    }
}
