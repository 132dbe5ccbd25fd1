import Client
import Foundation
import Simulation
import Store
import TestKit
import Testing
import Tracking
import Wire

/// Long forms run with `Deploy/test --soak`.
let isSoak = ProcessInfo.processInfo.environment["CARAVAN_TEST_SOAK"] != nil

func eventLine(_ number: Int, place: String = "KZHOR", seq: Int? = nil) -> String {
    let container = ContainerNumber(owner: "ARCU", serial: number)?.description ?? ""
    let numbered = seq.map { ",\"seq\":\($0)" } ?? ""
    return "{\"id\":\"f\(number)\",\"container\":\"\(container)\",\"event\":\"GTIN\","
        + "\"place\":\"\(place)\",\"time\":\"2026-01-01T10:15:00Z\"\(numbered)}\n"
}

/// Reads until the ack of `line`, within a minute; the rejects on the way.
func replies(_ socket: LineSocket, upTo line: Int) throws -> [String] {
    var rejects: [String] = []
    while let text = try socket.readLine(seconds: 60) {
        if case .ack(let number) = ReadReply(line: text), number >= line { return rejects }
        if text.contains("\"reject\"") { rejects.append(text) }
        if text.contains("\"error\"") { throw Shell.Failed(text) }
    }
    throw Shell.Failed("the connection ended before the ack of \(line)")
}

