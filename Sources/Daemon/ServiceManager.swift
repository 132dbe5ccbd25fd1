import FoundationEssentials
import Glibc
import Host

/// What systemd is told, by the protocol of sd_notify(3): one datagram a message to the socket that
/// NOTIFY_SOCKET names. Where none is named nothing is said.
public struct ServiceManager: Sendable {
    /// The socket's name; one that begins with a zero byte is no file.
    private let name: [UInt8]
    /// Within so many seconds a sign of life is expected; 0: none is.
    let watchdogSeconds: Double

    public init(environment: [String: String]) {
        let socket = environment["NOTIFY_SOCKET"] ?? ""
        switch socket.utf8.first {
        case UInt8(ascii: "/"): name = Array(socket.utf8)
        case UInt8(ascii: "@"): name = [0] + socket.utf8.dropFirst()
        default: name = []
        }
        let isForUs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let microseconds = Double(environment["WATCHDOG_USEC"] ?? "") ?? 0
        watchdogSeconds = isForUs && !name.isEmpty ? microseconds / 1e6 : 0
    }

    var isThere: Bool { !name.isEmpty }

    func ready() { tell("READY=1") }

    func stopping() { tell("STOPPING=1") }

    func isAlive() { tell("WATCHDOG=1") }

    /// One line for `systemctl status`.
    func status(_ words: String) { tell("STATUS=\(words)") }

    /// The configuration is read anew; `ready` ends that.
    func reloading() {
        tell("RELOADING=1\nMONOTONIC_USEC=\(HostClock.steadyMicroseconds)")
    }

    private func tell(_ message: String) {
        var address = sockaddr_un()
        guard isThere, name.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { space in
            for (at, byte) in name.enumerated() { space[at] = byte }
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(message.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                // Never waits: a service manager that does not read must not stop the daemon.
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), $0, size)
            }
        }
    }
}
