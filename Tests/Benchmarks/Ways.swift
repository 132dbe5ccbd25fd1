import Client
import Foundation
import TLS
import TestKit

/// The same events by different ways in: one connection or many, bare or in sessions, plain or
/// encrypted, each with a daemon and a database of its own.
struct Way {
    var name: String
    var connections = 1
    var isEncrypted = false
    var isSession = false

    static let all = [
        Way(name: "1 connection, bare"), Way(name: "16 connections, bare", connections: 16),
        Way(name: "256 connections, bare", connections: 256),
        Way(name: "1 session", isSession: true),
        Way(name: "16 sessions", connections: 16, isSession: true),
        Way(name: "1 connection over TLS", isEncrypted: true),
        Way(name: "16 connections over TLS", connections: 16, isEncrypted: true),
    ]

    /// Events per second, and the daemon's CPU per event.
    func measure(
        _ load: Load, settings: [String]
    ) throws -> (rate: Double, daemonMicroseconds: Double) {
        let authority = try TestAuthority()
        let shown = try authority.issue("server", names: "DNS:localhost")
        let port = try LocalPort.free()
        let rig = try Rig(
            settings: [
                "tls.certificate=\(shown.certificateChain)", "tls.key=\(shown.privateKey)",
                "feed.anonymous=everywhere", "feed.max-per-post=1000",
            ] + settings, alsoFeed: "tls:127.0.0.1:\(port)")
        let plain = try LineSocket(rig.feed)
        _ = try Throughput.flood(
            load, plain, bytes: 0..<load.planBytes, lines: load.plans)
        try rig.waitForCheckpoint()
        let context = try TLSContext(client: nil, authorities: authority.authorities)
        let address = isEncrypted ? "tls:localhost:\(port)" : rig.feed
        var shards = try (0..<connections).map { number in
            try Shard(number, of: connections, load, address, context, isSession: isSession)
        }
        let cpu = ProcessMeter.cpuSeconds(rig.daemon.pid)
        let started = LineSocket.now()
        while shards.contains(where: { !$0.isDone }) {
            var moved = false
            for index in shards.indices where !shards[index].isDone {
                if try shards[index].move() { moved = true }
            }
            if !moved { LineSocket.wait(shards.map(\.socket), milliseconds: 1) }
        }
        let seconds = LineSocket.now() - started
        let used = ProcessMeter.cpuSeconds(rig.daemon.pid) - cpu
        rig.daemon.kill9()
        let events = Double(load.events)
        return (events / seconds, used / events * 1e6)
    }
}

/// One connection's part of the events.
private struct Shard {
    let socket: LineSocket
    private let bytes: [UInt8]
    private let lines: Int
    private var sent = 0
    private var acked = 0

    init(
        _ number: Int, of count: Int, _ load: Load, _ address: String, _ context: TLSContext,
        isSession: Bool
    ) throws {
        socket = try LineSocket(address, tls: context)
        var bytes: [UInt8] = []
        var lines = 0
        if isSession {
            bytes += Array(
                "{\"hello\":\"caravan/1\",\"post\":\"BENCH\",\"stream\":\"s\(number)\"}\n".utf8)
            lines = 1
        }
        let first = load.plans + load.events * number / count
        let end = load.plans + load.events * (number + 1) / count
        for index in first..<end {
            lines += 1
            if isSession {
                bytes += load.line(index).dropLast(2)
                bytes += Array(",\"seq\":\(lines - 1)}\n".utf8)
            } else {
                bytes += load.line(index)
            }
        }
        self.bytes = bytes
        self.lines = lines
    }

    var isDone: Bool { acked >= lines }

    /// Sends and reads what can be; false where nothing could.
    mutating func move() throws -> Bool {
        var moved = false
        if sent < bytes.count {
            do {
                let count = try socket.sendSome(bytes, from: sent, wait: false)
                sent += count
                moved = count > 0
            } catch {
                // What the daemon said before it hung up.
                while (try? socket.fill()) == true {}
                throw Shell.Failed("\(error): \(socket.bufferedLine() ?? "without a word")")
            }
        }
        guard socket.wait(write: false, milliseconds: 0).canRead else { return moved }
        guard try socket.fill() else { throw Shell.Failed("the daemon hung up") }
        while let line = socket.bufferedLine() {
            if let ack = Reply.ack(line) { acked = ack }
            if line.hasPrefix("{\"error\"") { throw Shell.Failed(line) }
        }
        return true
    }
}