@Suite(.serialized) struct DatabaseFaultTests {
    @Test func rowsThatTheDatabaseRefusesAreFoundAndTheRestIsKept() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        // An operator's own rule, as a stand-in for whatever a database may refuse.
        _ = try cluster.rows(
            "alter table event add constraint poison check (place <> 'POISON')")
        let socket = try LineSocket(daemon.feed)
        var text = ""
        for number in 1...500 {
            text += eventLine(number, place: [77, 300].contains(number) ? "POISON" : "KZHOR")
        }
        try socket.send(text)
        let rejects = try replies(socket, upTo: 500)
        #expect(rejects.compactMap { FlatObject($0)?.integer("reject") } == [77, 300])
        #expect(try cluster.rows("select count(*) from event") == ["498"])
        #expect(
            try cluster.rows("select count(*) from quarantine where detail like '%poison%'")
                == ["2"])
        // What was refused left no trace in the state either: without the rule it is new.
        _ = try cluster.rows("alter table event drop constraint poison")
        let again = try LineSocket(daemon.feed)
        try again.send(eventLine(77, place: "POISON"))
        #expect(try replies(again, upTo: 1).isEmpty)
        #expect(try cluster.rows("select count(*) from event") == ["499"])
        daemon.kill9()
        try daemon.start()
        #expect(daemon.stop() == 0)
    }

    @Test func aWarningAtCommitIsNoAcknowledgement() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        // A standby that is never there: COMMIT waits, and cancelling the wait gives a warning.
        _ = try cluster.rows("alter system set synchronous_standby_names = 'nobody'")
        _ = try cluster.rows("select pg_reload_conf()")
        usleep(300_000)
        let socket = try LineSocket(daemon.feed)
        try socket.send(eventLine(1))
        var cancelled = false
        for _ in 0..<100 where !cancelled {
            usleep(50_000)
            cancelled =
                try !cluster.rows(
                    "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
                ).isEmpty
        }
        #expect(cancelled)
        #expect(!socket.wait(write: false, milliseconds: 500).canRead, "acknowledged too early")
        _ = try cluster.rows("alter system reset all")
        _ = try cluster.rows("select pg_reload_conf()")
        #expect(try replies(socket, upTo: 1).isEmpty)
        #expect(try cluster.rows("select count(*) from event") == ["1"])
        #expect(daemon.stop() == 0)
    }

    @Test func aDatabaseThatSaysNothingIsTakenForDead() throws {
        let cluster = try TestCluster()
        let folder = cluster.folder.path + "/px"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let proxy = try ToxicProxy(
            path: folder + "/.s.PGSQL.5432", target: cluster.folder.path + "/pg/.s.PGSQL.5432")
        let daemon = try DaemonProcess(
            cluster: cluster,
            conninfo: "host='\(folder)' port=5432 user=caravan dbname=caravan")
        let socket = try LineSocket(daemon.feed)
        try socket.send(eventLine(1))
        #expect(try replies(socket, upTo: 1).isEmpty)
        proxy.spoil(.mute)
        let started = LineSocket.now()
        try socket.send(eventLine(2))
        usleep(1_000_000)
        #expect(!socket.wait(write: false, milliseconds: 1).canRead)
        // New connections are good again; the mute one has to be noticed.
        let noticed = Thread {
            usleep(9_000_000)
            proxy.spoil(.none)
        }
        noticed.start()
        #expect(try replies(socket, upTo: 2).isEmpty)
        print("a mute database was noticed after \(LineSocket.now() - started) s")
        #expect(try cluster.rows("select count(*) from event") == ["2"])
        #expect(daemon.stop() == 0)
        proxy.close()
    }

    @Test func aFullDiskIsSurvived() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        // A table space that holds a few megabytes stands for the disk of the log.
        let disk = ScratchFolder()
        let mounted = try? Shell.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk.path])
        guard mounted != nil else {
            print("no right to mount: the disk is filled by a temporary limit instead")
            return try limitedSpace(cluster, daemon)
        }
        defer { _ = try? Shell.run(["umount", "-l", disk.path]) }
        _ = try Shell.run(["sh", "-c", "mkdir \(disk.path)/t; chmod 777 \(disk.path)/t"])
        let owner = try cluster.rows("select current_setting('data_directory')")[0]
        _ = try Shell.run(["chown", "--reference=\(owner)", disk.path + "/t"])
        _ = try cluster.rows("create tablespace small location '\(disk.path)/t'")
        for table in try cluster.rows(
            "select inhrelid::regclass from pg_inherits where inhparent = 'event'::regclass")
        {
            _ = try cluster.rows("alter table \(table) set tablespace small")
        }
        let sender = TestSender(seed: 3, shipments: 3_000)
        let stopped = Thread {
            // Room is made once the disk has been full for a while.
            for _ in 0..<200 {
                usleep(100_000)
                let free = try? Shell.run(["df", "--output=avail", disk.path])
                if let last = free?.split(separator: "\n").last, Int(last) ?? 1 < 64 { break }
            }
            usleep(500_000)
            _ = try? Shell.run(["mount", "-o", "remount,size=512m", disk.path])
        }
        stopped.start()
        try sender.run(daemon.feed)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        #expect(daemon.stop() == 0)
        _ = try? cluster.cluster.stop(mode: "immediate")
    }

    @Test func aPromotedStandbyGoesOn() throws {
        let primary = try TestCluster()
        let standby = try primary.baseBackup("standby", options: ["-R", "-X", "stream"])
        try standby.startServer()
        defer { try? standby.stop(mode: "immediate") }
        // Nothing is acknowledged that the standby does not have.
        _ = try primary.rows("alter system set synchronous_standby_names = '*'")
        _ = try primary.rows("select pg_reload_conf()")
        let daemon = try DaemonProcess(
            cluster: primary,
            conninfo:
                "host='\(primary.cluster.socketFolder),\(standby.socketFolder)' port=5432,5432 user=caravan "
                + "dbname=caravan")
        let sender = TestSender(seed: 9, shipments: 300)
        var promoted = false
        sender.onAck = { acknowledged in
            guard !promoted, acknowledged > sender.lines.count / 2 else { return }
            promoted = true
            try? primary.cluster.stop(mode: "immediate")
            try? standby.run("pg_ctl", ["-D", standby.data, "-w", "-s", "promote"])
        }
        try sender.run(daemon.feed)
        #expect(promoted)
        #expect(sender.acknowledged == sender.lines.count)
        let there = TestCluster(adopting: standby, folder: primary.folder)
        // The promoted server waits for a standby of its own otherwise.
        try check(sender, there, daemon)
        #expect(daemon.stop() == 0)
    }

    /// Where nothing may be mounted, the database itself refuses with the same error class.
    private func limitedSpace(_ cluster: TestCluster, _ daemon: DaemonProcess) throws {
        _ = try cluster.rows(
            """
            create function full_disk() returns trigger language plpgsql as
            $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$
            """)
        _ = try cluster.rows(
            "create trigger full_disk before insert on batch for each row execute function full_disk()"
        )
        let socket = try LineSocket(daemon.feed)
        try socket.send(eventLine(1))
        #expect(!socket.wait(write: false, milliseconds: 1_500).canRead)
        _ = try cluster.rows("drop trigger full_disk on batch")
        #expect(try replies(socket, upTo: 1).isEmpty)
        #expect(daemon.stop() == 0)
    }
}

@Suite(.serialized) struct LeaseTests {
    private func pair(_ cluster: TestCluster) throws -> (DaemonProcess, DaemonProcess) {
        let first = try DaemonProcess(cluster: cluster, name: "a")
        let second = try DaemonProcess(cluster: cluster, name: "b")
        return (first, second)
    }

