import Engine
import Logging
import NIOConcurrencyHelpers
import Server
import Tracking
import Wire

/// Where refused lines are kept that somebody wants judged again.
public protocol QuarantineSource: Sendable {
    func replayRequests(limit: Int) async throws(StoreFailure) -> [QuarantinedLine]
    func settleReplay(batch: Int, item: Int) async throws(StoreFailure)
}

/// Takes lines out of the quarantine on request and sends them the way of all lines, under the name
/// of the post that sent them. A crash in between sends them again, and they count once.
final class QuarantineReplayer: FeedSink {
    let id = -1
    private let source: any QuarantineSource
    private let inbox: Inbox
    private let book: PostRegistry
    private let parser: FeedParser
    private let logger: Logger
    /// Lines that the writer has not answered yet, by post.
    private let open = NIOLockedValueBox<(lines: [QuarantinedLine], left: Int)>(([], 0))

    init(
        source: any QuarantineSource, inbox: Inbox, book: PostRegistry, limits: FeedLimits,
        logger: Logger
    ) {
        self.source = source
        self.inbox = inbox
        self.book = book
        parser = FeedParser(limits: limits)
        self.logger = logger
    }

    /// Looks for requests until cancelled.
    func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard book.isRead, open.withLockedValue({ $0.left == 0 }), inbox.isRoomy,
                let lines = try? await source.replayRequests(limit: 1_000), !lines.isEmpty
            else { continue }
            offer(lines)
        }
    }

    private func offer(_ lines: [QuarantinedLine]) {
        open.withLockedValue { $0 = (lines, lines.count) }
        for (index, line) in lines.enumerated() {
            var bytes = line.bytes
            if let container = line.replayAs {
                bytes = JSONMember.replacing("container", by: container, in: bytes) ?? bytes
            }
            let value = bytes.withUnsafeBufferPointer { parser.parse($0) }
            var chunk = FeedChunk(
                source: id, origin: Origin(post: line.origin.post),
                scope: book.scope(of: line.origin.post), bytes: bytes)
            chunk.lines = [
                ParsedLine(number: index + 1, range: 0..<bytes.count, value: value)
            ]
            _ = inbox.offer(
                Intake(content: .lines(chunk), connection: self, generation: inbox.generation))
        }
    }

    func deliver(_ reply: SourceReply) {
        let done = open.withLockedValue { open -> [QuarantinedLine] in
            guard reply.ack == open.lines.count, open.left > 0 else { return [] }
            return open.lines
        }
        guard !done.isEmpty else { return }
        Task {
            for line in done { try? await source.settleReplay(batch: line.batch, item: line.item) }
            logger.notice("lines replayed", metadata: ["lines": "\(done.count)"])
            open.withLockedValue { $0 = ([], 0) }
        }
    }

    func welcome(_ hello: Hello, _ welcome: Welcome) {}

    func close(_ prose: String, _ code: CloseCode) {}

    var isOpen: Bool { true }
}
