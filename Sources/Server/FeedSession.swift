import Engine
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Tracking
import Wire

/// How a sender comes in, and what a session adds to a bare feed: streams, numbers, heartbeats.
extension FeedHandler {
    // MARK: Entry

    /// A first line that is no hello: a bare sender. False where it must wait or may not.
    func enter(_ framed: LineFramer.Framed, _ context: ChannelHandlerContext) -> Bool {
        if let post = certificate?.post {
            hold()
            held.append(Held(framed))
            ask(post, token: nil, certified: true, context) { handler in
                handler.origin = Origin(post: post)
                handler.release()
            }
            return false
        }
        guard access.allowsAnonymous else {
            refuse("this feed wants to know who speaks: begin with hello", .unauthorised)
            return false
        }
        return admit(nil)
    }

    /// Counts the sender in; false where a bound forbids it.
    private func admit(_ permit: Permit?) -> Bool {
        if let bound = access.caps.entered(number, post: permit?.post) {
            refuse(bound, .limit)
            return false
        }
        endFirstLineDeadline()
        hasEntered = true
        self.permit = permit
        chunk.scope = permit?.places
        if let permit { access.book.connected(permit.post, 1) }
        return true
    }

    /// Asks the book, and goes on with `body` where it lets the sender in.
    private func ask(
        _ post: String, token: String?, certified: Bool, _ context: ChannelHandlerContext,
        _ body: @escaping @Sendable (FeedHandler) -> Void
    ) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let (loop, access, connection) = (context.eventLoop, access, connection)
        Task {
            let verdict = await access.book.admit(
                post, token: token, certified: certified,
                allowsAnonymous: access.allowsAnonymous,
                isWaiting: { connection?.isOpen ?? false })
            loop.execute {
                let handler = bound.value
                guard !handler.isClosed, handler.context != nil else { return }
                switch verdict {
                case .granted(let permit):
                    if handler.admit(permit) { body(handler) }
                case .refused(let prose):
                    access.logger.warning(
                        "a sender was turned away",
                        metadata: [
                            "post": "\(post)", "peer": "\(handler.address ?? "local")",
                            "cause": "\(prose)",
                        ])
                    handler.refuse(prose, .unauthorised)
                }
            }
        }
    }

    private func hold() {
        endFirstLineDeadline()
        isHolding = true
        // What is read already is held; no more comes before the answer.
        pause()
    }

    /// Goes on with what was held.
    private func release() {
        guard let context, !isClosed else { return }
        isHolding = false
        chunk.origin = origin
        let waiting = held
        held = []
        for framed in waiting { framed.with { self.receive($0, context) } }
        if endsAfterHolding { end(at: lineCount, context) }
        handOver(context)
        resume()
        flushReplies(context)
    }

    func reportTrespass(_ lines: Int) {
        guard let permit else { return }
        access.book.trespassed(permit.post, lines)
        access.logger.warning(
            "forbidden lines",
            metadata: [
                "post": "\(permit.post)", "peer": "\(address ?? "local")", "lines": "\(lines)",
            ])
    }

    func logStall() {
        access.logger.warning(
            "a sender that does not read its replies was cut",
            metadata: ["post": "\(origin.post)", "peer": "\(address ?? "local")"])
    }

    /// Lines that were acknowledged, and that neither the database nor the spool has any more.
    private func reportLoss(from first: Int, to last: Int) {
        // What nobody in particular says of its stream is no figure.
        if permit != nil { status.lost(last - first + 1) }
        access.logger.log(
            level: permit == nil ? .notice : .error,
            "lines are lost: the database went back, and the spool has let go of them",
            metadata: [
                "post": "\(origin.post)", "stream": "\(origin.stream)", "from": "\(first)",
                "to": "\(last)", "lines": "\(last - first + 1)",
            ])
    }

    // MARK: Sessions

    func open(_ hello: Hello, _ context: ChannelHandlerContext) {
        guard !inSession, lastAnswerable == 0, !hasEntered else {
            return refuse("hello is the first line of a connection", .protocol)
        }
        guard hello.version == "caravan/1" else {
            return refuse("this server speaks caravan/1, not \(hello.version)", .protocol)
        }
        if let post = certificate?.post, post != hello.post {
            return refuse(
                "the certificate is that of post \(post), not of \(hello.post)", .unauthorised)
        }
        hold()
        awaitsWelcome = true
        ask(
            hello.post, token: hello.token, certified: certificate?.post != nil, context
        ) { handler in
            guard let connection = handler.connection else { return }
            // The database may be away for long: a slow server is not a dead one.
            handler.startHeartbeats()
            _ = handler.inbox.offer(
                Intake(
                    content: .hello(hello), connection: connection,
                    generation: handler.generation))
        }
    }

    func welcome(_ hello: Hello, _ welcome: Welcome) {
        guard context != nil, !isClosed else { return }
        origin = Origin(post: hello.post, stream: hello.stream)
        inSession = true
        expected = welcome.resume + 1
        durable = welcome.resume
        // A sender that was acknowledged further than the log knows runs ahead of one that went back.
        let acknowledged = Int(hello.acknowledged ?? 0)
        resumesByItself = hello.acknowledged != nil
        isForgotten = welcome.isForgotten
        if acknowledged > welcome.resume, !isForgotten {
            access.logger.log(
                level: permit == nil ? .notice : .error,
                "the database went back: a post was acknowledged further than the log knows",
                metadata: [
                    "post": "\(hello.post)", "stream": "\(hello.stream)",
                    "acknowledged": "\(acknowledged)", "known": "\(welcome.resume)",
                ])
        }
        mayJump = welcome.mayJump || isForgotten || acknowledged > welcome.resume
        var out = JSONWriter()
        out.begin()
        out.field("welcome", "caravan/1")
        out.field("post", hello.post)
        out.field("resume", welcome.resume)
        out.field("window", options.window)
        out.field("maxLine", options.limits.maxLine)
        out.field("heartbeatSeconds", options.heartbeatSeconds)
        out.field("log", welcome.log)
        out.field("time", welcome.now)
        out.endLine()
        outgoing += out.bytes
        awaitsWelcome = false
        silentBeats = 0
        release()
    }

    private func startHeartbeats() {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let interval = TimeAmount.seconds(Int64(options.heartbeatSeconds))
        heartbeat = context.eventLoop.scheduleRepeatedTask(
            initialDelay: interval, delay: interval
        ) { _ in bound.value.beat() }
    }

    private func beat() {
        guard let context, !isClosed else { return }
        silentBeats += 1
        // Silence is the sender's only while it is being read.
        if silentBeats > 3, inbox.isRoomy, lastAnswerable <= durableLine {
            return refuse(
                "nothing came for \(3 * options.heartbeatSeconds) s; a ping would do", .idle)
        }
        var out = JSONWriter()
        out.begin()
        out.field("heartbeat", durable)
        out.field("state", (inbox.isRoomy ? status.state : status.busyState).rawValue)
        out.field("time", status.now())
        out.endLine()
        outgoing += out.bytes
        flushReplies(context)
    }

    /// The number of a session's line; nil where it closes the session.
    func place(_ value: FeedLine, _ bytes: UnsafeBufferPointer<UInt8>) -> Int64? {
        var stated = value.seq
        if case .reject = value {
            // Of a line that cannot be read, the number may be; else its place tells.
            stated = SeqText.find(in: bytes)
            guard stated != nil || lastSeq != nil || expected == 1 else {
                unplaced.append(chunk.lines.count)
                return Int64(expected + unplaced.count - 1)
            }
            stated = stated ?? (lastSeq ?? 0) + 1
            if let number = stated { access.unreadable.note(bytes, number, in: origin) }
        }
        guard let seq = stated, (1...Hello.largestSeq).contains(seq) else {
            refuse(
                stated.map {
                    $0 < 1
                        ? "seq counts from 1, and is \($0)" : "seq is at most \(Hello.largestSeq)"
                } ?? "in a session every line carries seq", .protocol)
            return nil
        }
        if !unplaced.isEmpty { placeUnreadable(before: seq) }
        lastSeq = seq
        if mayJump {
            mayJump = false
            if seq > Int64(expected) {
                if !isForgotten { reportLoss(from: expected, to: Int(seq) - 1) }
                expected = Int(seq)
            }
        }
        guard seq <= Int64(expected) else {
            refuse("seq \(seq) came where \(expected) was expected", .gap, expected: expected)
            return nil
        }
        if seq == Int64(expected) { expected += 1 }
        return seq
    }

    /// Nothing tells where lines that cannot be read belong: sent again by a client that begins anew
    /// they are what they were, else they are what the session waits for.
    func placeUnreadable() {
        let lines = unplaced.map { at in Array(chunk.bytes[chunk.lines[at].range]) }
        let again = resumesByItself ? nil : access.unreadable.first(of: lines, in: origin)
        placeUnreadable(before: (again ?? Int64(expected)) + Int64(unplaced.count))
    }

    /// Gives the unreadable lines at the beginning of a session the numbers before `seq`: a sender
    /// counts from its own start, wherever that is.
    func placeUnreadable(before seq: Int64) {
        let first = max(1, seq - Int64(unplaced.count))
        for (offset, at) in unplaced.enumerated() {
            let own = first + Int64(offset)
            chunk.lines[at].seq = own
            if own == Int64(expected) { expected += 1 }
            lastSeq = own
            chunk.bytes.withUnsafeBufferPointer { bytes in
                let line = UnsafeBufferPointer(rebasing: bytes[chunk.lines[at].range])
                access.unreadable.note(line, own, in: origin)
            }
        }
        unplaced = []
    }
}

