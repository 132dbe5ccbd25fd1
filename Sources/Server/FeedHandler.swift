import Engine
import Logging
import NIOCore
import Tracking
import Wire

/// Deadlines and bounds of a feed connection; each is a setting.
public struct FeedOptions: Sendable {
    public var limits = FeedLimits()
    /// Seconds until the first line must be complete.
    public var firstLineSeconds = 10
    /// Seconds from the first byte of any line to its last.
    public var lineSeconds = 30
    /// Seconds for which a write may stall.
    public var stallSeconds = 30
    public var heartbeatSeconds = 10
    /// Lines of one connection that may wait for their ack.
    public var window = 8_192
    /// Connections at a time: in all, before their first line, of nobody in particular, of one
    /// address, of one post.
    public var maxConnections = 10_000
    public var maxUnauthenticated = 4_096
    public var maxAnonymous = 4_096
    public var maxPerAddress = 512
    public var maxPerPost = 64
    /// Ids of which it is remembered for an hour to which container they were given.
    public var idMemory = 65_536
    /// Seconds until a TLS handshake must be done.
    public var handshakeSeconds = 10

    public init() {}
}

/// Who may speak on a listener.
struct FeedAccess: Sendable {
    let book: PostRegistry
    let caps: ConnectionCaps
    /// Whether senders are let in that do not say who they are.
    let allowsAnonymous: Bool
    let ids: IDMemory
    let unreadable: UnreadableMemory
    let logger: Logger
}

