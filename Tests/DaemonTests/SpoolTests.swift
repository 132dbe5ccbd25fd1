import Client
import Foundation
import Store
import TestKit
import Testing
import Wire

private func caravan(_ words: [String], status: Int32 = 0, input: String? = nil) throws -> String {
    try Shell.run([DaemonProcess.program("caravan")] + words, input: input, status: status)
}

@Suite(.serialized) struct SpoolTests {
    @Test func aSpoolKeepsWhatItTookInAndLetsGoOfWhatIsAcknowledged() throws {
        let folder = ScratchFolder()
        let path = folder.path + "/spool"
        var lines: [[UInt8]] = []
        for number in 0..<1_000 { lines.append(Array("{\"n\":\(number)}".utf8)) }
        var stream = ""
        do {
            let spool = try Spool(path, segmentBytes: 2_000)
            stream = spool.stream
            for part in 0..<10 { try spool.append(Array(lines[part * 100..<(part + 1) * 100])) }
            #expect(spool.last == 1_000)
            #expect(throws: SpoolFailure.self) { try Spool(path) }
        }
        // A line torn by a power failure was never taken in.
        let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        let newest = try #require(names.last { $0.hasPrefix("segment") })
        let file = try #require(FileHandle(forWritingAtPath: path + "/" + newest))
        try file.seekToEnd()
        try file.write(contentsOf: Data("{\"torn".utf8))
        try file.close()
        let spool = try Spool(path, segmentBytes: 2_000)
        #expect(spool.stream == stream)
        #expect(spool.last == 1_000)
        var read: [[UInt8]] = []
        while true {
            let part = try spool.lines(from: read.count + 1)
            if part.isEmpty { break }
            read += part.map(Array.init)
        }
        #expect(read == lines)
        let before = spool.bytes
        try spool.acknowledge(500)
        #expect(spool.bytes < before && spool.waiting == 500)
        #expect(try Array(spool.lines(from: 501)[0]) == lines[500])
        try spool.acknowledge(1_000)
        #expect(spool.bytes == 0)
        try spool.save()
        try spool.append([Array("{}".utf8)])
        #expect(spool.last == 1_001)
    }

    /// A crash between an ack and the next one must not make the numbers begin too early: what was
    /// let go of is known on the disk before it goes.
    @Test func whatWasLetGoOfIsKnownAfterACrash() throws {
        let folder = ScratchFolder()
        let path = folder.path + "/spool"
        do {
            let spool = try Spool(path, segmentBytes: 100)
            for _ in 0..<10 { try spool.append([[UInt8](repeating: 0x61, count: 99)]) }
            try spool.acknowledge(10)
            #expect(spool.bytes == 0)
            // No `save`: the program is killed here.
        }
        let spool = try Spool(path, segmentBytes: 100)
        #expect(spool.last == 10 && spool.acknowledged == 10)
        #expect(try spool.append([[0x62]]) == 11)
    }

    @Test func aLookAtASpoolDisturbsNobody() throws {
        let folder = ScratchFolder()
        let path = folder.path + "/spool"
        #expect(throws: SpoolFailure.self) { try Spool.status(path) }
        #expect(!FileManager.default.fileExists(atPath: path))
        let spool = try Spool(path)
        try spool.append([[0x61], [0x62], [0x63]])
        try spool.acknowledge(1)
        try spool.save()
        let seen = try Spool.status(path)
        #expect(seen.waiting == 2 && seen.acknowledged == 1 && seen.bytes == 6)
        #expect(seen.stream == spool.stream)
        #expect(seen.oldestSeconds.map { $0 < 60 } == true)
        let said = try caravan(["push", "--spool", path, "--status"])
        #expect(FlatObject(said)?.integer("waiting") == 2)
    }

