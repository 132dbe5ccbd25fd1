import Client
import Foundation
import Synchronization
import TestKit
import Testing
import Tracking

/// Sends lines at a pace over whichever feed answers, and keeps what was acknowledged and when.
private final class PacedSender: Sendable {
    private struct State {
        var acknowledged: Set<Int> = []
        var lastAck = LineSocket.now()
        var longestPause = 0.0
        var isStopped = false
    }

    private let state = Mutex(State())
    private let servers: [String]
    private let linesPerSecond: Double

    init(_ servers: [String], linesPerSecond: Double) {
        self.servers = servers
        self.linesPerSecond = linesPerSecond
    }

    var acknowledged: Set<Int> { state.withLock { $0.acknowledged } }

    /// The longest time without an ack since the last call.
    func takePause() -> Double {
        state.withLock { state in
            defer { state.longestPause = 0 }
            return max(state.longestPause, LineSocket.now() - state.lastAck)
        }
    }

    func stop() { state.withLock { $0.isStopped = true } }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private static func line(_ number: Int) -> String {
        let box = ContainerNumber(owner: "CSQU", serial: number / 100)?.description ?? ""
        return
            "{\"id\":\"\(number)\",\"container\":\"\(box)\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
            + "\"time\":\"2026-06-01T00:00:00Z\"}\n"
    }

    /// Runs until it is stopped: over each connection it sends again what is not acknowledged.
    func run() {
        var open: [Int] = []
        var next = 1
        var server = 0
        let began = LineSocket.now()
        while !isStopped {
            if let socket = try? LineSocket(servers[server % servers.count]) {
                try? converse(socket, &open, &next, since: began)
            } else {
                usleep(50_000)
            }
            server += 1
        }
    }

    private func converse(
        _ socket: LineSocket, _ open: inout [Int], _ next: inout Int, since began: Double
    ) throws {
        // Lines of this connection that were acknowledged; what is open was sent behind them, in order.
        var base = 0
        for number in open { try socket.send(PacedSender.line(number)) }
        while !isStopped {
            let due = Int((LineSocket.now() - began) * linesPerSecond)
            while next <= due, open.count < 4_000 {
                open.append(next)
                try socket.send(PacedSender.line(next))
                next += 1
            }
            guard socket.wait(write: false, milliseconds: 5).canRead else { continue }
            guard try socket.fill() else { return }
            while let reply = socket.bufferedLine() {
                guard reply.hasPrefix("{\"ack\":"), let count = Int(reply.dropFirst(7).dropLast())
                else { continue }
                let done = open.prefix(count - base)
                state.withLock { state in
                    let now = LineSocket.now()
                    state.longestPause = max(state.longestPause, now - state.lastAck)
                    state.lastAck = now
                    state.acknowledged.formUnion(done)
                }
                open.removeFirst(done.count)
                base = count
            }
        }
    }
}

/// Three nodes and two daemons, as Deploy/patroni has them, and what may happen to them.
@Suite struct PatroniTests {
    @Test func nothingThatWasAcknowledgedIsLost() throws {
        let rounds = ProcessInfo.processInfo.environment["CARAVAN_TEST_SOAK"] == nil ? 1 : 4
        let patroni = try PatroniCluster()
        let cluster = try TestCluster(migrated: false)
        let daemons = try ["one", "two"].map {
            try DaemonProcess(cluster: cluster, name: $0, conninfo: patroni.conninfo)
        }
        let sender = PacedSender(daemons.map(\.feed), linesPerSecond: 500)
        let thread = Thread { sender.run() }
        thread.start()
        try patroni.waitUntil("acks", seconds: 60) { sender.acknowledged.count > 500 }
        func settle() throws {
            try patroni.waitUntil("three nodes again", seconds: 120) {
                try patroni.leader() != nil && patroni.replicas() == 2
            }
            let before = sender.acknowledged.count
            try patroni.waitUntil("acks again", seconds: 60) {
                sender.acknowledged.count > before + 1_000
            }
            _ = sender.takePause()
        }
        func pause(_ what: String, atMost limit: Double, _ fault: () throws -> Void) throws {
            try settle()
            try fault()
            let before = sender.acknowledged.count
            try patroni.waitUntil("acks after \(what)", seconds: 90) {
                sender.acknowledged.count > before + 2_000
            }
            let seconds = sender.takePause()
            print("pause of acks, \(what): \(seconds) s")
            #expect(seconds <= limit, "\(what)")
        }
        for _ in 0..<rounds {
            let standby = patroni.nodes.map(\.name).first { $0 != (try? patroni.leader()) } ?? "a"
            try pause("switchover", atMost: 6) { try patroni.switchover(to: standby) }
            try pause("standby killed", atMost: 1.5) {
                let other = patroni.nodes.map(\.name).first { $0 != (try? patroni.leader()) } ?? "a"
                patroni.killMachine(other)
                usleep(3_000_000)
                try patroni.startPatroni(other)
            }
            var killed = ""
            try pause("primary's machine killed", atMost: 25) {
                killed = try patroni.leader() ?? ""
                patroni.killMachine(killed)
                try patroni.waitUntil("another primary", seconds: 60) {
                    let leader = try patroni.leader()
                    return leader != nil && leader != killed
                }
                try patroni.startPatroni(killed)
            }
            try pause("only PostgreSQL killed", atMost: 25) {
                patroni.killPostgres(try patroni.leader() ?? "")
            }
            try pause("etcd away for 40 s", atMost: 1.5) {
                patroni.stopEtcd()
                usleep(40_000_000)
                try patroni.startEtcd()
            }
        }
        try settle()
        sender.stop()
        try isComplete(sender.acknowledged, patroni)
    }

    /// What was acknowledged is there once, and the output has every number once.
    private func isComplete(_ acknowledged: Set<Int>, _ patroni: PatroniCluster) throws {
        let kept = try Shell.run(["psql", patroni.conninfo, "-Atc", "select id from event"])
            .split(separator: "\n").compactMap { Int($0) }
        print("acknowledged \(acknowledged.count), kept \(kept.count)")
        #expect(acknowledged.subtracting(kept).isEmpty)
        #expect(Set(kept).count == kept.count)
        let gaps = try Shell.run([
            "psql", patroni.conninfo, "-Atc",
            "select count(*), max(seq), (select seq from head) from output",
        ]).trimmingCharacters(in: .whitespacesAndNewlines).split(separator: "|")
        #expect(Set(gaps).count <= 1, "\(gaps)")
    }
}
