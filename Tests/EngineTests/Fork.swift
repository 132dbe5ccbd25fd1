import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Boxes under plans of one kind, in hours.
struct Fork {
    static let start = Instant(seconds: 1_767_225_600)

    var engine = Engine()
    private(set) var commits: [Commit] = []
    private(set) var said: [String] = []
    private(set) var now = Fork.start
    private var serial = 0
    /// Of each box the id of its last arrival.
    private(set) var arrivals: [Int: String] = [:]

    init() {
        hear(
            engine.step([], changes: [.rules(AlertRules()), .network(.shipped)], now: now))
    }

    static func time(_ hours: Double) -> String {
        TimeText.string(Fork.start.advanced(minutes: hours * 60))
    }

    static func box(_ number: Int) -> String {
        ContainerNumber(owner: "QWTU", serial: number)?.description ?? ""
    }

    private mutating func hear(_ effects: Effects) {
        guard let commit = effects.commit else { return }
        commits.append(commit)
        said += commit.outputs.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    mutating func send(_ line: String, at hours: Double) {
        now = max(now, Fork.start.advanced(minutes: hours * 60))
        let effects = engine.step([chunk([line])], now: now)
        #expect(effects.counts.quarantined == 0, "\(line)")
        hear(effects)
    }

    mutating func plan(_ number: Int, _ way: String, at hours: Double) {
        send(
            "{\"plan\":\"W-\(number)\",\"containers\":[\"\(Fork.box(number))\"],\(way),"
                + "\"start\":\"\(Fork.time(hours))\",\"promised\":\"\(Fork.time(hours + 500))\"}",
            at: hours)
    }

    @discardableResult
    mutating func report(_ number: Int, _ event: String, _ place: String, at hours: Double)
        -> String
    {
        serial += 1
        if event == "ARRI" { arrivals[number] = "w-\(serial)" }
        send(
            "{\"id\":\"w-\(serial)\",\"container\":\"\(Fork.box(number))\",\"event\":\"\(event)\","
                + "\"place\":\"\(place)\",\"time\":\"\(Fork.time(hours))\"}", at: hours)
        return "w-\(serial)"
    }

    /// Reports of one box, each so many hours after `hours`.
    mutating func reports(
        _ number: Int, _ reports: [(event: String, place: String, after: Double)],
        at hours: Double
    ) {
        for (event, place, after) in reports { report(number, event, place, at: hours + after) }
    }

    mutating func view(_ number: Int, at hours: Double) -> ContainerTimeline.JourneyView? {
        let at = Fork.start.advanced(minutes: hours * 60)
        return ContainerNumber(Fork.box(number)).flatMap { engine.view($0, now: at) }?
            .journeys.first
    }

    /// In hundredths, by the place that tells it.
    mutating func ways(_ number: Int, at hours: Double) -> [String: Int] {
        let ways = view(number, at: hours)?.ways ?? []
        return Dictionary(
            uniqueKeysWithValues: ways.map { ($0.via, Int(($0.share * 100).rounded())) })
    }

    /// The end of the journey, in hours.
    mutating func end(_ number: Int, at hours: Double) -> (
        p10: Double, p50: Double, p90: Double
    )? {
        guard let last = view(number, at: hours)?.stops.last, let p10 = last.p10,
            let p50 = last.p50, let p90 = last.p90
        else { return nil }
        func hour(_ instant: Instant) -> Double {
            instant.minutes(since: Fork.start) / 60
        }
        return (hour(p10), hour(p50), hour(p90))
    }

    mutating func advance(to hours: Double) {
        now = max(now, Fork.start.advanced(minutes: hours * 60))
        hear(engine.step([], now: now))
    }

    mutating func install(_ loaded: LoadedNetwork) {
        hear(engine.step([], changes: [.network(loaded)], now: now))
    }

    /// Lets what is over leave memory.
    mutating func rest(until hours: Double) async throws -> MemoryLog {
        let log = MemoryLog()
        now = Fork.start.advanced(minutes: hours * 60)
        hear(engine.step([], now: now))
        for commit in commits { try await log.commit(commit) }
        let checkpoint = engine.cut(now: now)
        try await log.checkpoint(checkpoint)
        engine.rest(checkpoint.quiet)
        return log
    }

    mutating func wake(_ number: Int, _ log: MemoryLog) async throws {
        let line = chunk([
            "{\"container\":\"\(Fork.box(number))\",\"event\":\"ARRI\",\"place\":\"RUMOW\","
                + "\"time\":\"\(Fork.time(1))\"}"
        ])
        for _ in 0..<3 { try engine.admit(try await log.load(engine.missing([line]))) }
    }

    /// After a start anew, from the log or from a checkpoint.
    mutating func again(_ isKept: Bool) async throws -> Engine {
        let log = MemoryLog()
        for commit in commits { try await log.commit(commit) }
        if isKept { try await log.checkpoint(engine.cut(now: now)) }
        return try await Recovery.run(log).engine
    }
}