    @Test func aBlankLineAndAFolderAsInputEndAsTheyShould() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let said = try caravan(
            ["push", "--server", daemon.feed, "--patience", "20"],
            input: eventLine(1) + "\n{\"bye\":1}\n\n")
        #expect(said.contains("1 lines acknowledged"), "\(said)")
        #expect(said.contains("left out"), "\(said)")
        let broken = try Shell.run(
            [
                "sh", "-c",
                "\(DaemonProcess.program("caravan")) push --server \(daemon.feed) < /tmp",
            ], status: 1)
        #expect(broken.contains("cannot be read"), "\(broken)")
        #expect(daemon.stop() == 0)
    }

    @Test func aFullSpoolTakesNothingInAndSaysSo() throws {
        let folder = ScratchFolder()
        let spool = try Spool(folder.path + "/spool", limitBytes: 100)
        try spool.append([[UInt8](repeating: 0x61, count: 99)])
        #expect(throws: SpoolFailure.self) { try spool.append([[0x61]]) }
        #expect(spool.last == 1 && spool.bytes == 100)
    }

    @Test func linesGetTheirNumbersAndKeepTheirBytes() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let token =
            try caravan([
                "post", "enrol", "GATE", "--place", "*", "--database", cluster.conninfo,
            ]).split(separator: "\n").last.map(String.init) ?? ""
        let file = cluster.folder.path + "/token"
        try token.write(toFile: file, atomically: true, encoding: .utf8)
        let push = [
            "push", "--spool", cluster.folder.path + "/spool", "--post", "GATE", "--token-file",
            file, "--server", daemon.feed,
        ]
        let odd =
            "{ \"seq\" : 9, \"id\":\"x\",\"container\":\"MSKU0308961\",\"event\":\"GTIN\","
            + "\"place\":\"KZHOR\",\"time\":\"2026-01-01T10:15:00Z\" }\n{\"bye\":1}\n\nrubbish\n"
        let said = try caravan(push, status: 1, input: eventLine(1) + odd + eventLine(2))
        #expect(said.contains("4 lines acknowledged, 1 rejected"), "\(said)")
        #expect(try cluster.rows("select count(*) from event") == ["3"])
        #expect(try cluster.rows("select seq from stream_mark where post = 'GATE'") == ["4"])
        let status = try caravan(["push", "--spool", cluster.folder.path + "/spool", "--status"])
        #expect(FlatObject(status)?.integer("waiting") == 0)
        // A folder as the source: its files go when they are acknowledged.
        let out = cluster.folder.path + "/out"
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
        for number in 10..<13 {
            try eventLine(number).write(
                toFile: out + "/\(number).ndjson", atomically: true, encoding: .utf8)
        }
        _ = try caravan(push + ["--folder", out])
        #expect(try FileManager.default.contentsOfDirectory(atPath: out).isEmpty)
        #expect(try cluster.rows("select count(*) from event") == ["6"])
        // A wrong token is no matter of patience.
        try "wrong".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try caravan(push, status: 1, input: eventLine(20)).contains("unauthorised"))
        #expect(daemon.stop() == 0)
    }

    @Test func aSenderThatDiesGoesOnWhereItWas() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["writer.batch-lines=100"])
        let spool = cluster.folder.path + "/spool"
        var text = ""
        let count = 20_000
        for number in 0..<count { text += eventLine(number) }
        let source = cluster.folder.path + "/lines"
        try text.write(toFile: source, atomically: true, encoding: .utf8)
        for strike in 0..<(isSoak ? 100 : 5) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: DaemonProcess.program("caravan"))
            process.arguments =
                ["push", "--spool", spool, "--post", "GATE", "--server", daemon.feed, "-q"]
                + (strike == 0 ? [source] : [])
            process.standardInput = FileHandle.nullDevice
            try process.run()
            usleep(UInt32.random(in: 50_000...250_000))
            killHard(process.processIdentifier)
            if strike % 2 == 0 {
                daemon.kill9()
                try daemon.start()
            }
        }
        // The source again: what the spool had not taken in yet, and duplicates.
        _ = try caravan(
            ["push", "--spool", spool, "--post", "GATE", "--server", daemon.feed, source])
        #expect(try cluster.rows("select count(*) from event") == ["\(count)"])
        #expect(
            try cluster.rows("select count(distinct (container, identity)) from event")
                == ["\(count)"])
        #expect(daemon.stop() == 0)
    }

    @Test func everySpoiltLinkDeliversInTheEnd() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["feed.heartbeat-seconds=1", "feed.line-seconds=3"])
        let path = cluster.folder.path + "/px.sock"
        let proxy = try ToxicProxy(path: path, target: daemon.feed)
        var expected = 0
        for toxic in ToxicProxy.Toxic.allCases {
            var text = ""
            for number in expected..<expected + 200 { text += eventLine(number) }
            expected += 200
            proxy.spoil(toxic, after: 9_000)
            // Links that end by themselves are mended once; the sender has to notice the others.
            let mender = Thread {
                usleep(2_500_000)
                proxy.spoil(.none)
            }
            mender.start()
            _ = try caravan(
                [
                    "push", "--spool", cluster.folder.path + "/spool", "--post", "GATE", "--server",
                    path, "-q",
                ], input: text)
            #expect(
                try cluster.rows("select count(*) from event") == ["\(expected)"], "\(toxic)")
        }
        #expect(try cluster.rows("select seq from stream_mark") == ["\(expected)"])
        proxy.close()
        #expect(daemon.stop() == 0)
    }

    @Test func theNextServerIsTried() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let said = try caravan(
            [
                "push", "--server", cluster.folder.path + "/nobody", "--server", daemon.feed,
            ], input: eventLine(1))
        #expect(said.contains("1 lines acknowledged"))
        #expect(daemon.stop() == 0)
    }
}

