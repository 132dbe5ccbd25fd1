import Client
import Foundation
import Store
import TestKit
import Testing
import Wire

private func caravan(_ words: [String], status: Int32 = 0, input: String? = nil) throws -> String {
    try Shell.run([DaemonProcess.program("caravan")] + words, input: input, status: status)
}

/// A database that went back under posts, consumers and daemons that have seen more of it.
@Suite(.serialized) struct DatabaseThatWentBackTests {
    /// Stops the database, puts its files as `body` leaves them, and starts it again.
    private func restart(_ cluster: TestCluster, _ body: (String) throws -> Void) throws {
        try cluster.cluster.stop(mode: "immediate")
        try body(cluster.cluster.data)
        try cluster.cluster.startServer()
    }

    private func push(_ spool: String, _ daemon: DaemonProcess, _ numbers: Range<Int>) throws
        -> String
    {
        try caravan(
            [
                "push", "--spool", spool, "--post", "GATE", "--server", daemon.feed, "--patience",
                "60",
            ], input: numbers.map { eventLine($0) }.joined())
    }

    private func tail(_ daemon: DaemonProcess, _ request: String) throws -> String {
        let socket = try LineSocket(daemon.tail)
        try socket.send(request + "\n")
        return try socket.readLine(seconds: 30) ?? ""
    }

    /// Follows as a named consumer to the end, and confirms that; its number.
    private func follow(_ daemon: DaemonProcess, _ cluster: TestCluster) throws -> Int {
        let named = try LineSocket(daemon.tail)
        try named.send("{\"tail\":\"caravan/1\",\"name\":\"tower\",\"after\":\"start\"}\n")
        var last = 0
        while let line = try named.readLine(seconds: 30), !line.contains("caught-up") {
            last = FlatObject(line)?.integer("seq") ?? last
        }
        try named.send("{\"ack\":\(last)}\n")
        let deadline = LineSocket.now() + 30
        while try cluster.rows("select seq from consumer") != ["\(last)"] {
            guard LineSocket.now() < deadline else { throw Shell.Failed("the cursor is not kept") }
            usleep(20_000)
        }
        return last
    }

    private func log(_ cluster: TestCluster) throws -> String {
        try cluster.rows("select log from head")[0]
    }