/// The number of a line that is no JSON, where it can be seen.
enum SeqText {
    private static let key = Array("\"seq\"".utf8)

    /// The last `"seq":N` of the bytes, which is where senders put it.
    static func find(in bytes: UnsafeBufferPointer<UInt8>) -> Int64? {
        if let object = FlatObject(Array(bytes)) { return object.integer("seq").map { Int64($0) } }
        var found: Int64?
        var at = 0
        while at + key.count < bytes.count {
            defer { at += 1 }
            guard bytes[at] == 0x22, bytes[at..<(at + key.count)].elementsEqual(key) else {
                continue
            }
            var next = at + key.count
            func skipSpace() { while next < bytes.count, bytes[next] == 0x20 { next += 1 } }
            skipSpace()
            guard next < bytes.count, bytes[next] == 0x3A else { continue }
            next += 1
            skipSpace()
            var value: Int64 = 0
            var digits = 0
            while next < bytes.count, digits < 16, bytes[next] >= 0x30, bytes[next] <= 0x39 {
                value = value * 10 + Int64(bytes[next] - 0x30)
                next += 1
                digits += 1
            }
            if digits > 0 { found = value }
        }
        return found
    }
}

/// Which numbers lines had that cannot be read and have none of their own: a sender that begins anew
/// sends them again. For as long as the daemon runs, and so many of so many streams.
final class UnreadableMemory: Sendable {
    private struct Line {
        let hash: UInt64
        let number: Int64
    }

