import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// A plan that is sent again with other times: what it states of the past, of what is under way, and
/// what it leaves out.
@Suite struct RestatedTests {
    private static let start = Instant(seconds: 1_767_225_600)
    private static let box = ContainerNumber("QZTU0000700")

    /// One box by sea, in hours.
    private struct Voyage {
        var engine = Engine()
        private(set) var commits: [Commit] = []
        private(set) var now = RestatedTests.start
        private var serial = 0

        init() {
            let effects = engine.step(
                [], changes: [.rules(AlertRules()), .network(.shipped)], now: now)
            if let commit = effects.commit { commits.append(commit) }
        }

        static func time(_ hours: Double) -> String {
            TimeText.string(RestatedTests.start.advanced(minutes: hours * 60))
        }

        mutating func send(_ line: String, at hours: Double) {
            now = max(now, RestatedTests.start.advanced(minutes: hours * 60))
            let effects = engine.step([chunk([line])], now: now)
            #expect(effects.counts.quarantined == 0, "\(line)")
            if let commit = effects.commit { commits.append(commit) }
        }

        static let usual: [(String, String)] = [
            ("GTIN", "ZZP01"), ("LOAD", "ZZP01"), ("DEPA", "ZZP01"), ("ARRI", "ZZP40"),
            ("DISC", "ZZP40"), ("GTOT", "ZZP40"),
        ]

        /// The plan as it is at `hours`; `from`: the first milestone that it states.
        mutating func plan(
            _ times: [Double], from: Int = 0, plan: String = "SEA", box: String = "QZTU0000700",
            as updated: Double? = nil, at hours: Double
        ) {
            let milestones = zip(Voyage.usual, times).dropFirst(from).map {
                "{\"event\":\"\($0.0)\",\"place\":\"\($0.1)\",\"time\":\"\(Voyage.time($1))\"}"
            }
            send(
                "{\"plan\":\"\(plan)\",\"containers\":[\"\(box)\"],\"mode\":\"SEA\",\"updated\":\""
                    + "\(Voyage.time(updated ?? hours))\",\"milestones\":[\(milestones.joined(separator: ","))]}",
                at: hours)
        }

        mutating func report(_ event: String, _ place: String, at hours: Double) {
            serial += 1
            send(
                "{\"id\":\"e-\(serial)\",\"container\":\"QZTU0000700\",\"event\":\"\(event)\","
                    + "\"place\":\"\(place)\",\"time\":\"\(Voyage.time(hours))\"}", at: hours)
        }

        mutating func stops(_ hours: Double) -> [ContainerTimeline.Stop] {
            let at = RestatedTests.start.advanced(minutes: hours * 60)
            return RestatedTests.box.flatMap { engine.view($0, now: at) }?.journeys.first?.stops
                ?? []
        }

        /// The middle of the end, in hours, and the width from p10 to p90.
        mutating func end(_ hours: Double) -> (p50: Double, width: Double) {
            guard let last = stops(hours).last, let p10 = last.p10, let p50 = last.p50,
                let p90 = last.p90
            else { return (.nan, .nan) }
            return (p50.minutes(since: RestatedTests.start) / 60, p90.minutes(since: p10) / 60)
        }

        /// After a start anew, from the log or from a checkpoint.
        mutating func again(_ isKept: Bool) async throws -> Engine {
            let log = MemoryLog()
            for commit in commits { try await log.commit(commit) }
            if isKept { try await log.checkpoint(engine.cut(now: now)) }
            return try await Recovery.run(log).engine
        }
    }

    private static let first: [Double] = [100, 140, 150, 550, 574, 650]

