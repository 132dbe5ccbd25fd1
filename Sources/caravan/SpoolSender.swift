import Client
import FoundationEssentials
import Glibc
import Host
import Wire

/// Where a spool's lines come from.
enum SpoolSource {
    case stream(ByteFile)
    /// Files by name; a file goes once all of it is acknowledged.
    case folder(String)
    case nothing
}

/// Takes lines into a spool.
struct SpoolIntake {
    private let spool: Spool
    private let source: SpoolSource
    /// The longest line that is taken in: the server would keep only the head of a longer one.
    private static let longest = 1 << 20

    private var rest: [UInt8] = []
    private var unsaved: [[UInt8]] = []
    private(set) var isAtEnd = false
    /// Lines that say something about the connection itself: a spool carries none of them.
    private(set) var dropped = 0

    /// Where the source is a folder.
    private var folder: FolderIntake?

    init(_ spool: Spool, _ source: SpoolSource) {
        self.spool = spool
        self.source = source
        if case .folder(let path) = source { folder = FolderIntake(path, spool) }
    }

    /// Takes in what there is, waiting for at most `milliseconds`. Does nothing while the spool is
    /// full. True: something came.
    mutating func takeIn(milliseconds: Int32) throws -> Bool {
        switch source {
        case .nothing:
            isAtEnd = true
            return idle(milliseconds)
        case .folder: return try takeInFolder() || idle(milliseconds)
        case .stream(let handle): return try takeIn(handle.descriptor, milliseconds)
        }
    }

    /// Nothing came: waits all the same, so that whoever asks again does not burn a core.
    private func idle(_ milliseconds: Int32) -> Bool {
        if milliseconds > 0 { usleep(UInt32(milliseconds) * 1_000) }
        return false
    }

    private mutating func takeIn(_ input: Int32, _ milliseconds: Int32) throws -> Bool {
        guard !isAtEnd, spool.hasRoom(for: 1 << 18) else { return idle(milliseconds) }
        var wish = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        guard poll(&wish, 1, milliseconds) > 0 else { return false }
        // What could not be written the last time comes first.
        try save()
        var space = [UInt8](repeating: 0, count: 1 << 18)
        let count = read(input, &space, space.count)
        if count < 0 {
            if errno == EINTR || errno == EAGAIN { return false }
            throw Failure("the input cannot be read: \(String(cString: strerror(errno)))")
        }
        if count == 0 {
            isAtEnd = true
            if !rest.isEmpty { unsaved += keep([rest]) }
            rest = []
            try save()
            return false
        }
        var pieces = space[..<count].split(separator: 0x0A, omittingEmptySubsequences: false)
        let end = pieces.removeLast()
        if !pieces.isEmpty {
            unsaved += keep([rest + pieces[0]] + pieces.dropFirst().map(Array.init))
            rest = []
        }
        rest += end
        if rest.count > SpoolIntake.longest {
            throw Failure("a line of the input has no end within \(SpoolIntake.longest) bytes")
        }
        try save()
        return true
    }

    /// Puts onto the disk what was read; what does not go there is kept for the next time.
    private mutating func save() throws {
        guard !unsaved.isEmpty else { return }
        try spool.append(unsaved)
        unsaved = []
    }

    private mutating func takeInFolder() throws -> Bool {
        guard var intake = folder else { return false }
        var left = 0
        let took = try intake.takeIn { lines in
            let kept = SpoolIntake.news(lines)
            left += kept.talk
            return kept.lines
        }
        dropped += left
        folder = intake
        isAtEnd = intake.isSettled
        return took
    }

    /// Removes the source files of which everything is acknowledged.
    func release() { folder?.release() }

    /// Files that could not be taken in.
    var left: Int { folder?.left.count ?? 0 }

    func reportLeft() {
        if left > 0 { Console.error("\(left) files could not be taken in; they are named above") }
    }

    private mutating func keep(_ lines: [[UInt8]]) -> [[UInt8]] {
        let kept = SpoolIntake.news(lines)
        dropped += kept.talk
        return kept.lines
    }

