import Client
import Foundation
import Host
import Store
import TestKit
import Testing
import Wire

/// A stop waits for nothing that is away: whatever state the daemon is in, it ends within ten seconds.
@Suite(.serialized) struct StopTests {
    enum State: String, CaseIterable, Sendable {
        case atRest, neverHadADatabase, databaseStopped, databaseFrozen, frozenAtTheStart
        case batchWaits, checkpointWaits, headLocked, standby, standbyFrozen, schemaMissing
    }

    @Test(arguments: State.allCases, [SIGTERM, SIGINT])
    func itEndsWithinTenSeconds(_ state: State, _ signal: Int32) throws {
        let cluster = try TestCluster(migrated: state != .schemaMissing)
        let postmaster = try #require(cluster.cluster.processID)
        if state == .neverHadADatabase { try cluster.cluster.stop(mode: "immediate") }
        let frozen: [State] = [.databaseFrozen, .frozenAtTheStart, .standbyFrozen]
        if state == .frozenAtTheStart { try freeze(postmaster, SIGSTOP) }
        defer { if frozen.contains(state) { try? freeze(postmaster, SIGCONT) } }
        let comesUp = ![.neverHadADatabase, .frozenAtTheStart, .schemaMissing].contains(state)
        let writer =
            state == .standby || state == .standbyFrozen
            ? try DaemonProcess(cluster: cluster, name: "writer") : nil
        defer { writer?.kill9() }
        let daemon = try DaemonProcess(cluster: cluster, waiting: comesUp)
        var locker: Process?
        defer { locker.map { killHard($0.processIdentifier) } }
        if comesUp, writer == nil {
            let socket = try LineSocket(daemon.feed)
            try socket.send(eventLine(1))
            #expect(try replies(socket, upTo: 1).isEmpty)
            switch state {
            case .databaseStopped: try cluster.cluster.stop(mode: "immediate")
            case .databaseFrozen: try freeze(postmaster, SIGSTOP)
            case .headLocked: locker = try lock("update head set batch = batch", cluster)
            case .checkpointWaits: locker = try lock("lock table journey", cluster)
            case .batchWaits:
                locker = try lock("lock table batch", cluster)
                try socket.send(eventLine(2))
            default: break
            }
            if state == .headLocked || state == .checkpointWaits { try socket.send(eventLine(3)) }
        }
        if state == .standbyFrozen { try freeze(postmaster, SIGSTOP) }
        if !comesUp { try waitForListener(daemon) }
        let started = LineSocket.now()
        kill(daemon.pid, signal)
        while kill(daemon.pid, 0) == 0, LineSocket.now() - started < 15, daemon.isRunning {
            usleep(10_000)
        }
        let seconds = LineSocket.now() - started
        print("\(state), signal \(signal): ended after \(seconds) s")
        #expect(seconds < 10, "\(state)")
        #expect(daemon.waitForEnd() == 0)
    }

    /// The server and all its processes stand still, or go on.
    private func freeze(_ postmaster: Int32, _ signal: Int32) throws {
        let children = try Shell.run(["ps", "-o", "pid=", "--ppid", "\(postmaster)"])
        for text in children.split(whereSeparator: \.isWhitespace) {
            if let pid = Int32(text) { kill(pid, signal) }
        }
        kill(postmaster, signal)
    }

    /// Holds what a statement locks until it is ended.
    private func lock(_ statement: String, _ cluster: TestCluster) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "psql", "-h", cluster.cluster.socketFolder, "-U", "caravan", "-d", "caravan", "-qX",
            "-c", "begin; \(statement); select pg_sleep(60)",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let waits = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' "
        let deadline = LineSocket.now() + 20
        while try cluster.rows(waits + "and wait_event = 'PgSleep'") == ["0"] {
            guard LineSocket.now() < deadline else { throw Shell.Failed("nothing is locked") }
            usleep(20_000)
        }
        return process
    }

    private func waitForListener(_ daemon: DaemonProcess) throws {
        let deadline = LineSocket.now() + 20
        while (try? LineSocket(daemon.feed)) == nil {
            guard LineSocket.now() < deadline else { throw Shell.Failed("no listener") }
            usleep(20_000)
        }
    }
}

/// One daemon in a run folder, one `up` in a folder, and nothing of somebody else's.
@Suite(.serialized) struct OwnershipTests {
    private func daemon(_ cluster: TestCluster, _ folder: String, status: Int32) throws -> String {
        try Shell.run(
            [
                "timeout", "20", DaemonProcess.program("caravand"), "--set",
                "database.url=\(cluster.conninfo)", "--set", "run.folder=\(folder)", "--set",
                "feed.listen=unix:feed.sock", "--set", "tail.listen=unix:tail.sock",
            ], status: status)
    }

