import ArgumentParser
import Client
import Dispatch
import FoundationEssentials
import Glibc
import Host
import Store
import Synchronization
import Tracking
import Wire

/// The paths of a folder that `caravan up` keeps everything in.
struct UpFolder {
    let root: String
    /// The folder of the Unix sockets; a short one elsewhere where the root's path is too long.
    let run: String

    var cluster: String { root + "/postgres" }
    var lock: String { root + "/up.lock" }
    var daemonPID: String { root + "/caravand.pid" }
    var demoStart: String { root + "/demo-start" }
    var configuration: String { root + "/caravan.yaml" }

    /// Where its daemon is spoken to: by `feed`, by `tail`.
    func socket(_ kind: String) -> String { run + "/\(kind).sock" }

    init(_ dir: String) throws {
        let base = URL(
            fileURLWithPath: dir,
            relativeTo: URL(fileURLWithPath: FileManager.default.currentDirectoryPath))
        root = base.standardizedFileURL.path
        run =
            root.utf8.count <= 80
            ? root + "/run" : "/tmp/caravan-run-" + PrivateCluster.shortName(root)
    }
}

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Everything on this machine: a private PostgreSQL, the daemon, and with --demo traffic.",
        discussion: """
            All of it lives in one folder. Ctrl-C stops it cleanly; the next start goes on where it
            was.

            EXAMPLES
              caravan up --demo
              caravan up --dir /var/lib/caravan --set feed.listen=0.0.0.0:7601,unix:feed.sock
            """)

    @Option(name: .long, help: "The folder.")
    var dir = "caravan-data"

    @Flag(name: .long, help: "Play simulated corridor traffic and show the output.")
    var demo = false

    @Option(name: .long, help: "Demo: hours that pass in one second.")
    var hoursPerSecond = 2.0

    @Option(name: .long, help: "Demo: stop after this many seconds; 0: run until stopped.")
    var seconds = 0.0

    @Option(name: .long, help: "Set one setting of the daemon: key=value.")
    var set: [String] = []

    func validate() throws {
        guard seconds >= 0, seconds.isFinite else {
            throw ValidationError("--seconds is \(seconds); allowed is 0 or more")
        }
    }

    func run() async throws {
        try await Console.failing { try await start() }
    }

    private func start() async throws {
        let folder = try UpFolder(dir)
        let stop = StopFlag()
        stop.install()
        try PrivateFolder.makeOwn(folder.root)
        let lock = try lock(folder)
        defer { close(lock) }
        // Within our own folder others may look; elsewhere they may not.
        if folder.run.hasPrefix(folder.root + "/") {
            try PrivateFolder.makeOwn(folder.run)
        } else {
            try PrivateFolder.make(folder.run)
        }
        endLeftoverDaemon(folder)
        let cluster = try PrivateCluster(folder: folder.cluster)
        Console.error("starting PostgreSQL in \(folder.cluster)")
        try cluster.start()
        defer { try? cluster.stop() }
        for name in try Migrator.migrate(cluster.conninfo) { Console.error("applied \(name)") }
        var settings = set.map(Up.withSocket)
        var clock: DemoClock?
        if demo {
            let made = try await DemoClock(
                folder, cluster, speedup: hoursPerSecond * 3_600)
            clock = made
            settings += [
                "clock.speedup=\(made.speedup)", "clock.start=\(TimeText.string(made.start))",
                "log.level=warning", "eta.interval-seconds=3600",
                // Whoever asks what became of a line wants to see it.
                "writer.checkpoint-seconds=2",
            ]
        }
        let daemon = try launch(folder, cluster, settings)
        defer { end(daemon, folder) }
        var restarts: [Date] = []
        try waitUntilReady(folder, daemon, stop) {
            if !cluster.isAlive { try restart(cluster, &restarts) }
        }
        greet(folder, settings)
        if let clock {
            let demo = Demo(folder: folder, clock: clock, stop: stop)
            demo.start()
        }
        let deadline = seconds > 0 ? Date().addingTimeInterval(seconds) : Date.distantFuture
        while daemon.isRunning, !stop.isSet, Date() < deadline {
            try await Task.sleep(for: .milliseconds(100))
            if !cluster.isAlive, !stop.isSet { try restart(cluster, &restarts) }
        }
        if !daemon.isRunning, !stop.isSet {
            throw Failure(
                "caravand ended, and not by us; what it had to say is above. The same command starts it "
                    + "again: what was acknowledged is kept")
        }
        stop.set()
        Console.error("stopping")
    }

    /// One at a time in a folder: whoever comes second changes nothing.
    private func lock(_ folder: UpFolder) throws -> Int32 {
        let file = open(folder.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw Failure("\(folder.lock) cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            let owner = (try? String(contentsOfFile: folder.lock, encoding: .utf8)) ?? ""
            let process = owner.trimmed
            throw Failure(
                "caravan up\(process.isEmpty ? "" : " (process \(process))") runs in \(folder.root) "
                    + "already; stop it, or choose another folder with --dir")
        }
        ftruncate(file, 0)
        _ = "\(getpid())\n".withCString { pwrite(file, $0, strlen($0), 0) }
        return file
    }

    /// The database has ended, and not by us: starts it again, unless it does not stay up.
    private func restart(_ cluster: PrivateCluster, _ restarts: inout [Date]) throws {
        restarts = restarts.filter { $0.timeIntervalSinceNow > -60 }
        guard restarts.count < 3 else {
            throw Failure(
                "PostgreSQL ended \(restarts.count + 1) times within a minute; its last words are in "
                    + "\(cluster.folder)/postgres.log")
        }
        restarts.append(Date())
        Console.error("PostgreSQL has ended; starting it again")
        try cluster.startServer()
    }

    /// A daemon that a killed `up` left behind would hold the ports.
    private func endLeftoverDaemon(_ folder: UpFolder) {
        guard let text = try? String(contentsOfFile: folder.daemonPID, encoding: .utf8),
            let pid = Int32(text.trimmed),
            let command = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8),
            command.contains("caravand"), command.contains(folder.root)
        else { return }
        Console.error("ending the daemon that an earlier run left behind (process \(pid))")
        kill(pid, SIGTERM)
        for _ in 0..<100 {
            if kill(pid, 0) != 0 { return }
            usleep(100_000)
        }
        kill(pid, SIGKILL)
    }

    private func launch(
        _ folder: UpFolder, _ cluster: PrivateCluster, _ settings: [String]
    ) throws -> ChildProcess {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let binary = own.deletingLastPathComponent().appendingPathComponent("caravand")
        guard FileManager.default.isExecutableFile(atPath: binary.path) else {
            throw Failure(
                "caravand is not beside caravan, in \(binary.deletingLastPathComponent().path)")
        }
        var arguments: [String] = []
        if FileManager.default.fileExists(atPath: folder.configuration) {
            arguments += ["--config", folder.configuration]
        }
        arguments += ["--set", "run.folder=\(folder.run)"]
        arguments += ["--set", "database.url=\(cluster.conninfo)"]
        for setting in settings { arguments += ["--set", setting] }
        arguments += ["--set", "log.level=\(level(settings))"]
        let daemon = try ChildProcess(
            [binary.path] + arguments,
            // Of large pages the processor can hold the whole state's addresses.
            environment: ProcessInfo.processInfo.environment.merging(
                ["GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"]
            ) { stated, _ in stated })
        try "\(daemon.processID)".write(
            toFile: folder.daemonPID, atomically: true, encoding: .utf8)
        return daemon
    }

    private func level(_ settings: [String]) -> String {
        let stated = settings.last { $0.hasPrefix("log.level=") }
        return stated.map { String($0.dropFirst("log.level=".count)) } ?? "info"
    }

    private func end(_ daemon: ChildProcess, _ folder: UpFolder) {
        daemon.send(SIGTERM)
        let deadline = Date().addingTimeInterval(30)
        while daemon.isRunning, Date() < deadline { usleep(50_000) }
        daemon.send(SIGKILL)
        try? FileManager.default.removeItem(atPath: folder.daemonPID)
    }

    private func waitUntilReady(
        _ folder: UpFolder, _ daemon: ChildProcess, _ stop: StopFlag, _ look: () throws -> Void
    ) throws {
        let deadline = LineSocket.now() + 60
        while !stop.isSet, LineSocket.now() < deadline {
            guard daemon.isRunning else { throw Failure("caravand did not start") }
            try look()
            if let socket = try? LineSocket(folder.socket("tail")) {
                try? socket.send("{\"tail\":\"caravan/1\",\"after\":\"now\"}\n")
                if (try? socket.readLine(seconds: 2)) ?? nil != nil { return }
            }
            usleep(100_000)
        }
        if !stop.isSet { throw Failure("the daemon was not ready within 60 s") }
    }

    /// The sockets in the folder are always there, whatever else listens: the tool speaks through them.
    private static func withSocket(_ setting: String) -> String {
        for kind in ["feed", "tail"] where setting.hasPrefix("\(kind).listen=") {
            return setting.contains("\(kind).sock") ? setting : setting + ",unix:\(kind).sock"
        }
        return setting
    }

    private func greet(_ folder: UpFolder, _ settings: [String]) {
        let feed = setting("feed.listen", settings) ?? "127.0.0.1:7601"
        let tail = setting("tail.listen", settings) ?? "127.0.0.1:7611"
        print(
            """
            Caravan is up. Feed \(feed), tail \(tail); its sockets are in \(folder.run).
            Ctrl-C stops it.
            """)
        fflush(nil)
    }

    private func setting(_ key: String, _ settings: [String]) -> String? {
        settings.last { $0.hasPrefix(key + "=") }.map {
            $0.dropFirst(key.count + 1).split(separator: ",").filter { !$0.hasSuffix(".sock") }
                .joined(separator: " and ")
        }
    }
}

/// Set by Ctrl-C, SIGTERM, a terminal that is closed, or the end of the work.
final class StopFlag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }

    func set() { state.withLock { $0 = true } }

    func install() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in set() }
            source.resume()
            // It lives as long as the process.
            _ = Unmanaged.passRetained(source as AnyObject)
        }
    }
}
