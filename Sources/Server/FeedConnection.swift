import Engine
import NIOCore
import Wire

/// A feed connection as the writer sees it.
final class FeedConnection: FeedSink {
    let id: Int
    private let ended = SharedFlag()
    private let loop: any EventLoop
    private let handler: NIOLoopBound<FeedHandler>

    init(id: Int, loop: any EventLoop, handler: FeedHandler) {
        self.id = id
        self.loop = loop
        self.handler = NIOLoopBound(handler, eventLoop: loop)
    }

    var isOpen: Bool { !ended.isSet }

    func end() { ended.set() }

    /// Sends the replies of a durable batch.
    func deliver(_ reply: SourceReply) {
        loop.execute { self.handler.value.deliver(reply) }
    }

    func welcome(_ hello: Hello, _ welcome: Welcome) {
        loop.execute { self.handler.value.welcome(hello, welcome) }
    }

    func close(_ prose: String, _ code: CloseCode) {
        loop.execute { self.handler.value.refuse(prose, code) }
    }
}
