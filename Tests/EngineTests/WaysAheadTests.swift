import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Where ways part: by which of them a box will go, and what that means for its arrival.
@Suite struct WaysAheadTests {

    private static let open = "\"from\":\"CNXIA\",\"to\":\"DEDUI\",\"mode\":\"RAIL\""

    @Test func anOpenPlanGoesByEitherBorder() throws {
        var fork = Fork()
        fork.plan(1, WaysAheadTests.open, at: 1)
        let ways = fork.ways(1, at: 2)
        #expect(ways.count == 2 && ways.values.reduce(0, +) == 100, "\(ways)")
        #expect((ways["CNAKL"] ?? 0) > (ways["CNHRS"] ?? 0) && ways["CNHRS"] ?? 0 > 25, "\(ways)")
        // The line says so, too.
        let line = try #require(fork.said.last)
        #expect(line.contains("\"ways\":[{\"via\":\"CNAKL\",\"share\":0."), "\(line)")
        fork.report(1, "DEPA", "CNXIA", at: 30)
        #expect(fork.ways(1, at: 31).count == 2)
        // Seen on one of them, it is on that: the next fork is another.
        fork.report(1, "ARRI", "CNHRS", at: 120)
        #expect(fork.ways(1, at: 121)["CNAKL"] == nil)
        // What a plan says of the way is not open.
        var told = Fork()
        told.plan(1, WaysAheadTests.open + ",\"via\":[\"CNHRS\"]", at: 1)
        #expect(told.ways(1, at: 2)["CNAKL"] == nil)
    }

    /// What others of the same kind did counts more than typical times, those of late most.
    @Test func theShareIsWhatBoxesDid() async throws {
        var fork = Fork()
        func send(_ numbers: ClosedRange<Int>, by border: String) {
            for number in numbers {
                fork.plan(number, WaysAheadTests.open, at: Double(number))
                fork.report(number, "DEPA", "CNXIA", at: Double(number) + 30)
                fork.report(number, "ARRI", border, at: Double(number) + 120)
            }
        }
        send(1...30, by: "CNHRS")
        fork.plan(1_000, WaysAheadTests.open, at: 160)
        let learned = fork.ways(1_000, at: 161)
        #expect(learned["CNHRS"] ?? 0 > 75, "\(learned)")
        // Between other places the same fork is the same.
        fork.plan(1_001, "\"from\":\"CNXIA\",\"to\":\"PLWAW\",\"mode\":\"RAIL\"", at: 160)
        let elsewhere = fork.ways(1_001, at: 161)
        #expect(elsewhere["CNHRS"] ?? 0 > 60, "\(elsewhere)")
        // A start anew knows it, from the log and from a checkpoint.
        for isKept in [false, true] {
            let again = try await fork.again(isKept)
            let isSame = again.canonicalState() == fork.engine.canonicalState()
            #expect(isSame, "kept \(isKept)")
        }
        send(200...300, by: "CNAKL")
        fork.plan(1_002, WaysAheadTests.open, at: 460)
        let turned = fork.ways(1_002, at: 461)
        #expect(turned["CNHRS"] ?? 0 < 20, "\(turned)")
    }

