import Client
import Foundation
import Store
import Synchronization
import TestKit

/// What many subscribers get, and what they cost those who send.
enum Subscribers {
    /// A daemon that knows the plans. What there is to say is said at once, so that there is much.
    private static func planned(
        _ load: Load, _ settings: [String]
    ) throws -> (rig: Rig, feed: LineSocket) {
        let rig = try Rig(settings: ["alerts.settle-minutes=0"] + settings)
        let feed = try LineSocket(rig.feed)
        _ = try Throughput.flood(load, feed, bytes: 0..<load.planBytes, lines: load.plans)
        try rig.waitForCheckpoint()
        return (rig, feed)
    }

    /// Everything that is recalculated, to a hundred at once: while it is written, and once more from
    /// the first line on.
    static func fanOut(_ load: Load, count: Int, settings: [String]) throws {
        let (rig, feed) = try planned(
            load, ["eta.every=true", "eta.interval-seconds=0"] + settings)
        let first = try lines(rig)
        let audience = try Audience(rig.tail, count: count) { _ in "\"after\":\(first)" }
        let cpu = ProcessMeter.cpuSeconds(rig.daemon.pid)
        let started = LineSocket.now()
        _ = try Throughput.flood(
            load, feed, bytes: load.planBytes..<load.bytes.count, lines: load.lines)
        let acked = LineSocket.now() - started
        let told = try lines(rig) - first
        let bytes = try rig.cluster.rows(
            "select coalesce(sum(octet_length(body) + 1), 0) from output where seq > \(first)")
        let wanted = Int(bytes.first ?? "") ?? 0
        try audience.wait(bytes: wanted, seconds: 120)
        let seconds = LineSocket.now() - started
        let spent = ProcessMeter.cpuSeconds(rig.daemon.pid) - cpu
        audience.close()
        print(
            "\(count) subscribers, live: \(told) lines from \(load.events) events to each, "
                + "\(Int(Double(told * count) / seconds)) lines/s in all, the last "
                + String(
                    format: "%.2f s behind the last ack; daemon %.2f µs per line and subscriber",
                    seconds - acked, spent / Double(told * count) * 1e6))
        try again(rig, first: first, told: told, bytes: wanted, count: count)
        rig.daemon.kill9()
    }

    private static func again(
        _ rig: Rig, first: Int, told: Int, bytes: Int, count: Int
    ) throws {
        let cpu = ProcessMeter.cpuSeconds(rig.daemon.pid)
        let started = LineSocket.now()
        let audience = try Audience(rig.tail, count: count) { _ in "\"after\":\(first)" }
        try audience.wait(bytes: bytes, seconds: 120)
        let seconds = LineSocket.now() - started
        let spent = ProcessMeter.cpuSeconds(rig.daemon.pid) - cpu
        audience.close()
        print(
            "\(count) subscribers, from a number: \(Int(Double(told * count) / seconds)) lines/s"
                + String(
                    format: "; daemon %.2f µs per line and subscriber",
                    spent / Double(told * count) * 1e6))
    }

    /// A flood beside nobody, beside a thousand who each follow one shipment, and beside as many of
    /// whom a hundred want everything and read nothing.
    static func cost(_ load: Load, runs: Int, settings: [String]) throws {
        var rates: [[Double]] = [[], [], []]
        for _ in 0..<runs {
            for (index, setting) in [(0, 0), (1_000, 0), (900, 100)].enumerated() {
                rates[index].append(
                    try flood(load, reading: setting.0, stopped: setting.1, settings: settings))
            }
        }
        let middle = rates.map { $0.sorted()[runs / 2] }
        print(
            "beside nobody \(Int(middle[0])) events/s; 1,000 subscribers "
                + String(format: "%.3f of that", middle[1] / middle[0])
                + String(
                    format: ", a hundred of whom are stopped %.3f", middle[2] / middle[0]))
    }

