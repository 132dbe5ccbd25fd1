import Engine
import Foundation
import Simulation
import TestKit
import Tracking
import Wire

/// The engine by itself with many containers under way: what one event costs in learning and
/// forecasting, and what one container costs in memory.
enum Core {
    static func measure(containers wanted: Int, seed: UInt64) throws {
        let now = wallNow()
        let before = ProcessMeter.residentBytes(getpid())
        var engine = freshEngine(rules: rules, now: now.advanced(minutes: -60 * 1_440))
        var clock = now.advanced(minutes: -60 * 1_440)
        var events = 0
        var seconds = 0.0
        var late: [TimedLine] = []
        // Traffic of its own for each part, so that the lines of only one are in memory.
        let parts = max(1, wanted / 50_000)
        for part in 0..<parts {
            var options = TrafficOptions(start: now.advanced(minutes: -8 * 1_440))
            options.seed = seed &+ UInt64(part)
            options.days = 8
            options.shipmentsPerDay = Double(wanted) / Double(parts) / 8
            let lines = Traffic(options).lines.filter { $0.at <= now }
            let cut = part == parts - 1 ? lines.count * 3 / 4 : lines.count
            step(&engine, lines[..<cut], &clock)
            if part == parts - 1 { late = Array(lines[cut...]) }
        }
        let live = engine.liveContainers
        let bytes = Double(ProcessMeter.residentBytes(getpid()) - before) / Double(live)
        let started = ProcessMeter.cpuSeconds(getpid())
        for line in late where FlatObject(line.line)?.has("event") == true { events += 1 }
        let parsed = ProcessMeter.cpuSeconds(getpid())
        step(&engine, late[...], &clock)
        seconds = ProcessMeter.cpuSeconds(getpid()) - parsed
        _ = started
        print(
            "\(live) containers under way: "
                + String(
                    format:
                        "%.0f bytes each; %.1f µs per event (parse, learn, forecast; %d events)",
                    bytes, seconds / Double(max(events, 1)) * 1e6, events))
    }

    /// Every event is news.
    private static var rules: AlertRules {
        var rules = AlertRules()
        rules.backlogMinutes = 1e6
        return rules
    }

    private static func step(
        _ engine: inout Engine, _ lines: ArraySlice<TimedLine>, _ clock: inout Instant
    ) {
        var at = lines.startIndex
        while at < lines.endIndex {
            let next = min(lines.endIndex, at + 1_000)
            clock = max(clock, lines[next - 1].at)
            _ = engine.step(
                [
                    FeedChunk(
                        source: 1, origin: Origin(),
                        text: Array(lines[at..<next].map(\.line).joined(separator: [0x0A])),
                        parser: engine.parser)
                ], now: clock)
            // As a daemon that keeps up: nothing waits for a checkpoint.
            if engine.dirtyCount > 100_000 { _ = engine.cut(now: clock) }
            at = next
        }
    }
}