@Suite(.serialized) struct QuarantineTests {
    @Test func refusedLinesAreListedReplayedAndDiscarded() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let database = ["--database", cluster.conninfo]
        let token =
            try caravan(["post", "enrol", "GATE", "--place", "KZHOR"] + database)
            .split(separator: "\n").last.map(String.init) ?? ""
        let socket = try LineSocket(daemon.feed)
        try socket.send(
            "{\"hello\":\"caravan/1\",\"post\":\"GATE\",\"stream\":\"s\",\"token\":\"\(token)\"}\n"
                + eventLine(1, place: "DEDUI", seq: 1) + "rubbish\n")
        #expect(try replies(socket, upTo: 3).count == 2)
        let listed = try caravan(["quarantine", "list"] + database)
            .split(separator: "\n").compactMap { FlatObject(String($0)) }
        #expect(listed.map { $0.text("code") } == ["json", "forbidden"])
        #expect(listed.allSatisfy { $0.text("post") == "GATE" })
        let forbidden = try #require(listed[1].text("line"))
        let rubbish = try #require(listed[0].text("line"))
        let shown = try caravan(["quarantine", "show", rubbish] + database)
        #expect(FlatObject(shown)?.text("text") == "rubbish")
        // Nothing has changed, so it is refused again, as a new entry of the same post.
        _ = try caravan(["quarantine", "replay", forbidden] + database, status: 1)
        #expect(try cluster.rows("select count(*) from event") == ["0"])
        let again = try caravan(["quarantine", "list", "--code", "forbidden"] + database)
        #expect(FlatObject(again)?.text("post") == "GATE")
        // Now the post may speak of Duisburg.
        _ = try caravan(
            ["post", "enrol", "GATE", "--place", "KZHOR", "--place", "DEDUI", "--certificate"]
                + database)
        usleep(6_000_000)
        _ = try caravan(["quarantine", "replay", "--code", "forbidden"] + database)
        #expect(try cluster.rows("select post from event") == ["GATE"])
        _ = try caravan(["quarantine", "discard", rubbish] + database)
        #expect(try caravan(["quarantine", "list"] + database).isEmpty)
        _ = try caravan(["quarantine", "show", "nonsense"] + database, status: 1)
        let roster = try caravan(["post", "list"] + database)
        #expect(FlatObject(roster)?.integer("forbidden") ?? 0 > 0)
        #expect(FlatObject(roster)?.text("state") == "enrolled")
        _ = try caravan(["post", "revoke", "GATE"] + database)
        let revoked = FlatObject(try caravan(["post", "list"] + database))
        #expect(revoked?.text("state") == "revoked" && revoked?.text("proof") == nil)
        // A post that shows a certificate is none that shows a token.
        _ = try caravan(["post", "enrol", "YARD", "--place", "KZHOR", "--certificate"] + database)
        _ = try caravan(["post", "token", "YARD"] + database, status: 1)
        // Another token does not let it in again.
        _ = try caravan(["post", "token", "GATE"] + database, status: 1)
        #expect(
            try cluster.rows("select revoked_at is null from post order by post") == ["f", "t"])
        #expect(daemon.stop() == 0)
    }

    /// What waits in it must not go out under another post's name.
    @Test func aSpoolIsOfOnePost() throws {
        let folder = ScratchFolder()
        let spool = try Spool(folder.path + "/spool")
        try spool.belong(to: "GATE-1")
        try spool.belong(to: "GATE-1")
        let failure = #expect(throws: SpoolFailure.self) { try spool.belong(to: "GATE-2") }
        #expect("\(failure.map { "\($0)" } ?? "")".contains("GATE-1"))
    }

}
