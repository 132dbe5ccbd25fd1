import Client
import Foundation
import Store
import TestKit
import Testing

/// What systemd would hear.
private final class NotifySocket {
    let path: String
    private let descriptor: Int32
    /// All that was said, in order.
    private(set) var heard: [String] = []

    init(_ folder: ScratchFolder) throws {
        path = folder.path + "/notify"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { space in
            for (at, byte) in path.utf8.enumerated() { space[at] = byte }
        }
        let done = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard done == 0 else { throw Shell.Failed("no socket at \(path)") }
    }

    deinit { close(descriptor) }

    /// Waits for a message; false: it did not come in time.
    func waitFor(_ wanted: String, seconds: Double = 30) -> Bool {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 100) > 0 else { continue }
            var space = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &space, space.count, 0)
            guard count > 0 else { continue }
            heard.append(String(decoding: space[..<count], as: UTF8.self))
            if heard[heard.count - 1].hasPrefix(wanted) { return true }
        }
        return false
    }
}

@Suite struct ServiceTests {
    @Test func systemdHearsHowItIsDoing() throws {
        let cluster = try TestCluster()
        let folder = ScratchFolder()
        let notify = try NotifySocket(folder)
        let daemon = try DaemonProcess(
            cluster: cluster, waiting: false,
            launcher: [
                "env", "NOTIFY_SOCKET=\(notify.path)", "WATCHDOG_USEC=4000000",
            ])
        #expect(notify.waitFor("READY=1"))
        #expect(notify.waitFor("STATUS=taking lines"))
        #expect(notify.waitFor("WATCHDOG=1"))
        // A database that is away is a state, and waiting for it a sign of life.
        try cluster.cluster.stop()
        #expect(notify.waitFor("STATUS=the database is out of reach"))
        for _ in 0..<3 { #expect(notify.waitFor("WATCHDOG=1", seconds: 3)) }
        try cluster.cluster.startServer()
        #expect(notify.waitFor("STATUS=taking lines"))
        kill(daemon.pid, SIGHUP)
        #expect(notify.waitFor("RELOADING=1\nMONOTONIC_USEC="))
        #expect(notify.waitFor("READY=1"))
        // One that stands still says nothing.
        try daemon.pause()
        while notify.waitFor("WATCHDOG=1", seconds: 0.3) {}
        #expect(!notify.waitFor("WATCHDOG=1", seconds: 2))
        daemon.resume()
        #expect(notify.waitFor("WATCHDOG=1"))
        kill(daemon.pid, SIGTERM)
        #expect(notify.waitFor("STOPPING=1"))
        #expect(daemon.waitForEnd() == 0)
        #expect(notify.heard.count { $0 == "READY=1" } == 2)
    }

    /// A database that is down at the start is none of the daemon's failures.
    @Test func itIsReadyBeforeTheDatabaseIs() throws {
        let cluster = try TestCluster()
        try cluster.cluster.stop()
        let folder = ScratchFolder()
        let notify = try NotifySocket(folder)
        let daemon = try DaemonProcess(
            cluster: cluster, waiting: false,
            launcher: ["env", "NOTIFY_SOCKET=\(notify.path)"])
        #expect(notify.waitFor("READY=1"))
        #expect(notify.waitFor("STATUS=the database is out of reach"))
        try cluster.cluster.startServer()
        #expect(notify.waitFor("STATUS=taking lines"))
        #expect(daemon.stop() == 0)
        // No sign of life is asked for where there is no watchdog.
        #expect(!notify.heard.contains("WATCHDOG=1"))
    }

    /// Who connects before the daemon runs is answered once it does. Had it bound the addresses itself, it
    /// would have found them taken.
    @Test func socketsThatAreHandedOverAreTaken() throws {
        let cluster = try TestCluster()
        let folder = cluster.folder.path + "/run"
        let port = try LocalPort.free()
        let daemon = try DaemonProcess(
            cluster: cluster, settings: ["feed.listen=unix:feed.sock,127.0.0.1:\(port)"],
            waiting: false,
            launcher: [
                "systemd-socket-activate", "-l", folder + "/feed.sock", "-l", folder + "/tail.sock",
                "-l", "127.0.0.1:\(port)",
            ])
        let deadline = LineSocket.now() + 30
        var feed: LineSocket?
        while feed == nil, LineSocket.now() < deadline {
            feed = try? LineSocket(folder + "/feed.sock")
            if feed == nil { usleep(20_000) }
        }
        let first = try #require(feed)
        try first.send(
            #"{"id":"1","container":"MSKU0308961","event":"GTIN","place":"CNXIA","#
                + #""time":"2026-11-01T00:00:00Z"}"# + "\n")
        #expect(try first.readLine(seconds: 30)?.contains("\"ack\":1") == true)
        let second = try LineSocket("127.0.0.1:\(port)")
        try second.send("{\"ping\":1}\n")
        #expect(try second.readLine(seconds: 30) != nil)
        try daemon.waitUntilReady()
        #expect(daemon.stop() == 0)
    }

    /// What no trying mends ends the daemon with its reason; what an operator can give is waited for.
    @Test func aDatabaseOfALaterVersionEndsIt() throws {
        let cluster = try TestCluster()
        _ = try cluster.rows("insert into schema_version (version, name) values (999, 'later')")
        let said = try ended(cluster)
        #expect(said.contains("install a newer caravand"), "\(said)")
        _ = try cluster.rows("delete from schema_version where version = 999")
        let daemon = try DaemonProcess(cluster: cluster)
        #expect(daemon.stop() == 0)
    }

    @Test func itWaitsForItsSchema() throws {
        let cluster = try TestCluster()
        _ = try cluster.rows("create database bare encoding 'UTF8' template template0")
        let conninfo = cluster.cluster.conninfo(database: "bare")
        let folder = ScratchFolder()
        let notify = try NotifySocket(folder)
        let daemon = try DaemonProcess(
            cluster: cluster, waiting: false, conninfo: conninfo,
            launcher: ["env", "NOTIFY_SOCKET=\(notify.path)"])
        #expect(notify.waitFor("STATUS=the database is out of reach"))
        _ = try Migrator.migrate(conninfo)
        #expect(notify.waitFor("STATUS=taking lines"))
        #expect(daemon.stop() == 0)
    }

    /// Runs a daemon that ends by itself with status 1; what it said.
    private func ended(_ cluster: TestCluster) throws -> String {
        let folder = ScratchFolder()
        let text = try Shell.run([
            "sh", "-c",
            "timeout 30 \(DaemonProcess.program("caravand")) --set database.url='\(cluster.conninfo)' "
                + "--set run.folder=\(folder.path)/run --set feed.listen=unix:feed.sock "
                + "--set tail.listen=unix:tail.sock 2>&1; echo status $?",
        ])
        #expect(text.contains("status 1"), "\(text)")
        return text
    }
}

/// The units that are shipped, as systemd itself reads them.
@Suite struct UnitTests {
    @Test func theUnitsAreGood() throws {
        let folder = ScratchFolder()
        let units = packageFolder + "/Deploy/systemd"
        for name in ["caravand.service", "caravan.socket"] {
            // What is installed later is here beside the tests.
            let text = try String(contentsOfFile: units + "/" + name, encoding: .utf8)
                .replacingOccurrences(
                    of: "/usr/bin/caravand", with: DaemonProcess.program("caravand"))
            try text.write(toFile: folder.path + "/" + name, atomically: true, encoding: .utf8)
        }
        let service = folder.path + "/caravand.service"
        let said = try Shell.run([
            "sh", "-c",
            "SYSTEMD_UNIT_PATH=\(folder.path): systemd-analyze verify --man=no \(service) 2>&1",
        ])
        let own = said.split(separator: "\n").filter { $0.contains("caravan") }
        #expect(own.isEmpty, "\(said)")
        let exposure = try Shell.run([
            "sh", "-c",
            "systemd-analyze security --offline=true --threshold=15 \(service) 2>&1 | tail -1; "
                + "systemd-analyze security --offline=true --threshold=15 \(service) >&2 "
                + "&& echo passed",
        ])
        #expect(exposure.contains("passed"), "\(exposure)")
    }

    /// The daemon listens where the shipped socket unit does, with the shipped configuration.
    @Test func theSocketsAreThoseOfTheConfiguration() throws {
        func lines(_ path: String) throws -> [Substring] {
            try String(contentsOfFile: packageFolder + "/Deploy/" + path, encoding: .utf8)
                .split(separator: "\n")
        }
        let sockets = try lines("systemd/caravan.socket").filter { $0.hasPrefix("ListenStream=") }
            .map { $0.dropFirst(13) }
        let listens = try lines("caravan.example.yaml").filter { $0.hasPrefix("  listen: [") }
            .flatMap { $0.split(separator: "\"").filter { $0.contains(":") && !$0.contains("[") } }
            .map { $0.hasPrefix("unix:") ? "/run/caravan/" + $0.dropFirst(5) : $0 }
        #expect(sockets.sorted() == listens.sorted())
        #expect(sockets.count == 4)
    }
}
