import Client
import Foundation
import Store
import TestKit
import Testing
import Tracking
import Wire

/// `push --folder` takes finished files, and deletes only what was acknowledged and is as it was.
@Suite(.serialized) struct FolderTests {
    private struct Rig {
        let cluster: TestCluster
        let daemon: DaemonProcess
        let out: String
        var push: [String]

        init() throws {
            cluster = try TestCluster()
            daemon = try DaemonProcess(cluster: cluster)
            out = cluster.folder.path + "/out"
            try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
            push = [
                DaemonProcess.program("caravan"), "push", "--spool",
                cluster.folder.path + "/spool", "--post", "GATE", "--server", daemon.feed,
                "--folder", out, "--patience", "30",
            ]
        }

        var names: [String] {
            get throws { try FileManager.default.contentsOfDirectory(atPath: out).sorted() }
        }

        /// Follows the folder until it is ended.
        func follow() throws -> Process {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: push[0])
            process.arguments = Array(push.dropFirst()) + ["--follow", "-q"]
            process.standardInput = FileHandle.nullDevice
            try process.run()
            return process
        }

        func wait(_ what: String, _ seconds: Double = 30, _ isSo: () throws -> Bool) throws {
            let deadline = LineSocket.now() + seconds
            while try !isSo() {
                guard LineSocket.now() < deadline else { throw Shell.Failed("not \(what)") }
                usleep(50_000)
            }
        }

        func events(_ numbers: Range<Int>) throws -> Int {
            let list = numbers.map { "'f\($0)'" }.joined(separator: ",")
            return Int(
                try cluster.rows("select count(distinct id) from event where id in (\(list))")[0])
                ?? 0
        }
    }

    @Test func aFileThatIsBeingWrittenIsNotTaken() throws {
        let rig = try Rig()
        let follower = try rig.follow()
        defer { killHard(follower.processIdentifier) }
        // Held open, written with pauses longer than two looks, ended in the middle of a line.
        let path = rig.out + "/slow.ndjson"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let file = try #require(FileHandle(forWritingAtPath: path))
        for number in 0..<4 {
            try file.write(contentsOf: Data(eventLine(number).utf8))
            usleep(1_500_000)
            #expect(try rig.names == ["slow.ndjson"], "taken while it was open")
        }
        #expect(try rig.events(0..<4) == 0)
        try file.write(contentsOf: Data(eventLine(4).dropLast(10).utf8))
        try file.close()
        usleep(2_500_000)
        #expect(try rig.names == ["slow.ndjson"], "taken with half a line at its end")
        // Opened again for the rest, as shells do.
        let again = try #require(FileHandle(forWritingAtPath: path))
        try again.seekToEnd()
        try again.write(contentsOf: Data(eventLine(4).suffix(10).utf8))
        try again.close()
        try rig.wait("taken") { try rig.names.isEmpty }
        #expect(try rig.events(0..<5) == 5)
        // A line that nobody ends counts once it has not changed for a minute.
        let old = rig.out + "/old.ndjson"
        try String(eventLine(5).dropLast()).write(toFile: old, atomically: false, encoding: .utf8)
        _ = try Shell.run(["touch", "-d", "2 minutes ago", old])
        try rig.wait("taken") { try rig.names.isEmpty }
        #expect(try rig.events(5..<6) == 1)
        #expect(rig.daemon.stop() == 0)
    }

    /// The writer keeps the file open, and goes on behind its back when it has been renamed.
    @Test func whatIsWrittenAfterwardsIsTakenToo() throws {
        let rig = try Rig()
        rig.daemon.kill9()
        let path = rig.out + "/a.ndjson"
        try eventLine(0).write(toFile: path, atomically: false, encoding: .utf8)
        let follower = try rig.follow()
        defer { killHard(follower.processIdentifier) }
        try rig.wait("in the spool") { try rig.names.contains { $0.contains(".spooled-") } }
        let stamped = try #require(try rig.names.first { $0.contains(".spooled-") })
        let file = try #require(FileHandle(forWritingAtPath: rig.out + "/" + stamped))
        try file.seekToEnd()
        try file.write(contentsOf: Data(eventLine(1).utf8))
        try file.close()
        try rig.daemon.start()
        try rig.wait("empty") { try rig.names.isEmpty }
        #expect(try rig.events(0..<2) == 2)
        #expect(rig.daemon.stop() == 0)
    }

    @Test func whatAnotherSpoolTookIsTakenAgain() throws {
        let rig = try Rig()
        // As it was found: the spool is lost, and its numbers begin anew.
        let path = rig.out + "/a.ndjson.spooled-0123456789abcdef.1.5.5"
        try eventLine(0).write(toFile: path, atomically: false, encoding: .utf8)
        // A name that only looks like a stamp is a name.
        for (number, name) in ["b.spooled-0", "c.spooled-7", ".spooled-x"].enumerated() {
            try eventLine(number + 1).write(
                toFile: rig.out + "/" + name, atomically: false, encoding: .utf8)
        }
        for number in 10..<15 {
            try eventLine(number).write(
                toFile: rig.out + "/z\(number)", atomically: false, encoding: .utf8)
        }
        _ = try Shell.run(rig.push)
        #expect(try rig.events(0..<3) == 3)
        #expect(try rig.events(10..<15) == 5)
        #expect(try rig.names == [".spooled-x"])
        #expect(rig.daemon.stop() == 0)
    }

    @Test func oneOddFileHoldsUpNoOther() throws {
        let rig = try Rig()
        let long = String(repeating: "n", count: 240)
        try eventLine(0).write(toFile: rig.out + "/" + long, atomically: false, encoding: .utf8)
        _ = try Shell.run(["mkfifo", rig.out + "/fifo"])
        _ = try Shell.run(["ln", "-s", "/etc/hostname", rig.out + "/link"])
        _ = try Shell.run(["truncate", "-s", "2G", rig.out + "/huge"])
        _ = try Shell.run(["mkdir", rig.out + "/folder"])
        _ = FileManager.default.createFile(atPath: rig.out + "/empty", contents: nil)
        try eventLine(1).write(toFile: rig.out + "/zz", atomically: false, encoding: .utf8)
        let said = try Shell.run(rig.push, status: 1)
        #expect(said.contains("its name has more than"), "\(said)")
        #expect(said.contains("raise --spool-limit"), "\(said)")
        #expect(said.contains("2 files could not be taken in"), "\(said)")
        #expect(!said.contains("Error Domain"), "\(said)")
        #expect(try rig.events(1..<2) == 1)
        #expect(try rig.names == ["fifo", "folder", "huge", "link", long])
        #expect(rig.daemon.stop() == 0)
    }

    @Test func nothingToSendNeedsNoServer() throws {
        let rig = try Rig()
        #expect(rig.daemon.stop() == 0)
        _ = FileManager.default.createFile(atPath: rig.out + "/empty", contents: nil)
        _ = try Shell.run(rig.push)
        #expect(try rig.names.isEmpty)
    }
}