    @Test func whatIsStatedToLieInThePastHasProbablyBeenPassed() {
        var voyage = Voyage()
        voyage.plan(RestatedTests.first, at: 1)
        voyage.report("GTIN", "ZZP01", at: 101)
        #expect(voyage.stops(158).map(\.isProbablyPassed).prefix(3) == [false, false, false])
        voyage.plan([101, 141, 152, 560, 584, 660], at: 160)
        #expect(
            voyage.stops(160).map(\.isProbablyPassed)
                == [false, true, true, false, false, false])
        #expect(abs(voyage.end(160).p50 - 660) < 24)
        // Taken back by a plan that has it ahead, and refuted by what is reported of before it.
        var moved = voyage
        moved.plan([101, 170, 180, 590, 614, 690], at: 162)
        #expect(moved.stops(162).allSatisfy { !$0.isProbablyPassed })
        voyage.report("LOAD", "ZZP01", at: 163)
        #expect(voyage.stops(163).allSatisfy { !$0.isProbablyPassed })
        let leaves = voyage.stops(163)[2].p50 ?? .unset
        #expect(leaves >= RestatedTests.start.advanced(minutes: 163 * 60))
    }

    /// A plan that is entered when the box has long left, and another box that is added to one.
    @Test func aPlanThatComesLateIsNoPlanForTheComingDays() {
        var voyage = Voyage()
        voyage.plan(RestatedTests.first, at: 300)
        #expect(
            voyage.stops(301).map(\.isProbablyPassed)
                == [true, true, true, false, false, false])
        #expect(abs(voyage.end(301).p50 - 650) < 24)
        // One that comes in time says nothing of the past.
        var early = Voyage()
        early.plan(RestatedTests.first, at: 1)
        #expect(early.stops(2).allSatisfy { !$0.isProbablyPassed })
    }

    @Test func sayingItDoesNotMakeItLessLikely() {
        var silent = Voyage()
        silent.plan(RestatedTests.first, at: 1)
        silent.report("GTIN", "ZZP01", at: 101)
        var said = silent
        said.plan([101, 141, 152, 550, 574, 650], at: 390)
        #expect(said.end(391).p50 <= silent.end(391).p50 + 6)
    }

    @Test func whatIsBehindAndNotStatedAnyMoreIsKept() async throws {
        var whole = Voyage()
        whole.plan(RestatedTests.first, at: 1)
        for (at, time) in [101.0, 143, 155].enumerated() {
            whole.report(Voyage.usual[at].0, Voyage.usual[at].1, at: time)
        }
        var cut = whole
        whole.plan([101, 143, 155, 560, 584, 660], at: 200)
        cut.plan([101, 143, 155, 560, 584, 660], from: 3, at: 200)
        let (of, and) = (whole.end(200), cut.end(200))
        #expect(abs(of.p50 - and.p50) < 6 && abs(of.width / and.width - 1) < 0.1, "\(of) \(and)")
        #expect(cut.stops(200).count == 6)
        #expect(cut.stops(200).prefix(3).allSatisfy { $0.reached != nil })
        // Sent once more it says nothing new, and it is all in the log.
        let before = cut.commits.count
        cut.plan([101, 143, 155, 560, 584, 660], from: 3, at: 200)
        #expect(cut.commits.count <= before + 1 && cut.stops(200).count == 6)
        #expect(try await cut.again(true).canonicalState() == cut.engine.canonicalState())
    }

    /// Where milestones wait for each other, or are those of one box, what is left is another plan.
    @Test func ofBoxesThatJoinNothingIsKept() {
        var voyage = Voyage()
        func plan(_ milestones: [(String, String, Double)], at hours: Double) {
            let stated = milestones.map {
                "{\"event\":\"\($0.0)\",\"place\":\"\($0.1)\",\"container\":\"QZTU0000700\",\"time\":\""
                    + "\(Voyage.time($0.2))\"}"
            }
            voyage.send(
                "{\"plan\":\"SEA\",\"containers\":[\"QZTU0000700\",\"QZTU0000720\"],\"updated\":\""
                    + "\(Voyage.time(hours))\",\"milestones\":[\(stated.joined(separator: ","))]}",
                at: hours)
        }
        plan([("DEPA", "ZZP01", 100), ("ARRI", "ZZP40", 500), ("GTOT", "ZZP40", 600)], at: 1)
        plan([("ARRI", "ZZP40", 510), ("GTOT", "ZZP40", 610)], at: 200)
        #expect(voyage.stops(201).map(\.code) == [.arri, .gtot])
    }

    /// Whatever shape a plan takes from one version to the next: a chain, boxes that join, fewer or more.
    @Test func anyShapeMayFollowAnyOther() {
        var random = SeededGenerator(seed: testSeed("anyShapeMayFollowAnyOther"))
        for _ in 0..<20 {
            var voyage = Voyage()
            for version in 1...12 {
                let at = Double(version) * 30
                let isJoined = random.chance(0.5)
                let stated = Voyage.usual.enumerated().filter { _ in random.chance(0.7) }.map {
                    "{\"event\":\"\($0.element.0)\",\"place\":\"\($0.element.1)\","
                        + (isJoined && random.chance(0.7) ? "\"container\":\"QZTU0000700\"," : "")
                        + "\"time\":\"\(Voyage.time(Double($0.offset + 1) * 80 + random.share() * 40))\"}"
                }
                guard !stated.isEmpty else { continue }
                voyage.send(
                    "{\"plan\":\"SEA\",\"containers\":[\"QZTU0000700\"],\"updated\":\""
                        + "\(Voyage.time(at - 60 * random.share()))\",\"milestones\":["
                        + stated.joined(separator: ",") + "]}", at: at)
                let event = Voyage.usual[Int(random.share() * 6)]
                if random.chance(0.5) { voyage.report(event.0, event.1, at: at + 1) }
                _ = voyage.stops(at + 2)
            }
        }
    }

    @Test func anEndThatWasStatedUnderWayCountsTheDelayOnce() {
        var voyage = Voyage()
        voyage.plan(RestatedTests.first, at: 1)
        voyage.report("GTIN", "ZZP01", at: 101)
        voyage.report("LOAD", "ZZP01", at: 240)
        // Four days late.
        voyage.report("DEPA", "ZZP01", at: 250)
        let late = voyage.end(260).p50
        #expect((730..<800).contains(late))
        // The carrier knows, and leaves in its plan what it had planned before that.
        voyage.plan([100, 140, 150, 650, 674, 750], at: 261)
        #expect(abs(voyage.end(261).p50 - 750) < 24)
    }

    /// Plans that always state what has been teach nothing but what was planned before.
    @Test func whatIsStatedOfThePastIsNoMeasure() {
        func width(restates: Bool) -> Double {
            var voyage = Voyage()
            for number in 0..<30 {
                let from = Double(number) * 10
                let box = ContainerNumber(owner: "QZTU", serial: 2_000 + number)?.description ?? ""
                let times = RestatedTests.first.map { $0 + from }
                voyage.plan(times, plan: "P-\(number)", box: box, at: from + 1)
                var actual = times
                let late = Double(number % 7) * 20
                for at in actual.indices where at > 0 { actual[at] += late }
                for at in actual.indices {
                    voyage.send(
                        "{\"id\":\"\(number)-\(at)\",\"container\":\"\(box)\",\"event\":\""
                            + "\(Voyage.usual[at].0)\",\"place\":\"\(Voyage.usual[at].1)\",\"time\":\""
                            + "\(Voyage.time(actual[at]))\"}", at: actual[at])
                }
                if restates {
                    voyage.plan(actual, plan: "P-\(number)", box: box, at: actual[5] + 1)
                }
            }
            voyage.plan(RestatedTests.first.map { $0 + 2_000 }, at: 2_001)
            return voyage.end(2_001).width
        }
        let (once, again) = (width(restates: false), width(restates: true))
        #expect(once > 100)
        #expect(abs(once / again - 1) < 0.02, "\(once) \(again)")
    }

    /// Versions that come in another order than they were made in.
    @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    func theOrderInWhichVersionsComeDoesNotShow(order: [Int]) async throws {
        let versions: [(times: [Double], from: Int, at: Double)] = [
            (RestatedTests.first, 0, 1), ([101, 141, 152, 560, 584, 660], 0, 160),
            ([101, 141, 152, 566, 590, 668], 2, 300),
        ]
        func told(_ order: [Int]) -> Voyage {
            var voyage = Voyage()
            for (event, time) in [("GTIN", 101.0), ("LOAD", 143)] {
                voyage.report(event, "ZZP01", at: time)
            }
            for number in order {
                let version = versions[number]
                voyage.plan(version.times, from: version.from, as: version.at, at: 310)
            }
            return voyage
        }
        var (usual, other) = (told([0, 1, 2]), told(order))
        let (expected, found) = (usual.stops(320), other.stops(320))
        #expect(found.count == 6 && found.map(\.place) == expected.map(\.place))
        #expect(found.map(\.reached) == expected.map(\.reached))
        #expect(found.map(\.isProbablyPassed) == expected.map(\.isProbablyPassed))
        #expect(found.map(\.p50) == expected.map(\.p50))
        #expect(found.map(\.p90) == expected.map(\.p90))
        for isKept in [false, true] {
            let isSame =
                try await other.again(isKept).canonicalState() == other.engine.canonicalState()
            #expect(isSame)
        }
    }

    /// A version that comes late, when the one in force has been saved.
    @Test func whatComesLateIsSavedBesideTheLine() async throws {
        var voyage = Voyage()
        voyage.plan([101, 141, 152, 566, 590, 668], from: 2, as: 300, at: 300)
        let log = MemoryLog()
        for commit in voyage.commits { try await log.commit(commit) }
        try await log.checkpoint(voyage.engine.cut(now: voyage.now))
        let saved = voyage.commits.count
        voyage.plan(RestatedTests.first, as: 1, at: 301)
        for commit in voyage.commits.dropFirst(saved) { try await log.commit(commit) }
        try await log.checkpoint(voyage.engine.cut(now: voyage.now))
        let again = try await Recovery.run(log).engine
        let isSame = again.canonicalState() == voyage.engine.canonicalState()
        #expect(isSame)
        #expect(voyage.stops(302).count == 6)
    }

    @Test(arguments: [false, true])
    func aRestartKnowsWhatWasPlannedBefore(isKept: Bool) async throws {
        var voyage = Voyage()
        voyage.plan(RestatedTests.first, at: 1)
        voyage.report("GTIN", "ZZP01", at: 101)
        voyage.plan([101, 141, 152, 560, 584, 660], at: 160)
        voyage.plan([101, 141, 152, 566, 590, 668], from: 2, at: 300)
        let again = try await voyage.again(isKept)
        let isSame = again.canonicalState() == voyage.engine.canonicalState()
        #expect(isSame)
    }
}
