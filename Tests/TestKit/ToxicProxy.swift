import Foundation
import Synchronization

/// A relay between two Unix sockets that spoils the link in one of seven ways.
public final class ToxicProxy: @unchecked Sendable {
    public enum Toxic: Sendable, CaseIterable {
        /// Nothing: the control.
        case none
        /// Each piece waits 20 ms.
        case latency
        /// One byte at a time.
        case slices
        /// The connection ends in the middle of a line, after some bytes.
        case cut
        /// As `cut`, by a reset.
        case reset
        /// After some bytes nothing moves any more, and nobody is told.
        case stall
        /// What the server says does not come back.
        case mute
        /// Bytes come in bursts with pauses between.
        case bursts
    }

    public let path: String
    private let target: String
    private let listener: Int32
    private let toxic: Mutex<(kind: Toxic, after: Int)>
    private let open = Mutex<Set<Int32>>([])

    /// Relays connections at `path` to `target`.
    public init(path: String, target: String) throws {
        self.path = path
        self.target = target
        toxic = Mutex((.none, 0))
        unlink(path)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        guard ToxicProxy.withAddress(path, { bind(listener, $0, $1) }) == 0,
            listen(listener, 64) == 0
        else { throw Shell.Failed("no proxy at \(path): \(String(cString: strerror(errno)))") }
        Thread.detachNewThread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                Thread.detachNewThread { self.relay(client) }
            }
        }
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// From now on the link is spoilt like this, where it says so after so many bytes.
    public func spoil(_ kind: Toxic, after bytes: Int = 0) {
        toxic.withLock { $0 = (kind, bytes) }
    }

    /// Ends every connection and takes no more.
    public func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
        open.withLock { for socket in $0 { shutdown(socket, Int32(SHUT_RDWR)) } }
        unlink(path)
    }

    private func relay(_ client: Int32) {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard ToxicProxy.withAddress(target, { connect(server, $0, $1) }) == 0 else {
            Glibc.close(client)
            Glibc.close(server)
            return
        }
        open.withLock { $0.formUnion([client, server]) }
        let done = DispatchGroup()
        done.enter()
        Thread.detachNewThread {
            self.pump(server, client, isReply: true)
            done.leave()
        }
        pump(client, server, isReply: false)
        done.wait()
        open.withLock { $0.subtract([client, server]) }
        Glibc.close(client)
        Glibc.close(server)
    }

    private func pump(_ from: Int32, _ to: Int32, isReply: Bool) {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var passed = 0
        while true {
            let count = read(from, &buffer, buffer.count)
            if count <= 0 { break }
            passed += count
            let (kind, after) = toxic.withLock { $0 }
            switch kind {
            case .none: break
            case .latency: usleep(20_000)
            case .slices:
                for at in 0..<count { _ = send(to, [buffer[at]], 1, Int32(MSG_NOSIGNAL)) }
                continue
            case .cut where passed > after, .reset where passed > after:
                if kind == .reset {
                    // A Unix socket resets where unread bytes are thrown away with it.
                    usleep(1_000)
                } else {
                    _ = send(to, buffer, count / 2, Int32(MSG_NOSIGNAL))
                }
                shutdown(from, Int32(SHUT_RDWR))
                shutdown(to, Int32(SHUT_RDWR))
                return
            case .stall where passed > after:
                while toxic.withLock({ $0.kind }) == .stall { usleep(10_000) }
                shutdown(from, Int32(SHUT_RDWR))
                shutdown(to, Int32(SHUT_RDWR))
                return
            case .mute where isReply: continue
            case .bursts: if passed % 5 == 0 { usleep(100_000) }
            default: break
            }
            var at = 0
            while at < count {
                let sent = buffer.withUnsafeBytes {
                    send(to, $0.baseAddress! + at, count - at, Int32(MSG_NOSIGNAL))
                }
                if sent <= 0 { return }
                at += sent
            }
        }
        shutdown(to, Int32(SHUT_WR))
    }
}