    /// The lines that are news, and how many speak of the connection itself.
    private static func news(_ lines: [[UInt8]]) -> (lines: [[UInt8]], talk: Int) {
        var talk = 0
        let news = lines.filter { line in
            if LinkTalk.isBlank(line) { return false }
            let isTalk = LinkTalk.isMeant(line)
            if isTalk { talk += 1 }
            return !isTalk
        }
        return (news, talk)
    }
}

/// Lines of an input that are no news: blank ones, and those that speak of the connection itself,
/// which is the sender's own affair.
enum LinkTalk {
    static func isBlank(_ line: [UInt8]) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
    }

    static func isMeant(_ line: [UInt8]) -> Bool {
        guard line.count < 1_024, let object = FlatObject(line) else { return false }
        return ["hello", "ping", "bye"].contains { object.has($0) }
            && !["container", "event", "plan", "closure"].contains { object.has($0) }
    }

    static func report(_ dropped: Int) {
        if dropped > 0 {
            Console.error("\(dropped) lines about the connection itself were left out")
        }
    }
}

/// Sends a spool in a session, from where the server says that it stopped; connects again for as
/// long as it takes.
struct SpoolSender {
    let spool: Spool
    let servers: ServerList
    var intake: SpoolIntake
    let post: String
    let token: String?
    let patience: Double
    let follow: Bool
    let quiet: Bool

    private(set) var rejected = 0
    /// Lines that the server has, of which its verdict was lost with the link.
    private(set) var unheard = 0
    private var lastProgress = LineSocket.now()
    private let started = LineSocket.now()
    private var savedAt = 0.0
    private let before: Int
    private let progress = Progress()

    init(
        spool: Spool, servers: ServerList, intake: SpoolIntake, post: String, token: String?,
        patience: Double, follow: Bool, quiet: Bool
    ) {
        self.spool = spool
        self.servers = servers
        self.intake = intake
        self.post = post
        self.token = token
        self.patience = patience
        self.follow = follow
        self.quiet = quiet
        before = spool.acknowledged
    }

    mutating func run() throws {
        var attempt = 0
        while true {
            let acknowledged = spool.acknowledged
            do {
                if try session() { break }
            } catch let failure as SocketFailure {
                try servers.note(failure)
                if attempt == 0, !quiet { Console.error("caravan: \(failure); trying again") }
            } catch let failure as SpoolFailure {
                // What is there already is sent; what was read meanwhile is held.
                Console.error("caravan: \(failure); trying again")
            }
            try? spool.save()
            // Nothing to send needs no server.
            if spool.waiting == 0, intake.isAtEnd, !follow { break }
            if spool.acknowledged > acknowledged { attempt = 0 }
            attempt += 1
            servers.next()
            let until = LineSocket.now() + servers.pause(attempt)
            guard follow || until - lastProgress < patience else {
                throw Failure(
                    "\(spool.waiting) lines were not acknowledged within \(Int(patience)) s; they "
                        + "stay in the spool")
            }
            // Without a link lines are taken in all the same.
            repeat {
                do { _ = try intake.takeIn(milliseconds: 100) } catch is SpoolFailure {
                    usleep(100_000)
                }
            } while LineSocket.now() < until
        }
        try spool.save()
        intake.release()
        progress.end()
        defer { intake.reportLeft() }
        LinkTalk.report(intake.dropped)
        guard !quiet else { return }
        let seconds = max(LineSocket.now() - started, 0.001)
        let sent = spool.acknowledged - before
        Console.error(
            "\(sent) lines acknowledged, \(rejected) rejected, "
                + (unheard > 0 ? "of \(unheard) of them that is not known, " : "")
                + "\(Int(Double(sent) / seconds)) lines/s"
        )
    }

    // MARK: One connection

    /// What is under way on one connection.
    private struct Link {
        let socket: LineSocket
        let window: Int
        let heartbeatSeconds: Double
        /// Lines sent on the connection, the hello included.
        var lines = 1
        /// The last spool line that was sent.
        var sent: Int
        /// Pings among the lines not acknowledged, by line number.
        var pings: [Int] = []
        var durable: Int
        var acked = 1
        var pending: [UInt8] = []
        var at = 0
        var ready: [ArraySlice<UInt8>] = []
        var readyAt = 0
        var lastSent = LineSocket.now()
        var lastHeard = LineSocket.now()
    }

