import Client
import Foundation
import Simulation
import Store
import TestKit
import Testing
import Tracking
import Wire

/// Traffic with its own log: what was sent, and what was acknowledged.
final class TestSender {
    private(set) var acknowledged = 0
    let lines: [[UInt8]]
    /// Stop sending after this many acks have been seen; tells the killer when to strike.
    var onAck: ((Int) -> Void)?

    init(seed: UInt64, shipments: Double) {
        var options = TrafficOptions(start: Instant(seconds: 1_767_225_600))
        options.seed = seed
        options.shipmentsPerDay = shipments
        lines = Traffic(options).lines.map(\.line)
    }

    /// Sends what is not acknowledged yet; returns when all is, or when the connection breaks.
    func run(_ address: String) throws {
        // What it holds on to would outlive the test otherwise.
        defer { onAck = nil }
        let deadline = LineSocket.now() + 120
        let socket = try LineSocket(address)
        let base = acknowledged
        var at = base
        var pending: [UInt8] = []
        var sent = 0
        while acknowledged < lines.count {
            if sent == pending.count, at < lines.count {
                pending = []
                sent = 0
                while at < lines.count, pending.count < 30_000 {
                    pending += lines[at] + [0x0A]
                    at += 1
                }
            }
            let ready = socket.wait(write: sent < pending.count, milliseconds: 5_000)
            guard LineSocket.now() < deadline else {
                throw Shell.Failed("\(acknowledged) of \(lines.count) acknowledged in 120 s")
            }
            if ready.canWrite, sent < pending.count {
                sent += try socket.sendSome(pending, from: sent, wait: false)
            }
            if ready.canRead {
                guard try socket.fill() else { return }
                while let line = socket.bufferedLine() {
                    if case .ack(let number) = ReadReply(line: line) {
                        acknowledged = base + number
                        onAck?(acknowledged)
                    }
                }
            }
        }
    }
}

/// Compares the sender's own log with the database and the tail: what is wrong, in words.
func problems(
    _ sender: TestSender, _ cluster: TestCluster, _ daemon: DaemonProcess
) throws -> [String] {
    var found: [String] = []
    let stored = Set(try cluster.rows("select id from event"))
    let count = try cluster.rows("select count(*) from event")[0]
    let distinct = try cluster.rows("select count(distinct (container, identity)) from event")[0]
    if count != distinct { found.append("\(count) events are stored, \(distinct) of them once") }
    let refused = Set(
        try cluster.rows("select convert_from(bytes, 'UTF8') from quarantine")
            .compactMap { FlatObject($0)?.text("id") })
    var lost = 0
    for line in sender.lines[..<sender.acknowledged] {
        guard let id = FlatObject(line)?.text("id") else { continue }
        if !stored.contains(id), !refused.contains(id) { lost += 1 }
    }
    if lost > 0 { found.append("\(lost) of \(sender.acknowledged) acknowledged lines are lost") }
    let numbers = try daemon.output().compactMap { FlatObject($0)?.integer("seq") }
    if numbers != Array(1..<(numbers.count + 1)) {
        found.append("the tail's \(numbers.count) numbers have gaps or repeat")
    }
    let rows = try cluster.rows("select count(*), coalesce(max(seq), 0) from output")[0]
    if rows != "\(numbers.count)|\(numbers.count)" {
        found.append("the output has \(rows) (count, last), the tail \(numbers.count)")
    }
    return found
}

func check(_ sender: TestSender, _ cluster: TestCluster, _ daemon: DaemonProcess) throws {
    let found = try problems(sender, cluster, daemon)
    #expect(found.isEmpty, "\(found)")
}

/// The control of all that rely on `problems`: it notices what is wrong.
@Suite(.serialized) struct CheckerTests {
    @Test func theCheckerNoticesWhatIsLostDoubledOrMissing() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let sender = TestSender(seed: 21, shipments: 40)
        try sender.run(daemon.feed)
        #expect(try problems(sender, cluster, daemon).isEmpty)
        _ = try cluster.rows(
            "insert into event select * from event order by batch, line limit 1")
        #expect(try problems(sender, cluster, daemon).contains { $0.contains("of them once") })
        _ = try cluster.rows(
            "delete from event where id = (select id from event order by batch, line limit 1)")
        #expect(try problems(sender, cluster, daemon).contains { $0.contains("are lost") })
        // The live tail's ring still has it; one that begins anew reads the database.
        _ = try cluster.rows("delete from output where seq = 2")
        daemon.kill9()
        try daemon.start()
        let found = try problems(sender, cluster, daemon)
        #expect(found.contains { $0.contains("gaps") }, "\(found)")
        #expect(daemon.stop() == 0)
    }
}