    /// Boxes of a plan that states its way are forecast by where boxes of such plans go.
    @Test func aPlanIsNotAlwaysKept() {
        var fork = Fork()
        let stated =
            "\"from\":\"CNXIA\",\"to\":\"DEDUI\",\"mode\":\"RAIL\",\"milestones\":["
            + [
                ("DEPA", "CNXIA", 1_440), ("ARRI", "KZDOS", 14_400), ("DEPA", "KZDOS", 2_880),
                ("ARRI", "DEDUI", 14_400),
            ].map { "{\"event\":\"\($0.0)\",\"place\":\"\($0.1)\",\"minutes\":\($0.2)}" }
            .joined(separator: ",") + "]"
        func ride(_ number: Int, by border: String, _ hours: [Double], from begins: Double) {
            fork.plan(number, stated, at: begins)
            for (stop, hour) in zip(
                [("DEPA", "CNXIA"), ("ARRI", border), ("DEPA", border), ("ARRI", "DEDUI")],
                hours)
            {
                fork.report(number, stop.0, stop.1, at: begins + hour)
            }
        }
        for number in 1...20 {
            let isOther = number % 3 == 0
            let drift = Double(number % 5) * 4
            ride(
                number, by: isOther ? "KZHOR" : "KZDOS",
                isOther
                    ? [24, 300 + drift, 400, 900 + drift] : [24, 264 + drift, 312, 552 + drift],
                from: Double(number) * 1_000)
        }
        fork.plan(99, stated, at: 30_000)
        fork.report(99, "DEPA", "CNXIA", at: 30_024)
        let ways = fork.ways(99, at: 30_030)
        #expect(
            ways.keys.sorted() == ["KZDOS", "KZHOR"] && 15...40 ~= ways["KZHOR"] ?? 0, "\(ways)")
        let end = fork.end(99, at: 30_030)
        #expect(end?.p10 ?? 0 < 30_570 && end?.p90 ?? 0 > 30_700, "\(String(describing: end))")
        // Not heard of when it should have come to the one port, it has gone to the other.
        let late = fork.ways(99, at: 30_290)
        #expect(late["KZHOR"] ?? 0 > 10 + (ways["KZHOR"] ?? 100), "\(ways) \(late)")
        fork.report(99, "ARRI", "KZHOR", at: 30_300)
        #expect(fork.ways(99, at: 30_301).isEmpty)
    }

    /// Places that no file knows: from five boxes on a plan is forecast by where these went.
    @Test func aWayThatNobodyStatedIsLearned() {
        var fork = Fork()
        let plan = "\"from\":\"ZZA\",\"to\":\"ZZD\",\"mode\":\"ROAD\""
        for number in 1...8 {
            let begins = Double(number) * 100
            let drift = Double(number % 3)
            fork.plan(number, plan, at: begins)
            fork.report(number, "DEPA", "ZZA", at: begins + 5)
            let end = fork.end(number, at: begins + 6)
            if number <= 5 {
                #expect(end == nil)
                #expect(fork.view(number, at: begins + 6)?.unknown != nil)
            } else {
                #expect(abs((end?.p50 ?? 0) - begins - 56) < 3, "\(number)")
                #expect(fork.view(number, at: begins + 6)?.unknown == nil)
            }
            for (event, place, hours) in [
                ("ARRI", "ZZB", 15), ("DEPA", "ZZB", 20), ("ARRI", "ZZC", 30),
                ("DEPA", "ZZC", 40), ("ARRI", "ZZD", 55 + drift),
            ] as [(String, String, Double)] {
                fork.report(number, event, place, at: begins + hours)
            }
        }
        // Before it is on its way as well.
        fork.plan(9, plan, at: 900)
        #expect(fork.end(9, at: 901) != nil)
    }

    @Test func whatIsTakenBackShowsNothing() {
        var fork = Fork()
        var ids: [String] = []
        for number in 1...20 {
            fork.plan(number, WaysAheadTests.open, at: Double(number))
            fork.report(number, "DEPA", "CNXIA", at: Double(number) + 30)
        }
        fork.plan(1_000, WaysAheadTests.open, at: 30)
        fork.report(1_000, "DEPA", "CNXIA", at: 100)
        let before = fork.ways(1_000, at: 140)
        for number in 1...20 {
            ids.append(fork.report(number, "ARRI", "CNHRS", at: Double(number) + 120))
        }
        let seen = fork.ways(1_000, at: 140)
        #expect(seen["CNHRS"] ?? 0 > 15 + (before["CNHRS"] ?? 100), "\(before) \(seen)")
        for (number, id) in ids.enumerated() {
            fork.send(
                "{\"id\":\"\(id)\",\"retract\":true,\"container\":\"\(Fork.box(number + 1))\"}",
                at: 141)
        }
        let after = fork.ways(1_000, at: 140)
        #expect(after == before)
    }

    /// What lies on both ways tells nothing of which it is.
    @Test func silenceBeforeTheForkTellsNothing() {
        var fork = Fork()
        for number in 1...25 {
            fork.plan(number, WaysAheadTests.open, at: Double(number) * 4)
            fork.report(number, "DEPA", "CNXIA", at: Double(number) * 4 + 20)
            fork.report(
                number, "ARRI", "CNURM", at: Double(number) * 4 + 80 + Double(number % 7) * 4)
            fork.report(
                number, "ARRI", "CNHRS", at: Double(number) * 4 + 110 + Double(number % 7) * 5)
        }
        fork.plan(100, WaysAheadTests.open, at: 300)
        fork.report(100, "DEPA", "CNXIA", at: 320)
        let first = fork.ways(100, at: 321)["CNHRS"] ?? 0
        #expect(first > 70)
        for hours in [24.0, 48, 72] {
            let later = fork.ways(100, at: 320 + hours)["CNHRS"] ?? 0
            #expect(abs(later - first) <= 6, "\(hours) h: \(first) \(later)")
        }
        // The stops are those of the likeliest way, in order.
        let stops = fork.view(100, at: 330)?.stops ?? []
        #expect(stops.contains { $0.place == "CNHRS" } && !stops.contains { $0.place == "CNAKL" })
        let middles = stops.compactMap(\.p50)
        #expect(middles == middles.sorted() && middles.count > 5)
    }

    /// One that strays says little of plans that name their way, and nothing of another mode.
    @Test func oneStrayIsNoWay() {
        var fork = Fork()
        let stated = WaysAheadTests.open + ",\"via\":[\"CNHRS\",\"KZALA\"]"
        fork.plan(1, stated, at: 1)
        fork.report(1, "DEPA", "CNXIA", at: 30)
        fork.report(1, "ARRI", "CNURM", at: 90)
        fork.report(1, "ARRI", "CNAKL", at: 120)
        for way in [
            stated, "\"from\":\"CNURM\",\"to\":\"KZALA\",\"mode\":\"ROAD\",\"via\":[\"CNHRS\"]",
            WaysAheadTests.open + ",\"via\":[\"CNHRS\"]",
        ] {
            fork.plan(2, way, at: 121)
            #expect(fork.ways(2, at: 122)["CNAKL"] == nil, "\(way)")
        }
        // Where a plan names one border, another is no way to it.
        fork.plan(3, WaysAheadTests.open + ",\"via\":[\"CNAKL\"]", at: 121)
        #expect(fork.ways(3, at: 122)["CNHRS"] == nil)
    }

    /// A box at rest whose way has another length since, by another network, is read again.
    @Test func aShorterWayIsNoTrap() async throws {
        var fork = Fork()
        fork.plan(1, WaysAheadTests.open, at: 1)
        var begins = 30.0
        for place in [
            "CNXIA", "CNLAZ", "CNURM", "CNAKL", "KZDOS", "KZAST", "RUMOW", "BYBQT", "PLMAA",
        ] {
            fork.report(1, place == "CNXIA" ? "DEPA" : "ARRI", place, at: begins)
            begins += 36
        }
        let text = """
            network | short
            zone | Asia/Shanghai | +08:00
            zone | Europe/Berlin | +01:00
            place | CNXIA | Xi'an |  | CN | 34.3 | 108.9 | Asia/Shanghai | terminal | 1435 | G | test
            place | DEDUI | Duisburg |  | DE | 51.4 | 6.7 | Europe/Berlin | terminal | 1435 | G | test
            leg | CNXIA | DEDUI | RAIL |  | 1435 | 10000 | 300 | 400 | 4 |  | E | test
            """
        let short = try LoadedNetwork(Array(text.utf8))
        var live = fork
        live.install(short)
        live.report(1, "ARRI", "DEDUI", at: begins)
        #expect(live.view(1, at: begins + 1)?.arrived != nil)
        // At rest meanwhile.
        fork.report(1, "ARRI", "DEDUI", at: begins)
        fork.report(1, "GTOT", "DEDUI", at: begins + 10)
        let log = try await fork.rest(until: begins + 24 * 40)
        #expect(fork.engine.liveContainers == 0)
        fork.install(short)
        try await fork.wake(1, log)
        fork.report(1, "ARRI", "RUMOW", at: begins - 60)
        #expect(fork.view(1, at: begins + 1_000)?.arrived != nil)
    }
}
