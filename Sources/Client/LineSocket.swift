import Glibc
import TLS

/// What went wrong with a socket: the operation, the address, the system's reason.
public struct SocketFailure: Error, CustomStringConvertible {
    public let description: String
    /// What to do about it, where waiting does not mend it; nil where it may pass.
    public private(set) var advice: String?

    init(_ operation: String, _ address: String, _ code: Int32 = errno) {
        description = "\(operation) \(address): \(String(cString: strerror(code)))"
    }

    init(_ description: String, advice: String? = nil) {
        self.description = description
        self.advice = advice
    }

    init(_ address: String, _ failure: TLSFailure) {
        self.init("\(address): \(failure)", advice: failure.advice)
    }

    public init(message: String) { description = message }
}

/// A blocking socket that speaks lines: the other side of feed and tail. `host:port`,
/// `tls:host:port`, or the path of a Unix socket.
public final class LineSocket {
    public let address: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    public private(set) var isAtEnd = false
    private var session: TLSSession?
    /// Ciphertext that the socket has not taken yet.
    private var sealed: [UInt8] = []

    /// `tls`: whom to trust and what to show, for addresses that begin with `tls:`.
    public init(_ address: String, tls: TLSContext? = nil) throws(SocketFailure) {
        self.address = address
        var plain = address
        for prefix in ["unix:", "tls:"] where address.hasPrefix(prefix) {
            plain = String(address.dropFirst(prefix.count))
        }
        descriptor =
            plain.contains("/")
            ? try LineSocket.unix(plain) : try LineSocket.tcp(plain)
        guard address.hasPrefix("tls:") else { return }
        guard let tls else {
            throw SocketFailure(
                "\(address) needs an authority to trust", advice: "give it with --ca FILE")
        }
        let host = plain[..<(plain.lastIndex(of: ":") ?? plain.endIndex)].filter {
            $0 != "[" && $0 != "]"
        }
        try shakeHands(tls, String(host))
    }

    private func shakeHands(_ tls: TLSContext, _ host: String) throws(SocketFailure) {
        do {
            var made = try TLSSession(tls, .client(hostName: host))
            try made.handshake()
            session = consume made
        } catch { throw SocketFailure(address, error) }
        let deadline = LineSocket.now() + 10
        while session?.isEstablished == false {
            try flushSealed(wait: true)
            guard LineSocket.now() < deadline else {
                throw SocketFailure("no TLS handshake with \(address) within 10 s")
            }
            if wait(write: false, milliseconds: 100).canRead, try !fill() {
                throw SocketFailure("\(address) hung up in the TLS handshake")
            }
        }
        try flushSealed(wait: true)
    }

    /// Sends ciphertext; false where the socket does not take all of it now.
    @discardableResult
    private func flushSealed(wait: Bool) throws(SocketFailure) -> Bool {
        if let more = session?.drain() { sealed += more }
        var at = 0
        while at < sealed.count {
            let count = try sendRaw(sealed, from: at, upTo: sealed.count, wait: wait)
            if count == 0, !wait { break }
            at += count
        }
        sealed.removeFirst(at)
        return sealed.isEmpty
    }

    deinit { close(descriptor) }

    private static func unix(_ path: String) throws(SocketFailure) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("opening a socket to", path) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < 108 else {
            close(descriptor)
            throw SocketFailure("the socket path \(path) is longer than 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let done = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard done == 0 else {
            let code = errno
            close(descriptor)
            throw SocketFailure("connecting to", path, code)
        }
        return descriptor
    }

    /// Connects within ten seconds: a server that takes no notice must not keep the others from being
    /// tried. On Linux the time limit for sending holds for connecting, too.
    private static func connects(
        _ descriptor: Int32, _ peer: UnsafeMutablePointer<sockaddr>?, _ length: socklen_t
    ) -> Bool {
        func limit(_ seconds: Int) {
            var time = timeval(tv_sec: seconds, tv_usec: 0)
            setsockopt(
                descriptor, SOL_SOCKET, SO_SNDTIMEO, &time,
                socklen_t(MemoryLayout<timeval>.size))
        }
        limit(10)
        defer { limit(0) }
        return connect(descriptor, peer, length) == 0
    }

    /// What is wrong with an address; nil: nothing that shows before it is tried.
    public static func flaw(of address: String) -> String? {
        let plain = address.hasPrefix("tls:") ? String(address.dropFirst(4)) : address
        if plain.isEmpty { return "an address is host:port or a path" }
        if plain.contains("://"), !plain.hasPrefix("unix:") {
            return "\(address) is a URL: an address is host:port, tls:host:port or a path"
        }
        if plain.contains("/") || plain.hasPrefix("unix:") { return nil }
        guard let colon = plain.lastIndex(of: ":") else {
            return "\(address) is neither host:port nor a path"
        }
        return flaw(ofPort: String(plain[plain.index(after: colon)...])).map { "\(address): \($0)" }
    }

    /// The system's own look-up takes any number, and what is left of it in 16 bits.
    private static func flaw(ofPort port: String) -> String? {
        guard let number = Int(port), (1...65_535).contains(number), !port.hasPrefix("+") else {
            return "a port is a number from 1 to 65535"
        }
        return nil
    }

