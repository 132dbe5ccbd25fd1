import Client
import Foundation
import Store
import TestKit

/// One flood through the daemon, and the same rows once more without it.
struct Throughput {
    var eventsPerSecond = 0.0
    var ceilingPerSecond = 0.0
    var daemonMicroseconds = 0.0
    var postgresMicroseconds = 0.0
    var ceilingMicroseconds = 0.0
    var clientMicroseconds = 0.0
    var containerBytes = 0.0
    var plansPerSecond = 0.0
    var outputs = 0
    var batches = 0
    var rejects = 0

    var ratio: Double { eventsPerSecond / ceilingPerSecond }

    var summary: String {
        "\(Int(eventsPerSecond)) durable events/s, ceiling \(Int(ceilingPerSecond)), "
            + "ratio \(String(format: "%.2f", ratio))"
    }

    /// The run whose rate is the middle one.
    static func middle(_ results: [Throughput]) -> Throughput {
        results.sorted { $0.eventsPerSecond < $1.eventsPerSecond }[results.count / 2]
    }

    func report() {
        let number = { (value: Double) in String(format: "%.1f", value) }
        print(
            """
            durable events/s end to end          \(Int(eventsPerSecond))
            plain libpq loop, same transactions  \(Int(ceilingPerSecond))
            ratio                                \(String(format: "%.2f", ratio))
            CPU µs per event, daemon             \(number(daemonMicroseconds))
            CPU µs per event, PostgreSQL         \(number(postgresMicroseconds))
            the same under the plain loop        \(number(ceilingMicroseconds))
            CPU µs per event, the sender         \(number(clientMicroseconds))
            plans/s, sent before the events      \(Int(plansPerSecond))
            resident bytes per live container    \(Int(containerBytes))
            output lines                         \(outputs)
            batches                              \(batches)
            rejects                              \(rejects)
            """)
    }

    static func measure(
        _ load: Load, settings: [String], profile: Bool
    ) throws -> Throughput {
        let rig = try Rig(settings: settings)
        var result = Throughput()
        let feed = try LineSocket(rig.feed)
        let memory = ProcessMeter.residentBytes(rig.daemon.pid)
        let planStart = LineSocket.now()
        _ = try flood(load, feed, bytes: 0..<load.planBytes, lines: load.plans)
        result.plansPerSecond = Double(load.plans) / (LineSocket.now() - planStart)
        try rig.waitForCheckpoint()
        let quiet = try WrittenLog.lastBatch(rig.cluster.conninfo)
        let daemon = ProcessMeter.cpuSeconds(rig.daemon.pid)
        let postgres = ProcessMeter.cpuSeconds(of: rig.cluster.cluster)
        let own = ProcessMeter.cpuSeconds(getpid())
        let profiler = profile ? try Profiler(rig) : nil
        let started = LineSocket.now()
        result.rejects = try flood(
            load, feed, bytes: load.planBytes..<load.bytes.count, lines: load.lines)
        let seconds = LineSocket.now() - started
        try profiler?.report()
        let events = Double(load.events)
        result.eventsPerSecond = events / seconds
        result.clientMicroseconds = (ProcessMeter.cpuSeconds(getpid()) - own) / events * 1e6
        result.containerBytes =
            Double(ProcessMeter.residentBytes(rig.daemon.pid) - memory) / Double(load.containers)
        // The snapshots that are written behind belong to the events too.
        try rig.waitForCheckpoint()
        result.daemonMicroseconds =
            (ProcessMeter.cpuSeconds(rig.daemon.pid) - daemon) / events * 1e6
        result.postgresMicroseconds =
            (ProcessMeter.cpuSeconds(of: rig.cluster.cluster) - postgres) / events * 1e6
        let log = try WrittenLog(rig.cluster.conninfo, after: quiet)
        result.outputs = log.outputs
        result.batches = log.batches.count
        rig.daemon.kill9()
        try rig.cluster.cluster.stop()
        let fresh = try TestCluster()
        let before = ProcessMeter.cpuSeconds(of: fresh.cluster)
        let ceiling = try log.replay(into: fresh.conninfo)
        // A backend counts once it has ended and was waited for.
        usleep(500_000)
        result.ceilingPerSecond = events / ceiling
        result.ceilingMicroseconds =
            (ProcessMeter.cpuSeconds(of: fresh.cluster) - before) / events * 1e6
        return result
    }

    /// Sends everything as fast as it is taken and waits for the last ack. Returns the rejects.
    static func flood(
        _ load: Load, _ socket: LineSocket, bytes: Range<Int>, lines: Int
    ) throws -> Int {
        var sent = bytes.lowerBound
        var acked = 0
        var rejects = 0
        let deadline = LineSocket.now() + 600
        while acked < lines {
            let ready = socket.wait(write: sent < bytes.upperBound, milliseconds: 1_000)
            if ready.canWrite {
                sent += try socket.sendSome(
                    load.bytes, from: sent, upTo: bytes.upperBound, wait: false)
            }
            if ready.canRead {
                guard try socket.fill() else { throw Shell.Failed("the daemon hung up") }
                while let reply = socket.bufferedLine() {
                    if let ack = Reply.ack(reply) { acked = ack } else { rejects += 1 }
                }
            }
            guard LineSocket.now() < deadline else { throw Shell.Failed("no ack for 600 s") }
        }
        return rejects
    }
}

enum Reply {
    /// The number in `{"ack":N}`.
    static func ack(_ line: String) -> Int? {
        guard line.hasPrefix("{\"ack\":") else { return nil }
        return Int(line.dropFirst(7).dropLast())
    }
}
