import Client
import Foundation
import TestKit
import Testing
import Wire

/// Resident memory of a process in MB.
func residentMegabytes(_ pid: Int32) -> Double {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
    return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
}

@Suite(.serialized) struct BoundsTests {
    /// Samples memory while `body` runs, and compares its highest with what it was after a warm-up:
    /// a tenth more, or `room` megabytes where more is due.
    private func flat(
        _ name: String, _ daemon: DaemonProcess, room: Double = 0, _ body: () throws -> Void
    ) rethrows {
        let before = residentMegabytes(daemon.pid)
        let peak = PeakMeter(daemon.pid)
        try body()
        let highest = peak.stop()
        print("\(name): \(Int(before)) MB before, \(Int(highest)) MB at most")
        #expect(highest <= before + max(before * 0.1, room), "\(name)")
    }

    /// Fills the bounded buffers once, so that what is measured is growth.
    private func warmUp(_ daemon: DaemonProcess) throws {
        for round in 0..<2 {
            let socket = try LineSocket(daemon.feed)
            var text = ""
            for number in 0..<40_000 { text += eventLine(number % 20_000 + round * 20_000) }
            try flood(socket, Array(text.utf8), lines: 40_000)
        }
    }

    private func flood(_ socket: LineSocket, _ bytes: [UInt8], lines: Int) throws {
        var sent = 0
        var acked = 0
        while acked < lines {
            let ready = socket.wait(write: sent < bytes.count, milliseconds: 60_000)
            guard ready.canRead || ready.canWrite else { throw Shell.Failed("no progress") }
            if ready.canWrite, sent < bytes.count {
                sent += try socket.sendSome(bytes, from: sent, wait: false)
            }
            if ready.canRead {
                guard try socket.fill() else { throw Shell.Failed("hung up") }
                while let line = socket.bufferedLine() {
                    if case .ack(let number) = ReadReply(line: line) { acked = number }
                }
            }
        }
    }

    @Test func aSenderFasterThanTheDatabaseIsHeldBack() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["feed.inbox-lines=5000"])
        try warmUp(daemon)
        // Every commit takes a tenth of a second now.
        _ = try cluster.rows(
            """
            create function slow() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.1); return new; end $$
            """)
        for table in try cluster.rows(
            "select inhrelid::regclass from pg_inherits where inhparent = 'batch'::regclass")
        {
            _ = try cluster.rows(
                "create trigger slow before insert on \(table) for each row execute function slow()"
            )
        }
        var lines: [UInt8] = []
        // Known lines: what grows is not the state.
        for number in 0..<20_000 { lines += Array(eventLine(number).utf8) }
        let sockets = try (0..<20).map { _ in try LineSocket(daemon.feed) }
        var offsets = [Int](repeating: 0, count: sockets.count)
        func press(seconds: Double) throws {
            let deadline = LineSocket.now() + seconds
            while LineSocket.now() < deadline {
                for (index, socket) in sockets.enumerated() {
                    let sent = try socket.sendSome(
                        lines, from: offsets[index],
                        upTo: min(lines.count, offsets[index] + 65_536),
                        wait: false)
                    offsets[index] = (offsets[index] + sent) % lines.count
                    if socket.wait(write: false, milliseconds: 0).canRead { try socket.fill() }
                    while socket.bufferedLine() != nil {}
                }
                LineSocket.wait(sockets, milliseconds: 2)
            }
        }
        // The bounded buffers fill in the first seconds; from then on nothing may grow.
        try press(seconds: 5)
        try flat("a flood at a slow database", daemon) { try press(seconds: isSoak ? 60 : 10) }
        daemon.kill9()
    }

    @Test func twoThousandIdleAndSlowConnectionsCostLittle() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        try warmUp(daemon)
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(7), &limits)
        limits.rlim_cur = min(limits.rlim_max, 8_192)
        setrlimit(__rlimit_resource_t(7), &limits)
        // Ten kilobytes each: the sockets' buffers, the handlers, what the allocator keeps of them.
        try flat("2,000 idle and slow connections", daemon, room: 20) {
            var sockets: [LineSocket] = []
            for number in 0..<2_000 {
                let socket = try LineSocket(daemon.feed)
                if number % 2 == 0 { try socket.send("{\"contai") }
                sockets.append(socket)
            }
            // The others are served as ever.
            let other = try LineSocket(daemon.feed)
            try other.send(eventLine(99_999))
            #expect(try replies(other, upTo: 1).isEmpty)
            for socket in sockets.suffix(2) {
                let line = try socket.readLine(seconds: 40)
                #expect(line?.contains("\"code\":\"idle\"") == true)
            }
        }
        #expect(daemon.stop() == 0)
    }

    @Test func aLineWithoutAnEndIsDropped() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster, settings: ["feed.line-seconds=600"])
        try warmUp(daemon)
        let size = isSoak ? 1 << 30 : 64 << 20
        try flat("a line of \(size >> 20) MB", daemon) {
            let socket = try LineSocket(daemon.feed)
            try socket.send(eventLine(88_887))
            let block = [UInt8](repeating: 0x78, count: 1 << 20)
            for _ in 0..<(size >> 20) { try socket.send(block) }
            try socket.send("\n" + eventLine(88_888))
            let rejects = try replies(socket, upTo: 3)
            #expect(rejects.count == 1 && rejects[0].contains("too-long"))
        }
        #expect(
            try cluster.rows("select length from quarantine where code = 'too-long'") == ["\(size)"]
        )
        #expect(daemon.stop() == 0)
    }
}

/// Watches the memory of a process from a thread of its own.
final class PeakMeter: @unchecked Sendable {
    private let lock = NSLock()
    private var highest = 0.0
    private var isOn = true

    init(_ pid: Int32) {
        Thread.detachNewThread { [self] in
            while lock.withLock({ isOn }) {
                let now = residentMegabytes(pid)
                lock.withLock { highest = max(highest, now) }
                usleep(50_000)
            }
        }
    }

    func stop() -> Double {
        lock.withLock {
            isOn = false
            return highest
        }
    }
}
