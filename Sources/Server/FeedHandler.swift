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
    /// Connections at a time.
    public var maxConnections = 10_000

    public init() {}
}

/// A feed connection as the writer sees it.
final class FeedConnection: Sendable {
    let id: Int
    private let loop: any EventLoop
    private let handler: NIOLoopBound<FeedHandler>

    init(id: Int, loop: any EventLoop, handler: FeedHandler) {
        self.id = id
        self.loop = loop
        self.handler = NIOLoopBound(handler, eventLoop: loop)
    }

    /// Sends the replies of a durable batch.
    func deliver(_ reply: SourceReply) {
        loop.execute { self.handler.value.deliver(reply) }
    }

    func welcome(_ hello: Hello, resume last: Int, now: Instant) {
        loop.execute { self.handler.value.welcome(hello, resume: last, now: now) }
    }

    func close(_ prose: String, _ code: CloseCode) {
        loop.execute { self.handler.value.refuse(prose, code) }
    }
}

/// One feed connection: cuts lines, parses them where they were read, hands chunks to the inbox and
/// writes replies. Lives on its event loop.
final class FeedHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let options: FeedOptions
    private let parser: FeedParser
    private let inbox: Inbox
    private let id: Int
    private let status: FeedStatus
    private var framer: LineFramer
    private var context: ChannelHandlerContext?
    private var connection: FeedConnection?
    private var origin = Origin()

    private var lineCount = 0
    /// The last line that the engine will answer, and the last that it has.
    private var lastAnswerable = 0
    private var answered = 0
    private var chunk: FeedChunk
    private var outgoing: [UInt8] = []
    private var isPaused = false
    private var wantsRead = false
    private var isEnding = false
    private var endLine = 0
    private var isClosed = false
    private var inSession = false
    /// In a session, the number that comes next.
    private var expected = 0
    private var durable = 0
    private var awaitsWelcome = false
    private var endsAfterWelcome = false
    /// What came behind a hello that is not answered yet.
    private var held: [Held] = []
    private var firstLineTimer: Scheduled<Void>?
    private var lineTimer: Scheduled<Void>?
    private var stallTimer: Scheduled<Void>?
    private var heartbeat: RepeatedTask?

    init(id: Int, options: FeedOptions, inbox: Inbox, status: FeedStatus) {
        self.id = id
        self.options = options
        self.inbox = inbox
        self.status = status
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
        heartbeat?.cancel()
        self.context = nil
        connection = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        if isPaused { wantsRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        // Taken out while it runs: what a line leads to may come back to this handler.
        var framer = framer
        self.framer = LineFramer(maxLine: options.limits.maxLine)
        buffer.readableBytesView.withUnsafeBytes { raw in
            framer.feed(raw.bindMemory(to: UInt8.self)) { self.take($0, context) }
        }
        self.framer = framer
        watchLine(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        handOver(context)
        flushReplies(context)
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        var framer = framer
        self.framer = LineFramer(maxLine: options.limits.maxLine)
        framer.finish { self.take($0, context) }
        if awaitsWelcome {
            endsAfterWelcome = true
        } else {
            end(at: lineCount, context)
        }
    }

    /// A begun line has its time to end.
    private func watchLine(_ context: ChannelHandlerContext) {
        if framer.isMidLine {
            guard lineTimer == nil else { return }
            lineTimer = schedule(context, seconds: options.lineSeconds) { handler in
                handler.refuse(
                    "a line was not complete \(handler.options.lineSeconds) s after its first byte",
                    .idle)
            }
        } else if let timer = lineTimer {
            timer.cancel()
            lineTimer = nil
        }
    }

    private func take(_ framed: LineFramer.Framed, _ context: ChannelHandlerContext) {
        if isEnding || isClosed { return }
        if awaitsWelcome { return held.append(Held(framed)) }
        lineCount += 1
        if let timer = firstLineTimer {
            timer.cancel()
            firstLineTimer = nil
        }
        switch framed {
        case .tooLong(let head, let length, let hash):
            let reject = LineReject(
                .tooLong, detail: "\(length) bytes; at most \(options.limits.maxLine) are read")
            head.withUnsafeBufferPointer {
                add(.reject(reject), $0, ParsedLine.Oversize(length: length, hash: hash))
            }
        case .line(let bytes):
            let value = parser.parse(bytes)
            switch value {
            case .empty: break
            case .ping:
                var out = JSONWriter()
                Reply.pong(to: &out)
                outgoing += out.bytes
            case .bye: end(at: lineCount - 1, context)
            case .hello(let hello): open(hello, context)
            case .event(let event) where inSession: takeInSession(event, bytes, context)
            case .event, .plan, .closure, .reject: add(value, bytes, nil)
            }
        }
    }

    private func add(
        _ value: FeedLine, _ bytes: UnsafeBufferPointer<UInt8>, _ oversize: ParsedLine.Oversize?
    ) {
        let start = chunk.bytes.count
        chunk.bytes.append(contentsOf: bytes)
        chunk.lines.append(
            ParsedLine(
                number: lineCount, range: start..<chunk.bytes.count, value: value,
                oversize: oversize))
        lastAnswerable = lineCount
    }

    /// Gives the chunk to the writer, and stops reading where there is enough for now.
    private func handOver(_ context: ChannelHandlerContext) {
        guard !chunk.lines.isEmpty, let connection else { return }
        let full = inbox.offer(Intake(content: .lines(chunk), connection: connection))
        chunk = FeedChunk(source: id, origin: origin)
        if full {
            pause()
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            let loop = context.eventLoop
            inbox.park { loop.execute { bound.value.resume() } }
        } else if lastAnswerable - answered > options.window {
            pause()
        }
    }

    private func pause() { isPaused = true }

    private func resume() {
        guard isPaused, !awaitsWelcome, lastAnswerable - answered <= options.window else { return }
        isPaused = false
        guard wantsRead, let context else { return }
        wantsRead = false
        context.read()
    }

    // MARK: Sessions

    private func open(_ hello: Hello, _ context: ChannelHandlerContext) {
        guard !inSession, lastAnswerable == 0, let connection else {
            return refuse("hello is the first line of a connection", .protocol)
        }
        guard hello.version == "caravan/1" else {
            return refuse("this server speaks caravan/1, not \(hello.version)", .protocol)
        }
        awaitsWelcome = true
        // What is read already is held; no more comes before the answer.
        pause()
        _ = inbox.offer(Intake(content: .hello(hello), connection: connection))
    }

    func welcome(_ hello: Hello, resume last: Int, now: Instant) {
        guard let context, !isClosed else { return }
        origin = Origin(post: hello.post, stream: hello.stream)
        chunk = FeedChunk(source: id, origin: origin)
        inSession = true
        awaitsWelcome = false
        expected = last + 1
        durable = last
        var out = JSONWriter()
        out.begin()
        out.field("welcome", "caravan/1")
        out.field("post", hello.post)
        out.field("resume", last)
        out.field("window", options.window)
        out.field("maxLine", options.limits.maxLine)
        out.field("heartbeatSeconds", options.heartbeatSeconds)
        out.field("time", now)
        out.endLine()
        outgoing += out.bytes
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let interval = TimeAmount.seconds(Int64(options.heartbeatSeconds))
        heartbeat = context.eventLoop.scheduleRepeatedTask(
            initialDelay: interval, delay: interval
        ) { _ in bound.value.beat() }
        let waiting = held
        held = []
        for framed in waiting { framed.with { self.take($0, context) } }
        if endsAfterWelcome { end(at: lineCount, context) }
        handOver(context)
        if inbox.isRoomy { resume() }
        flushReplies(context)
    }

    private func beat() {
        guard let context else { return }
        var out = JSONWriter()
        out.begin()
        out.field("heartbeat", durable)
        out.field("state", status.state)
        out.field("time", status.now())
        out.endLine()
        outgoing += out.bytes
        flushReplies(context)
    }

    private func takeInSession(
        _ event: TrackingEvent, _ bytes: UnsafeBufferPointer<UInt8>,
        _ context: ChannelHandlerContext
    ) {
        guard let seq = event.seq else {
            return refuse("in a session every line carries seq", .protocol)
        }
        guard seq <= Int64(expected) else {
            return refuse(
                "seq \(seq) came where \(expected) was expected", .gap, expected: expected)
        }
        if seq == Int64(expected) { expected += 1 }
        add(.event(event), bytes, nil)
    }

    // MARK: Writing

    func deliver(_ reply: SourceReply) {
        guard let context, !isClosed else { return }
        outgoing += reply.rejects
        if reply.ack > answered {
            answered = reply.ack
            if inSession { durable = max(durable, expected - 1 - (lastAnswerable - answered)) }
            var out = JSONWriter()
            Reply.ack(reply.ack, to: &out)
            outgoing += out.bytes
        }
        finishIfDone(context)
        flushReplies(context)
        if isPaused, inbox.isRoomy { resume() }
    }

    /// No line after this one counts; once all are answered, say bye and close.
    private func end(at line: Int, _ context: ChannelHandlerContext) {
        guard !isEnding else { return }
        isEnding = true
        endLine = line
        handOver(context)
        finishIfDone(context)
        flushReplies(context)
    }

    private func finishIfDone(_ context: ChannelHandlerContext) {
        guard isEnding, answered >= lastAnswerable else { return }
        var out = JSONWriter()
        Reply.bye(endLine, to: &out)
        outgoing += out.bytes
        closeAfterFlush(context)
    }

    /// Says why, and closes.
    func refuse(_ prose: String, _ code: CloseCode, expected: Int? = nil) {
        guard let context, !isClosed else { return }
        handOver(context)
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
    }

    private func flushReplies(_ context: ChannelHandlerContext) {
        guard !outgoing.isEmpty, !isClosed else { return }
        let bytes = outgoing
        outgoing = []
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    /// A client that sends and does not read its replies is cut.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            stallTimer?.cancel()
            stallTimer = nil
        } else if stallTimer == nil {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            stallTimer = schedule(context, seconds: options.stallSeconds) { _ in
                bound.value.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }
}

/// A framed line that outlives the buffer in which it came.
private enum Held {
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
