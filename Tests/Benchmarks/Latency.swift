import Client
import Foundation
import Store
import TestKit

/// How long a line takes at a steady rate: to its ack, and to a subscriber where it leads to a new
/// estimate.
struct Latency {
    var rate = 0
    var toAck: [Double] = []
    var toTail: [Double] = []
    /// One row committed by a plain loop at the same pace, in the same minute.
    var commit: [Double] = []

    func report() {
        print(
            "\(rate) events/s: line→ack \(Latency.text(toAck)); line→tail \(Latency.text(toTail)); "
                + "one-row commit \(Latency.text(commit))")
    }

    private static func text(_ seconds: [Double]) -> String {
        guard !seconds.isEmpty else { return "none" }
        let sorted = seconds.sorted()
        let at = { (share: Double) in
            String(format: "%.2f", sorted[Int(Double(sorted.count - 1) * share)] * 1e3)
        }
        return "p50 \(at(0.5)) ms, p99 \(at(0.99)) ms (\(sorted.count))"
    }

    static func measure(_ load: Load, rate: Int, settings: [String]) throws -> Latency {
        let rig = try Rig(
            settings: ["eta.interval-seconds=0", "alerts.settle-minutes=0"] + settings)
        var run = Run(load: load, feed: try LineSocket(rig.feed), tail: try LineSocket(rig.tail))
        try run.tail.send("{\"tail\":\"caravan/1\",\"after\":\"now\"}\n")
        _ = try run.tail.readLine()
        try run.prepare()
        try run.go(rate: rate)
        var result = run.result
        result.rate = rate
        result.commit = try OneRowCommits.measure(
            rig.cluster.conninfo, count: min(200, rate * 6), rate: rate)
        rig.daemon.kill9()
        return result
    }
}

/// One paced run: a single loop sends what is due and reads what is there.
private struct Run {
    let load: Load
    let feed: LineSocket
    let tail: LineSocket
    var result = Latency()
    private var sentAt: [Double] = []
    private var byID: [String: Double] = [:]
    private var acked = 0

    init(load: Load, feed: LineSocket, tail: LineSocket) {
        self.load = load
        self.feed = feed
        self.tail = tail
    }

    /// Plans go first and are not measured.
    mutating func prepare() throws {
        guard load.plans > 0 else { return }
        let plans = Array(load.bytes[..<load.ends[load.plans - 1]])
        var sent = 0
        while acked < load.plans {
            let ready = feed.wait(write: sent < plans.count, milliseconds: 10_000)
            if ready.canWrite { sent += try feed.sendSome(plans, from: sent, wait: false) }
            if ready.canRead { try readAcks(measured: false) }
            if tail.wait(write: false, milliseconds: 0).canRead { try readTail() }
        }
        sentAt = Array(repeating: 0, count: load.lines)
        result = Latency()
        usleep(1_500_000)
    }

    mutating func go(rate: Int) throws {
        let started = LineSocket.now()
        var next = load.plans
        let deadline = started + Double(load.events) / Double(rate) + 60
        while acked < load.lines {
            let now = LineSocket.now()
            guard now < deadline else { throw Shell.Failed("no ack for 60 s") }
            let due = min(load.lines, load.plans + Int((now - started) * Double(rate)) + 1)
            if next < due { try send(next..<due) }
            next = max(next, due)
            LineSocket.wait([feed, tail], milliseconds: rate > 500 ? 1 : 10)
            if feed.wait(write: false, milliseconds: 0).canRead { try readAcks(measured: true) }
            if tail.wait(write: false, milliseconds: 0).canRead { try readTail() }
        }
        while tail.wait(write: false, milliseconds: 500).canRead { try readTail() }
    }

    private mutating func send(_ lines: Range<Int>) throws {
        var bytes: [UInt8] = []
        for line in lines { bytes += load.line(line) }
        let now = LineSocket.now()
        for line in lines {
            sentAt[line] = now
            if let id = Run.field("\"id\":\"", in: String(decoding: load.line(line), as: UTF8.self))
            {
                byID[id] = now
            }
        }
        try feed.send(bytes)
    }

    private mutating func readAcks(measured: Bool) throws {
        guard try feed.fill() else { throw Shell.Failed("the daemon hung up") }
        let now = LineSocket.now()
        while let line = feed.bufferedLine() {
            guard let ack = Reply.ack(line) else { continue }
            if measured {
                for number in acked..<ack { result.toAck.append(now - sentAt[number]) }
            }
            acked = ack
        }
    }

    private mutating func readTail() throws {
        guard try tail.fill() else { throw Shell.Failed("the daemon hung up on the tail") }
        let now = LineSocket.now()
        while let line = tail.bufferedLine() {
            guard let id = Run.field("\"event\":\"", in: line),
                let sent = byID.removeValue(forKey: id)
            else { continue }
            result.toTail.append(now - sent)
        }
    }

    /// A text field of a line, unescaped ones only; by hand, because this loop is part of what is
    /// measured.
    private static func field(_ name: StaticString, in line: String) -> String? {
        var line = line
        return line.withUTF8 { bytes -> String? in
            let size = name.utf8CodeUnitCount
            var at = 0
            while at + size < bytes.count {
                if bytes[at] == 0x22,
                    memcmp(bytes.baseAddress! + at, name.utf8Start, size) == 0
                {
                    let rest = bytes[(at + size)...]
                    guard let end = rest.firstIndex(of: 0x22) else { return nil }
                    return String(decoding: rest[..<end], as: UTF8.self)
                }
                at += 1
            }
            return nil
        }
    }
}