@Suite(.serialized) struct CrashTests {
    @Test func killingTheDaemonLosesNothingAndDoublesNothing() throws {
        let seed = testSeed("killingTheDaemonLosesNothingAndDoublesNothing")
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: ["writer.batch-lines=50", "writer.checkpoint-seconds=1"])
        let sender = TestSender(seed: seed, shipments: 400)
        var random = SeededGenerator(seed: seed)
        let kills = isSoak ? 1_000 : 20
        for strike in 0..<kills {
            let goal = sender.lines.count * (strike + 1) / (kills + 1)
            let later = Int(random.next() % 200)
            sender.onAck = { acknowledged in if acknowledged >= goal + later { daemon.kill9() } }
            // The connection breaks when the daemon dies.
            try? sender.run(daemon.feed)
            daemon.kill9()
            try daemon.start()
        }
        sender.onAck = nil
        try sender.run(daemon.feed)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        // The same again changes nothing.
        let before = try cluster.rows("select count(*) from event")
        let again = TestSender(seed: seed, shipments: 400)
        try again.run(daemon.feed)
        #expect(again.acknowledged == again.lines.count)
        #expect(try cluster.rows("select count(*) from event") == before)
        #expect(daemon.stop() == 0)
    }

    @Test func postgresMayGoAndComeBack() throws {
        let seed = testSeed("postgresMayGoAndComeBack")
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["writer.batch-lines=50"])
        let sender = TestSender(seed: seed, shipments: 300)
        var stops = 0
        sender.onAck = { acknowledged in
            guard stops < 5, acknowledged > sender.lines.count * (stops + 1) / 6 else { return }
            stops += 1
            let mode = stops % 2 == 0 ? "fast" : "immediate"
            try? cluster.cluster.stop(mode: mode)
            try? cluster.cluster.start()
        }
        try sender.run(daemon.feed)
        #expect(stops == 5)
        #expect(sender.acknowledged == sender.lines.count)
        try check(sender, cluster, daemon)
        #expect(daemon.stop() == 0)
    }

    /// Every line ends as exactly one of stored, duplicate, quarantined, and the figures say so.
    @Test func theFiguresAddUp() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let sender = TestSender(seed: 61, shipments: 60)
        try sender.run(daemon.feed)
        let again = TestSender(seed: 61, shipments: 60)
        try again.run(daemon.feed)
        let socket = try LineSocket(daemon.feed)
        try socket.send("rubbish\n")
        _ = try replies(socket, upTo: 1)
        var figures: [String: Int] = [:]
        let deadline = LineSocket.now() + 20
        while figures["received"] != 2 * sender.lines.count + 1, LineSocket.now() < deadline {
            usleep(200_000)
            let text =
                (try? String(contentsOfFile: daemon.folder + "/metrics.prom", encoding: .utf8))
                ?? ""
            for line in text.split(separator: "\n")
            where line.hasPrefix("caravan_lines_total{outcome=\"") {
                let parts = line.dropFirst(29).split(separator: "\"")
                figures[String(parts[0])] = Int(parts[1].dropFirst(2))
            }
        }
        #expect(figures["received"] == 2 * sender.lines.count + 1, "\(figures)")
        let (stored, duplicate) = (figures["stored"] ?? 0, figures["duplicate"] ?? 0)
        let quarantined = figures["quarantined"] ?? 0
        #expect(stored + duplicate + quarantined == figures["received"])
        #expect(duplicate > sender.lines.count / 2)
        #expect(try cluster.rows("select count(*) from quarantine") == ["\(quarantined)"])
        #expect(daemon.stop() == 0)
    }

    @Test func aDatabaseThatIsDownAtBootIsAState() throws {
        let cluster = try TestCluster()
        try cluster.cluster.stop()
        let daemon = try DaemonProcess(cluster: cluster, settings: [], waiting: false)
        // It listens, takes the line, and says nothing until it is durable.
        let deadline = LineSocket.now() + 20
        var socket: LineSocket?
        while socket == nil, LineSocket.now() < deadline {
            socket = try? LineSocket(daemon.feed)
            usleep(20_000)
        }
        let feed = try #require(socket)
        try feed.send(
            #"{"id":"1","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
                + #""time":"2026-01-01T10:15:00Z"}"# + "\n")
        #expect(!feed.wait(write: false, milliseconds: 500).canRead)
        try cluster.cluster.start()
        #expect(try feed.readLine() == "{\"ack\":1}")
        #expect(daemon.stop() == 0)
    }

    @Test func aRestartForecastsAsBefore() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let sender = TestSender(seed: 5, shipments: 50)
        try sender.run(daemon.feed)
        let before = try daemon.output()
        daemon.kill9()
        try daemon.start()
        #expect(try daemon.output().prefix(before.count) == before[...])
        #expect(daemon.stop() == 0)
        try daemon.start()
        #expect(try daemon.output().prefix(before.count) == before[...])
    }
}

