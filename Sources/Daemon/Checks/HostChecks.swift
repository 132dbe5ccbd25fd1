import CShims
import FoundationEssentials
import Glibc
import Server

/// Looks at the machine: its clock, its time zones, the ports.
struct HostChecks {
    let plan: DaemonPlan

    func run() -> [Finding] { HostChecks.clock() + HostChecks.zones() + ports() }

    private static func clock() -> [Finding] {
        let isUnsynchronised = caravan_clock_is_unsynchronised()
        if isUnsynchronised < 0 { return [] }
        if isUnsynchronised == 0 {
            return [Finding(.good, "clock", "this machine's is synchronised")]
        }
        return [
            Finding(
                .note, "clock",
                "nothing keeps this machine's clock right, as far as the kernel knows",
                advice: "timedatectl set-ntp true, or chrony; in a container ask on its host")
        ]
    }

    private static func zones() -> [Finding] {
        // The first of July 2024, noon in Almaty by its clocks since 1 March 2024 (tz 2024a).
        let path = "/usr/share/zoneinfo/Asia/Almaty"
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let before = getenv("TZ").map { String(cString: $0) }
        setenv("TZ", "Asia/Almaty", 1)
        tzset()
        var noon = time_t(1_719_817_200)
        var civil = tm()
        localtime_r(&noon, &civil)
        if let before { setenv("TZ", before, 1) } else { unsetenv("TZ") }
        tzset()
        if civil.tm_hour == 12 { return [] }
        return [
            Finding(
                .note, "time zones",
                "this machine's are older than 2024a: it has Almaty an hour ahead of its clocks since "
                    + "1 March 2024. Caravan goes by its own; other programs do not",
                advice: "apt-get install --only-upgrade tzdata")
        ]
    }

    private func ports() -> [Finding] {
        let isRunning = HostChecks.isLocked(plan.runFolder + "/caravand.lock")
        if isRunning {
            return [Finding(.good, "daemon", "runs in \(plan.runFolder)")]
        }
        var found = [
            Finding(
                .note, "daemon", "none runs in \(plan.runFolder)",
                advice: "systemctl start caravand, or caravan up")
        ]
        for (address, setting) in plan.feeds.map({ ($0, "feed.listen") })
            + plan.tails.map({ ($0, "tail.listen") })
        {
            guard case .some(let (host, port)) = address.hostAndPort, port > 0,
                HostChecks.isTaken(host, port)
            else { continue }
            found.append(
                Finding(
                    .note, "port", "\(address) is taken, and not by a daemon of this run.folder",
                    advice:
                        "if caravan.socket holds it, that is right; else see ss -ltnp, or change "
                        + setting))
        }
        return found
    }

    /// Whether a process holds the lock on a file.
    private static func isLocked(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    private static func isTaken(_ host: String, _ port: Int) -> Bool {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host.isEmpty ? nil : host, "\(port)", &hints, &list) == 0, let list else {
            return false
        }
        defer { freeaddrinfo(list) }
        let entry = list.pointee
        let socket = socket(entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        return bind(socket, entry.ai_addr, entry.ai_addrlen) != 0 && errno == EADDRINUSE
    }
}