    /// True: everything is acknowledged, and no more will come.
    private mutating func session() throws -> Bool {
        var link = try open()
        while true {
            let idle = spool.waiting == 0 && !link.socket.hasUnsent
            let came = try intake.takeIn(milliseconds: idle ? 100 : 0)
            if spool.waiting == 0, intake.isAtEnd, !came, !follow { return true }
            try fill(&link)
            let wantsWrite = link.at < link.pending.count || link.socket.hasUnsent
            let ready = link.socket.wait(write: wantsWrite, milliseconds: came ? 0 : idle ? 0 : 50)
            if ready.canRead {
                guard try link.socket.fill() else {
                    throw SocketFailure(message: "\(servers.current) hung up")
                }
                while let line = link.socket.bufferedLine() { try handleReply(line, &link) }
            }
            if ready.canWrite, wantsWrite {
                link.at += try link.socket.sendSome(link.pending, from: link.at, wait: false)
                link.lastSent = LineSocket.now()
            }
            try keepAlive(&link)
            showProgress()
        }
    }

    private mutating func open() throws -> Link {
        // No line is sent before there is a link, but each is taken in.
        let socket = try servers.connect()
        var out = JSONWriter()
        out.begin()
        out.field("hello", "caravan/1")
        out.field("post", post)
        out.field("stream", spool.stream)
        out.field("token", token)
        if spool.acknowledged > 0 { out.field("acknowledged", spool.acknowledged) }
        out.endLine()
        try socket.send(out.bytes)
        let deadline = LineSocket.now() + 60
        while true {
            while socket.isQuiet {
                guard LineSocket.now() < deadline else {
                    throw SocketFailure(message: "no welcome from \(servers.current)")
                }
                _ = try intake.takeIn(milliseconds: 50)
            }
            guard let line = try socket.readLine(seconds: 60) else {
                throw SocketFailure(message: "\(servers.current) hung up")
            }
            if case .error(let code, let raw) = ReadReply(line: line) {
                // No link mends these.
                if let advice = LastingFailure.advice(code: code) {
                    throw Failure("\(raw)\n\(advice)")
                }
                throw SocketFailure(message: raw)
            }
            guard let object = FlatObject(line), object.has("welcome") else { continue }
            let resume = object.integer("resume") ?? 0
            guard resume <= spool.last else {
                throw Failure(
                    "the server knows line \(resume) of this spool, which ends at \(spool.last): "
                        + "was it restored from an older copy? Move \(spool.folder) away and begin anew"
                )
            }
            let begin = try resumeAt(resume)
            return Link(
                socket: socket, window: max(1, object.integer("window") ?? 8_192),
                heartbeatSeconds: Double(object.integer("heartbeatSeconds") ?? 10), sent: begin,
                durable: begin)
        }
    }

    /// The line after which sending begins. A server that knows less than it had acknowledged runs on
    /// a database that went back: it gets again whatever the spool still has.
    private mutating func resumeAt(_ resume: Int) throws -> Int {
        guard resume < spool.acknowledged else {
            if resume > spool.acknowledged {
                unheard += resume - spool.acknowledged
                Console.error(
                    "caravan: \(servers.current) has lines \(spool.acknowledged + 1) to \(resume), of which the link "
                        + "broke before it said so; whether it refused one only its quarantine tells"
                )
            }
            try spool.acknowledge(resume)
            return resume
        }
        let begin = max(resume, spool.first - 1)
        let gone = begin - resume
        Console.error(
            "caravan: \(servers.current) had acknowledged line \(spool.acknowledged) and knows \(resume) "
                + "now: its database went back. Lines from \(begin + 1) on are sent again"
                + (gone > 0 ? "; \(gone) before them are gone here, too, and lost" : ""))
        try spool.retreat(to: begin)
        return begin
    }

    /// Puts the next lines into the outgoing bytes, as far as the window allows.
    private mutating func fill(_ link: inout Link) throws {
        guard link.at == link.pending.count else { return }
        link.pending.removeAll(keepingCapacity: true)
        link.at = 0
        while link.sent < spool.last, link.sent - link.durable < link.window,
            link.pending.count < 1 << 18
        {
            if link.readyAt == link.ready.count {
                link.ready = try spool.lines(from: link.sent + 1)
                link.readyAt = 0
                if link.ready.isEmpty { return }
            }
            link.sent += 1
            link.lines += 1
            SeqWriter.append(link.ready[link.readyAt], seq: link.sent, to: &link.pending)
            link.readyAt += 1
        }
    }