/// What strangers write acts on no terminal, in no log and in no metric.
@Suite(.serialized) struct PrintedTests {
    /// A program's output as a terminal gets it.
    private func onTerminal(_ words: [String]) throws -> String {
        let quoted = words.map { "'" + $0.replacing("'", with: "'\\''") + "'" }
            .joined(separator: " ")
        return try Shell.run(["script", "-qec", quoted, "/dev/null"], status: 0)
    }

    /// Nothing but our own colours, and lines.
    private func isClean(_ text: String) -> Bool {
        var rest = text.replacing("\r\n", with: "\n")
        for ink in [0, 1, 31, 32, 33, 34, 36, 90] {
            rest = rest.replacing("\u{1B}[\(ink)m", with: "")
        }
        return !rest.unicodeScalars.contains { $0 != "\n" && Printable.acts($0) }
    }

    /// A database of the time before control characters were refused, with many of them.
    @Test func everyPrintingCommandIsClean() throws {
        let cluster = try TestCluster(migrated: false)
        _ = try Shell.run([
            "sh", "-c",
            "zcat '\(packageFolder)/Tests/Golden/schema-3.sql.gz' | psql -h "
                + "'\(cluster.cluster.socketFolder)' -U caravan -d caravan -q -o /dev/null",
        ])
        let program = DaemonProcess.program("caravan")
        let database = ["--database", cluster.conninfo]
        _ = try Shell.run([program, "migrate"] + database)
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: ["clock.start=2026-11-25T13:00:00Z", "feed.anonymous=everywhere"])
        // And what a stranger sends today: refused, kept, and shown on request.
        let nasty = "x\u{1B}]0;owned\u{7}\u{9B}31m\u{202E}\u{2028}y"
        let socket = try LineSocket(daemon.feed)
        try socket.send("{\"container\":\"\(nasty)\"}\n\(nasty)\n" + eventLine(1))
        let rejects = try replies(socket, upTo: 3)
        #expect(rejects.count == 2)
        let hello = try LineSocket(daemon.feed)
        try hello.send("{\"hello\":\"caravan/1\",\"post\":\"a\\nforged\",\"stream\":\"s\"}\n")
        #expect(try hello.readLine()?.contains("control character") == true)
        _ = try cluster.rows(
            "insert into post (post, places) values (E'P\\x1b[31m', array[E'K\\x07'])")
        let commands: [[String]] = [
            [program, "show", "G-\u{1B}[31mred"] + database,
            [
                program, "show",
                "\(ContainerNumber(owner: "QZTU", serial: 1_006)?.description ?? "")",
            ]
                + database,
            [program, "show", "--scores"] + database,
            [program, "quarantine", "list"] + database,
            [program, "post", "list"] + database,
            [program, "tail", "--server", daemon.tail, "--after", "start", "--until-caught-up"],
            [
                program, "tail", "--server", daemon.tail, "--after", "start", "--until-caught-up",
                "--json",
            ],
        ]
        for command in commands {
            let said = try onTerminal(command)
            #expect(!said.isEmpty && isClean(said), "\(command[1...2]): \(said.debugDescription)")
        }
        for name in try cluster.rows("select batch || '/' || item from quarantine") {
            let said = try onTerminal([program, "quarantine", "show", name] + database)
            #expect(isClean(said), "\(name): \(said.debugDescription)")
        }
        let figures = try String(contentsOfFile: daemon.folder + "/metrics.prom", encoding: .utf8)
        #expect(isClean(figures))
        for line in figures.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.contains(/^[a-z_]+(\{.*\})? [-0-9.e+]+$/), "\(line)")
        }
        #expect(daemon.stop() == 0)
    }

    @Test func aRefusedLineIsCleanForItsSenderToo() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let file = cluster.folder.path + "/lines"
        try "{\"container\":\"\u{1B}]0;x\u{7}\",\"event\":\"GTIN\"}\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        let said = try Shell.run(
            [
                "sh", "-c",
                "script -qec '\(DaemonProcess.program("caravan")) push --server \(daemon.feed) \(file)' "
                    + "/dev/null; true",
            ])
        #expect(
            said.contains("reject")
                && isClean(said.replacing("\u{1B}[K", with: "").replacing("\r", with: "")),
            "\(said.debugDescription)")
        #expect(daemon.stop() == 0)
    }
}