    private static let linesPerStream = 256
    private static let streams = 1_000

    private let known = NIOLockedValueBox<[Origin: [Line]]>([:])

    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash = StableHasher()
        hash.combine(UnsafeRawBufferPointer(bytes))
        return hash.identity().low
    }

    func note(_ bytes: UnsafeBufferPointer<UInt8>, _ number: Int64, in stream: Origin) {
        let line = Line(hash: UnreadableMemory.hash(bytes), number: number)
        known.withLockedValue { known in
            if known[stream] == nil, known.count >= UnreadableMemory.streams { known = [:] }
            var lines = known[stream] ?? []
            if lines.contains(where: { $0.number == number && $0.hash == line.hash }) { return }
            if lines.count >= UnreadableMemory.linesPerStream { lines.removeFirst() }
            lines.append(line)
            known[stream] = lines
        }
    }

    /// The number that the first of these lines had when all of them came one after the other; nil
    /// where they never did.
    func first(of lines: [[UInt8]], in stream: Origin) -> Int64? {
        let hashes = lines.map { $0.withUnsafeBufferPointer(UnreadableMemory.hash) }
        guard let head = hashes.first else { return nil }
        return known.withLockedValue { known in
            let lines = known[stream] ?? []
            return lines.filter { $0.hash == head }.map(\.number).sorted().first { number in
                hashes.enumerated().allSatisfy { offset, hash in
                    lines.contains { $0.number == number + Int64(offset) && $0.hash == hash }
                }
            }
        }
    }
}