    private static func tcp(_ address: String) throws(SocketFailure) -> Int32 {
        guard let colon = address.lastIndex(of: ":") else {
            throw SocketFailure(
                "\(address) is neither host:port nor a path", advice: "see --server in the help")
        }
        let host = address[..<colon].filter { $0 != "[" && $0 != "]" }
        let port = String(address[address.index(after: colon)...])
        if let flaw = LineSocket.flaw(ofPort: port) { throw SocketFailure("\(address): \(flaw)") }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(String(host), port, &hints, &found)
        guard code == 0 else {
            throw SocketFailure(
                "looking up \(address): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        var last: Int32 = 0
        var next = found
        while let info = next?.pointee {
            let descriptor = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
            if descriptor >= 0 {
                if connects(descriptor, info.ai_addr, info.ai_addrlen) {
                    var one: Int32 = 1
                    setsockopt(
                        descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one,
                        socklen_t(MemoryLayout<Int32>.size))
                    return descriptor
                }
                last = errno
                close(descriptor)
            }
            next = info.ai_next
        }
        throw SocketFailure("connecting to", address, last)
    }

    /// Sends all bytes.
    public func send(_ bytes: [UInt8]) throws(SocketFailure) {
        var at = 0
        while at < bytes.count {
            at += try sendSome(bytes, from: at, wait: true)
        }
    }

    public func send(_ text: String) throws(SocketFailure) { try send(Array(text.utf8)) }

    /// Sends what the socket takes; 0 where it takes nothing now and `wait` is false.
    public func sendSome(
        _ bytes: [UInt8], from start: Int, upTo end: Int? = nil, wait: Bool
    ) throws(SocketFailure) -> Int {
        let end = end ?? bytes.count
        guard session != nil else { return try sendRaw(bytes, from: start, upTo: end, wait: wait) }
        guard try flushSealed(wait: wait), start < end else { return 0 }
        let part = min(end, start + (1 << 16))
        do {
            try bytes.withUnsafeBytes { try session?.send(.init(rebasing: $0[start..<part])) }
        } catch let failure as TLSFailure {
            throw SocketFailure(address, failure)
        } catch {
            throw SocketFailure("\(address): \(error)")
        }
        try flushSealed(wait: wait)
        return part - start
    }

    private func sendRaw(
        _ bytes: [UInt8], from start: Int, upTo end: Int, wait: Bool
    ) throws(SocketFailure) -> Int {
        let flags = Int32(MSG_NOSIGNAL) | (wait ? 0 : Int32(MSG_DONTWAIT))
        let sent = bytes.withUnsafeBytes { buffer in
            Glibc.send(
                descriptor, buffer.baseAddress?.advanced(by: start),
                end - start, flags)
        }
        if sent >= 0 { return sent }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw SocketFailure("sending to", address)
    }

    /// Whether ciphertext waits for the socket: `sendSome` sends it on, also with nothing to add.
    public var hasUnsent: Bool { !sealed.isEmpty }

    /// Nothing can be read now, neither a line nor the end.
    public var isQuiet: Bool {
        !isAtEnd && !buffer[start...].contains(0x0A)
            && !wait(write: false, milliseconds: 0).canRead
    }

    /// Nothing more will be sent; what comes can still be read.
    public func halfClose() {
        if session != nil {
            session?.finish()
            _ = try? flushSealed(wait: true)
        }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Waits until the socket can be read, or written where `write` asks for it.
    public func wait(write: Bool, milliseconds: Int32) -> (canRead: Bool, canWrite: Bool) {
        var wish = pollfd(
            fd: descriptor, events: Int16(POLLIN) | (write ? Int16(POLLOUT) : 0), revents: 0)
        guard poll(&wish, 1, milliseconds) > 0 else { return (false, false) }
        let broken = wish.revents & (Int16(POLLERR) | Int16(POLLHUP)) != 0
        return (broken || wish.revents & Int16(POLLIN) != 0, wish.revents & Int16(POLLOUT) != 0)
    }

    /// Waits until one of several can be read.
    public static func wait(_ sockets: [LineSocket], milliseconds: Int32) {
        var wishes = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        poll(&wishes, nfds_t(wishes.count), milliseconds)
    }

    /// Reads what is there into the buffer; false at the end of the stream.
    @discardableResult
    public func fill() throws(SocketFailure) -> Bool {
        if start > 1 << 20 {
            buffer.removeFirst(start)
            start = 0
        }
        var flaw: TLSFailure?
        let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { space in
            let count = recv(descriptor, space.baseAddress, space.count, 0)
            guard count > 0 else { return count }
            guard session != nil else {
                buffer.append(contentsOf: space[..<count])
                return count
            }
            do throws(TLSFailure) {
                let sealed = UnsafeRawBufferPointer(rebasing: space[..<count])
                buffer += try session?.receive(sealed) ?? []
            } catch { flaw = error }
            return count
        }
        if let flaw {
            _ = try? flushSealed(wait: false)
            isAtEnd = true
            throw SocketFailure(address, flaw)
        }
        if count > 0 { return true }
        if count == 0 {
            isAtEnd = true
            return false
        }
        if errno == EINTR { return true }
        isAtEnd = true
        throw SocketFailure("reading from", address)
    }

    /// The next whole line in the buffer, without its LF.
    public func bufferedLine() -> String? {
        guard let end = buffer[start...].firstIndex(of: 0x0A) else { return nil }
        defer {
            start = end + 1
            if start == buffer.count {
                buffer.removeAll(keepingCapacity: true)
                start = 0
            }
        }
        return String(decoding: buffer[start..<end], as: UTF8.self)
    }

    /// The next line; nil at the end of the stream. Fails where none comes within `seconds`.
    public func readLine(seconds: Double = 30) throws(SocketFailure) -> String? {
        let deadline = LineSocket.now() + seconds
        while true {
            if let line = bufferedLine() { return line }
            if isAtEnd { return nil }
            let left = deadline - LineSocket.now()
            guard left > 0 else {
                throw SocketFailure("no line from \(address) within \(Int(seconds)) s")
            }
            if wait(write: false, milliseconds: Int32(min(left, 3_600) * 1_000) + 1).canRead {
                try fill()
            }
        }
    }

    /// Seconds on a clock that only runs forward.
    public static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
