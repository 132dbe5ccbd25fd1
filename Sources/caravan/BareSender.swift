import Client
import FoundationEssentials
import Glibc
import Host
import Wire

/// Sends lines with a window, keeps what is not acknowledged, connects again.
struct BareSender {
    let servers: ServerList
    let window: Int
    let patience: Double
    /// Held, because a handle that is let go closes its file.
    let input: ByteFile
    let quiet: Bool

    private(set) var acknowledged = 0
    private(set) var rejected = 0
    private var warned = 0
    /// Lines that speak of the connection itself: they are not sent.
    private var dropped = 0
    private var unacknowledged: [[UInt8]] = []
    /// Of those, how many this connection has been sent.
    private var sent = 0
    /// Lines acknowledged before this connection opened.
    private var base = 0
    private var rest: [UInt8] = []
    private var isInputAtEnd = false
    private var lastProgress = LineSocket.now()
    private let started = LineSocket.now()
    private let progress = Progress()

    init(servers: ServerList, window: Int, patience: Double, input: ByteFile, quiet: Bool) {
        self.servers = servers
        self.window = window
        self.patience = patience
        self.input = input
        self.quiet = quiet
    }

    mutating func run() throws {
        var attempt = 0
        while true {
            let before = acknowledged
            do {
                if try session() { break }
            } catch let failure as SocketFailure {
                try servers.note(failure)
                if attempt == 0, !quiet { Console.error("caravan: \(failure); trying again") }
            }
            if acknowledged > before { attempt = 0 }
            attempt += 1
            servers.next()
            let pause = servers.pause(attempt)
            if LineSocket.now() + pause - lastProgress > patience {
                if acknowledged == 0, unacknowledged.isEmpty {
                    throw Failure(
                        "no server could be reached within \(Int(patience)) s; nothing was sent")
                }
                throw Failure(
                    "\(unacknowledged.count) lines were not acknowledged within "
                        + "\(Int(patience)) s; \(acknowledged) were")
            }
            usleep(UInt32(pause * 1e6))
        }
        progress.end()
        LinkTalk.report(dropped)
        if !quiet {
            let seconds = max(LineSocket.now() - started, 0.001)
            Console.error(
                "\(acknowledged) lines acknowledged, \(rejected) rejected, "
                    + (warned > 0 ? "\(warned) warnings, " : "")
                    + "\(Int(Double(acknowledged) / seconds)) lines/s")
        }
    }

    /// One connection; true: everything has been acknowledged.
    private mutating func session() throws -> Bool {
        let socket = try servers.connect()
        base = acknowledged
        sent = 0
        var pending: [UInt8] = []
        var pendingAt = 0
        while true {
            if !isInputAtEnd, unacknowledged.count < window {
                try readInput(wait: unacknowledged.isEmpty)
            }
            if isInputAtEnd, unacknowledged.isEmpty { return true }
            if pendingAt == pending.count {
                pending.removeAll(keepingCapacity: true)
                pendingAt = 0
                while sent < unacknowledged.count, pending.count < 1 << 18 {
                    pending += unacknowledged[sent]
                    pending.append(0x0A)
                    sent += 1
                }
            }
            let wantsWrite = pendingAt < pending.count || socket.hasUnsent
            let idle = isInputAtEnd || unacknowledged.count >= window
            let ready = socket.wait(write: wantsWrite, milliseconds: idle ? 1_000 : 20)
            if ready.canRead {
                guard try socket.fill() else {
                    throw SocketFailure(message: "\(servers.current) hung up")
                }
                while let line = socket.bufferedLine() { try handleReply(line) }
            }
            if ready.canWrite, wantsWrite {
                pendingAt += try socket.sendSome(pending, from: pendingAt, wait: false)
            }
            if LineSocket.now() - lastProgress > patience, !unacknowledged.isEmpty {
                throw Failure(
                    "no ack within \(Int(patience)) s; \(unacknowledged.count) lines wait")
            }
            showProgress()
        }
    }

    private mutating func handleReply(_ line: String) throws {
        switch ReadReply(line: line) {
        case .ack(let number):
            let total = base + number
            let fresh = min(total - acknowledged, unacknowledged.count)
            guard fresh > 0 else { return }
            unacknowledged.removeFirst(fresh)
            sent -= fresh
            acknowledged = total
            lastProgress = LineSocket.now()
        case .reject(let number, _, _, let raw):
            rejected += 1
            if !quiet {
                progress.end()
                Console.error("line \(base + number): \(raw)")
            }
        case .warn(let number, let raw):
            warned += 1
            if !quiet {
                progress.end()
                Console.error("line \(base + number): \(raw)")
            }
        case .error(let code, let raw):
            // No patience mends this.
            if let advice = LastingFailure.advice(code: code) { throw Failure("\(raw)\n\(advice)") }
            throw SocketFailure(message: raw)
        case .bye, .other: break
        }
    }

    /// Reads what there is of the input and cuts it into lines.
    private mutating func readInput(wait: Bool) throws {
        var wish = pollfd(fd: input.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wish, 1, wait ? 200 : 0) > 0 else { return }
        var space = [UInt8](repeating: 0, count: 1 << 17)
        let count = read(input.descriptor, &space, space.count)
        if count < 0 {
            if errno == EINTR || errno == EAGAIN { return }
            throw Failure("the input cannot be read: \(String(cString: strerror(errno)))")
        }
        guard count > 0 else {
            isInputAtEnd = true
            send(line: rest)
            rest = []
            return
        }
        if unacknowledged.isEmpty { lastProgress = LineSocket.now() }
        var start = 0
        for at in 0..<count where space[at] == 0x0A {
            send(line: rest + space[start..<at])
            rest = []
            start = at + 1
        }
        rest += space[start..<count]
    }

    /// Lines that the server does not acknowledge by themselves are not sent.
    private mutating func send(line: [UInt8]) {
        if LinkTalk.isBlank(line) { return }
        if LinkTalk.isMeant(line) { dropped += 1 } else { unacknowledged.append(line) }
    }

    private func showProgress() {
        guard !quiet else { return }
        let seconds = max(LineSocket.now() - started, 0.001)
        progress.show(
            "\(acknowledged) acknowledged, \(rejected) rejected, \(unacknowledged.count) wait, "
                + "\(Int(Double(acknowledged) / seconds)) lines/s")
    }
}
