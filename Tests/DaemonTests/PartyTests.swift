import Client
import Foundation
import Store
import TestKit
import Testing
import Tracking
import Wire

/// What the parties to a log can hold each other to: who reads what, what was said when, whose clock it was.
@Suite struct PartyTests {
    private func caravan(
        _ words: [String], input: String? = nil, status: Int32? = 0
    ) throws -> String {
        try Shell.run([DaemonProcess.program("caravan")] + words, input: input, status: status)
    }

    private func plan(_ number: Int) -> String {
        "{\"plan\":\"S\(number)\",\"containers\":[\"CSQU3054383\"],\"from\":\"CNXIA\",\"to\":\"DEDUI\","
            + "\"mode\":\"RAIL\",\"start\":\"2026-11-2\(number)T00:00:00Z\"}\n"
    }

    /// The output hangs together, over a crash too; whatever is changed in it is found, also by whoever
    /// has but a copy and a signature.
    @Test func whatWasSaidCannotBeChangedUnseen() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let folder = ScratchFolder()
        let database = ["--database", cluster.conninfo]
        func push(_ number: Int) throws {
            _ = try caravan(
                ["push", "--server", daemon.feed, "--quiet"], input: plan(number))
        }
        for number in 1...3 { try push(number) }
        #expect(try caravan(["verify"] + database).contains("lines 1 to 3 are what was said"))
        daemon.kill9()
        try daemon.start()
        for number in 4...5 { try push(number) }
        #expect(try caravan(["verify"] + database).contains("lines 1 to 5 are what was said"))

