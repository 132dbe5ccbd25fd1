import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TLS

/// The context in force. A reload puts another one in its place; connections that are open keep
/// the one that they began with.
public final class TLSContextHolder: Sendable {
    private struct State {
        var files: TLSFiles
        var context: TLSContext
    }

    private let current: NIOLockedValueBox<State>
    /// Handshakes are computed on one thread of their own, so that a storm of them delays no
    /// connection that is already open.
    let handshakes: NIOThreadPool

    public init(_ files: TLSFiles) throws(TLSFailure) {
        current = NIOLockedValueBox(State(files: files, context: try TLSContext(server: files)))
        handshakes = NIOThreadPool(numberOfThreads: 1)
        handshakes.start()
    }

    /// Reads these files instead; where they are not good, what was in force stays.
    public func reload(_ files: TLSFiles) throws(TLSFailure) {
        let fresh = State(files: files, context: try TLSContext(server: files))
        current.withLockedValue { $0 = fresh }
    }

    /// Until when the files in force are good.
    public var validity: TLSValidity? { current.withLockedValue { $0.context.validity } }

    /// Whether clients must show a certificate.
    var isMutual: Bool { current.withLockedValue { $0.files.clientAuthorities != nil } }

    func session() throws(TLSFailure) -> TLSSession {
        try TLSSession(current.withLockedValue { $0.context }, .server)
    }
}

/// Told to the handlers behind it once a connection is encrypted.
struct TLSEstablished: Sendable {
    /// The post that the client's certificate names; nil where it shows none that does.
    let post: String?
    /// The same of a consumer.
    var consumer: String?
    let isMutual: Bool
}

