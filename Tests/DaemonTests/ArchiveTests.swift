import Client
import Foundation
import Store
import TestKit
import Testing

/// The log as an archive, as lines, and as PostgreSQL's own tools keep it.
@Suite struct ArchiveTests {
    private func caravan(
        _ words: [String], input: String? = nil, status: Int32? = 0
    ) throws -> String {
        try Shell.run([DaemonProcess.program("caravan")] + words, input: input, status: status)
    }

    /// A log with history, refused lines, a session, a post and a consumer in it; the daemon has ended.
    private func filled(_ cluster: TestCluster) throws {
        _ = try caravan([
            "post", "enrol", "KZHOR-GATE2", "--place", "*", "--database", cluster.conninfo,
        ])
        let daemon = try DaemonProcess(cluster: cluster)
        let traffic = try caravan(["simulate", "--seed", "11", "--days", "2", "--per-day", "20"])
            .split(separator: "\n").map(String.init)
        // What the command says on stderr is no line.
        let lines = traffic.filter { $0.hasPrefix("{") }
        let file = cluster.folder.path + "/traffic"
        try (lines.prefix(lines.count / 2).joined(separator: "\n") + "\nrubbish\n")
            .write(toFile: file, atomically: true, encoding: .utf8)
        _ = try caravan(["push", "--server", daemon.feed, "--quiet", file], status: 1)
        try (lines.dropFirst(lines.count / 2).joined(separator: "\n") + "\n")
            .write(toFile: file, atomically: true, encoding: .utf8)
        _ = try caravan(["push", "--server", daemon.feed, "--quiet", file])
        let tail = try LineSocket(daemon.tail)
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\",\"name\":\"tower\"}\n")
        _ = try tail.readLine(seconds: 10)
        try tail.send("{\"ack\":1}\n")
        let deadline = LineSocket.now() + 20
        while LineSocket.now() < deadline,
            try cluster.rows("select count(*) from consumer") != ["1"]
        { usleep(50_000) }
        #expect(daemon.stop() == 0)
    }

    private func emptied(_ cluster: TestCluster, _ name: String) throws -> String {
        _ = try cluster.rows("create database \(name)")
        let conninfo = cluster.cluster.conninfo(database: name)
        _ = try Migrator.migrate(conninfo)
        return conninfo
    }

    /// What replay makes of it, by what the log says alone.
    private func state(_ cluster: TestCluster, _ conninfo: String) throws -> [String] {
        try [
            "select container, md5(state) from journey order by 1",
            "select key, md5(state) from pool order by 1",
        ]
        .map { sql in
            try Shell.run(["psql", conninfo, "-Atc", sql])
        }
    }

    @Test func anArchiveMakesAnEqualDatabase() throws {
        let cluster = try TestCluster()
        try filled(cluster)
        let archive = cluster.folder.path + "/a.archive"
        _ = try caravan(["export", "--out", archive, "--database", cluster.conninfo])
        #expect(try Shell.run(["stat", "-c", "%a", archive]) == "600\n")
        let copy = try emptied(cluster, "copy")
        _ = try caravan(["import", archive, "--keep-log", "--database", copy])
        let again = cluster.folder.path + "/b.archive"
        _ = try caravan(["export", "--out", again, "--database", copy])
        _ = try Shell.run(["cmp", archive, again])
        // No snapshot came with it: the same build makes the same one of the log.
        #expect(try Shell.run(["psql", copy, "-Atc", "select count(*) from journey"]) == "0\n")
        let daemon = try DaemonProcess(cluster: cluster, name: "copied", conninfo: copy)
        #expect(daemon.stop() == 0)
        let (ours, theirs) = (try state(cluster, cluster.conninfo), try state(cluster, copy))
        #expect(ours[0].count > 1_000)
        #expect(ours == theirs)
        // Its rows lie in the partitions of their days.
        #expect(
            try Shell.run(["psql", copy, "-Atc", "select count(*) from event_default"]) == "0\n")
        // With the snapshot it is the same, and where it takes no other's place it has a name of its own.
        _ = try caravan(["export", "--snapshot", "--out", archive, "--database", cluster.conninfo])
        let other = try emptied(cluster, "other")
        _ = try caravan(["import", archive, "--database", other])
        let names = try [cluster.conninfo, copy, other].map {
            try Shell.run(["psql", $0, "-Atc", "select log from head"])
        }
        #expect(names[0] == names[1] && names[0] != names[2])
        #expect(try state(cluster, other) == ours)
    }

    @Test func anArchiveThatIsNotWholeIsNotTaken() throws {
        let cluster = try TestCluster()
        try filled(cluster)
        let archive = cluster.folder.path + "/a.archive"
        _ = try caravan(["export", "--out", archive, "--database", cluster.conninfo])
        let copy = try emptied(cluster, "copy")
        let whole = try Data(contentsOf: URL(fileURLWithPath: archive))
        let rows = whole.split(separator: 0x0A, omittingEmptySubsequences: false)
        let cut = cluster.folder.path + "/cut"
        // Cut in the middle of a row, between rows, before its end; without a row; none at all.
        let damaged = [
            whole.prefix(whole.count / 2), Data(rows.prefix(20).joined(separator: [0x0A])) + [0x0A],
            Data(rows.dropLast(2).joined(separator: [0x0A])) + [0x0A],
            Data((rows[..<30] + rows[31...]).joined(separator: [0x0A])), Data(), Data("{}\n".utf8),
        ]
        for bytes in damaged {
            try bytes.write(to: URL(fileURLWithPath: cut))
            let said = try caravan(["import", cut, "--database", copy], status: 1)
            #expect(said.contains("archive") || said.contains("COPY"), "\(said)")
            #expect(
                try Shell.run([
                    "psql", copy, "-Atc",
                    "select batch, (select count(*) from batch), (select count(*) from post) from head",
                ]) == "0|0|0\n")
        }
        // One bit of it, wherever; something behind its end.
        var random = SystemRandomNumberGenerator()
        let flipped = (0..<8).map { _ in
            var bytes = whole
            let at = Int.random(in: rows[0].count + 1..<bytes.count - 1, using: &random)
            bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            return (at, bytes)
        }
        for (at, bytes) in flipped + [(whole.count, whole + Data("junk\n".utf8))] {
            try bytes.write(to: URL(fileURLWithPath: cut))
            let said = try caravan(["import", cut, "--database", copy], status: 1)
            #expect(!said.isEmpty, "byte \(at)")
            #expect(
                try Shell.run(["psql", copy, "-Atc", "select batch from head"]) == "0\n",
                "byte \(at)")
        }
        _ = try caravan(["import", archive, "--database", copy])
        // A database that has a log is not written over.
        #expect(
            try caravan(["import", archive, "--database", copy], status: 1).contains("not empty"))
    }

    /// Pushed into another system, the lines are the same events.
    @Test func linesGoIntoAnotherSystem() throws {
        let cluster = try TestCluster()
        try filled(cluster)
        let lines = cluster.folder.path + "/lines"
        _ = try caravan(["export", "--lines", "--out", lines, "--database", cluster.conninfo])
        let text = try String(contentsOfFile: lines, encoding: .utf8)
        let plain = try text.split(separator: "\n").map { line -> String in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["received"] is String)
            return object?["line"] as? String ?? ""
        }
        let pushed = cluster.folder.path + "/pushed"
        try (plain.joined(separator: "\n") + "\n")
            .write(toFile: pushed, atomically: true, encoding: .utf8)
        let other = try TestCluster()
        let daemon = try DaemonProcess(cluster: other)
        _ = try caravan(["push", "--server", daemon.feed, "--quiet", pushed])
        let events = "select container, identity from event order by 1, 2"
        #expect(try other.rows(events) == cluster.rows(events))
    }

    /// PostgreSQL's own backup, restored: the daemon goes on from there under another log, and what came
    /// after the backup is sent again by those that still have it.
    @Test func aRestoredDumpIsAnotherLog() throws {
        let cluster = try TestCluster()
        try filled(cluster)
        let daemon = try DaemonProcess(cluster: cluster)
        let dump = cluster.folder.path + "/dump"
        _ = try Shell.run(["pg_dump", "-Fc", "-f", dump, cluster.conninfo])
        _ = try caravan(
            ["push", "--server", daemon.feed, "--quiet"],
            input:
                "{\"id\":\"late\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
                + "\"time\":\"2026-01-01T10:00:00Z\"}\n")
        let before = try cluster.rows("select log from head")
        #expect(daemon.stop() == 0)
        _ = try cluster.rows("create database restored")
        let restored = cluster.cluster.conninfo(database: "restored")
        _ = try Shell.run(["pg_restore", "-d", restored, dump])
        let second = try DaemonProcess(
            cluster: cluster, settings: ["state.folder=\(daemon.folder)"], name: "second",
            conninfo: restored)
        #expect(
            try Shell.run(["psql", restored, "-Atc", "select log from head"]) != before[0] + "\n")
        _ = try caravan(
            ["push", "--server", second.feed, "--quiet"],
            input:
                "{\"id\":\"late\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
                + "\"time\":\"2026-01-01T10:00:00Z\"}\n")
        let count = "select count(*) from event where container = 'CSQU3054383' and id = 'late'"
        #expect(try Shell.run(["psql", restored, "-Atc", count]) == "1\n")
        #expect(second.stop() == 0)
    }

    /// A base backup and the WAL since: every line that was acknowledged is there, and the daemon goes on.
    @Test func aBaseBackupWithItsWALLosesNothing() throws {
        let archive = ScratchFolder()
        chmod(archive.path, 0o777)
        let cluster = try TestCluster(settings: [
            "archive_mode=on", "archive_command='cp %p \(archive.path)/%f'",
        ])
        let daemon = try DaemonProcess(cluster: cluster)
        func push(_ numbers: ClosedRange<Int>, _ feed: String) throws {
            let lines = numbers.map { number in
                "{\"id\":\"\(number)\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\","
                    + "\"place\":\"KZHOR\",\"time\":\"2026-01-01T10:00:00Z\"}\n"
            }
            _ = try caravan(["push", "--server", feed, "--quiet"], input: lines.joined())
        }
        try push(1...100, daemon.feed)
        let copy = try cluster.baseBackup("restored", options: ["-X", "none"])
        try push(101...300, daemon.feed)
        _ = try cluster.rows("select pg_switch_wal()")
        let deadline = LineSocket.now() + 30
        while LineSocket.now() < deadline,
            try cluster.rows(
                "select last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) from pg_stat_archiver"
            ) != ["t"]
        { usleep(100_000) }
        #expect(daemon.stop() == 0)
        let log = try cluster.rows("select log from head")
        try cluster.cluster.stop(mode: "immediate")
        let signal = copy.data + "/recovery.signal"
        _ = try Shell.run(["touch", signal])
        _ = try Shell.run(["chown", "--reference=\(copy.data)", signal])
        try copy.startServer(settings: [
            "restore_command='cp \(archive.path)/%f %p'", "archive_mode=off",
        ])
        defer { try? copy.stop(mode: "immediate") }
        let restored = try DaemonProcess(
            cluster: cluster, settings: ["state.folder=\(daemon.folder)"], name: "second",
            conninfo: copy.conninfo)
        func rows(_ sql: String) throws -> String {
            try Shell.run(["psql", copy.conninfo, "-Atc", sql])
        }
        #expect(try rows("select count(distinct id) from event") == "300\n")
        // Nothing that was seen is missing: it is the same log, and consumers go on.
        #expect(try rows("select log from head") == log[0] + "\n")
        try push(301...310, restored.feed)
        #expect(try rows("select count(*) from event") == "310\n")
        #expect(restored.stop() == 0)
    }

}
