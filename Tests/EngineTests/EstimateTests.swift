import Engine
import Forecast
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// What others say of milestones ahead counts by how it came true, and a planned time by what was said
/// of it last.
@Suite struct EstimateTests {
    private static let start = Instant(seconds: 1_767_225_600)

    /// Boxes that go from ZAA to ZBB, and what is said of them.
    private struct World {
        var engine: Engine
        private(set) var said: [FlatObject] = []
        private(set) var now = EstimateTests.start
        private(set) var commits: [Commit] = []
        /// What was said last, in hours.
        private(set) var p50: Double?

        init(_ engine: Engine = freshEngine(now: EstimateTests.start)) { self.engine = engine }

        func box(_ number: Int) -> String {
            ContainerNumber(owner: "QZTU", serial: 1_000 + number)?.description ?? ""
        }

        static func time(_ hours: Double) -> String {
            TimeText.string(EstimateTests.start.advanced(minutes: hours * 60))
        }

        mutating func send(_ line: String, at hours: Double) {
            now = max(now, EstimateTests.start.advanced(minutes: hours * 60))
            let effects = engine.step([chunk([line])], now: now)
            #expect(effects.counts.quarantined == 0, "\(line)")
            hear(effects)
        }

        /// Nothing comes until then.
        mutating func wait(until hours: Double) {
            now = max(now, EstimateTests.start.advanced(minutes: hours * 60))
            hear(engine.step([], now: now))
        }

        private mutating func hear(_ effects: Effects) {
            if let commit = effects.commit { commits.append(commit) }
            said = (effects.commit?.outputs ?? []).compactMap { FlatObject($0.bytes) }
            if let said = said.last(where: { $0.text("kind") == "eta" })?.instant("p50") {
                p50 = said.minutes(since: EstimateTests.start) / 60
            }
        }

        mutating func plan(_ number: Int, from hours: Double) {
            send(
                "{\"plan\":\"S-\(number)\",\"containers\":[\"\(box(number))\"],\"milestones\":["
                    + "{\"place\":\"ZAA\",\"event\":\"DEPA\",\"time\":\"\(World.time(hours))\"},"
                    + "{\"place\":\"ZBB\",\"event\":\"ARRI\",\"time\":\"\(World.time(hours + 100))\"}],"
                    + "\"promised\":\"\(World.time(hours + 120))\"}", at: hours - 1)
        }

        mutating func event(
            _ number: Int, _ code: String, _ place: String, _ hours: Double, more: String = "",
            heard: Double? = nil
        ) {
            send(
                "{\"container\":\"\(box(number))\",\"shipment\":\"S-\(number)\",\"event\":\"\(code)\","
                    + "\"place\":\"\(place)\",\"time\":\"\(World.time(hours))\"\(more)}",
                at: heard ?? hours)
        }

        mutating func says(
            _ source: String, _ number: Int, _ hours: Double, at said: Double,
            as kind: String = "EST"
        ) {
            event(
                number, "ARRI", "ZBB", hours,
                more:
                    ",\"class\":\"\(kind)\",\"source\":\"\(source)\",\"id\":\"\(source)-\(number)\","
                    + "\"updated\":\"\(World.time(said))\"", heard: said)
        }

        /// When the first milestone is planned for.
        mutating func firstPlanned(_ number: Int) -> Instant? {
            guard let number = ContainerNumber(box(number)) else { return nil }
            return engine.view(number, now: now)?.journeys.first?.stops.first?.planned
        }

        mutating func estimates(_ number: Int) -> [Estimate] {
            guard let number = ContainerNumber(box(number)),
                let view = engine.view(number, now: now)
            else { return [] }
            return view.journeys.flatMap(\.estimates)
        }
    }

    /// Travel takes 60 to 140 hours, which nobody can tell beforehand but the source: it says so eight
    /// hours late.
    private func taught(_ count: Int = 60, _ world: World = World()) -> World {
        var world = world
        var random = SeededGenerator(seed: 7)
        var agenda: [(at: Double, what: (inout World) -> Void)] = []
        for number in 0..<count {
            let start = Double(number) * 12 + 2
            let takes = 60 + 80 * random.share()
            let nonsense = start + 60 + 80 * random.share()
            agenda.append((start - 1, { $0.plan(number, from: start) }))
            agenda.append((start, { $0.event(number, "DEPA", "ZAA", start) }))
            agenda.append(
                (start + 1, { $0.says("KNOWS", number, start + takes + 8, at: start + 1) }))
            agenda.append((start + 2, { $0.says("WORTHLESS", number, nonsense, at: start + 2) }))
            agenda.append((start + takes, { $0.event(number, "ARRI", "ZBB", start + takes) }))
        }
        for entry in agenda.sorted(by: { $0.at < $1.at }) { entry.what(&world) }
        return world
    }

