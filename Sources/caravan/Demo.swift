import Client
import Dispatch
import Engine
import FoundationEssentials
import Glibc
import Host
import Simulation
import Store
import Tracking
import Wire

/// The demonstration's clock: it begins now at the first start, and goes on where the log ends.
struct DemoClock {
    let speedup: Double
    /// Where the traffic began, at the very first start.
    let origin: Instant
    /// Where the clock goes on.
    let start: Instant

    init(_ folder: UpFolder, _ cluster: PrivateCluster, speedup: Double) async throws {
        self.speedup = speedup
        if let text = try? String(contentsOfFile: folder.demoStart, encoding: .utf8),
            let read = TimeText.parse(text.trimmed)
        {
            origin = read.instant
        } else {
            origin = wallNow()
            try TimeText.string(origin).write(
                toFile: folder.demoStart, atomically: true, encoding: .utf8)
        }
        let store = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        let last = try await store.lastStep()
        start = max(origin, last ?? origin)
    }
}

/// Plays traffic into the feed and the output onto the screen.
final class Demo: Sendable {
    private let folder: UpFolder
    private let clock: DemoClock
    private let stop: StopFlag

    init(folder: UpFolder, clock: DemoClock, stop: StopFlag) {
        self.folder = folder
        self.clock = clock
        self.stop = stop
    }

    func start() {
        print(
            "One second is \(Int(clock.speedup / 3_600)) h here. Boxes on their way are loaded first; "
                + "then the corridor moves.\n")
        fflush(nil)
        DispatchQueue(label: "caravan.demo.show").async { self.show() }
        DispatchQueue(label: "caravan.demo.play").async { self.play() }
    }

    /// Days before the start on which shipments under way set out.
    private static let historyDays = 18.0

    private func play() {
        var options = TrafficOptions(
            start: clock.origin.advanced(minutes: -Demo.historyDays * 1_440))
        options.seed = 2026
        options.days = 400
        options.shipmentsPerDay = 6
        options.heldShare = 0.2
        options.strays = .usual
        let lines = Traffic(options).lines
        let began = wallNow()
        var next = 0
        while !stop.isSet {
            do {
                let socket = try LineSocket(folder.socket("feed"))
                // What the daemon has already is recognised: after a break all is sent again.
                next = 0
                while !stop.isSet {
                    let now = clock.start.advanced(
                        minutes: wallNow().minutes(since: began) * clock.speedup)
                    var batch: [UInt8] = []
                    while next < lines.count, lines[next].at <= now, batch.count < 1 << 18 {
                        batch += lines[next].line + [0x0A]
                        next += 1
                    }
                    if !batch.isEmpty { try socket.send(batch) }
                    while socket.wait(write: false, milliseconds: 0).canRead, try socket.fill() {}
                    while socket.bufferedLine() != nil {}
                    if socket.isAtEnd { break }
                    usleep(50_000)
                }
            } catch {
                usleep(500_000)
            }
        }
    }

    private func show() {
        let printer = TailPrinter(terminal: Terminal())
        var follower = TailFollower(
            server: folder.socket("tail"),
            request: { place in
                var out = JSONWriter()
                out.begin()
                out.field("tail", "caravan/1")
                if case .number(let seq) = place {
                    out.field("after", seq)
                } else {
                    out.field("after", "now")
                }
                out.endLine()
                return out.bytes
            }, name: nil, after: nil)
        try? follower.follow { line, _, _ in
            if stop.isSet { return false }
            if let text = printer.text(line) {
                print(text)
                fflush(nil)
            }
            return true
        }
    }
}