@Suite(.serialized) struct ProgramTests {
    private func caravan(_ words: [String], status: Int32 = 0, input: String? = nil) throws
        -> String
    {
        try Shell.run(
            [DaemonProcess.program("caravan")] + words, input: input, status: status)
    }

    @Test func aConsumerWithANameResumesAndSoManyHaveOne() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["tail.max-names=2"])
        let sender = TestSender(seed: 11, shipments: 20)
        try sender.run(daemon.feed)
        func open(_ name: String, after: String = "") throws -> (LineSocket, String) {
            let socket = try LineSocket(daemon.tail)
            try socket.send("{\"tail\":\"caravan/1\"\(after),\"name\":\"\(name)\"}\n")
            let line = try socket.readLine(seconds: 30)
            return (socket, line ?? "")
        }
        func confirm(_ socket: LineSocket, _ name: String, _ seq: Int) throws {
            try socket.send("{\"ack\":\(seq)}\n")
            let deadline = LineSocket.now() + 30
            while try cluster.rows("select seq from consumer where consumer = '\(name)'")
                != ["\(seq)"]
            {
                guard LineSocket.now() < deadline else { throw Shell.Failed("not confirmed") }
                usleep(20_000)
            }
        }
        let (tower, welcome) = try open("tower-1", after: ",\"after\":\"start\"")
        #expect(welcome.contains("welcome"))
        try confirm(tower, "tower-1", 7)
        // Across a restart, too.
        #expect(daemon.stop() == 0)
        try daemon.start()
        let again = try open("tower-1").0
        #expect(try #require(try again.readLine(seconds: 30)).contains("\"seq\":8,"))
        // A name is known from its first connection on; one too many is told at once.
        let second = try open("tower-2", after: ",\"after\":\"start\"").0
        #expect(
            try cluster.rows("select seq from consumer where consumer = 'tower-2'") == ["0"])
        let refusal = try open("tower-3").1
        #expect(refusal.contains("\"code\":\"limit\"") && refusal.contains("tail.max-names"))
        try confirm(second, "tower-2", 1)
        #expect(try open("tower-1").1.contains("welcome"))
        #expect(try cluster.rows("select count(*) from consumer") == ["2"])
    }

    @Test func everyProgramHelpsAndSaysItsVersion() throws {
        #expect(try caravan(["--version"]).contains("caravan"))
        for name in ["up", "push", "tail", "show", "network", "simulate", "backtest", "migrate"] {
            #expect(try caravan([name, "--help"]).contains("EXAMPLES"), "\(name)")
        }
        _ = try caravan(["nonsense"], status: 2)
        _ = try caravan(["tail", "--no-such-flag"], status: 2)
    }

    @Test func configurationsAreCheckedWithoutStarting() throws {
        let daemon = DaemonProcess.program("caravand")
        let good = try Shell.run([
            daemon, "--check-config", "--config", packageFolder + "/Deploy/caravan.example.yaml",
        ])
        #expect(good.contains("good"))
        let bad = try Shell.run(
            [daemon, "--check-config", "--set", "feed.window=0"], status: 2)
        #expect(bad.contains("feed.window") && bad.contains("1 to 1000000"))
    }

    @Test func pushDeliversAndSaysSo() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let text =
            #"{"id":"1","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
            + #""time":"2026-01-01T10:15:00Z"}"# + "\n"
        let said = try caravan(["push", "--server", daemon.feed], input: text)
        #expect(said.contains("1 lines acknowledged, 0 rejected"))
        let file = cluster.folder.path + "/lines"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let again = try caravan(["push", "--server", daemon.feed, file])
        #expect(again.contains("1 lines acknowledged, 0 rejected"))
        let rejected = try caravan(
            ["push", "--server", daemon.feed], status: 1, input: text + "rubbish\n")
        #expect(rejected.contains("2 lines acknowledged, 1 rejected"))
        let shown = try caravan(["show", "MSKU0308961", "--database", cluster.conninfo])
        #expect(shown.contains("\"event\":\"GTIN\""))
        let tail = try caravan([
            "tail", "--server", daemon.tail, "--after", "start", "--until-caught-up",
        ])
        #expect(tail.contains("caught-up"))
        // Before the first checkpoint what is in force stands in the log alone.
        daemon.kill9()
        for table in ["checkpoint", "journey", "pool"] {
            _ = try cluster.rows("delete from \(table)")
        }
        let early = try caravan(["show", "MSKU0308961", "--database", cluster.conninfo])
        #expect(early.contains("\"event\":\"GTIN\"") && !early.contains("place-unknown"))
    }

    @Test func routesArePrinted() throws {
        let rail = try caravan(["network", "route", "CNSGH", "DEHAM", "--mode", "RAIL"])
        #expect(rail.contains("gauge change 1435 → 1520 mm"))
        #expect(rail.contains("relative cost"))
        #expect(try caravan(["network", "check"]).contains("0 flaws"))
        _ = try caravan(["network", "route", "CNSGH", "NOWHERE"], status: 1)
    }

    @Test func upSurvivesAKillAndGoesOn() throws {
        let folder = ScratchFolder()
        let dir = folder.path + "/data"
        func daemon() -> String? {
            try? String(contentsOfFile: dir + "/caravand.pid", encoding: .utf8)
        }
        func up(_ seconds: Int) throws -> (process: Process, ready: Bool) {
            // One that was left behind still answers for a moment.
            let before = daemon()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: DaemonProcess.program("caravan"))
            process.arguments = [
                "up", "--dir", dir, "--seconds", "\(seconds)", "--set",
                "feed.listen=unix:feed.sock",
                "--set", "tail.listen=unix:tail.sock", "--set", "log.level=warning",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            let deadline = LineSocket.now() + 60
            while LineSocket.now() < deadline, process.isRunning {
                if let now = daemon(), now != before,
                    let socket = try? LineSocket(dir + "/run/tail.sock"),
                    (try? socket.send("{\"tail\":\"caravan/1\"}\n")) != nil,
                    (try? socket.readLine(seconds: 10)) ?? nil != nil
                {
                    return (process, true)
                }
                usleep(50_000)
            }
            return (process, false)
        }
        let line =
            #"{"id":"1","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
            + #""time":"2026-01-01T10:15:00Z"}"# + "\n"
        let first = try up(600)
        #expect(first.ready)
        _ = try caravan(["push", "--dir", dir], input: line)
        // Its PostgreSQL and its daemon stay behind.
        killHard(first.process.processIdentifier)
        let second = try up(600)
        #expect(second.ready)
        let shown = try caravan(["show", "MSKU0308961", "--dir", dir])
        #expect(shown.contains("KZHOR"))
        // The tool finds its daemon by its folder.
        let told = try caravan(["tail", "--dir", dir, "--after", "start", "--until-caught-up"])
        #expect(told.contains("caught-up"), "\(told)")
        #expect(try caravan(["alerts", "--dir", dir]).isEmpty)
        _ = try caravan(["tail", "--dir", dir, "--server", "127.0.0.1:1"], status: 1)
        second.process.interrupt()
        second.process.waitUntilExit()
        #expect(second.process.terminationStatus == 0)
        let cluster = try PrivateCluster(folder: dir + "/postgres")
        #expect(!cluster.isRunning)
    }
}