    private static func flood(
        _ load: Load, reading: Int, stopped: Int, settings: [String]
    ) throws -> Double {
        let (rig, feed) = try planned(load, settings)
        let readers = try Audience(rig.tail, count: reading) { index in
            "\"after\":\"now\",\"shipments\":[\"S-\(index)\"]"
        }
        let sleepers = try Audience(rig.tail, count: stopped, isStopped: true) { _ in
            "\"after\":\"now\""
        }
        usleep(1_500_000)
        let started = LineSocket.now()
        _ = try Throughput.flood(
            load, feed, bytes: load.planBytes..<load.bytes.count, lines: load.lines)
        let rate = Double(load.events) / (LineSocket.now() - started)
        readers.close()
        sleepers.close()
        rig.daemon.kill9()
        return rate
    }

    private static func lines(_ rig: Rig) throws -> Int {
        Int(try rig.cluster.rows("select coalesce(max(seq), 0) from output").first ?? "") ?? 0
    }
}

/// Subscribers of one process: what they are sent is counted and not copied, so that the daemon is
/// what is measured.
final class Audience: Sendable {
    private let sockets: [Int32]
    private let counts: Mutex<[Int]>
    private let isClosed = Atomic(false)
    private let isReading: Bool

    /// `request`: what each asks for, as keys of its first line.
    init(
        _ address: String, count: Int, isStopped: Bool = false, request: (Int) -> String
    ) throws {
        guard let port = UInt16(address.drop { $0 != ":" }.dropFirst()) else {
            throw Shell.Failed("\(address) has no port")
        }
        var sockets: [Int32] = []
        for index in 0..<count {
            let made = try Audience.connect(port, isStopped: isStopped)
            sockets.append(made)
            let text = "{\"tail\":\"caravan/1\",\(request(index))}\n"
            guard send(made, text, text.utf8.count, 0) == text.utf8.count else {
                throw Shell.Failed("a subscriber could not ask")
            }
            if !isStopped { try Audience.skipWelcome(made) }
        }
        self.sockets = sockets
        counts = Mutex(Array(repeating: 0, count: count))
        isReading = !isStopped && count > 0
        if isReading { Thread { [self] in read() }.start() }
    }

    private static func connect(_ port: UInt16, isStopped: Bool) throws -> Int32 {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var space: Int32 = 4_096
        if isStopped {
            setsockopt(
                made, SOL_SOCKET, SO_RCVBUF, &space, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let done = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(made, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard done == 0 else { throw Shell.Failed("a subscriber could not connect") }
        return made
    }

    /// The first line is not counted: its length differs.
    private static func skipWelcome(_ socket: Int32) throws {
        var byte: UInt8 = 0
        while byte != 0x0A {
            guard recv(socket, &byte, 1, 0) == 1 else { throw Shell.Failed("no welcome") }
        }
    }

    /// Looks a hundred times a second, so that a thousand cost next to nothing while they are sent
    /// nothing.
    private func read() {
        var waiting = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while !isClosed.load(ordering: .acquiring) {
            usleep(10_000)
            guard poll(&waiting, nfds_t(waiting.count), 100) > 0 else { continue }
            for index in waiting.indices where waiting[index].revents != 0 {
                let count = recv(
                    sockets[index], nil, 1 << 22,
                    Int32(truncatingIfNeeded: MSG_TRUNC) | Int32(truncatingIfNeeded: MSG_DONTWAIT))
                if count > 0 { counts.withLock { $0[index] += count } }
            }
        }
        for socket in sockets { Foundation.close(socket) }
    }

    /// Until each has had as many bytes.
    func wait(bytes: Int, seconds: Double) throws {
        let deadline = LineSocket.now() + seconds
        while let least = counts.withLock({ $0.min() }), least < bytes {
            guard LineSocket.now() < deadline else {
                throw Shell.Failed("a subscriber had \(least) of \(bytes) bytes")
            }
            usleep(2_000)
        }
    }

    func close() {
        isClosed.store(true, ordering: .releasing)
        if !isReading { for socket in sockets { Foundation.close(socket) } }
    }
}
