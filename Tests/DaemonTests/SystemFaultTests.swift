import Client
import Foundation
import Simulation
import Store
import TestKit
import Testing
import Tracking
import Wire

/// Faults of the system under the daemon and its database: kills between any two system calls, disks
/// that lose power, hang or fail, clocks that jump, descriptors that run out.
@Suite(.serialized) struct SystemFaultTests {
    /// strace kills the daemon at its Nth write, send or receive, N = 1, 2, 4 … until a run passes
    /// untouched; then once more without.
    @Test func aKillBetweenAnyTwoSystemCallsLosesNothing() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: ["writer.batch-lines=20", "writer.checkpoint-seconds=1"])
        let sender = TestSender(seed: 31, shipments: 150)
        let calls = ["write", "writev", "sendto", "recvfrom", "read", "epoll_wait", "futex"]
        var points = 0
        var kills = 0
        let wanted = isSoak ? 2_000 : 50
        var when = 1
        while points < wanted {
            for call in calls where points < wanted {
                points += 1
                daemon.kill9()
                daemon.launcher = [
                    "strace", "-f", "-D", "-qqq", "-o", "/dev/null", "-e", "trace=\(call)",
                    "-e", "inject=\(call):signal=KILL:when=\(when)",
                ]
                let isUp = (try? daemon.start()) != nil
                if isUp {
                    let goal = sender.acknowledged + sender.lines.count / wanted
                    sender.onAck = { if $0 >= goal { daemon.kill9() } }
                    try? sender.run(daemon.feed)
                }
                if !isUp || sender.acknowledged < sender.lines.count { kills += 1 }
            }
            when += when < 8 ? 1 : when / 3
        }
        sender.onAck = nil
        daemon.kill9()
        daemon.launcher = []
        try daemon.start()
        try sender.run(daemon.feed)
        print("\(points) points, \(kills) kills")
        #expect(kills > wanted / 2)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        #expect(daemon.stop() == 0)
    }

    /// What was acknowledged outlives the loss of power of the database's disk.
    @Test func powerLossOfTheDatabaseLosesNothing() throws {
        for round in 0..<(isSoak ? 100 : 1) {
            #expect(try losePower(settings: [], seed: UInt64(40 + round)).isEmpty)
        }
    }

    /// The control: a database that does not wait for its disk does lose what was acknowledged.
    @Test func powerLossWithoutSynchronousCommitIsNoticed() throws {
        let found = try losePower(
            settings: [
                "synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB",
            ], seed: 41)
        #expect(found.contains { $0.contains("are lost") }, "\(found)")
    }

    private func losePower(settings: [String], seed: UInt64) throws -> [String] {
        let volume = try TestVolume()
        let cluster = try TestCluster(place: volume.path + "/pg", settings: settings)
        // What is lost is what comes from here on.
        _ = try cluster.rows("checkpoint")
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: ["writer.batch-lines=50", "writer.checkpoint-seconds=100"])
        let sender = TestSender(seed: seed, shipments: 300)
        // Behind a disk without power its own file cannot be read.
        let postmaster = try #require(cluster.cluster.processID)
        var isOff = false
        sender.onAck = { acknowledged in
            guard !isOff, acknowledged > sender.lines.count / 2 else { return }
            isOff = true
            try? volume.losePower()
            daemon.kill9()
        }
        try? sender.run(daemon.feed)
        #expect(isOff)
        killHard(postmaster)
        try volume.restart()
        // The files that name it may have come back with the disk, and its number be taken still.
        try Root.run([
            "rm", "-f", cluster.cluster.data + "/postmaster.pid",
            cluster.cluster.folder + "/.s.PGSQL.5432.lock",
        ])
        try cluster.cluster.startServer(settings: settings)
        try daemon.start()
        sender.onAck = nil
        let found = try problems(sender, cluster, daemon)
        // What was not acknowledged is sent again, as its sender would.
        try sender.run(daemon.feed)
        #expect(sender.acknowledged == sender.lines.count)
        #expect(daemon.stop() == 0)
        try cluster.cluster.stop(mode: "immediate")
        return found
    }

    /// A disk that hangs for longer than an exchange may take: the commit under way is looked up,
    /// not repeated.
    @Test func aHungDiskIsWaitedFor() throws {
        let volume = try TestVolume()
        let cluster = try TestCluster(place: volume.path + "/pg")
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["feed.heartbeat-seconds=1", "writer.batch-lines=50"])
        let sender = TestSender(seed: 43, shipments: 100)
        var isHung = false
        sender.onAck = { acknowledged in
            guard !isHung, acknowledged > sender.lines.count / 2 else { return }
            isHung = true
            try? volume.freeze(seconds: 14)
        }
        try sender.run(daemon.feed)
        #expect(isHung)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        #expect(daemon.stop() == 0)
        try cluster.cluster.stop(mode: "immediate")
    }

    /// fdatasync fails: PostgreSQL gives up each time and comes back; so does the daemon.
    @Test func aDiskThatFailsToSyncIsSurvived() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["writer.batch-lines=50"])
        let sender = TestSender(seed: 47, shipments: 500)
        let postmaster = try #require(cluster.cluster.processID)
        let tracer = Process()
        tracer.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        tracer.arguments =
            Root.prefix + [
                "strace", "-f", "-qqq", "-o", "/dev/null", "-p", "\(postmaster)", "-e",
                "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO:when=2+3",
            ]
        try tracer.run()
        var hasFailed = false
        // Attached once the server has stopped for it.
        let attached = Date().addingTimeInterval(10)
        while Date() < attached,
            (try? String(contentsOfFile: "/proc/\(postmaster)/status", encoding: .utf8))?
                .contains("TracerPid:\t0\n") != false
        { usleep(20_000) }
        // Sessions begun from now on are followed.
        _ = try cluster.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
                + "where application_name = 'caravand'")
        // Killed, because it does not let itself be asked while the server dies under it.
        let mender = Thread {
            usleep(3_000_000)
            killHard(tracer.processIdentifier)
            // One that cannot sync while it recovers ends; what looks after it starts it again.
            for _ in 0..<40 where !Thread.current.isCancelled {
                usleep(500_000)
                if !cluster.cluster.isRunning { try? cluster.cluster.startServer() }
            }
        }
        mender.start()
        try sender.run(daemon.feed)
        killHard(tracer.processIdentifier)
        mender.cancel()
        let log = try String(
            contentsOfFile: cluster.cluster.folder + "/postgres.log", encoding: .utf8)
        hasFailed = log.contains("PANIC")
        #expect(hasFailed, "no sync failed")
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        #expect(daemon.stop() == 0)
    }

    /// A clock that jumps between starts, also beyond 2038 and back.
    @Test func aClockThatJumpsLosesNothing() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["writer.batch-lines=20"])
        let sender = TestSender(seed: 53, shipments: 200)
        let clocks = [
            "+0", "+3600", "-3600", "+86400", "-86400", "@2038-01-20 03:14:00", "+0",
            "@2026-03-29 00:59:50", "@2026-10-25 00:59:50",
        ]
        let library = try Shell.run(["sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1"])
        for (index, clock) in clocks.enumerated() {
            daemon.kill9()
            daemon.environment = [
                "LD_PRELOAD": library.split(separator: "\n").first.map(String.init) ?? "",
                "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
            ]
            try daemon.start()
            let goal = sender.lines.count * (index + 1) / clocks.count
            sender.onAck = { if $0 >= goal, index < clocks.count - 1 { daemon.kill9() } }
            try? sender.run(daemon.feed)
        }
        daemon.kill9()
        daemon.environment = [:]
        try daemon.start()
        sender.onAck = nil
        try sender.run(daemon.feed)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        // The control: the clocks were really other ones.
        let years = try cluster.rows(
            "select distinct extract(year from stepped_at) from batch order by 1")
        #expect(years.contains("2038"), "\(years)")
        // And the engine's time came back from there.
        #expect(
            try cluster.rows(
                "select extract(year from stepped_at) from batch order by batch desc limit 1")
                != ["2038"])
        #expect(daemon.stop() == 0)
    }

    /// Where descriptors run out those who are in are served, and others come in when some leave.
    @Test func descriptorsMayRunOut() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(
            cluster: cluster, launcher: ["prlimit", "--nofile=128:128"])
        let first = try LineSocket(daemon.feed)
        try first.send(eventLine(1))
        #expect(try replies(first, upTo: 1).isEmpty)
        var crowd: [LineSocket] = []
        for _ in 0..<300 {
            if let socket = try? LineSocket(daemon.feed) { crowd.append(socket) }
        }
        try first.send(eventLine(2))
        #expect(try replies(first, upTo: 2).isEmpty)
        crowd = []
        let deadline = LineSocket.now() + 30
        var isServed = false
        while !isServed, LineSocket.now() < deadline {
            if let late = try? LineSocket(daemon.feed), (try? late.send(eventLine(3))) != nil {
                isServed = (try? late.readLine(seconds: 5)) == "{\"ack\":1}"
            }
        }
        #expect(isServed)
        #expect(try cluster.rows("select count(*) from event") == ["3"])
        #expect(daemon.stop() == 0)
    }
}

