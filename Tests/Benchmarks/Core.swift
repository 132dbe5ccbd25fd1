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
    private let handle: FileHandle
    private var rest: [UInt8] = []

    static func measure(containers wanted: Int, seed: UInt64) throws {
        let start = Instant(seconds: 1_767_225_600)
        let folder = ScratchFolder()
        let file = folder.path + "/lines"
        // Some are booked and have not left, some have arrived: of six in eight something is left.
        _ = try Shell.run([
            DaemonProcess.program("caravan"), "simulate", "--seed", "\(seed)", "--days", "8",
            "--per-day", "\(wanted / 8)", "--start", TimeText.string(start), "--out", file,
            // All on their way, as earlier builds had them.
            "--other-way", "0", "--neighbour", "0", "--returned", "0", "--skipped", "0",
            "--doubled",
            "0",
        ])
        let before = ProcessMeter.residentBytes(getpid())
        var core = try Core(start, file)
        let end = start.advanced(minutes: 8 * 1_440)
        try core.run(until: end.advanced(minutes: -360))
        let live = core.engine.liveContainers
        let bytes = Double(ProcessMeter.residentBytes(getpid()) - before) / Double(live)
        // First as if no time passed: what an event costs. Then with what silence asks for meanwhile.
        let alone = try core.cost(until: end.advanced(minutes: -180), isTimeHeld: true)
        let whole = try core.cost(until: end, isTimeHeld: false)
        print(
            "\(live) containers under way: "
                + String(
                    format: "%.0f bytes each; CPU µs per event (parse, learn, forecast): %.1f, "
                        + "with the forecasts that silence asks for %.1f", bytes, alone, whole))
    }

    /// CPU microseconds for each line up to `end`.
    private mutating func cost(until end: Instant, isTimeHeld: Bool) throws -> Double {
        events = 0
        let started = ProcessMeter.cpuSeconds(getpid())
        try run(until: end, isTimeHeld: isTimeHeld)
        return (ProcessMeter.cpuSeconds(getpid()) - started) / Double(max(events, 1)) * 1e6
    }

    private init(_ start: Instant, _ file: String) throws {
        guard let opened = FileHandle(forReadingAtPath: file) else {
            throw Shell.Failed("\(file) cannot be read")
        }
        handle = opened
        // Every event is news.
        var rules = AlertRules()
        rules.backlogMinutes = 1e6
        engine = freshEngine(rules: rules, now: start)
        clock = start
    }

    /// Goes on in the file until its lines speak of a time after `end`.
    private mutating func run(until end: Instant, isTimeHeld: Bool = false) throws {
        let held = clock
        while clock < end, let data = try handle.read(upToCount: 1 << 18), !data.isEmpty {
            rest += data
            guard let last = rest.lastIndex(of: 0x0A) else { continue }
            let chunk = FeedChunk(
                source: 1, origin: Origin(), text: Array(rest[...last]), parser: engine.parser)
            rest.removeFirst(last + 1)
            for line in chunk.lines {
                switch line.value {
                case .event(let event): clock = max(clock, event.time)
                case .plan(let plan): clock = max(clock, plan.start ?? .unset)
                default: break
                }
            }
            events += chunk.lines.count
            _ = engine.step([chunk], now: isTimeHeld ? held : clock)
            // As a daemon that keeps up: nothing waits for a checkpoint.
            if engine.dirtyCount > 100_000 { _ = engine.cut(now: clock) }
        }
    }
}
