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

    public init(migrated: Bool = true) throws {
        folder = ScratchFolder()
        cluster = try PrivateCluster(folder: folder.path + "/pg")
        try cluster.start()
        if migrated { _ = try Migrator.migrate(cluster.conninfo) }
    }

    /// A cluster that somebody else started.
    public init(adopting cluster: PrivateCluster, folder: ScratchFolder) {
        self.cluster = cluster
        self.folder = folder
    }

    deinit { try? cluster.stop(mode: "immediate") }

    public var conninfo: String { cluster.conninfo }

    /// Rows of a query, columns joined by |, by psql.
    public func rows(_ sql: String) throws -> [String] {
        let text = try Shell.run([
            "psql", "-h", cluster.folder, "-U", "caravan", "-d", "caravan", "-AtX",
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

    public static func run(
        _ command: [String], input: String? = nil, status wanted: Int32 = 0
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
        guard process.terminationStatus == wanted else {
            throw Failed(
                "\(command.joined(separator: " ")) ended with "
                    + "\(process.terminationStatus): \(text)")
        }
        return text
    }
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
        [], ordinances: [.rules(rules), .network(NetworkFile.shippedBytes)], now: now)
    return engine
}

/// The folder of the package's sources.
public let packageFolder: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { url.deleteLastPathComponent() }
    return url.path
}()
