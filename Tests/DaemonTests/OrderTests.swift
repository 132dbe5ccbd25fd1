import Foundation
import Store
import TestKit
import Testing
import Wire

/// What operators say by lines of the feed and by the programs that write them.
@Suite struct OrderTests {
    /// A number that was misread is what somebody says it is, and nobody else.
    @Test func aMisreadNumberIsWhatSomebodySaysItIs() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let misread =
            "{\"id\":\"1\",\"container\":\"CSQU3054338\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
            + "\"time\":\"2026-01-01T10:01:00Z\"}\n"
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "push", "--server", daemon.feed, "--quiet"],
            input: misread, status: 1)
        let line = try cluster.rows("select batch || '/' || item from quarantine")[0]
        let replay = [
            DaemonProcess.program("caravan"), "quarantine", "replay", line, "--database",
            cluster.conninfo, "--as",
        ]
        // What is no number either is wrong usage.
        _ = try Shell.run(replay + ["CSQU3054384"], status: 2)
        let said = try Shell.run(replay + ["csqu 305438-3"])
        #expect(said.contains("1 lines replayed, 0 refused again"), "\(said)")
        #expect(try cluster.rows("select distinct container from event") == ["CSQU3054383"])
        #expect(try cluster.rows("select settled from quarantine") == ["replayed"])
    }

    /// Somebody sees to an alert, and whoever may not is told so.
    @Test func operatorsSeeToAlerts() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let folder = ScratchFolder()
        func caravan(_ words: String..., status: Int32? = 0) throws -> String {
            try Shell.run([DaemonProcess.program("caravan")] + words, status: status)
        }
        func sealed(_ id: Int, _ seal: String, _ minute: Int) -> String {
            "{\"id\":\"s\(id)\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
                + "\"time\":\"2026-11-25T10:\(10 + minute):00Z\",\"seals\":[\"\(seal)\"]}\n"
        }
        _ = try Shell.run(
            [DaemonProcess.program("caravan"), "push", "--server", daemon.feed, "--quiet"],
            input: sealed(1, "A1", 0) + sealed(2, "B2", 9))
        let open = try #require(FlatObject(try caravan("alerts", "--server", daemon.tail)))
        #expect(open.text("type") == "seal" && open.text("state") == "raised")
        let id = try #require(open.text("alert"))
        for (name, flag) in [("GATE", "--no-operate"), ("TOWER", "--operate")] {
            let token = try caravan(
                "post", "enrol", name, "--place", "KZHOR", flag, "--database", cluster.conninfo
            ).split(separator: "\n").last { $0.count > 20 && !$0.contains(" ") }
            let file = folder.path + "/\(name)"
            try String(try #require(token)).write(toFile: file, atomically: true, encoding: .utf8)
        }
        func acknowledge(_ post: String) throws -> String {
            var said = ""
            // The daemon notices an enrolment within five seconds.
            for _ in 0..<40 {
                said = try caravan(
                    "alerts", "acknowledge", id, "--note", "called the gate", "--server",
                    daemon.tail,
                    "--feed", daemon.feed, "--post", post, "--token-file",
                    folder.path + "/\(post)", status: nil)
                if !said.contains("not enrolled"), !said.contains("token") { break }
                usleep(250_000)
            }
            return said
        }
        #expect(try acknowledge("GATE").contains("may not acknowledge"))
        #expect(try acknowledge("TOWER").contains("acknowledged"))
        let seen = try #require(
            FlatObject(
                try caravan("alerts", "history", id, "--server", daemon.tail)
                    .split(separator: "\n").last.map(String.init) ?? ""))
        #expect(seen.text("state") == "acknowledged" && seen.text("by") == "TOWER")
        #expect(seen.text("note") == "called the gate" && seen.integer("rev") == 2)
        let shown = try #require(
            FlatObject(try caravan("show", "CSQU3054383", "--database", cluster.conninfo)))
        let alert = try #require(shown.objects("journeys").first?.objects("alerts").first)
        #expect(alert.text("alert") == id && alert.integer("rev") == 2)
        #expect(alert.bool("acknowledged") == true && alert.has("since"))
        // It is the same after a crash, and said once.
        daemon.kill9()
        try daemon.start()
        #expect(try acknowledge("TOWER").contains("acknowledged"))
        #expect(
            try cluster.rows("select count(*) from output where kind = 'alert'") == ["2"])
    }
}
