import Engine
import Foundation
import Simulation
import TestKit
import Tracking
import Wire

/// The engine by itself with many containers under way: what one event costs in learning and
/// forecasting, silence included, and what one container costs in memory. The lines come from
/// another process, so that their making is in neither figure.
struct Core {
    private var engine: Engine
    private var clock: Instant
    private var events = 0

    static func measure(containers wanted: Int, seed: UInt64) throws {
        let start = Instant(seconds: 1_767_225_600)
        let folder = ScratchFolder()
        let file = folder.path + "/lines"
        // Some are booked and have not left, some have arrived: of six in eight something is left.
        _ = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "\(seed)", "--days", "8",
            "--per-day", "\(wanted / 8)", "--start", TimeText.string(start), "--out", file,
        ])
        let before = ProcessMeter.residentBytes(getpid())
        var core = Core(start)
        let end = start.advanced(minutes: 8 * 1_440)
        try core.run(file, until: end.advanced(minutes: -360))
        let live = core.engine.liveContainers
        let bytes = Double(ProcessMeter.residentBytes(getpid()) - before) / Double(live)
        core.events = 0
        let cpu = ProcessMeter.cpuSeconds(getpid())
        try core.run(file, until: end)
        let seconds = ProcessMeter.cpuSeconds(getpid()) - cpu
        let read = ProcessMeter.cpuSeconds(getpid())
        try core.skip(file, until: end)
        let reading = ProcessMeter.cpuSeconds(getpid()) - read
        print(
            "\(live) containers under way: "
                + String(
                    format:
                        "%.0f bytes each; %.1f µs per event (learn, forecast, silence; %d events)",
                    bytes, (seconds - reading) / Double(max(core.events, 1)) * 1e6, core.events))
    }

    private init(_ start: Instant) {
        // Every event is news.
        var rules = AlertRules()
        rules.backlogMinutes = 1e6
        engine = freshEngine(rules: rules, now: start)
        clock = start
    }

    private mutating func run(_ file: String, until end: Instant) throws {
        let from = clock
        try Core.chunks(file) { chunk, latest in
            guard latest > from, latest <= end, latest >= clock else { return }
            clock = latest
            events += chunk.lines.count
            _ = engine.step([chunk], now: clock)
            // As a daemon that keeps up: nothing waits for a checkpoint.
            if engine.dirtyCount > 100_000 { _ = engine.cut(now: clock) }
        }
    }

    /// What reading and parsing cost without the engine.
    private func skip(_ file: String, until end: Instant) throws {
        try Core.chunks(file) { _, _ in }
    }

    /// Chunks of lines in the file's order, with the latest time that each speaks of.
    private static func chunks(
        _ file: String, _ body: (FeedChunk, Instant) -> Void
    ) throws {
        guard let handle = FileHandle(forReadingAtPath: file) else {
            throw Shell.Failed("\(file) cannot be read")
        }
        let parser = FeedParser()
        var rest: [UInt8] = []
        var latest = Instant.unset
        while let data = try handle.read(upToCount: 1 << 18), !data.isEmpty {
            rest += data
            guard let end = rest.lastIndex(of: 0x0A) else { continue }
            let chunk = FeedChunk(
                source: 1, origin: Origin(), text: Array(rest[...end]), parser: parser)
            rest.removeFirst(end + 1)
            for line in chunk.lines {
                switch line.value {
                case .event(let event): latest = max(latest, event.time)
                case .plan(let plan): latest = max(latest, plan.start ?? .unset)
                default: break
                }
            }
            body(chunk, latest)
        }
    }
}