    /// Sends a line until the daemon takes it; the seconds that it took.
    private func deliver(_ line: String, to daemon: DaemonProcess) throws -> Double {
        let started = LineSocket.now()
        while LineSocket.now() - started < 30 {
            if let socket = try? LineSocket(daemon.feed), (try? socket.send(line)) != nil,
                (try? replies(socket, upTo: 1)) != nil
            {
                return LineSocket.now() - started
            }
            usleep(50_000)
        }
        throw Shell.Failed("the line was not taken within 30 s")
    }

    /// Reads on until a line says `part`.
    private func wait(_ tail: LineSocket, for part: String) throws {
        while let line = try tail.readLine(seconds: 30) { if line.contains(part) { return } }
        throw Shell.Failed("the tail ended before \(part)")
    }

    /// Waits for output line 1.
    private func firstLine(_ daemon: DaemonProcess) throws -> String {
        let tail = try LineSocket(daemon.tail)
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        while let line = try tail.readLine(seconds: 30) {
            if line.contains("\"seq\":1,") { return line }
        }
        throw Shell.Failed("no output line 1")
    }

    @Test func aStandbySaysWhereTheWriterIsAndServesTails() throws {
        let cluster = try TestCluster()
        let (first, second) = try pair(cluster)
        _ = try deliver(
            "{\"plan\":\"S1\",\"containers\":[\"MSKU0308961\"],\"from\":\"CNXIA\",\"to\":\"KZALA\","
                + "\"mode\":\"RAIL\",\"promised\":\"2036-01-01T00:00:00Z\"}\n", to: first)
        let socket = try LineSocket(second.feed)
        let refusal = try #require(try socket.readLine())
        #expect(refusal.contains("standby") && refusal.contains(first.feed), "\(refusal)")
        let seen = try firstLine(second)
        // The standby reads the store, and may have a line before the writer has told its own tails.
        #expect(try firstLine(first) == seen)
        #expect(first.stop() == 0)
        #expect(second.stop() == 0)
    }

    @Test func aStandbyTakesOver() throws {
        let cluster = try TestCluster()
        let (first, second) = try pair(cluster)
        _ = try deliver(eventLine(1), to: first)
        // A tail of the standby goes on when that becomes the writer.
        let tail = try LineSocket(second.tail)
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        try wait(tail, for: "\"event\":\"f1\"")
        first.kill9()
        let seconds = try deliver(eventLine(2), to: second)
        try wait(tail, for: "\"event\":\"f2\"")
        print("the standby took over within \(seconds) s")
        #expect(try cluster.rows("select count(*) from event") == ["2"])
        // The first one comes back as a standby.
        try first.start()
        let socket = try LineSocket(first.feed)
        #expect(try socket.readLine()?.contains("standby") == true)
        // A clean stop hands over at once.
        let other = try LineSocket(first.tail)
        try other.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        try wait(other, for: "\"event\":\"f2\"")
        #expect(second.stop() == 0)
        _ = try deliver(eventLine(3), to: first)
        try wait(other, for: "\"event\":\"f3\"")
        #expect(first.stop() == 0)
    }

    @Test func aWriterThatWakesUpLateWritesNothing() throws {
        let cluster = try TestCluster()
        for round in 0..<(isSoak ? 200 : 5) {
            let (first, second) = try pair(cluster)
            let base = round * 10
            _ = try deliver(eventLine(base + 1), to: first)
            let late = try LineSocket(first.feed)
            let tail = try LineSocket(first.tail)
            try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
            try wait(tail, for: "\"event\":\"f\(base + 1)\"")
            try first.pause()
            // Already in the paused one's socket when it wakes up.
            try late.send(eventLine(base + 2))
            _ = try deliver(eventLine(base + 3), to: second)
            first.resume()
            var wasAcknowledged = false
            while let line = try? late.readLine(seconds: 30) {
                if line.contains("\"ack\"") { wasAcknowledged = true }
            }
            #expect(!wasAcknowledged, "a fenced writer acknowledged")
            _ = try deliver(eventLine(base + 4), to: second)
            // What the other one writes now is told to whoever listens here.
            try wait(tail, for: "\"event\":\"f\(base + 4)\"")
            #expect(
                try cluster.rows("select count(*) from event where id = 'f\(base + 2)'") == ["0"])
            #expect(first.stop() == 0)
            #expect(second.stop() == 0)
        }
        #expect(
            try cluster.rows("select count(*) from event")
                == cluster.rows("select count(distinct (container, identity)) from event"))
    }
}
