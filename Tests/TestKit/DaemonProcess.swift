import Client
import Foundation

/// A real `caravand` on Unix sockets of its own.
public final class DaemonProcess: @unchecked Sendable {
    public let folder: String
    private let conninfo: String
    private let settings: [String]
    private var process: Process?
    /// Goes before the program: what it is to be started by, such as strace.
    public var launcher: [String]
    public var environment: [String: String] = [:]

    /// `name`: of its run folder; `conninfo`: where it finds the database, if not in the cluster's
    /// own socket.
    public init(
        cluster: TestCluster, settings: [String] = [], waiting: Bool = true, name: String = "run",
        conninfo: String? = nil, launcher: [String] = []
    ) throws {
        self.launcher = launcher
        folder = cluster.folder.path + "/" + name
        self.conninfo = conninfo ?? cluster.conninfo
        // The traffic of tests is history; what comes of it is said at once.
        self.settings = ["alerts.settle-minutes=0"] + settings
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try start(waiting: waiting)
    }

    deinit { kill9() }

    public var feed: String { folder + "/feed.sock" }
    public var tail: String { folder + "/tail.sock" }
    public var pid: Int32 { process?.processIdentifier ?? 0 }

    /// Where the programs under test are: beside the test bundle.
    public static func program(_ name: String) -> String {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = own.deletingLastPathComponent().appendingPathComponent(name).path
        if FileManager.default.isExecutableFile(atPath: beside) { return beside }
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let second = bundle.appendingPathComponent(name).path
        if FileManager.default.isExecutableFile(atPath: second) { return second }
        return packageFolder + "/.build/debug/" + name
    }

    /// Starts it and waits until it answers.
    public func start(waiting: Bool = true) throws {
        let made = Process()
        made.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let all =
            [
                "database.url=\(conninfo)", "run.folder=\(folder)", "feed.listen=unix:feed.sock",
                "tail.listen=unix:tail.sock", "log.level=warning",
            ] + settings
        // Under a preloaded library the arguments do not always arrive; the environment does.
        let isPreloaded = environment["LD_PRELOAD"] != nil
        let variables = isPreloaded ? all.map(DaemonProcess.variable) : []
        made.arguments =
            variables + environment.map { "\($0)=\($1)" } + launcher
            + [DaemonProcess.program("caravand")]
            + (isPreloaded ? [] : all.flatMap { ["--set", $0] })
        made.standardInput = FileHandle.nullDevice
        try made.run()
        process = made
        if waiting { try waitUntilReady() }
    }

    /// `feed.window=3` as `CARAVAN_FEED_WINDOW=3`.
    private static func variable(_ setting: String) -> String {
        let end = setting.firstIndex(of: "=") ?? setting.endIndex
        let name = setting[..<end].uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 }
        return "CARAVAN_" + String(name) + setting[end...]
    }

    public func waitUntilReady() throws {
        let deadline = LineSocket.now() + 30
        while LineSocket.now() < deadline {
            if let socket = try? LineSocket(tail) {
                try socket.send("{\"tail\":\"caravan/1\",\"after\":\"now\"}\n")
                if try socket.readLine(seconds: 30) != nil { return }
            }
            guard process?.isRunning == true else { throw Shell.Failed("caravand has ended") }
            usleep(20_000)
        }
        throw Shell.Failed("caravand was not ready within 30 s")
    }

    public func kill9() {
        guard let process, process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Stops it where it is, and waits until every thread of it stands still: the signal only asks
    /// for that, and a line sent at once behind it may still be read and committed.
    public func pause() throws {
        kill(pid, SIGSTOP)
        let tasks = "/proc/\(pid)/task"
        let deadline = LineSocket.now() + 30
        while LineSocket.now() < deadline {
            let states = try FileManager.default.contentsOfDirectory(atPath: tasks).map { task in
                // The state is the first field behind the name, which stands in brackets.
                (try? String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8))?
                    .split(separator: ")").last?.first { $0 != " " }
            }
            if states.allSatisfy({ $0 == "T" }) { return }
            usleep(1_000)
        }
        throw Shell.Failed("caravand did not stand still within 30 s")
    }

    public func resume() { kill(pid, SIGCONT) }

    public var isRunning: Bool { process?.isRunning == true }

    /// The exit status of one that has been told to end.
    public func waitForEnd() -> Int32 {
        guard let process else { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// SIGTERM, and the exit status.
    public func stop() -> Int32 {
        guard let process else { return -1 }
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Every line of the output, as JSON text, from the start.
    public func output() throws -> [String] {
        let socket = try LineSocket(tail)
        try socket.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        var lines: [String] = []
        while let line = try socket.readLine(seconds: 30) {
            if line.contains("\"kind\":\"caught-up\"") { return lines }
            if !line.contains("\"kind\":\"welcome\"") { lines.append(line) }
        }
        return lines
    }
}