/// A network between the daemon and its database that takes packets away.
@Suite(.serialized) struct NetworkFaultTests {
    private enum Cut: CaseIterable {
        case both, toServer, fromServer, halfOpen
    }

    @Test func aPartitionIsNoticedAndOutlived() throws {
        let network = try TestNetwork()
        let cluster = try TestCluster(
            launcher: network.launcher, settings: ["listen_addresses=127.0.0.1"])
        let hba = cluster.cluster.data + "/pg_hba.conf"
        _ = try Root.run([
            "sh", "-c",
            "printf 'local all all trust\\nhost all all 127.0.0.1/32 trust\\n' > \(hba)",
        ])
        _ = try cluster.rows("select pg_reload_conf()")
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["feed.heartbeat-seconds=1"],
            conninfo: "host=127.0.0.1 port=5432 user=caravan dbname=caravan",
            launcher: network.launcher)
        var sent = 0
        let cuts = isSoak ? (0..<50).flatMap { _ in Cut.allCases } : Cut.allCases
        for cut in cuts {
            let socket = try LineSocket(daemon.feed)
            try socket.send(
                "{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"s\(sent)\"}\n"
                    + eventLine(sent, seq: 1))
            #expect(try replies(socket, upTo: 2).isEmpty)
            let started = LineSocket.now()
            switch cut {
            case .both, .halfOpen: try network.drop(to: 5432, from: 5432)
            case .toServer: try network.drop(to: 5432)
            case .fromServer: try network.drop(from: 5432)
            }
            try socket.send(eventLine(sent + 1, seq: 2))
            if cut == .halfOpen {
                // The server dies behind the cut and forgets the connection.
                try cluster.cluster.stop(mode: "immediate")
                try cluster.cluster.startServer(settings: ["listen_addresses=127.0.0.1"])
            }
            var state = "ok"
            while state == "ok" || state == "busy" {
                let line = try #require(try socket.readLine(seconds: 30))
                #expect(!line.contains("\"ack\":3"), "acknowledged through a cut network")
                state = FlatObject(line)?.text("state") ?? state
                try socket.send("{\"ping\":1}\n")
            }
            let seconds = LineSocket.now() - started
            print("\(cut): noticed after \(seconds) s")
            #expect(seconds < 15)
            try network.heal()
            #expect(try replies(socket, upTo: 3).isEmpty)
            sent += 2
        }
        #expect(try cluster.rows("select count(*) from event") == ["\(sent)"])
        #expect(
            try cluster.rows("select count(distinct (container, identity)) from event")
                == ["\(sent)"])
        #expect(daemon.stop() == 0)
    }
}
