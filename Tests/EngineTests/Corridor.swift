import Engine
import Log
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// A box leaves ZAA each hour, reaches ZBB six hours later, leaves it four hours after that, and reaches ZCC
/// in another six. Posts A, B and C report of one place each. What befalls them is set before it runs:
///
///     var corridor = Corridor()
///     corridor.silent["B"] = 150..<170            its lines wait from hour 150 to 170, and come in bulk
///     corridor.run(until: 200)
///     corridor.expect("raised", "post-silent", within: 151..<156)
struct Corridor {
    static let start = Instant(seconds: 1_767_225_600)

    struct Said {
        var at: Double
        var object: FlatObject
        var state: String { object.text("state") ?? "" }
        var type: String { object.text("type") ?? "" }
    }

    /// Hours in which what a post has to say does not come through.
    var silent: [String: Range<Double>] = [:]
    /// By how many minutes the times that a post states are off, from an hour on.
    var skew: [String: (minutes: Double, from: Double)] = [:]
    /// How long after the event a report comes, in minutes, by its number.
    var delay: (String, Int) -> Double = { _, at in Double(at % 3) }
    /// Boxes that are never seen behind ZAA.
    var lost: Set<Int> = []
    /// The last box sets out in this hour.
    var lastDeparture = 1_000
    private(set) var engine = Engine()
    private(set) var said: [Said] = []
    private(set) var commits: [Commit] = []
    private(set) var now = Corridor.start
    private var pending: [(at: Double, post: String, line: String)] = []
    private var made = 0

    init(rules: AlertRules = AlertRules()) {
        hear(engine.step([], changes: [.rules(rules), .network(.shipped)], now: now))
    }

    static func at(_ hours: Double) -> Instant { start.advanced(minutes: hours * 60) }

    static func box(_ number: Int) -> String {
        ContainerNumber(owner: "CORU", serial: number)?.description ?? ""
    }

    /// Plans and reports of boxes up to an hour.
    private mutating func make(until hour: Double) {
        while Double(made) <= hour, made <= lastDeparture {
            let box = Corridor.box(made)
            let leaves = Double(made)
            func time(_ hours: Double) -> String { TimeText.string(Corridor.at(hours)) }
            let stops = [
                ("DEPA", "ZAA", 0.0, "A"), ("ARRI", "ZBB", 6, "B"), ("DEPA", "ZBB", 10, "B"),
                ("ARRI", "ZCC", 16, "C"),
            ]
            let milestones = stops.map { code, place, after, _ in
                "{\"event\":\"\(code)\",\"place\":\"\(place)\",\"time\":\"\(time(leaves + after))\"}"
            }.joined(separator: ",")
            pending.append(
                (
                    leaves - 0.5, "A",
                    "{\"plan\":\"P\(made)\",\"containers\":[\"\(box)\"],\"promised\":"
                        + "\"\(time(leaves + 18))\",\"milestones\":[\(milestones)]}"
                ))
            for (index, (code, place, after, post)) in stops.enumerated() {
                if index > 0, lost.contains(made) { break }
                // Some a little sooner, some later, always the same.
                let happens = leaves + after + Double((made * 7 + index * 3) % 11 - 5) / 32
                let off = skew[post].map { happens >= $0.from ? $0.minutes : 0 } ?? 0
                var comes = happens + delay(post, made * 4 + index) / 60
                if let window = silent[post], window.contains(comes) { comes = window.upperBound }
                pending.append(
                    (
                        comes, post,
                        "{\"container\":\"\(box)\",\"event\":\"\(code)\",\"place\":\"\(place)\","
                            + "\"time\":\"\(time(happens + off / 60))\"}"
                    ))
            }
            made += 1
        }
    }

    mutating func run(until hour: Double) {
        make(until: hour + 1)
        let due = pending.filter { $0.at <= hour }.sorted { ($0.at, $0.line) < ($1.at, $1.line) }
        pending.removeAll { $0.at <= hour }
        var at = 0
        while at < due.count {
            var end = at + 1
            // What comes at one moment from one post is one batch.
            while end < due.count, due[end].at == due[at].at, due[end].post == due[at].post {
                end += 1
            }
            wait(until: Corridor.at(due[at].at))
            send(due[at..<end].map(\.line), from: due[at].post)
            at = end
        }
        wait(until: Corridor.at(hour))
    }

    private mutating func wait(until instant: Instant) {
        while engine.nextDue <= instant {
            now = max(now, engine.nextDue)
            hear(engine.step([], now: now))
        }
        now = max(now, instant)
    }

    mutating func send(_ lines: [String], from post: String = "") {
        let work = FeedChunk(
            source: 1, origin: Origin(post: post),
            text: Array((lines.joined(separator: "\n") + "\n").utf8), parser: FeedParser())
        hear(engine.step([work], now: now))
    }

    mutating func enrol(_ posts: [PostEnrolment]) {
        hear(engine.step([], changes: [.posts(posts)], now: now))
        while engine.nextDue <= now { hear(engine.step([], now: now)) }
    }

    private mutating func hear(_ effects: Effects) {
        guard let commit = effects.commit else { return }
        for row in commit.quarantined { Issue.record("\(row.reject)") }
        let hours = now.minutes(since: Corridor.start) / 60
        said += commit.outputs.compactMap { FlatObject($0.bytes) }.map {
            Said(at: hours, object: $0)
        }
        commits.append(commit)
    }

    /// Writes down what has come so far, in its snapshot.
    mutating func checkpoint(_ log: MemoryLog) async throws {
        try await write(log)
        try await log.checkpoint(engine.cut(now: now))
    }

    /// Writes down the rest.
    func write(_ log: MemoryLog) async throws {
        for commit in commits { try await log.commit(commit) }
    }

    func alerts(_ type: String, _ state: String? = nil) -> [Said] {
        said.filter { $0.type == type && (state == nil || $0.state == state) }
    }

    /// One line of that state and type, in these hours and in no others.
    func expect(
        _ state: String, _ type: String, within hours: Range<Double>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = alerts(type, state).map(\.at)
        #expect(
            found.count == 1 && found.allSatisfy(hours.contains), "\(state) \(type): \(found)",
            sourceLocation: sourceLocation)
    }

    func expectNone(
        _ type: String, in hours: Range<Double> = 0..<10_000,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = alerts(type).filter { hours.contains($0.at) }
        #expect(
            found.isEmpty, "\(found.map { ($0.at, $0.state, $0.object.text("text") ?? "") })",
            sourceLocation: sourceLocation)
    }

    /// A log's engine is the one that wrote it.
    func replayed() throws -> Engine {
        var again = Engine()
        for commit in commits {
            let batch = LoggedBatch(
                batch: commit.batch, now: commit.now, blob: commit.blob, lastSeq: commit.lastSeq)
            let effects = again.replay(batch, try again.inputs(of: batch))
            #expect(effects.agrees)
        }
        return again
    }
}