    /// It was silent for as long as the log is kept: nothing is lost, and it goes on with its next number.
    @Test func aStreamThatWasForgottenGoesOn() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let spool = cluster.folder.path + "/spool"
        _ = try push(spool, daemon, 0..<3)
        _ = try push(cluster.folder.path + "/other", daemon, 5..<6)
        #expect(daemon.stop() == 0)
        // As retention leaves it.
        let stream = try String(contentsOfFile: spool + "/stream", encoding: .utf8)
        _ = try cluster.rows(
            "delete from stream_mark where stream = '\(stream.trimmingCharacters(in: .newlines))'")
        _ = try cluster.rows("delete from batch where batch = (select min(batch) from batch)")
        try daemon.start()
        _ = try push(spool, daemon, 6..<8)
        #expect(try cluster.rows("select count(distinct id) from event") == ["6"])
        let figures = try String(contentsOfFile: daemon.folder + "/metrics.prom", encoding: .utf8)
        #expect(!figures.contains("caravan_lost_lines_total 3"))
        #expect(daemon.stop() == 0)
    }

    @Test(arguments: [true, false])
    func postsAndConsumersGoOn(_ isRestarted: Bool) throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let spool = cluster.folder.path + "/spool"
        _ = try push(spool, daemon, 0..<5)
        _ = try follow(daemon, cluster)
        // A copy of the files as they were, and then five lines that it will not have.
        let copy = cluster.folder.path + "/copy"
        try restart(cluster) { try Root.run(["cp", "-a", $0, copy]) }
        _ = try push(spool, daemon, 5..<10)
        let last = try follow(daemon, cluster)
        let before = try log(cluster)
        if isRestarted { #expect(daemon.stop() == 0) }
        try restart(cluster) { data in
            try Root.run(["rm", "-rf", data])
            try Root.run(["cp", "-a", copy, data])
        }
        if isRestarted { try daemon.start() }
        // What the spool still had, and what is new, arrives; what it has no more is said to be lost.
        let said = try push(spool, daemon, 10..<13)
        #expect(said.contains("its database went back"), "\(said)")
        let events = try cluster.rows("select count(distinct id) from event")
        #expect(events == ["8"], "0 to 4 were in the copy, 10 to 12 are new: \(events)")
        let after = try log(cluster)
        #expect(before != after)
        let figures = try String(contentsOfFile: daemon.folder + "/metrics.prom", encoding: .utf8)
        #expect(figures.contains("caravan_lost_lines_total"))
        // A number beyond the end is answered, and a name goes on from where the log ends now.
        let beyond = try tail(daemon, "{\"tail\":\"caravan/1\",\"after\":\(last + 1_000)}")
        #expect(beyond.contains("\"code\":\"protocol\"") && beyond.contains(after), "\(beyond)")
        let welcome = try tail(daemon, "{\"tail\":\"caravan/1\",\"name\":\"tower\"}")
        #expect(FlatObject(welcome)?.text("log") == after)
        #expect(
            try cluster.rows("select count(*) from consumer, head where consumer.seq <= head.seq")
                == ["1"])
        // And once more: all as usual.
        let usual = try push(spool, daemon, 13..<20)
        #expect(!usual.contains("went back"), "\(usual)")
        #expect(try cluster.rows("select count(distinct id) from event") == ["15"])
        #expect(daemon.stop() == 0)
    }

    /// Where no daemon remembers more, the post does.
    @Test func aPostThatWasAcknowledgedFurtherIsBelieved() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let spool = cluster.folder.path + "/spool"
        _ = try push(spool, daemon, 0..<5)
        let copy = cluster.folder.path + "/copy"
        try restart(cluster) { try Root.run(["cp", "-a", $0, copy]) }
        _ = try push(spool, daemon, 5..<10)
        #expect(daemon.stop() == 0)
        try FileManager.default.removeItem(atPath: daemon.folder + "/caravand.known")
        try restart(cluster) { data in
            try Root.run(["rm", "-rf", data])
            try Root.run(["cp", "-a", copy, data])
        }
        try daemon.start()
        _ = try push(spool, daemon, 10..<13)
        #expect(try cluster.rows("select count(distinct id) from event") == ["8"])
        #expect(daemon.stop() == 0)
    }

    @Test func numbersHaveAnEnd() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        _ = try cluster.rows("update head set went_back_at = batch")
        daemon.kill9()
        try daemon.start()
        for (seq, isTaken) in [
            (9_223_372_036_854_775_806, false), (9_007_199_254_740_992, false),
            (9_007_199_254_740_991, true),
        ] {
            let socket = try LineSocket(daemon.feed)
            try socket.send("{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"s\(seq)\"}\n")
            #expect(try socket.readLine()?.contains("welcome") == true)
            try socket.send(eventLine(1, seq: seq))
            let reply = try socket.readLine() ?? ""
            #expect(reply.contains(isTaken ? "\"ack\":2" : "seq is at most"), "\(reply)")
            if isTaken {
                try socket.send(eventLine(2, seq: seq))
                #expect(try socket.readLine()?.contains("conflict") == true)
            }
        }
        #expect(daemon.stop() == 0)
    }
}

/// The death of a synchronous standby holds commits up, and deposes nobody.
@Suite(.serialized) struct SynchronousStandbyTests {
    @Test func theLeaseWaitsForNoStandby() throws {
        let primary = try TestCluster()
        let standby = try primary.baseBackup("standby", options: ["-R", "-X", "stream"])
        try standby.startServer()
        defer { try? standby.stop(mode: "immediate") }
        _ = try primary.rows("alter system set synchronous_standby_names = '*'")
        _ = try primary.rows("select pg_reload_conf()")
        let first = try DaemonProcess(cluster: primary, name: "a")
        let second = try DaemonProcess(cluster: primary, name: "b")
        let socket = try LineSocket(first.feed)
        try socket.send(eventLine(1))
        #expect(try replies(socket, upTo: 1).isEmpty)
        let epoch = try primary.rows("select epoch from head")
        for round in 0..<(isSoak ? 20 : 2) {
            try standby.stop(mode: "immediate")
            // Three times as long as the lease lasts, with a line that waits, and a cursor.
            try socket.send(eventLine(round + 2))
            let quiet = !socket.wait(write: false, milliseconds: 9_000).canRead
            #expect(quiet, "a line was acknowledged that the standby does not have")
            let holders = try primary.rows(
                "select holder ~ '/a#', renewed_at > clock_timestamp() - interval '3 s' "
                    + "from writer_lease")
            #expect(holders == ["t|t"])
            try standby.startServer()
            #expect(try replies(socket, upTo: round + 2).isEmpty)
        }
        #expect(try primary.rows("select epoch from head") == epoch)
        #expect(first.stop() == 0)
        #expect(second.stop() == 0)
        _ = try primary.rows("alter system reset all")
        _ = try primary.rows("select pg_reload_conf()")
    }
}