/// Ciphertext in, plaintext out, and back. What comes behind it sees a plain connection that
/// becomes active when the handshake is done.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The session, used by the handshake thread or by the loop, never by both at a time.
    private final class Box: @unchecked Sendable {
        private var session: TLSSession

        init(_ session: consuming TLSSession) { self.session = session }

        var isEstablished: Bool { session.isEstablished }
        var isFinished: Bool { session.isFinished }
        var peerPost: String? { session.peerPost }
        var peerConsumer: String? { session.peerConsumer }

        func receive(_ buffer: ByteBuffer) throws(TLSFailure) -> [UInt8] {
            do {
                return try buffer.withUnsafeReadableBytes { try session.receive($0) }
            } catch let failure as TLSFailure {
                throw failure
            } catch {
                fatalError("receive throws nothing else: \(error)")
            }
        }

        func seal(_ buffer: ByteBuffer) throws {
            try buffer.withUnsafeReadableBytes { try session.send($0) }
        }

        func finish() { session.finish() }

        func drain() -> [UInt8] { session.drain() }
    }

    /// What one piece of work on the handshake gave.
    private struct Progress: Sendable {
        var toSend: [UInt8]
        var plain: [UInt8]
        var failure: String?
    }

    /// What is taken in of a peer whose handshake is not done; one that already sends its lines, as it
    /// may once it has had its last word, waits for its turn.
    private static let handshakeBytes = 128 << 10

    private let keeper: TLSContextHolder
    private let box: Box
    private let logger: Logger
    private let handshakeSeconds: Int
    private var waiting: [ByteBuffer] = []
    private var wantsRead = false
    private var isWorking = false
    private var isOpen = false
    private var isClosing = false
    private var inputEnded = false
    private var hasSaidEnd = false
    private var timer: Scheduled<Void>?

    init(_ keeper: TLSContextHolder, handshakeSeconds: Int, logger: Logger) throws(TLSFailure) {
        self.keeper = keeper
        box = Box(try keeper.session())
        self.handshakeSeconds = handshakeSeconds
        self.logger = logger
    }

    // MARK: Life

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .seconds(Int64(handshakeSeconds))) {
            bound.value.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        isClosing = true
        context.fireChannelInactive()
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        waiting.append(unwrapInboundIn(data))
        if isOpen { decrypt(context) } else { goOn(context) }
    }

    /// A peer that nobody knows yet cannot fill the memory while its turn has not come.
    func read(context: ChannelHandlerContext) {
        let held = waiting.reduce(0) { $0 + $1.readableBytes }
        if !isOpen, held > TLSHandler.handshakeBytes { wantsRead = true } else { context.read() }
    }

    private func readOn(_ context: ChannelHandlerContext) {
        guard wantsRead else { return }
        wantsRead = false
        context.read()
    }

    /// Goes on with the handshake on its own thread.
    private func goOn(_ context: ChannelHandlerContext) {
        guard !isWorking, !isClosing, !waiting.isEmpty else { return }
        isWorking = true
        let taken = waiting
        waiting = []
        readOn(context)
        let box = box
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        keeper.handshakes.runIfActive(eventLoop: context.eventLoop) { () -> Progress in
            var progress = Progress(toSend: [], plain: [], failure: nil)
            for buffer in taken {
                do { progress.plain += try box.receive(buffer) } catch {
                    progress.failure = "\(error)"
                    break
                }
            }
            progress.toSend = box.drain()
            return progress
        }.whenComplete { result in
            let (handler, context) = bound.value
            handler.isWorking = false
            guard case .success(let progress) = result else { return handler.abort(context) }
            handler.took(progress, context)
        }
    }

    private func took(_ progress: Progress, _ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        if !progress.toSend.isEmpty {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: progress.toSend)), promise: nil)
        }
        if let failure = progress.failure {
            logger.notice(
                "a TLS handshake failed",
                metadata: [
                    "peer": "\(context.remoteAddress?.description ?? "unknown")",
                    "cause": "\(failure)",
                ])
            return abort(context)
        }
        guard box.isEstablished else {
            if inputEnded { return abort(context) }
            return goOn(context)
        }
        isOpen = true
        timer?.cancel()
        context.fireUserInboundEventTriggered(
            TLSEstablished(
                post: box.peerPost, consumer: box.peerConsumer, isMutual: keeper.isMutual))
        context.fireChannelActive()
        handOn(progress.plain, context)
        decrypt(context)
        // The reading that brought the handshake's last part has long been completed.
        context.fireChannelReadComplete()
        readOn(context)
        if inputEnded { endInput(context) }
    }

    private func decrypt(_ context: ChannelHandlerContext) {
        let taken = waiting
        waiting = []
        for buffer in taken where !isClosing {
            do { handOn(try box.receive(buffer), context) } catch {
                logger.notice("a TLS connection broke", metadata: ["cause": "\(error)"])
                flushSealed(context)
                return abort(context)
            }
        }
        flushSealed(context)
        if box.isFinished { endInput(context) }
    }

    private func handOn(_ plain: [UInt8], _ context: ChannelHandlerContext) {
        guard !plain.isEmpty else { return }
        context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: plain)))
    }

    private func flushSealed(_ context: ChannelHandlerContext) {
        let bytes = box.drain()
        guard !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        inputEnded = true
        if isOpen || !isWorking { endInput(context) }
    }

    /// An end that the peer did not announce may be somebody else's: what is complete counts, a
    /// begun line does not.
    private func endInput(_ context: ChannelHandlerContext) {
        guard isOpen, box.isFinished else { return abort(context) }
        guard !hasSaidEnd else { return }
        hasSaidEnd = true
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    private func abort(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        context.close(promise: nil)
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        do {
            try box.seal(unwrapOutboundIn(data))
            context.write(wrapOutboundOut(ByteBuffer(bytes: box.drain())), promise: promise)
        } catch {
            promise?.fail(error)
            abort(context)
        }
    }

    func close(
        context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?
    ) {
        if isOpen, !isClosing {
            isClosing = true
            box.finish()
            flushSealed(context)
        }
        context.close(mode: mode, promise: promise)
    }
}