    @Test func aRunFolderHasOneDaemon() throws {
        let cluster = try TestCluster()
        let first = try DaemonProcess(cluster: cluster)
        let said = try daemon(cluster, first.folder, status: 1)
        #expect(said.contains("another caravand (process \(first.pid)) runs in"), "\(said)")
        // It has changed nothing: the first one's sockets are there, and answer.
        let socket = try LineSocket(first.feed)
        try socket.send(eventLine(1))
        #expect(try replies(socket, upTo: 1).isEmpty)
        #expect(first.stop() == 0)
    }

    @Test func whatIsInTheWayOfASocketStays() throws {
        let cluster = try TestCluster()
        let folder = cluster.folder.path + "/run"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "mine".write(toFile: folder + "/feed.sock", atomically: true, encoding: .utf8)
        #expect(try daemon(cluster, folder, status: 1).contains("is no socket; it is not touched"))
        #expect(try String(contentsOfFile: folder + "/feed.sock", encoding: .utf8) == "mine")
        try FileManager.default.removeItem(atPath: folder + "/feed.sock")
        // One that another program listens on.
        let listener = Process()
        listener.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        listener.arguments = ["nc", "-lkU", folder + "/feed.sock"]
        listener.standardInput = FileHandle.nullDevice
        try listener.run()
        defer { killHard(listener.processIdentifier) }
        while !FileManager.default.fileExists(atPath: folder + "/feed.sock") { usleep(10_000) }
        #expect(try daemon(cluster, folder, status: 1).contains("another program listens at"))
    }

    @Test func aCopyOfARunFolderIsAnotherDaemon() throws {
        let cluster = try TestCluster()
        let first = try DaemonProcess(cluster: cluster)
        let copy = cluster.folder.path + "/copy"
        _ = try Shell.run(["cp", "-a", first.folder, copy])
        let epoch = try cluster.rows("select epoch from head")
        // The same name and the same path, as in a cloned container: it stands by.
        let second = Process()
        second.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        second.arguments =
            Root.prefix + [
                "unshare", "-m", "sh", "-c",
                "rm -f \(copy)/*.sock; mount --bind \(copy) \(first.folder) && exec timeout 60 "
                    + "\(DaemonProcess.program("caravand")) --set log.level=warning "
                    + "--set \"database.url=\(cluster.conninfo)\" --set run.folder=\(first.folder) "
                    + "--set feed.listen=unix:feed.sock --set tail.listen=unix:tail.sock",
            ]
        second.standardInput = FileHandle.nullDevice
        try second.run()
        defer { second.terminate() }
        var isThere = false
        for _ in 0..<200 where !isThere {
            usleep(50_000)
            isThere = FileManager.default.fileExists(atPath: copy + "/tail.sock")
        }
        #expect(isThere)
        let socket = try LineSocket(first.feed)
        for number in 1...8 {
            try socket.send(eventLine(number))
            #expect(try replies(socket, upTo: number).isEmpty)
            usleep(500_000)
        }
        #expect(try cluster.rows("select epoch from head") == epoch)
        // Its own restart waits for nobody, all the same.
        first.kill9()
        let started = LineSocket.now()
        try first.start()
        print("a killed daemon led again after \(LineSocket.now() - started) s")
        #expect(first.stop() == 0)
    }

    @Test func aFolderThatOthersMayChangeIsRefused() throws {
        let cluster = try TestCluster()
        let scratch = ScratchFolder()
        let open = scratch.path + "/open"
        _ = try Shell.run(["mkdir", "-m", "777", open])
        #expect(try daemon(cluster, open, status: 1).contains("is open to other accounts"))
        let link = scratch.path + "/link"
        _ = try Shell.run(["ln", "-s", cluster.folder.path, link])
        #expect(try daemon(cluster, link, status: 1).contains("is no folder"))
        if getuid() == 0 {
            let alien = scratch.path + "/alien"
            _ = try Shell.run(["mkdir", "-m", "700", alien])
            _ = try Shell.run(["chown", "nobody", alien])
            let said = try daemon(cluster, alien, status: 1)
            #expect(said.contains("somebody else made it"), "\(said)")
            let up = try Shell.run(
                [DaemonProcess.program("caravan"), "up", "--dir", alien], status: 1)
            #expect(up.contains("somebody else made it"), "\(up)")
        }
        #expect(throws: PrivateFolder.Failure.self) { try PrivateFolder.make(open) }
        #expect(throws: PrivateFolder.Failure.self) { try PrivateFolder.make(link) }
        let fresh = scratch.path + "/a/b/c"
        try PrivateFolder.make(fresh)
        var entry = stat()
        #expect(lstat(fresh, &entry) == 0 && entry.st_mode & 0o7777 == 0o700)
        try PrivateFolder.make(fresh)
    }
}