    @Test func aSourceThatKnowsIsFollowedAndItsHabitTakenOff() throws {
        var world = taught()
        world.plan(99, from: 1_000)
        world.event(99, "DEPA", "ZAA", 1_000)
        // Before anything is said of it: between 60 and 140 hours.
        let own = try #require(world.p50)
        #expect((1_080...1_120).contains(own))
        world.says("KNOWS", 99, 1_080, at: 1_001)
        // It says 80 hours, and is eight hours late as a rule.
        let followed = try #require(world.p50)
        #expect(abs(followed - 1_072) < 6, "\(followed)")
        let line = try #require(world.said.last { $0.text("kind") == "eta" })
        #expect(line.objects("because").map { $0.text("cause") } == ["estimate"])
        let told = try #require(line.objects("estimates").first)
        #expect(told.text("source") == "KNOWS" && (told.number("weight") ?? 0) > 0.8)
        #expect(told.text("place") == nil)
        let seen = try #require(told.instant("p50"))
        #expect(abs(seen.minutes(since: Self.start) / 60 - 1_072) < 3)
        // And it is the middle of what lies ahead in what is shown.
        let shown = try #require(world.estimates(99).first)
        #expect(shown.source == "KNOWS" && shown.judged >= 5 && shown.isLast)
        // What it said last stands; the one before is forgotten.
        world.says("KNOWS", 99, 1_128, at: 1_010)
        let second = try #require(world.p50)
        #expect(abs(second - 1_120) < 8)
        #expect(world.estimates(99).count == 1)
        // What is taken back counts no more.
        world.send(
            "{\"id\":\"KNOWS-99\",\"container\":\"\(world.box(99))\",\"source\":\"KNOWS\","
                + "\"class\":\"EST\",\"event\":\"ARRI\",\"place\":\"ZBB\",\"retract\":true}",
            at: 1_012)
        #expect(world.estimates(99).isEmpty)
        let alone = try #require(world.p50)
        #expect(abs(alone - own) < 8)
    }

    /// What the shortest interval between two lines holds back says what it is about all the same.
    @Test func aWordThatIsOwedKeepsItsReason() throws {
        var world = taught()
        world.plan(99, from: 1_000)
        world.event(99, "DEPA", "ZAA", 1_000)
        world.says("KNOWS", 99, 1_080, at: 1_001)
        let first = try #require(world.p50)
        world.says("KNOWS", 99, 1_128, at: 1_001.005)
        #expect(!world.said.contains { $0.text("kind") == "eta" })
        world.wait(until: 1_001.02)
        let line = try #require(world.said.last { $0.text("kind") == "eta" })
        let second = try #require(world.p50)
        #expect(second > first + 30)
        #expect(line.objects("because").map { $0.text("cause") } == ["estimate"])
        // A report that comes later is not its doing.
        world.event(99, "ARRI", "ZCC", 1_050)
        let causes = world.said.flatMap { $0.objects("because") }.map { $0.text("cause") }
        #expect(!causes.contains("estimate"))
    }

    @Test func aWorthlessOneAndAnUnknownOneAreNot() throws {
        var world = taught()
        world.plan(99, from: 1_000)
        world.event(99, "DEPA", "ZAA", 1_000)
        let own = try #require(world.p50)
        world.says("WORTHLESS", 99, 1_190, at: 1_001)
        world.says("NEW", 99, 1_190, at: 1_001)
        // Nothing is worth a line.
        let after = try #require(world.p50)
        #expect(abs(after - own) < 4)
        let shown = world.estimates(99)
        #expect(shown.count == 2)
        let new = try #require(shown.first { $0.source == "NEW" })
        #expect(new.weight == 0 && new.judged == 0 && new.p50 == new.stated)
        let worthless = try #require(shown.first { $0.source == "WORTHLESS" })
        #expect(worthless.weight < 0.3 && worthless.judged > 5)
        let records = world.engine.sourceRecords
        let losses = Dictionary(grouping: records, by: \.source).mapValues {
            $0.reduce(0) { $0 + ($1.loss ?? 1) * Double($1.count) }
                / Double($0.reduce(0) { $0 + $1.count })
        }
        #expect((losses["KNOWS"] ?? 9) < 0.6 && (losses["WORTHLESS"] ?? 0) > 0.9)
        #expect(records.contains { $0.source == "KNOWS" && abs($0.p50 + 480) < 30 })
        // Whoever asks without this view is told what was expected without it.
        var deaf = World()
        deaf.engine.without = .estimates
        deaf.plan(1, from: 10)
        deaf.event(1, "DEPA", "ZAA", 10)
        deaf.says("NEW", 1, 60, at: 11)
        #expect(deaf.estimates(1).allSatisfy { $0.weight == 0 })
    }

