import Engine
import FoundationEssentials
import Glibc
import Host
import Store
import Synchronization

/// What tells this daemon from every other one: a lock on its run folder, a name that no other process
/// ever has, and what it remembers of the log.
public final class RunFolder: Sendable {
    /// Names this process among those of its database.
    let holder: String
    /// The names of processes that ran here, and that are known to have ended; one a line.
    let former: String
    private let folder: String
    private let lock: Int32
    private let knownFile: Int32
    private let latest: Mutex<KnownLog?>

    /// Takes the run folder, or says who has it. `state`: the folder of what is remembered.
    public init(_ folder: String, state: String) throws {
        let path = URL(fileURLWithPath: folder).standardizedFileURL.path
        do { try PrivateFolder.makeOwn(path) } catch {
            throw ValidationFailure("run.folder: \(error.description)")
        }
        lock = try RunFolder.open(path + "/caravand.lock", "run.folder")
        // Whoever only looks whether somebody has it lets go at once.
        var isOurs = flock(lock, LOCK_EX | LOCK_NB) == 0
        for _ in 0..<5 where !isOurs {
            usleep(20_000)
            isOurs = flock(lock, LOCK_EX | LOCK_NB) == 0
        }
        guard isOurs else {
            let owner = RunFolder.read(lock).trimmed
            close(lock)
            throw ValidationFailure(
                "another caravand\(owner.isEmpty ? "" : " (process \(owner))") runs in \(path): stop "
                    + "it, or give this one a run.folder of its own")
        }
        ftruncate(lock, 0)
        RunFolder.write(lock, "\(getpid())\n")
        holder =
            "\(ProcessInfo.processInfo.hostName):\(path)#"
            + String(UInt64.random(in: 0 ... .max), radix: 36)
        self.folder = path
        do {
            former = try RunFolder.succeed(path + "/caravand.instance", as: holder)
                .joined(separator: "\n")
        } catch {
            throw ValidationFailure(
                "run.folder: \(path)/caravand.instance cannot be written; is the disk full, or "
                    + "read-only? df \(path) says")
        }
        let kept = state.isEmpty ? path : URL(fileURLWithPath: state).standardizedFileURL.path
        do { try PrivateFolder.makeOwn(kept) } catch {
            throw ValidationFailure("state.folder: \(error.description)")
        }
        knownFile = try RunFolder.open(kept + "/caravand.known", "state.folder")
        latest = Mutex(RunFolder.known(RunFolder.read(knownFile)))
    }

    // MARK: The name

    /// Names kept of processes that never led: each may have held the lease when it was killed.
    private static let namesKept = 16

    /// Where a process has ended that ran in this folder, of this machine since it was started, its name
    /// is free at once. Of a copy of the folder, where that one lives on or is out of sight, in another
    /// machine or container, it is not. Adds our own to the names; returns those that are free.
    private static func succeed(_ path: String, as holder: String) throws -> [String] {
        let world = "\(bootIdentifier) \(processNamespace)"
        let known =
            (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: "\n") ?? []
        let free = known.suffix(namesKept).filter { line in
            let parts = line.split(separator: "\t")
            guard parts.count == 4, parts[1] == world, let process = Int32(parts[2]) else {
                return false
            }
            return startTime(process) != parts[3]
        }
        let own = "\(holder)\t\(world)\t\(getpid())\t\(startTime(getpid()))"
        try (free.map(String.init) + [own, ""]).joined(separator: "\n")
            .write(toFile: path, atomically: true, encoding: .utf8)
        return free.map { String($0.split(separator: "\t")[0]) }
    }

    /// The lease is ours: nobody before us can have it any more.
    func forgetFormer() {
        let path = folder + "/caravand.instance"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let own = text.split(separator: "\n").last, own.hasPrefix(holder)
        else { return }
        try? "\(own)\n".write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// When a process of this machine began, which tells it from a later one of its number; "": it is
    /// not there.
    private static func startTime(_ process: Int32) -> String {
        let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        let fields = stat?.split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 19 ? String(fields[19]) : ""
    }

    /// Of this machine since it was started. A service that sees nothing of /proc but processes goes by
    /// the machine's name for itself and the minute in which it was started.
    private static var bootIdentifier: String {
        func text(_ path: String) -> String? {
            (try? String(contentsOfFile: path, encoding: .utf8))?.trimmed
        }
        if let boot = text("/proc/sys/kernel/random/boot_id") { return boot }
        guard let machine = text("/etc/machine-id") else { return UUID().uuidString }
        let started = HostClock.wallMicroseconds - HostClock.upMicroseconds
        return "\(machine)@\(started / 60_000_000)"
    }

    private static var processNamespace: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid"))
            ?? UUID().uuidString
    }

    // MARK: The log

    /// How far the log was seen.
    var known: KnownLog? { latest.withLock { $0 } }

    /// Keeps how far it is seen now: in place, so that it costs one call, and outlives this process.
    func remember(_ log: KnownLog) {
        latest.withLock { known in
            if known == log { return }
            known = log
            let line = "\(log.log) \(log.batch) \(log.seq)"
            let padded = line + String(repeating: " ", count: max(0, 127 - line.utf8.count)) + "\n"
            _ = Array(padded.utf8).withUnsafeBytes {
                pwrite(knownFile, $0.baseAddress, $0.count, 0)
            }
        }
    }

    /// How far the daemon of a state folder saw the log, for whoever looks in from outside.
    static func known(inState folder: String) -> KnownLog? {
        (try? String(contentsOfFile: folder + "/caravand.known", encoding: .utf8)).flatMap {
            known($0)
        }
    }

    private static func known(_ text: String) -> KnownLog? {
        let parts = text.split { $0 == " " || $0 == "\n" }
        guard parts.count == 3, let batch = Int(parts[1]), let seq = Int(parts[2]) else {
            return nil
        }
        return KnownLog(log: String(parts[0]), batch: batch, seq: seq)
    }

    // MARK: Files

    private static func open(_ path: String, _ setting: String) throws -> Int32 {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw ValidationFailure(
                "\(path) cannot be opened (\(setting)): \(String(cString: strerror(errno)))")
        }
        return file
    }

    private static func read(_ file: Int32) -> String {
        var space = [UInt8](repeating: 0, count: 512)
        let count = pread(file, &space, space.count, 0)
        return count > 0 ? String(decoding: space[..<count], as: UTF8.self) : ""
    }

    private static func write(_ file: Int32, _ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) }
    }
}