    private mutating func handleReply(_ line: String, _ link: inout Link) throws {
        link.lastHeard = LineSocket.now()
        switch ReadReply(line: line) {
        case .ack(let number):
            // Of the lines up to `number` those that are not pings are the spool's.
            let pings = link.pings.prefix { $0 <= number }.count
            link.durable += number - link.acked - pings
            link.pings.removeFirst(pings)
            link.acked = number
            try spool.acknowledge(link.durable)
            lastProgress = link.lastHeard
            if lastProgress - savedAt > 1 {
                savedAt = lastProgress
                try spool.save()
                intake.release()
            }
        case .reject(_, _, _, let raw):
            rejected += 1
            if !quiet {
                progress.end()
                Console.error(raw)
            }
        case .warn(_, let raw):
            if !quiet {
                progress.end()
                Console.error(raw)
            }
        case .error(let code, let raw):
            if let advice = LastingFailure.advice(code: code) { throw Failure("\(raw)\n\(advice)") }
            throw SocketFailure(message: raw)
        case .bye, .other: break
        }
    }

    /// A session that has nothing to say says so; a server that says nothing is gone.
    private mutating func keepAlive(_ link: inout Link) throws {
        let now = LineSocket.now()
        if now - link.lastHeard > 4 * link.heartbeatSeconds {
            throw SocketFailure(message: "nothing heard from \(servers.current)")
        }
        if now - link.lastSent > link.heartbeatSeconds, link.at == link.pending.count {
            link.pending = Array("{\"ping\":1}\n".utf8)
            link.at = 0
            link.lines += 1
            link.pings.append(link.lines)
            link.lastSent = now
        }
        if spool.waiting == 0 { lastProgress = now }
        if !follow, now - lastProgress > patience {
            throw Failure(
                "no ack within \(Int(patience)) s; \(spool.waiting) lines stay in the spool")
        }
    }

    private func showProgress() {
        guard !quiet else { return }
        let seconds = max(LineSocket.now() - started, 0.001)
        let sent = spool.acknowledged - before
        progress.show(
            "\(sent) acknowledged, \(rejected) rejected, \(spool.waiting) in the spool, "
                + "\(Int(Double(sent) / seconds)) lines/s")
    }
}

/// Gives a line its number in the stream.
enum SeqWriter {
    private static let key = Array("\"seq\"".utf8)

    /// Appends the line with `"seq":N` as its last member, in place of one that it had. A line that
    /// is no object goes as it is: the server counts it by its place.
    static func append(_ line: ArraySlice<UInt8>, seq: Int, to out: inout [UInt8]) {
        var line = line
        while let last = line.last, last == 0x0D || last == 0x20 || last == 0x09 {
            line.removeLast()
        }
        if contains(line, key) { line = without(line) }
        guard line.last == 0x7D, line.first(where: { $0 != 0x20 && $0 != 0x09 }) == 0x7B else {
            out += line
            out.append(0x0A)
            return
        }
        out += line.dropLast()
        let before = line.dropLast().last { $0 != 0x20 && $0 != 0x09 }
        if before != 0x7B { out.append(0x2C) }
        out += key
        out.append(0x3A)
        out += String(seq).utf8
        out.append(0x7D)
        out.append(0x0A)
    }

    private static func contains(_ line: ArraySlice<UInt8>, _ word: [UInt8]) -> Bool {
        line.withUnsafeBytes { line in
            var at = 0
            while at + word.count <= line.count,
                let hit = memchr(line.baseAddress! + at, 0x22, line.count - at - word.count + 1)
            {
                at = UnsafeRawPointer(hit) - line.baseAddress!
                if memcmp(line.baseAddress! + at, word, word.count) == 0 { return true }
                at += 1
            }
            return false
        }
    }

    /// The line without its top-level `seq`.
    private static func without(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let bytes = Array(line)
        guard let range = JSONMember.range(of: "seq", in: bytes) else { return line }
        return (bytes[..<range.lowerBound] + bytes[range.upperBound...])[...]
    }
}
