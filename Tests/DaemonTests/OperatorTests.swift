import Client
import Foundation
import Store
import TLS
import TestKit
import Testing

@testable import Daemon

private func event(_ number: Int, _ place: String = "KZHOR") -> String {
    "{\"id\":\"\(number)\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"\(place)\","
        + "\"time\":\"2026-01-01T\(10 + number / 60):\(number % 60 + 100)".replacing(
            ":1", with: ":")
        + ":00Z\"}\n"
}

/// What whoever operates the daemon does with it: reload, look at figures, ask the doctor, follow files.
@Suite struct OperatorTests {
    private func waitFor(_ seconds: Double = 30, _ condition: () throws -> Bool) throws -> Bool {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            if try condition() { return true }
            usleep(50_000)
        }
        return false
    }

    private func push(_ daemon: DaemonProcess, _ lines: ClosedRange<Int>) throws {
        let socket = try LineSocket(daemon.feed)
        for number in lines { try socket.send(event(number)) }
        socket.halfClose()
        while try socket.readLine(seconds: 30) != nil {}
    }

    // MARK: Reload

    /// Rules, network and log level are taken over at once; what is not good leaves all as it was.
    @Test func aReloadTakesAllOfItOrNothing() throws {
        let cluster = try TestCluster()
        let file = cluster.folder.path + "/caravan.yaml"
        func write(_ text: String) throws {
            try text.write(toFile: file, atomically: true, encoding: .utf8)
        }
        try write("eta:\n  change-minutes: 15\n")
        let log = cluster.folder.path + "/log"
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["log.level=info"],
            launcher: ["sh", "-c", "exec \"$0\" --config \(file) \"$@\" 2>\(log)"])
        func said(_ words: String, times: Int = 1) throws -> Bool {
            try waitFor {
                let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                return text.components(separatedBy: words).count > times
            }
        }
        try push(daemon, 1...3)
        let batches = "select count(*) from batch"
        let before = try cluster.rows(batches)
        // Another network and another rule: a batch of the log says so.
        let network = cluster.folder.path + "/own.network"
        try FileManager.default.copyItem(
            atPath: packageFolder + "/Sources/Wire/Networks/silk-road.network", toPath: network)
        let handle = try #require(FileHandle(forWritingAtPath: network))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\n# another one\n".utf8))
        try handle.close()
        try write("eta:\n  change-minutes: 20\nnetwork:\n  file: \(network)\nfeed:\n  window: 7\n")
        kill(daemon.pid, SIGHUP)
        #expect(try said("are read anew"))
        #expect(try said("setting=feed.window"))
        #expect(try waitFor { try cluster.rows(batches) != before })
        let after = try cluster.rows(batches)
        // Rubbish, an unknown key, a network that is none: each leaves it as it was, and is told.
        for (number, text) in [
            "eta: [", "eta:\n  chnage-minutes: 1\n", "network:\n  file: \(file)\n",
            "network:\n  file: /nowhere\n",
        ].enumerated() {
            try write(text)
            kill(daemon.pid, SIGHUP)
            #expect(try said("the new configuration is not good", times: number + 1))
        }
        #expect(try cluster.rows(batches) == after)
        try push(daemon, 1...4)
        #expect(try cluster.rows("select count(*) from event") == ["4"])
        #expect(daemon.stop() == 0)
    }

    /// A hundred at once, under load: nothing is lost, and the last configuration counts.
    @Test func aStormOfReloadsLosesNothing() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let socket = try LineSocket(daemon.feed)
        for number in 1...400 {
            try socket.send(
                event(number % 59 + 1).replacing("\"id\":\"", with: "\"id\":\"\(number)-"))
            if number % 4 == 0 { kill(daemon.pid, SIGHUP) }
        }
        socket.halfClose()
        var acked = 0
        while let line = try socket.readLine(seconds: 60) {
            if line.hasPrefix("{\"ack\":") { acked = Int(line.dropFirst(7).dropLast()) ?? acked }
        }
        #expect(acked == 400)
        #expect(daemon.stop() == 0)
    }

    // MARK: Figures

    @Test func figuresAreWhatPrometheusTakes() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        try push(daemon, 1...40)
        try push(daemon, 1...10)
        let rubbish = try LineSocket(daemon.feed)
        try rubbish.send("rubbish\n")
        rubbish.halfClose()
        while try rubbish.readLine(seconds: 30) != nil {}
        let path = daemon.folder + "/metrics.prom"
        var text = ""
        let isThere = try waitFor {
            text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return text.contains("caravan_lines_total{outcome=\"received\"} 51")
        }
        #expect(isThere)
        func value(_ name: String) -> Double? {
            text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                .flatMap { Double($0.split(separator: " ").last ?? "") }
        }
        let outcomes = ["stored", "duplicate", "quarantined"].compactMap {
            value("caravan_lines_total{outcome=\"\($0)\"}")
        }
        #expect(outcomes == [40, 10, 1])
        #expect(value("caravan_ack_seconds_count") == 51)
        #expect((value("caravan_commit_seconds_count") ?? 0) >= 2)
        #expect(value("caravan_leader") == 1)
        #expect(value("caravan_state{state=\"ok\"}") == 1)
        #expect((value("caravan_process_resident_memory_bytes") ?? 0) > 1_000_000)
        #expect(
            abs((value("caravan_process_start_time_seconds") ?? 0) - Date().timeIntervalSince1970)
                < 300)
        // The bucket without a bound holds all.
        #expect(value("caravan_ack_seconds_bucket{le=\"+Inf\"}") == 51)
        let checked = try Shell.run(["promtool", "check", "metrics"], input: text)
        #expect(checked.isEmpty, "\(checked)")
    }

    @Test func rulesForPrometheusAreGoodAndSayWhatToDo() throws {
        let rules = packageFolder + "/Deploy/prometheus/caravan.rules.yml"
        #expect(try Shell.run(["promtool", "check", "rules", rules]).contains("SUCCESS"))
        let text = try String(contentsOfFile: rules, encoding: .utf8)
        let alerts = text.components(separatedBy: "- alert:").dropFirst()
        #expect(alerts.count >= 10)
        for alert in alerts { #expect(alert.contains("description:"), "\(alert)") }
        // Each figure that a rule or the dashboard names is one that the daemon writes.
        let dashboard = try String(
            contentsOfFile: packageFolder + "/Deploy/grafana/caravan.json", encoding: .utf8)
        let sources = try Shell.run([
            "cat", packageFolder + "/Sources/Daemon/Figures/MetricsText.swift",
            packageFolder + "/Sources/Daemon/Figures/ProcessFigures.swift",
        ])
        let named = Set(
            (text + dashboard).matches(of: #/caravan_[a-z_]+/#).map { String($0.output) })
        for name in named {
            let base = name.replacing("_bucket", with: "")
            #expect(sources.contains("\"\(base)\""), "\(name)")
        }
        _ = try JSONSerialization.jsonObject(with: Data(dashboard.utf8))
    }

    // MARK: Log

    /// A night without a database is no flood: what repeats is said five times, then ever more rarely, and
    /// nothing is withheld without being counted.
    @Test func whatRepeatsIsCounted() {
        let repeats = LogRepeats()
        var said = 0
        var counted = 0
        for second in stride(from: 0.0, to: 8 * 3_600, by: 5) {
            let verdict = repeats.judge("away", seconds: second)
            said += verdict.isSaid ? 1 : 0
            counted += verdict.summaries.reduce(0) { $0 + $1.count }
        }
        #expect(said < 60)
        // Ten hours later somebody else speaks: the rest is told.
        let last = repeats.judge("another", seconds: 18 * 3_600)
        #expect(last.isSaid)
        counted += last.summaries.reduce(0) { $0 + $1.count }
        #expect(said + counted == 8 * 720)
        // Other words are others' matter.
        for _ in 0..<5 { #expect(repeats.judge("third", seconds: 70_000).isSaid) }
        #expect(!repeats.judge("third", seconds: 70_001).isSaid)
    }

    // MARK: Consumers and posts

    /// What `tail --count` printed is confirmed: the next one goes on behind it.
    @Test func aTailThatEndsHasConfirmedWhatItPrinted() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: ["eta.interval-seconds=0", "eta.change-minutes=0", "eta.change-share=0"])
        let lines = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "6", "--days", "1",
            "--per-day", "40",
        ])
        let socket = try LineSocket(daemon.feed)
        try socket.send(lines)
        socket.halfClose()
        while try socket.readLine(seconds: 60) != nil {}
        var seen: [Int] = []
        for round in 0..<3 {
            let said = try Shell.run(
                [
                    DaemonProcess.program("caravan"), "tail", "--server", daemon.tail, "--name",
                    "tower", "--count", "10",
                ] + (round == 0 ? ["--after", "start"] : []))
            seen += said.matches(of: #/"seq":(\d+)/#).compactMap { Int($0.output.1) }
        }
        #expect(seen == Array(1...30), "\(seen)")
    }

    /// To change a post's places is not to void its token.
    @Test func aPostKeepsItsTokenWhenItsPlacesChange() throws {
        let cluster = try TestCluster()
        func enrol(_ place: String) throws -> String {
            try Shell.run([
                DaemonProcess.program("caravan"), "post", "enrol", "GATE", "--place", place,
                "--database", cluster.conninfo,
            ])
        }
        #expect(try enrol("KZHOR").contains("shown this once"))
        let hash = try cluster.rows("select token_hash from post")
        #expect(try enrol("ALTYNKOL").contains("its token stays"))
        #expect(try cluster.rows("select token_hash from post") == hash)
    }

    /// Whoever has it read its configuration anew is answered each time, by name where it is not good.
    @Test func eachReloadIsAnswered() throws {
        let cluster = try TestCluster()
        let folder = ScratchFolder()
        let file = folder.path + "/net"
        func write(_ text: String) throws {
            try text.write(toFile: file, atomically: true, encoding: .utf8)
        }
        let good = "include | shipped\n"
        try write(good)
        let log = folder.path + "/log"
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["network.file=\(file)", "log.level=notice"],
            launcher: ["sh", "-c", "exec \"$0\" \"$@\" 2>\(log)"])
        func said(_ words: String) -> Int {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            return text.components(separatedBy: words).count - 1
        }
        func reload(_ words: String, _ count: Int) {
            kill(daemon.pid, SIGHUP)
            let deadline = LineSocket.now() + 30
            while LineSocket.now() < deadline, said(words) < count { usleep(20_000) }
            #expect(said(words) == count)
        }
        for count in 1...7 { reload("are read anew", count) }
        // One that names nothing, and one that cannot be read, leave the old one in force.
        for (count, text) in ["", "places | nonsense\n"].enumerated() {
            try write(text)
            reload("is not good; the old one stays", count + 1)
            _ = try Shell.run(
                [DaemonProcess.program("caravan"), "network", "check", file], status: 1)
        }
        // One that may be cut off is told of.
        try write(good + "# and so o")
        reload("may be cut off", 1)
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "network", "check", file], status: 1)
        try write(good)
        reload("are read anew", 9)
        #expect(daemon.stop() == 0)
    }

    /// A replay tells the verdict: what is refused again is no success.
    @Test func aReplayTellsWhatIsRefusedAgain() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "push", "--server", daemon.feed, "--quiet"],
            input: "rubbish\n", status: 1)
        let line = try cluster.rows("select batch || '/' || item from quarantine")[0]
        let said = try Shell.run(
            [
                DaemonProcess.program("caravan"), "quarantine", "replay", line, "--database",
                cluster.conninfo,
            ], status: 1)
        #expect(said.contains("1 lines replayed, 1 refused again"), "\(said)")
    }

    /// What is acknowledged is shown, whether a snapshot has it yet or not.
    @Test func showKnowsWhatIsInNoSnapshotYet() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let socket = try LineSocket(daemon.feed)
        try socket.send(event(1))
        while let line = try socket.readLine(seconds: 30), !line.hasPrefix("{\"ack\"") {}
        daemon.kill9()
        #expect(try cluster.rows("select count(*) from journey") == ["0"])
        let shown = try Shell.run([
            DaemonProcess.program("caravan"), "show", "CSQU3054383", "--database",
            cluster.conninfo,
        ])
        #expect(shown.contains("\"event\":\"GTIN\""))
    }

    /// What would keep it from starting is no good configuration.
    @Test(arguments: [
        "feed.listen=tls:127.0.0.1:7602", "feed.listen=127.0.0.1:7601,127.0.0.1:7601",
        "feed.listen=127.0.0.1:7611", "feed.listen=:7601", "feed.listen=unix:caravand.lock",
        "database.url=postgresql://caravan:SEC/RET@PW@127.0.0.1/caravan",
        "database.url=postgresql://caravan:SECRET@PW@127.0.0.1/caravan",
    ])
    func whatKeepsItFromStartingIsFoundBefore(_ setting: String) throws {
        let url = setting.hasPrefix("database") ? [] : ["--set", "database.url=host=/nowhere"]
        let said = try Shell.run(
            [DaemonProcess.program("caravand"), "--check-config", "--set", setting] + url, status: 2
        )
        #expect(!said.contains("SEC") && !said.contains("RET@"))
    }

    // MARK: Doctor

    @Test func theDoctorFindsWhatIsWrong() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        try push(daemon, 1...3)
        let doctor = DaemonProcess.program("caravan")
        func ask(_ status: Int32) throws -> String {
            try Shell.run([doctor, "doctor", "--database", cluster.conninfo], status: status)
        }
        #expect(try ask(0).contains("ok   schema         version \(Migrator.newest)"))
        _ = try cluster.rows("alter system set synchronous_commit = off")
        _ = try cluster.rows("select pg_reload_conf()")
        #expect(
            try waitFor {
                try Shell.run(
                    [doctor, "doctor", "--json", "--database", cluster.conninfo], status: nil
                )
                .contains("synchronous_commit is off")
            })
        #expect(try ask(2).contains("BAD  durability     synchronous_commit is off"))
        _ = try cluster.rows("alter system reset synchronous_commit")
        _ = try cluster.rows("select pg_reload_conf()")
        daemon.kill9()
        _ = try cluster.rows("update writer_lease set renewed_at = now() - interval '1 hour'")
        #expect(try ask(2).contains("has shown no sign of life for 3600 s"))
        _ = try cluster.rows("insert into consumer values ('tower', 0, now())")
        _ = try cluster.rows("alter table pool rename to pool_away")
        #expect(try ask(2).contains("tables are missing that version \(Migrator.newest) has: pool"))
        _ = try cluster.rows("alter table pool_away rename to pool")
        _ = try cluster.rows(
            "update schema_version set version = 99 where version = \(Migrator.newest)")
        #expect(try ask(2).contains("of a newer caravan"))
        try cluster.cluster.stop()
        #expect(try ask(2).contains("is PostgreSQL up"))
    }

    /// Of a whole configuration: files, rights, certificates, and a database that went back.
    @Test func theDoctorLooksAtFilesToo() throws {
        let cluster = try TestCluster()
        let authority = try TestAuthority()
        let files = try authority.issue("server", names: "DNS:localhost", until: 10)
        chmod(files.privateKey, 0o644)
        let password = cluster.folder.path + "/password"
        try "secret-word\n".write(toFile: password, atomically: true, encoding: .utf8)
        chmod(password, 0o604)
        let daemon = try DaemonProcess(cluster: cluster)
        try push(daemon, 1...3)
        #expect(daemon.stop() == 0)
        let file = cluster.folder.path + "/caravan.yaml"
        try """
        database:
          url: "\(cluster.conninfo)"
          password-file: \(password)
        run.folder: \(daemon.folder)
        tls:
          certificate: \(files.certificateChain)
          key: \(files.privateKey)
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let said = try Shell.run(
            [DaemonProcess.program("caravan"), "doctor", "--config", file], status: 2)
        #expect(said.contains("BAD  key            everybody on this machine may read"))
        #expect(said.contains("BAD  password       everybody"))
        #expect(said.contains("ends in 9 days"))
        #expect(said.contains("note daemon         none runs in"))
        #expect(!said.contains("secret-word"))
        // The database goes back behind what this machine saw of it.
        _ = try cluster.rows("update head set batch = batch - 1")
        let again = try Shell.run(
            [DaemonProcess.program("caravan"), "doctor", "--config", file], status: 2)
        #expect(again.contains("the database went back"))
        let checked = try Shell.run(
            [DaemonProcess.program("caravand"), "--check-config", "--config", file], status: 1)
        #expect(checked.contains("would run:") && !checked.contains("secret-word"))
    }

    // MARK: Files

    /// tail -F reads each number once, over segments, a crash of the daemon and another after it.
    @Test func tailFollowsTheFilesOverCrashes() throws {
        let cluster = try TestCluster()
        let folder = cluster.folder.path + "/out"
        let settings = [
            "output.files=\(folder)", "eta.interval-seconds=0", "eta.change-minutes=0",
            "eta.change-share=0",
        ]
        let daemon = try DaemonProcess(cluster: cluster, settings: settings)
        let traffic = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "3", "--days", "1",
            "--per-day", "40",
        ])
        let lines = traffic.split(separator: "\n").map(String.init)
        var at = 0
        for round in 0..<4 {
            let socket = try LineSocket(daemon.feed)
            let end = lines.count * (round + 1) / 4
            while at < end {
                try socket.send(lines[at] + "\n")
                at += 1
            }
            socket.halfClose()
            while try socket.readLine(seconds: 60) != nil {}
            daemon.kill9()
            // What a crash of the machine may leave besides.
            if round == 1,
                let current = try? FileHandle(
                    forWritingTo: URL(fileURLWithPath: folder + "/current"))
            {
                try current.seekToEnd()
                try current.write(contentsOf: Data("{\"seq\":99999".utf8))
            }
            try daemon.start()
        }
        let output = try daemon.output()
        #expect(output.count > 50)
        var written: [String] = []
        let isWhole = try waitFor {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasPrefix("output-") }
            written = try names.flatMap {
                try String(contentsOfFile: folder + "/" + $0, encoding: .utf8).split(
                    separator: "\n"
                )
                .map(String.init)
            }
            return written.count >= output.count
        }
        #expect(isWhole)
        #expect(written == output)
    }

    /// Whoever deletes the folder loses what was in it, and nothing that comes after.
    @Test func aFolderThatGoesIsMadeAgainAndGoesOn() throws {
        let cluster = try TestCluster()
        let folder = cluster.folder.path + "/out"
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: [
                "output.files=\(folder)", "eta.interval-seconds=0", "eta.change-minutes=0",
                "eta.change-share=0",
            ])
        let lines = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "5", "--days", "1",
            "--per-day", "30",
        ]).split(separator: "\n").map(String.init)
        func push(_ part: ArraySlice<String>) throws -> Int {
            let socket = try LineSocket(daemon.feed)
            for line in part { try socket.send(line + "\n") }
            socket.halfClose()
            while try socket.readLine(seconds: 60) != nil {}
            return try daemon.output().count
        }
        let first = try push(lines[..<(lines.count / 2)])
        #expect(
            try waitFor {
                let text = (try? String(contentsOfFile: folder + "/current", encoding: .utf8)) ?? ""
                return text.split(separator: "\n").count == first
            })
        try FileManager.default.removeItem(atPath: folder)
        let all = try push(lines[(lines.count / 2)...])
        #expect(all > first)
        #expect(
            try waitFor {
                let text = (try? String(contentsOfFile: folder + "/current", encoding: .utf8)) ?? ""
                return text.split(separator: "\n").count == all - first
            })
    }

    @Test func stdoutCarriesTheOutputInWords() throws {
        let cluster = try TestCluster()
        let out = cluster.folder.path + "/stdout"
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["output.stdout=text"],
            launcher: ["sh", "-c", "exec \"$0\" \"$@\" >\(out)"])
        try push(daemon, 1...3)
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "push", "--server", daemon.feed, "--quiet"],
            input:
                #"{"plan":"S1","containers":["CSQU3054383"],"milestones":[{"event":"GTIN","place":"KZHOR","planned":"2026-01-01T10:00:00Z"},{"event":"ARRI","place":"PLMAL","planned":"2026-01-09T10:00:00Z"}]}"#
                + "\n")
        #expect(
            try waitFor {
                let text = (try? String(contentsOfFile: out, encoding: .utf8)) ?? ""
                return text.contains("ETA CSQU3054383 ") && text.contains("shipment S1")
            })
        #expect(daemon.stop() == 0)
    }

    /// A reader of stdout that stands still holds up nobody else, and no stop.
    @Test func aReaderThatStandsStillHoldsUpNobody() throws {
        let cluster = try TestCluster()
        let pipe = cluster.folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        // Open, and never read.
        let reader = open(pipe, O_RDWR | O_CLOEXEC)
        defer { close(reader) }
        let daemon = try DaemonProcess(
            cluster: cluster,
            settings: [
                "output.stdout=json", "eta.interval-seconds=0", "eta.change-minutes=0",
                "eta.change-share=0", "alerts.backlog-minutes=100000",
            ],
            launcher: ["sh", "-c", "exec \"$0\" \"$@\" >\(pipe)"])
        let lines = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "8", "--days", "4",
            "--per-day", "200",
        ])
        // More than a pipe holds.
        let file = cluster.folder.path + "/lines"
        try lines.write(toFile: file, atomically: true, encoding: .utf8)
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "push", "--server", daemon.feed, "--quiet", file],
            status: nil)
        #expect(try daemon.output().reduce(0) { $0 + $1.utf8.count } > 1 << 17)
        try push(daemon, 1...3)
        #expect(
            try cluster.rows("select count(*) from event where container = 'CSQU3054383'") == ["3"])
        let began = LineSocket.now()
        #expect(daemon.stop() == 0)
        #expect(LineSocket.now() - began < 10)
    }

    // MARK: Manual

    /// The man pages say everything that the programs and the settings do, in a form that man takes.
    @Test func manPagesAreMadeOfThePrograms() throws {
        let folder = ScratchFolder()
        _ = try Shell.run([DaemonProcess.program("caravan"), "manual", folder.path])
        func page(_ name: String) throws -> String {
            try String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)
        }
        let tool = try page("caravan.1")
        for name in ["push", "tail", "show", "doctor", "post enrol", "network route", "migrate"] {
            #expect(tool.contains(".SS \"caravan \(name)"), "\(name)")
        }
        #expect(!tool.contains("caravan manual"))
        let settings = try page("caravan.yaml.5")
        for key in ["feed.window", "output.files", "database.password\\-file"] {
            #expect(settings.contains("\\fB\(key)"), "\(key)")
        }
        #expect(try page("caravand.8").contains(".SH SIGNALS"))
    }
}