/// `caravan up` keeps what it started, and leaves nothing behind.
@Suite(.serialized) struct UpTests {
    private func up(_ dir: String, _ words: [String] = []) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: DaemonProcess.program("caravan"))
        process.arguments =
            [
                "up", "--dir", dir, "--seconds", "120", "--set", "feed.listen=unix:feed.sock",
                "--set", "tail.listen=unix:tail.sock", "--set", "log.level=warning",
            ] + words
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let deadline = LineSocket.now() + 60
        while LineSocket.now() < deadline, process.isRunning {
            if let socket = try? LineSocket(dir + "/run/tail.sock"),
                (try? socket.send("{\"tail\":\"caravan/1\"}\n")) != nil,
                (try? socket.readLine(seconds: 10)) ?? nil != nil
            {
                return process
            }
            usleep(50_000)
        }
        throw Shell.Failed("caravan up is not ready")
    }

    private func end(_ process: Process) -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test func theSecondOneChangesNothing() throws {
        let folder = ScratchFolder()
        let dir = folder.path + "/data"
        let first = try up(dir)
        let said = try Shell.run(
            [DaemonProcess.program("caravan"), "up", "--dir", dir, "--seconds", "5"], status: 1)
        #expect(said.contains("caravan up (process \(first.processIdentifier)) runs in"), "\(said)")
        let socket = try LineSocket(dir + "/run/feed.sock")
        try socket.send(eventLine(1))
        #expect(try replies(socket, upTo: 1).isEmpty)
        first.interrupt()
        #expect(end(first) == 0)
    }

    @Test func aDatabaseThatDiesIsStartedAgain() throws {
        let folder = ScratchFolder()
        let dir = folder.path + "/data"
        let first = try up(dir)
        let cluster = try PrivateCluster(folder: dir + "/postgres")
        for round in 1...2 {
            let process = try #require(cluster.processID)
            killHard(process)
            let socket = try LineSocket(dir + "/run/feed.sock")
            try socket.send(eventLine(round))
            #expect(try replies(socket, upTo: 1).isEmpty)
            #expect(cluster.processID != process)
        }
        // A terminal that is closed is a stop like any other: nothing stays behind.
        let daemon = try String(contentsOfFile: dir + "/caravand.pid", encoding: .utf8)
        kill(first.processIdentifier, SIGHUP)
        #expect(end(first) == 0)
        #expect(!cluster.isRunning)
        #expect(kill(Int32(daemon) ?? 0, 0) != 0)
    }

    @Test func aClosedTerminalEndsItCleanly() throws {
        let folder = ScratchFolder()
        let dir = folder.path + "/data"
        // In a terminal of its own, which goes away while it runs.
        let terminal = Process()
        terminal.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let command =
            "\(DaemonProcess.program("caravan")) up --demo --dir \(dir) --set feed.listen=unix:feed.sock "
            + "--set tail.listen=unix:tail.sock"
        terminal.arguments = ["timeout", "120", "script", "-qec", command, "/dev/null"]
        terminal.standardInput = FileHandle.nullDevice
        terminal.standardOutput = FileHandle.nullDevice
        try terminal.run()
        let lock = dir + "/up.lock"
        let deadline = LineSocket.now() + 60
        while (try? LineSocket(dir + "/run/feed.sock")) == nil {
            guard LineSocket.now() < deadline else { throw Shell.Failed("not ready") }
            usleep(50_000)
        }
        let own = try String(contentsOfFile: lock, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let pid = try #require(Int32(own))
        let children = try Shell.run([
            "ps", "-o", "pid=", "--ppid", "\(terminal.processIdentifier)",
        ])
        for text in children.split(whereSeparator: \.isWhitespace) { killHard(Int32(text) ?? 0) }
        let until = LineSocket.now() + 30
        while kill(pid, 0) == 0, LineSocket.now() < until { usleep(50_000) }
        #expect(kill(pid, 0) != 0, "caravan up lives on without its terminal")
        #expect(try !PrivateCluster(folder: dir + "/postgres").isRunning)
        terminal.waitUntilExit()
    }
}