        // A signature of now, a copy of the lines and of the links.
        let (key, pub) = (folder.path + "/key.pem", folder.path + "/key.pub")
        try caravan(["verify", "key", "--out", key]).write(
            toFile: pub, atomically: true, encoding: .utf8)
        _ = try caravan(["verify", "key", "--out", key], status: 1)
        let signed = folder.path + "/signed.json"
        try caravan(["verify", "sign", "--key", key] + database).write(
            toFile: signed, atomically: true, encoding: .utf8)
        let copy = folder.path + "/copy.ndjson"
        let lines = try caravan([
            "tail", "--server", daemon.tail, "--after", "start", "--until-caught-up",
        ])
        try lines.write(toFile: copy, atomically: true, encoding: .utf8)
        let chain = folder.path + "/chain.ndjson"
        try caravan(["verify", "chain"] + database).write(
            toFile: chain, atomically: true, encoding: .utf8)
        let proof = ["--checkpoint", signed, "--public-key", pub]
        #expect(
            try caravan(["verify", "copy", copy, "--chain", chain] + proof)
                .contains("up to 5 they are what was signed"))
        try push(6)
        #expect(try caravan(["verify"] + database + proof).contains("lines 1 to 6"))

        try changesAreFound(cluster, copy: copy, chain: chain, proof: proof)

        // Whoever makes the chain anew cannot make the signature.
        _ = try cluster.rows("update output_chain set hash = sha256(hash) where last_seq = 5")
        #expect(try caravan(["verify", "--from", "3"] + database + proof, status: 1).contains("5"))
        let (other, otherPub) = (folder.path + "/other.pem", folder.path + "/other.pub")
        try caravan(["verify", "key", "--out", other]).write(
            toFile: otherPub, atomically: true, encoding: .utf8)
        #expect(
            try caravan(
                ["verify", "--checkpoint", signed, "--public-key", otherPub] + database, status: 1
            ).contains("was not signed"))
    }

    private func changesAreFound(
        _ cluster: TestCluster, copy: String, chain: String, proof: [String]
    ) throws {
        let database = ["--database", cluster.conninfo]
        let lines = try String(contentsOfFile: copy, encoding: .utf8)
        // The chain ends with the log.
        _ = try cluster.rows(
            "create table kept as select * from output_chain where last_seq = 6")
        _ = try cluster.rows("delete from output_chain where last_seq = 6")
        #expect(
            try caravan(["verify"] + database, status: 1).contains("its end was taken away"))
        _ = try cluster.rows("insert into output_chain select * from kept")
        #expect(try caravan(["verify"] + database).contains("lines 1 to 6"))

        // One byte of a line, a line left out, a line that was never said.
        for (what, changed) in [
            (
                "are not those that were said",
                lines.replacing("\"shipment\":\"S2\"", with: "\"shipment\":\"S8\"")
            ),
            (
                "some are missing here",
                lines.split(separator: "\n").filter { !$0.contains("\"S3\"") }.joined(
                    separator: "\n")
            ),
        ] {
            try changed.write(toFile: copy, atomically: true, encoding: .utf8)
            #expect(
                try caravan(["verify", "copy", copy, "--chain", chain], status: 1)
                    .contains(what), "\(what)")
        }
        _ = try cluster.rows(
            "update output set body = replace(body, 'S2', 'S9') "
                + "where seq = 2")
        let found = try caravan(["verify"] + database, status: 1)
        #expect(found.contains("lines 2 to 2 are not those that were said"), "\(found)")

        // What history is looked for by is part of what was said.
        _ = try cluster.rows(
            "update output set body = replace(body, 'S9', 'S2'), container = 'QZTU0000700' "
                + "where seq = 2")
        #expect(try caravan(["verify"] + database, status: 1).contains("line 2 is filed under"))
    }

    /// A consumer is enrolled, reads what it may, is listed with its place, and is revoked.
    @Test func aConsumerReadsWhatItMay() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["tail.anonymous=nowhere"])
        let folder = ScratchFolder()
        let database = ["--database", cluster.conninfo]
        for number in 1...3 {
            _ = try caravan(["push", "--server", daemon.feed, "--quiet"], input: plan(number))
        }
        let read = [
            "tail", "--server", daemon.tail, "--after", "start", "--until-caught-up",
        ]
        #expect(try caravan(read, status: 1).contains("consumer enrol"))
        let token = try caravan(
            ["consumer", "enrol", "TOWER", "--shipment", "S2", "--shipment", "S3"] + database
        ).split(separator: "\n").last { $0.count == 64 }
        let file = folder.path + "/token"
        try String(try #require(token)).write(toFile: file, atomically: true, encoding: .utf8)
        let identity = ["--consumer", "TOWER", "--consumer-token-file", file]
        let lines = try caravan(read + identity + ["--name", "pager"])
        #expect(lines.contains("\"S2\"") && lines.contains("\"S3\"") && !lines.contains("\"S1\""))
        let wrong = try caravan(read + identity + ["--shipment", "S1"], status: 1)
        #expect(wrong.contains("may read S2, S3"))
        // The log knows the token by its hash alone.
        #expect(try cluster.rows("select length(token_hash) from reader") == ["32"])
        let listed = try caravan(["consumer", "list"] + database)
        #expect(listed.contains("\"consumer\":\"TOWER\""))
        #expect(listed.contains("\"cursor\":\"pager\",\"of\":\"TOWER\",\"seq\":3"))
        _ = try caravan(["consumer", "forget", "TOWER", "pager"] + database)
        _ = try caravan(["consumer", "forget", "TOWER", "pager"] + database, status: 1)
        // A wider right keeps the token.
        #expect(
            try caravan(["consumer", "enrol", "TOWER"] + database).contains("shipments S2 S3"))
        #expect(
            try caravan(["consumer", "enrol", "TOWER", "--shipment", ""] + database)
                .contains("may read everything"))
        _ = try caravan(["consumer", "revoke", "TOWER"] + database)
        var said = ""
        for _ in 0..<80 {
            said = try caravan(read + identity, status: nil)
            if said.contains("revoked") { break }
            usleep(250_000)
        }
        #expect(said.contains("revoked"))
    }

    /// A post's clock is set right after the fact, and that is taken back.
    @Test func aClockIsSetRightAndBack() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let folder = ScratchFolder()
        let database = ["--database", cluster.conninfo]
        let token = try caravan(["post", "enrol", "GATE", "--place", "KZHOR"] + database)
            .split(separator: "\n").last { $0.count == 64 }
        let file = folder.path + "/token"
        try String(try #require(token)).write(toFile: file, atomically: true, encoding: .utf8)
        let line =
            "{\"id\":\"1\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
            + "\"time\":\"2026-11-25T12:00:00Z\"}\n"
        _ = try caravan(
            [
                "push", "--server", daemon.feed, "--quiet", "--spool", folder.path + "/spool",
                "--post", "GATE", "--token-file", file,
            ], input: line)
        func shown() throws -> String {
            try caravan(["show", "CSQU3054383"] + database)
        }
        func wait(for words: String) throws -> String {
            var said = ""
            for _ in 0..<80 {
                said = try shown()
                if said.contains(words) { break }
                usleep(250_000)
            }
            return said
        }
        #expect(try shown().contains("2026-11-25T12:00:00Z"))
        _ = try caravan(
            ["post", "correct", "GATE", "--minutes", "30", "--from", "2026-11-01T00:00:00Z"]
                + database, status: 2)
        _ = try caravan(
            ["post", "correct", "NOBODY", "--minutes", "60", "--from", "2026-11-01T00:00:00Z"]
                + database, status: 1)
        _ = try caravan(
            ["post", "correct", "GATE", "--minutes", "-60", "--from", "2026-11-01T00:00:00Z"]
                + database)
        #expect(try wait(for: "clock-corrected").contains("2026-11-25T11:00:00Z"))
        #expect(try caravan(["post", "list"] + database).contains("\"minutes\":-60"))
        // As it was sent it is kept.
        #expect(
            try cluster.rows("select occurred_at at time zone 'UTC' from event")
                == ["2026-11-25 12:00:00"])
        daemon.kill9()
        try daemon.start()
        #expect(try shown().contains("2026-11-25T11:00:00Z"))
        _ = try caravan(["post", "correct", "GATE", "--undo"] + database)
        let back = try wait(for: "2026-11-25T12:00:00Z")
        #expect(back.contains("2026-11-25T12:00:00Z") && !back.contains("clock-corrected"))
    }

    /// A box that goes on with what others brought is shown with what they did, and with what is shut.
    @Test func whatIsShownIsWhatIsForecast() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let boxes = (1...2).map { ContainerNumber(owner: "SHTU", serial: $0)?.description ?? "" }
        func time(_ hours: Double) -> String {
            TimeText.string(wallNow().advanced(minutes: hours * 60))
        }
        func milestone(_ box: Int, _ id: String, _ place: String, _ hours: Double, _ after: String)
            -> String
        {
            "{\"id\":\"\(id)\",\"container\":\"\(boxes[box])\",\"place\":\"\(place)\",\"event\":\""
                + "\(id.hasPrefix("a") ? "ARRI" : "DEPA")\",\"time\":\"\(time(hours))\",\"after\":[\(after)]}"
        }
        let milestones = [
            milestone(0, "d1", "ZSA", -5, ""), milestone(0, "a1", "ZSB", 5, "\"d1\""),
            milestone(1, "d2", "ZSB", 20, "\"a1\""), milestone(1, "a2", "ZSC", 40, "\"d2\""),
        ].joined(separator: ",")
        let lines = [
            "{\"plan\":\"SH-1\",\"containers\":[\"\(boxes[0])\",\"\(boxes[1])\"],\"start\":\""
                + "\(time(-6))\",\"promised\":\"\(time(44))\",\"milestones\":[\(milestones)]}",
            "{\"id\":\"sh1\",\"container\":\"\(boxes[0])\",\"event\":\"DEPA\",\"place\":\"ZSA\","
                + "\"time\":\"\(time(-4.9))\",\"shipment\":\"SH-1\"}",
            "{\"closure\":\"SHUT-1\",\"place\":\"ZSB\",\"from\":\"\(time(8))\",\"until\":\"\(time(140))\"}",
        ]
        let socket = try LineSocket(daemon.feed)
        try socket.send(lines.map { $0 + "\n" }.joined())
        #expect(try replies(socket, upTo: 3).isEmpty)
        let said = try #require(
            try daemon.output().compactMap { FlatObject($0) }.last { $0.text("kind") == "eta" })
        for name in [boxes[1], "SH-1"] {
            let text = try Shell.run([
                DaemonProcess.program("caravan"), "show", name, "--database", cluster.conninfo,
            ])
            let shown = text.split(separator: "\n").compactMap { FlatObject(String($0)) }
            let view = try #require(shown.first { $0.text("container") == boxes[1] })
            let journey = try #require(view.objects("journeys").first)
            let first = try #require(journey.objects("milestones").first)
            #expect(first.has("actual"), "\(name): \(text)")
            let p50 = try #require(journey.objects("milestones").last?.instant("p50"))
            // Behind the closure, as the output has it.
            #expect(p50 > wallNow().advanced(minutes: 140 * 60))
            let told = try #require(said.instant("p50"))
            #expect(abs(p50.minutes(since: told)) < 120)
        }
        #expect(daemon.stop() == 0)
    }
}