    @Test func whatHasComeTrueOrCannotCountsNoMore() {
        var world = World()
        world.plan(1, from: 10)
        world.event(1, "DEPA", "ZAA", 10)
        world.says("A", 1, 80, at: 11)
        #expect(world.estimates(1).count == 1)
        // It was seen elsewhere after the time at which it was said to arrive.
        world.event(1, "ARRI", "ZCC", 85)
        #expect(world.estimates(1).isEmpty)
        world.says("A", 1, 100, at: 86)
        #expect(world.estimates(1).count == 1)
        world.event(1, "ARRI", "ZBB", 99)
        #expect(world.estimates(1).isEmpty)
        // Of a milestone that is not on its way nothing is made.
        world.plan(2, from: 200)
        world.event(
            2, "ARRI", "ZQQ", 250, more: ",\"class\":\"EST\",\"source\":\"A\"", heard: 201)
        #expect(world.estimates(2).isEmpty)
    }

    /// The latest sixteen of a journey count, whoever says them.
    @Test func statementsAreBounded() {
        var world = World()
        world.plan(1, from: 10)
        for source in 0..<17 {
            world.says("S\(source)", 1, 100 + Double(source), at: 11 + Double(source) / 10)
        }
        let shown = world.estimates(1)
        #expect(shown.count == 16 && !shown.contains { $0.source == "S0" })
    }

    /// PLN sets a planned time anew: a departure that was moved is not late by it, and what it teaches
    /// is measured from that.
    @Test func aPlannedTimeThatWasSetAnewIsThePlan() throws {
        var world = World()
        world.plan(1, from: 10)
        let before = try #require(world.p50)
        world.event(
            1, "DEPA", "ZAA", 40, more: ",\"class\":\"PLN\",\"source\":\"terminal\"", heard: 9.5)
        let moved = try #require(world.p50)
        #expect(moved > before + 20)
        let line = try #require(world.said.last { $0.text("kind") == "eta" })
        #expect(line.objects("because").first?.text("cause") == "plan")
        #expect(world.firstPlanned(1) == Self.start.advanced(minutes: 40 * 60))
        // A plan that is sent later says so itself again.
        world.send(
            "{\"plan\":\"S-1\",\"containers\":[\"\(world.box(1))\"],\"updated\":\"\(World.time(9.8))\","
                + "\"milestones\":[{\"place\":\"ZAA\",\"event\":\"DEPA\",\"time\":\"\(World.time(12))\"},"
                + "{\"place\":\"ZBB\",\"event\":\"ARRI\",\"time\":\"\(World.time(112))\"}],"
                + "\"promised\":\"\(World.time(130))\"}", at: 9.8)
        #expect(world.firstPlanned(1) == Self.start.advanced(minutes: 12 * 60))
    }

    /// What waits to be judged, who said it, and what sources are worth outlive a restart.
    @Test func aRestartKnowsWhatWasSaid() async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let first = engine.step(
            [], changes: [.rules(AlertRules()), .network(.shipped)], now: Self.start)
        try await log.commit(try #require(first.commit))
        var world = taught(12, World(engine))
        world.plan(99, from: 1_000)
        world.event(99, "DEPA", "ZAA", 1_000)
        world.says("KNOWS", 99, 1_068, at: 1_001)
        let shown = world.estimates(99)
        for commit in world.commits { try await log.commit(commit) }
        try await log.checkpoint(world.engine.cut(now: world.now))
        let restored = try await Recovery.run(log).engine
        let records = world.engine.sourceRecords.map { "\($0)" }
        #expect(restored.sourceRecords.map { "\($0)" } == records && records.count > 3)
        world.engine = restored
        #expect(world.estimates(99) == shown)
        #expect(shown.first?.source == "KNOWS")
        // What was said before is judged as it would have been.
        world.event(99, "ARRI", "ZBB", 1_060)
        let judged = world.engine.sourceRecords.reduce(0) { $0 + $1.count }
        #expect(judged > restored.sourceRecords.reduce(0) { $0 + $1.count })
    }
}