/// One feed connection: cuts lines, parses them where they were read, hands chunks to the inbox and
/// writes replies. Lives on its event loop.
final class FeedHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let options: FeedOptions
    private let parser: FeedParser
    let inbox: Inbox
    let access: FeedAccess
    let id: Int
    let status: DaemonStatus
    let generation: Int
    private var framer: LineFramer
    var context: ChannelHandlerContext?
    var connection: FeedConnection?
    /// Without the port; nil for a Unix socket.
    var address: String?
    /// Among those that the caps count.
    let number: Int
    var origin = Origin()
    var permit: Permit?
    /// What the client's certificate says, where the connection is encrypted.
    var certificate: TLSEstablished?
    var hasEntered = false
    private var farewell: Farewell?

    var lineCount = 0
    /// The last line that the engine will answer, and the last that it has.
    var lastAnswerable = 0
    private var answered = 0
    var durableLine: Int { answered }
    var chunk: FeedChunk
    var newest = Instant.unset
    var outgoing: [UInt8] = []
    private var isPaused = false
    /// The inbox has this connection on its list of those that wait for room.
    private var isParked = false
    private var lineBegan: NIODeadline?
    private var wantsRead = false
    private var isEnding = false
    /// What is to be said last, once what was read is answered.
    private var refusal: (() -> Void)?
    private var endLine = 0
    var isClosed = false
    var inSession = false
    /// A hello has come: what follows belongs to its session.
    var awaitsWelcome = false
    /// In a session, the number that comes next.
    var expected = 0
    /// … and of the connection's own last line: behind `expected` while it sends again.
    var lastSeq: Int64?
    /// It says what was acknowledged to it, so it goes on from there.
    var resumesByItself = false
    /// Lines at the beginning of a session that cannot be read, and whose numbers only the next that can
    /// will tell; as indices of the chunk.
    var unplaced: [Int] = []
    private var unplacedTimer: Scheduled<Void>?
    private var warnings = FeedWarnings()
    /// Ids of lines that the writer has not answered.
    private var given: [IDMemory.Given] = []
    /// Its first line may have a later one.
    var mayJump = false
    /// … because the log has forgotten streams.
    var isForgotten = false
    var durable = 0
    /// While somebody else decides whether the sender may go on, what comes is held.
    var isHolding = false
    var endsAfterHolding = false
    var held: [Held] = []
    private var firstLineTimer: Scheduled<Void>?
    private var lineTimer: Scheduled<Void>?
    private var stallTimer: Scheduled<Void>?
    var heartbeat: RepeatedTask?
    /// Heartbeats sent since the session's last line.
    var silentBeats = 0

    init(
        id: Int, options: FeedOptions, inbox: Inbox, status: DaemonStatus, access: FeedAccess,
        address: String? = nil, number: Int = 0
    ) {
        self.number = number
        self.id = id
        self.options = options
        self.inbox = inbox
        generation = inbox.generation
        self.status = status
        self.access = access
        self.address = address
        parser = FeedParser(limits: options.limits)
        framer = LineFramer(maxLine: options.limits.maxLine)
        chunk = FeedChunk(source: id, origin: Origin())
    }

    // MARK: Life

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        connection = FeedConnection(id: id, loop: context.eventLoop, handler: self)
        firstLineTimer = schedule(context, seconds: options.firstLineSeconds) { handler in
            handler.refuse(
                "no line within \(handler.options.firstLineSeconds) s of connecting", .idle)
        }
        if let farewell { refuse(farewell.prose, farewell.code) }
        if let writer = status.writer {
            refuse("this daemon is a standby; the writer's feed is at \(writer)", .shutdown)
        }
        if let certificate, certificate.isMutual, certificate.post == nil {
            refuse(
                "the certificate names no post, or several; it needs one URI urn:caravan:post:ID",
                .unauthorised)
        }
        context.fireChannelActive()
    }

    private func schedule(
        _ context: ChannelHandlerContext, seconds: Int,
        _ body: @escaping @Sendable (FeedHandler) -> Void
    ) -> Scheduled<Void> {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        return context.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) { body(bound.value) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        firstLineTimer?.cancel()
        lineTimer?.cancel()
        stallTimer?.cancel()
        unplacedTimer?.cancel()
        heartbeat?.cancel()
        access.caps.left(
            number, address: address, hasEntered: hasEntered, post: permit?.post)
        if let permit { access.book.connected(permit.post, -1) }
        self.context = nil
        connection?.end()
        connection = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        if let farewell = event as? Farewell {
            // One that is not open yet hears it as soon as it is.
            if self.context == nil { self.farewell = farewell }
            refuse(farewell.prose, farewell.code)
            promise?.succeed()
        } else {
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        if isPaused { wantsRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        // Taken out while it runs: what a line leads to may come back to this handler.
        var framer = framer
        var completed = false
        self.framer = LineFramer(maxLine: options.limits.maxLine)
        buffer.readableBytesView.withUnsafeBytes { raw in
            framer.feed(raw.bindMemory(to: UInt8.self)) {
                completed = true
                self.receive($0, context)
            }
        }
        self.framer = framer
        watchLine(context, completed: completed)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        handOver(context)
        flushReplies(context)
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let certificate = event as? TLSEstablished {
            self.certificate = certificate
            return
        }
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        var framer = framer
        self.framer = LineFramer(maxLine: options.limits.maxLine)
        // Of a session the end may be the link's, and what is not complete was torn: it comes again.
        if !inSession, !awaitsWelcome { framer.finish { self.receive($0, context) } }
        if isHolding {
            endsAfterHolding = true
        } else {
            end(at: lineCount, context)
        }
    }

    /// A begun line has its time to end, counted while it is being read.
    private func watchLine(_ context: ChannelHandlerContext, completed: Bool) {
        guard framer.isMidLine else {
            lineBegan = nil
            return
        }
        if completed || lineBegan == nil { lineBegan = .now() }
        if lineTimer == nil { armLineTimer(context) }
    }

    private func armLineTimer(_ context: ChannelHandlerContext) {
        lineTimer = schedule(context, seconds: options.lineSeconds) { $0.checkLine() }
    }

    private func checkLine() {
        lineTimer = nil
        guard let context, let began = lineBegan else { return }
        if isPaused { lineBegan = .now() }
        if !isPaused, NIODeadline.now() - began >= .seconds(Int64(options.lineSeconds)) {
            return refuse(
                "a line was not complete \(options.lineSeconds) s after its first byte", .idle)
        }
        let left = TimeAmount.seconds(Int64(options.lineSeconds)) - (.now() - (lineBegan ?? began))
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        lineTimer = context.eventLoop.scheduleTask(in: left) { bound.value.checkLine() }
    }

    func receive(_ framed: LineFramer.Framed, _ context: ChannelHandlerContext) {
        if isEnding || isClosed { return }
        if isHolding { return held.append(Held(framed)) }
        silentBeats = 0
        switch framed {
        case .tooLong(let head, _, _)
        where !hasEntered && head.withUnsafeBufferPointer(HelloCheck.beginsAsWeb):
            return refuse(HelloCheck.noWeb, .protocol)
        case .tooLong(let head, let length, let hash):
            guard hasEntered || enter(framed, context) else { return }
            lineCount += 1
            let reject = LineReject(
                .tooLong, detail: "\(length) bytes; at most \(options.limits.maxLine) are read")
            head.withUnsafeBufferPointer {
                add(.reject(reject), $0, ParsedLine.Oversize(length: length, hash: hash))
            }
        case .line(let bytes):
            let value = parser.parse(bytes)
            switch value {
            case .hello(let hello):
                lineCount += 1
                return open(hello, context)
            case .empty where !hasEntered:
                // Says nothing, and nothing about who is there.
                lineCount += 1
                return
            case .ping where !hasEntered && access.allowsAnonymous && certificate?.post == nil:
                // Is answered, and says as little about who is there.
                lineCount += 1
                return pong()
            case .reject where !hasEntered && HelloCheck.isTail(bytes):
                // Not kept, either.
                return refuse("this is the feed; the tail is at another address", .protocol)
            case .reject where !hasEntered && HelloCheck.isWeb(bytes):
                // A page of anybody's may make a browser send this to its own machine: nothing that follows
                // counts, and nothing of it is kept.
                return refuse(HelloCheck.noWeb, .protocol)
            case .reject(let reject) where !hasEntered && HelloCheck.isMeant(bytes):
                // Not kept: it may hold a token.
                return refuse("this hello cannot be read: \(reject.detail)", .protocol)
            default: break
            }
            guard hasEntered || enter(framed, context) else { return }
            lineCount += 1
            receive(value, bytes, context)
        }
    }

    private func receive(
        _ value: FeedLine, _ bytes: UnsafeBufferPointer<UInt8>, _ context: ChannelHandlerContext
    ) {
        switch value {
        case .empty, .hello: break
        case .ping: pong()
        case .bye: end(at: lineCount - 1, context)
        case .event, .plan, .closure, .acknowledgement, .silence, .reject: add(value, bytes, nil)
        }
    }

    private func pong() {
        var out = JSONWriter()
        Reply.pong(to: &out)
        outgoing += out.bytes
    }

    private func add(
        _ value: FeedLine, _ bytes: UnsafeBufferPointer<UInt8>, _ oversize: ParsedLine.Oversize?
    ) {
        var seq: Int64?
        if inSession {
            seq = place(value, bytes)
            if seq == nil { return }
        }
        if case .event(let event) = value, event.eventClass == .act, permit != nil,
            event.offsetMinutes != nil
        {
            newest = max(newest, event.time)
        }
        let start = chunk.bytes.count
        chunk.bytes.append(contentsOf: bytes)
        chunk.lines.append(
            ParsedLine(
                number: lineCount, range: start..<chunk.bytes.count, value: value, seq: seq,
                oversize: oversize))
        lastAnswerable = lineCount
    }

    /// Gives the chunk to the writer, and stops reading where there is enough for now.
    func handOver(_ context: ChannelHandlerContext) {
        guard !chunk.lines.isEmpty, let connection else { return }
        if !unplaced.isEmpty { return waitForPlace(context) }
        if let permit {
            // A post that was revoked, or lost places, has lost them on open connections too.
            switch access.book.standing(permit) {
            case .same: break
            case .changed(let now):
                self.permit = now
                chunk.scope = now.places
            case .ended(let why):
                chunk = FeedChunk(source: id, origin: origin)
                return refuse(why, .unauthorised)
            }
            access.book.heard(permit.post, lines: chunk.lines.count, newest: newest)
            newest = .unset
        } else if !origin.post.isEmpty, let why = access.book.enrolled(since: origin.post) {
            chunk = FeedChunk(source: id, origin: origin)
            return refuse(why, .unauthorised)
        }
        let sender = origin.post.isEmpty ? "@\(address ?? "")" : origin.post
        given += access.ids.given(by: chunk, sender: sender)
        let full = inbox.offer(
            Intake(content: .lines(chunk), connection: connection, generation: generation))
        chunk = FeedChunk(source: id, origin: origin, scope: permit?.places)
        if full || lastAnswerable - answered > options.window || !context.channel.isWritable {
            pause()
            resume()
        }
    }

    /// The next line tells, or nothing does for a while: then they are what the session waits for.
    private func waitForPlace(_ context: ChannelHandlerContext) {
        guard unplacedTimer == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        unplacedTimer = context.eventLoop.scheduleTask(in: .seconds(1)) {
            bound.value.settlePlace()
        }
    }

    func settlePlace() {
        unplacedTimer?.cancel()
        unplacedTimer = nil
        guard !unplaced.isEmpty else { return }
        placeUnreadable()
        guard let context, !isClosed else { return }
        handOver(context)
    }

    func pause() { isPaused = true }

    /// The sender has said something that counts, or it is the server that takes its time: a line
    /// that says nothing ends no deadline.
    func endFirstLineDeadline() {
        firstLineTimer?.cancel()
        firstLineTimer = nil
    }

    /// Goes on reading once there is room in the inbox and in this connection's window.
    func resume() {
        guard isPaused, !isHolding, !isParked, lastAnswerable - answered <= options.window,
            let context, context.channel.isWritable
        else { return }
        isParked = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        inbox.park { loop.execute { bound.value.unpark() } }
    }

    private func unpark() {
        isParked = false
        guard isPaused, !isHolding, lastAnswerable - answered <= options.window, let context,
            context.channel.isWritable
        else { return }
        isPaused = false
        lineBegan = lineBegan.map { _ in .now() }
        guard wantsRead else { return }
        wantsRead = false
        context.read()
    }

    // MARK: Writing

    func deliver(_ reply: SourceReply) {
        if reply.forbidden > 0 { reportTrespass(reply.forbidden) }
        guard let context, !isClosed else { return }
        outgoing += reply.rejects
        warnings.write(reply.warnings, to: &outgoing)
        if let first = given.first, first.line <= reply.ack {
            let due = given.prefix { $0.line <= reply.ack }
            warnings.write(access.ids.remember(due, without: reply.idle), to: &outgoing)
            given.removeFirst(due.count)
        }
        if reply.ack > answered {
            answered = reply.ack
            if inSession { durable = max(durable, expected - 1 - (lastAnswerable - answered)) }
            var out = JSONWriter()
            Reply.ack(reply.ack, to: &out)
            outgoing += out.bytes
        }
        finishIfDone(context)
        flushReplies(context)
        resume()
    }

    /// No line after this one counts; once all are answered, say bye and close.
    func end(at line: Int, _ context: ChannelHandlerContext) {
        guard !isEnding else { return }
        isEnding = true
        endLine = line
        settlePlace()
        handOver(context)
        finishIfDone(context)
        flushReplies(context)
    }

    private func finishIfDone(_ context: ChannelHandlerContext) {
        guard isEnding, answered >= lastAnswerable else { return }
        if let refusal { return refusal() }
        var out = JSONWriter()
        Reply.bye(endLine, to: &out)
        outgoing += out.bytes
        closeAfterFlush(context)
    }

    /// Says why, and closes. Of the sender's own slips what it said before is answered first, if that does not
    /// take long.
    func refuse(_ prose: String, _ code: CloseCode, expected: Int? = nil) {
        guard let context, !isClosed, refusal == nil else { return }
        handOver(context)
        guard code == .gap || code == .protocol, answered < lastAnswerable else {
            return dismiss(prose, code, expected)
        }
        isEnding = true
        refusal = { [weak self] in self?.dismiss(prose, code, expected) }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .seconds(5)) { bound.value.refusal?() }
    }

    private func dismiss(_ prose: String, _ code: CloseCode, _ expected: Int?) {
        guard let context, !isClosed else { return }
        refusal = nil
        var out = JSONWriter()
        Reply.error(prose, code, expected: expected, to: &out)
        outgoing += out.bytes
        isEnding = true
        closeAfterFlush(context)
    }

    private func closeAfterFlush(_ context: ChannelHandlerContext) {
        isClosed = true
        let bytes = outgoing
        outgoing = []
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)))
            .whenComplete { _ in bound.value.close(promise: nil) }
        // A peer that does not read does not let the word through either.
        context.eventLoop.scheduleTask(in: .seconds(5)) { bound.value.close(promise: nil) }
    }

    func flushReplies(_ context: ChannelHandlerContext) {
        guard !outgoing.isEmpty, !isClosed else { return }
        let bytes = outgoing
        outgoing = []
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private func cutLater(_ context: ChannelHandlerContext) {
        guard stallTimer == nil else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        stallTimer = schedule(context, seconds: options.stallSeconds) { handler in
            handler.logStall()
            bound.value.close(promise: nil)
        }
    }

    /// A client that sends and does not read its replies is cut.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            stallTimer?.cancel()
            stallTimer = nil
            resume()
        } else {
            // What it does not read takes memory: until it does, nothing more of it is read.
            pause()
            cutLater(context)
        }
        context.fireChannelWritabilityChanged()
    }
}

/// A framed line that outlives the buffer in which it came.
enum Held {
    case line([UInt8])
    case tooLong(head: [UInt8], length: Int, hash: UInt64)

    init(_ framed: LineFramer.Framed) {
        switch framed {
        case .line(let bytes): self = .line(Array(bytes))
        case .tooLong(let head, let length, let hash):
            self = .tooLong(head: head, length: length, hash: hash)
        }
    }

    func with(_ body: (LineFramer.Framed) -> Void) {
        switch self {
        case .line(let bytes): bytes.withUnsafeBufferPointer { body(.line($0)) }
        case .tooLong(let head, let length, let hash):
            body(.tooLong(head: head, length: length, hash: hash))
        }
    }
}
