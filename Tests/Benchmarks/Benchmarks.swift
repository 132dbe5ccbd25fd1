import ArgumentParser
import Foundation
import Store
import TestKit

/// Measures the whole daemon as a process, its database beside it, all in one run on one machine.
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Measures the daemon: throughput, its ceiling, latency, CPU and memory.",
        discussion: """
            swift run -c release benchmarks
            swift run -c release benchmarks --events 200000 --only throughput

            The figures of one run belong together: machines differ, ratios stay.
            """)

    enum Part: String, CaseIterable, ExpressibleByArgument {
        case throughput, latency, subscribers, ways, core, joined, history, standby
    }

    @Option(help: "Events of the throughput part.") var events = 1_000_000
    @Option(help: "Runs of the throughput part; the middle one is quoted.") var runs = 3
    @Option(help: "Seconds of each latency rate.") var seconds = 10.0
    @Option(parsing: .upToNextOption, help: "Rates of the latency part, events/s.")
    var rates = [10, 1_000, 10_000]
    @Option(parsing: .upToNextOption, help: "Which parts.") var only = Part.allCases
    @Option(parsing: .upToNextOption, help: "Settings of the daemon, key=value.")
    var set: [String] = []
    @Option(help: "Containers of the core part.") var containers = 1_000_000
    @Option(
        parsing: .upToNextOption,
        help: "Events in the database before each measurement of the history part.")
    var history = [1_000_000, 10_000_000]
    @Option(help: "Seed of the traffic.") var seed: UInt64 = 1
    @Flag(help: "Profile both processes with perf during the throughput part.") var profile = false

    func validate() throws {
        guard runs > 0, events > 0, seconds > 0, rates.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("numbers here are at least 1")
        }
    }

    /// Begins anew with the memory that the daemon has where `caravan up` starts it: in large pages.
    private func useLargePages() {
        guard getenv("GLIBC_TUNABLES") == nil else { return }
        setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1)
        var words = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &words)
    }

    func run() throws {
        useLargePages()
        print("seed \(seed), \(ProcessInfo.processInfo.activeProcessorCount) cores")
        if only.contains(.throughput) {
            let load = Load(events: events, seed: seed)
            print(
                "\(load.lines) lines (\(load.events) events, \(load.plans) plans, "
                    + "\(load.containers) containers), \(load.bytes.count / load.lines) bytes each")
            var results: [Throughput] = []
            for number in 1...runs {
                let result = try Throughput.measure(load, settings: set, profile: profile)
                print("run \(number): \(result.summary)")
                fflush(nil)
                results.append(result)
            }
            Throughput.middle(results).report()
        }
        if only.contains(.ways) {
            let load = Load(events: min(events, 300_000), seed: seed)
            for way in Way.all {
                let found = try (1...runs).map { _ in try way.measure(load, settings: set) }
                    .sorted { $0.rate < $1.rate }[runs / 2]
                print(
                    "\(way.name): \(Int(found.rate)) events/s, daemon "
                        + String(format: "%.1f µs per event", found.daemonMicroseconds))
                fflush(nil)
            }
        }
        if only.contains(.subscribers) {
            try Subscribers.fanOut(
                Load(events: min(events, 50_000), seed: seed), count: 100, settings: set)
            try Subscribers.cost(
                Load(events: min(events, 300_000), seed: seed), runs: runs, settings: set)
        }
        if only.contains(.core) { try Core.measure(containers: containers, seed: seed) }
        if only.contains(.joined) { Joined.measure() }
        if only.contains(.history) {
            try History.measure(sizes: history, events: min(events, 300_000), settings: set)
        }
        if only.contains(.standby) {
            try Standby.measure(
                events: min(events, 300_000), runs: runs, settings: set, seed: seed)
        }
        if only.contains(.latency) {
            for rate in rates {
                let load = Load(events: max(200, Int(Double(rate) * seconds)), seed: seed)
                try Latency.measure(load, rate: rate, settings: set).report()
                fflush(nil)
            }
        }
    }
}
