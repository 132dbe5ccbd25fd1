import Engine
import Foundation
import Simulation
import Store
import Tracking
import Wire

/// A folder that is gone when the test is over.
public final class ScratchFolder: Sendable {
    public let path: String

    public init() {
        path = "/tmp/caravan-test-" + UUID().uuidString.prefix(8)
        // A folder that cannot be made shows at its first use.
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        chmod(path, 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A private PostgreSQL with the schema in place.
public final class TestCluster: Sendable {
    public let folder: ScratchFolder
    public let cluster: PrivateCluster

    /// `place`: where the server keeps its files, if not in the scratch folder; `launcher`: what its
    /// programs are started by; `settings`: the server's, `name = value`.
    public init(
        migrated: Bool = true, place: String? = nil, launcher: [String] = [],
        settings: [String] = []
    ) throws {
        folder = ScratchFolder()
        var made = try PrivateCluster(folder: place ?? folder.path + "/pg")
        made.launcher = launcher
        cluster = made
        try cluster.start(settings: settings)
        if migrated { _ = try Migrator.migrate(cluster.conninfo) }
    }

    /// A cluster that somebody else started.
    public init(adopting cluster: PrivateCluster, folder: ScratchFolder) {
        self.cluster = cluster
        self.folder = folder
    }

    deinit { try? cluster.stop(mode: "immediate") }

    /// A copy of its files as they are now, as a cluster of its own that is not started yet. `options`: of
    /// pg_basebackup, such as -R for a standby.
    public func baseBackup(_ name: String, options: [String] = []) throws -> PrivateCluster {
        let path = folder.path + "/" + name
        let copy = try PrivateCluster(folder: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        _ = try Shell.run(["chown", "--reference=\(cluster.folder)", path])
        try cluster.run(
            "pg_basebackup",
            ["-h", cluster.socketFolder, "-U", "caravan", "-D", copy.data, "-c", "fast"] + options)
        return copy
    }

    public var conninfo: String { cluster.conninfo }

    /// Rows of a query, columns joined by |, by psql.
    public func rows(_ sql: String) throws -> [String] {
        let text = try Shell.run([
            "psql", "-h", cluster.socketFolder, "-U", "caravan", "-d", "caravan", "-AtX",
            "-v", "ON_ERROR_STOP=1", "-c", sql,
        ])
        return text.split(separator: "\n").map(String.init)
    }
}

/// Runs a program to its end.
public enum Shell {
    public struct Failed: Error, CustomStringConvertible {
        public let description: String

        public init(_ description: String) { self.description = description }
    }

    /// `wanted`: the status that it must end with; nil: any.
    public static func run(
        _ command: [String], input: String? = nil, status wanted: Int32? = 0
    ) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        if let input {
            let pipe = Pipe()
            process.standardInput = pipe
            try process.run()
            pipe.fileHandleForWriting.write(Data(input.utf8))
            try pipe.fileHandleForWriting.close()
        } else {
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        guard wanted == nil || process.terminationStatus == wanted else {
            throw Failed(
                "\(command.joined(separator: " ")) ended with "
                    + "\(process.terminationStatus): \(text)")
        }
        return text
    }
}

/// What only root may do: mounts, namespaces, tracing of other accounts' processes. An ordinary user
/// needs sudo that asks for no password.
public enum Root {
    public static var prefix: [String] { getuid() == 0 ? [] : ["sudo", "-n"] }

    @discardableResult
    public static func run(_ command: [String]) throws -> String {
        try Shell.run(prefix + command)
    }
}

/// A small disk of its own: an ext4 file system in a file, mounted by a loop device, that can lose
/// its power or hang.
public final class TestVolume: Sendable {
    public let path: String
    private let folder = ScratchFolder()
    private var image: String { folder.path + "/image" }

    public init(megabytes: Int = 512) throws {
        path = folder.path + "/mount"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        _ = try Shell.run(["truncate", "-s", "\(megabytes)M", image])
        try Root.run(["mkfs.ext4", "-q", "-F", image])
        try mount()
        try Root.run(["chmod", "777", path])
    }

    deinit {
        _ = try? Root.run(["fsfreeze", "-u", path])
        _ = try? Root.run(["umount", "-l", path])
    }

    public func mount() throws { try Root.run(["mount", "-o", "loop", image, path]) }

    /// The file system stops where it stands: what it had not written is gone (the ioctl
    /// EXT4_IOC_SHUTDOWN without flushing its journal).
    public func losePower() throws {
        try Root.run([
            "perl", "-e",
            "open(F, '<', $ARGV[0]) or die $!; my $x = pack('L', 2); "
                + "ioctl(F, 0x8004587D, $x) or die $!;", path,
        ])
    }

    /// Off and on again: the journal is read.
    public func restart() throws {
        let deadline = Date().addingTimeInterval(20)
        while (try? Root.run(["umount", path])) == nil {
            guard Date() < deadline else { throw Shell.Failed("\(path) stays busy") }
            usleep(100_000)
        }
        try mount()
    }

    /// Every write hangs for so long; another process ends it.
    public func freeze(seconds: Double) throws {
        let thaw = Process()
        thaw.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        thaw.arguments =
            Root.prefix + ["sh", "-c", "sleep \(seconds); fsfreeze -u \(path)"]
        thaw.standardInput = FileHandle.nullDevice
        try thaw.run()
        try Root.run(["fsfreeze", "-f", path])
    }
}

/// A network of its own: a namespace with a loopback, whose traffic can be dropped.
public final class TestNetwork: Sendable {
    public let name = "caravan-\(UUID().uuidString.prefix(8))"

    public init() throws {
        try Root.run(["ip", "netns", "add", name])
        try inside(["ip", "link", "set", "lo", "up"])
        try inside(["nft", "add table inet t"])
        try inside([
            "nft", "add chain inet t in { type filter hook input priority 0; policy accept; }",
        ])
    }

    deinit { _ = try? Root.run(["ip", "netns", "del", name]) }

    /// What programs in it are started by.
    public var launcher: [String] {
        let user = getuid() == 0 ? [] : ["sudo", "-n", "-u", "#\(getuid())"]
        return Root.prefix + ["ip", "netns", "exec", name] + user
    }

    private func inside(_ command: [String]) throws {
        try Root.run(["ip", "netns", "exec", name] + command)
    }

    /// Drops what goes to the port, or comes from it.
    public func drop(to: Int? = nil, from: Int? = nil) throws {
        if let to { try inside(["nft", "add rule inet t in tcp dport \(to) drop"]) }
        if let from { try inside(["nft", "add rule inet t in tcp sport \(from) drop"]) }
    }

    public func heal() throws { try inside(["nft", "flush chain inet t in"]) }
}

/// Kills a process for real and waits until it runs no more. Foundation's own wait would last as
/// long as any process that it had started.
public func killHard(_ pid: Int32) {
    kill(pid, SIGKILL)
    let deadline = Date().addingTimeInterval(10)
    while Date() < deadline {
        let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        guard let state = stat?.split(separator: ")").last?.first(where: { $0 != " " }) else {
            return
        }
        if state == "Z" { return }
        usleep(5_000)
    }
}

/// The current time.
public func wallNow() -> Instant {
    Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
}

/// Prints a seed, so that a failure can be repeated: `CARAVAN_TEST_SEED=…`.
public func testSeed(_ name: String) -> UInt64 {
    let stated = ProcessInfo.processInfo.environment["CARAVAN_TEST_SEED"].flatMap { UInt64($0) }
    let seed = stated ?? UInt64.random(in: 1...1_000_000_000)
    print("\(name): seed \(seed)")
    return seed
}

/// A chunk of lines as one connection reads them.
public func chunk(_ lines: [String], source: Int = 1, first: Int = 1) -> FeedChunk {
    FeedChunk(
        source: source, origin: Origin(), text: Array((lines.joined(separator: "\n") + "\n").utf8),
        parser: FeedParser(), first: first)
}

/// An engine with the shipped network and the usual rules, nothing in it.
public func freshEngine(rules: AlertRules = AlertRules(), now: Instant) -> Engine {
    var engine = Engine()
    _ = engine.step(
        [], changes: [.rules(rules), .network(.shipped)], now: now)
    return engine
}

/// The folder of the package's sources.
public let packageFolder: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { url.deleteLastPathComponent() }
    return url.path
}()
