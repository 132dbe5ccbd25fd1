import Glibc
import NIOConcurrencyHelpers
import NIOCore

/// Listening sockets that the service manager has opened before us and keeps while we are away
/// (sd_listen_fds(3)): who connects in between waits and is not refused. A listener whose address one of
/// them has takes it over instead of binding.
public final class InheritedSockets: Sendable {
    private let sockets: NIOLockedValueBox<[(address: SocketAddress, descriptor: CInt)]>

    /// None.
    public init() { sockets = NIOLockedValueBox([]) }

    /// Those that LISTEN_FDS counts, from descriptor 3 on, where LISTEN_PID says that they are ours.
    public init(environment: [String: String]) {
        var found: [(SocketAddress, CInt)] = []
        let count = CInt(environment["LISTEN_FDS"] ?? "") ?? 0
        if environment["LISTEN_PID"] == "\(getpid())", count > 0, count <= 64 {
            for descriptor in 3..<(3 + count) {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                guard let address = InheritedSockets.address(descriptor) else { continue }
                found.append((address, descriptor))
            }
        }
        sockets = NIOLockedValueBox(found)
    }

    /// The socket that is bound to an address; it is the caller's from now on.
    func take(_ address: ListenAddress) throws -> CInt? {
        if sockets.withLockedValue({ $0.isEmpty }) { return nil }
        let wanted: SocketAddress
        switch address {
        case .tcp(let host, let port), .tls(let host, let port):
            wanted = try SocketAddress.makeAddressResolvingHost(host, port: port)
        case .unix(let path): wanted = try SocketAddress(unixDomainSocketPath: path)
        }
        return sockets.withLockedValue { sockets in
            guard let at = sockets.firstIndex(where: { $0.address == wanted }) else { return nil }
            return sockets.remove(at: at).descriptor
        }
    }

    /// Those that no listener has taken: whoever connects there would wait for ever.
    public var untaken: [SocketAddress] { sockets.withLockedValue { $0.map(\.address) } }

    private static func address(_ descriptor: CInt) -> SocketAddress? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isKnown = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isKnown else { return nil }
        let family = CInt(storage.ss_family)
        return withUnsafeBytes(of: &storage) { bytes -> SocketAddress? in
            switch family {
            case AF_INET: SocketAddress(bytes.load(as: sockaddr_in.self), host: "")
            case AF_INET6: SocketAddress(bytes.load(as: sockaddr_in6.self), host: "")
            case AF_UNIX: SocketAddress(bytes.load(as: sockaddr_un.self))
            default: nil
            }
        }
    }
}
