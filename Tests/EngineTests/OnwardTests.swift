import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Boxes without a plan go on as others did.
@Suite struct OnwardTests {
    /// In hours, where the box is expected next.
    private struct Next {
        var place: String
        var p10: Double
        var p50: Double
        var p90: Double
    }

    private func next(_ fork: inout Fork, _ number: Int, at hours: Double) -> Next? {
        guard let view = fork.view(number, at: hours), view.isGuess, let stop = view.stops.last,
            let p10 = stop.p10, let p50 = stop.p50, let p90 = stop.p90
        else { return nil }
        func hour(_ instant: Instant) -> Double { instant.minutes(since: Fork.start) / 60 }
        return Next(place: stop.place, p10: hour(p10), p50: hour(p50), p90: hour(p90))
    }

    /// Comes to one place, leaves after six hours, and comes to another a day later.
    private func pass(
        _ fork: inout Fork, _ number: Int, _ from: String, _ to: String, at hours: Double
    ) {
        fork.reports(
            number, [("ARRI", from, 0), ("DEPA", from, 6), ("ARRI", to, 30)], at: hours)
    }

    /// A plan from the one place to the other, a day later.
    private static func milestones(from hours: Double) -> String {
        "\"milestones\":[{\"event\":\"DEPA\",\"place\":\"XXAAA\",\"time\":\"\(Fork.time(hours))\"},"
            + "{\"event\":\"ARRI\",\"place\":\"XXBBB\",\"time\":\"\(Fork.time(hours + 24))\"}]"
    }

    @Test func fromPlacesThatNoFileKnows() throws {
        var fork = Fork()
        for number in 1...4 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        fork.report(9, "ARRI", "XXAAA", at: 200)
        #expect(next(&fork, 9, at: 201) == nil)
        #expect(fork.view(9, at: 201)?.unknown?.contains("too few boxes went on") == true)
        // The fifth shows it, and the one that was unknown is looked at again.
        pass(&fork, 5, "XXAAA", "XXBBB", at: 202)
        fork.advance(to: 240)
        let waiting = try #require(next(&fork, 9, at: 241))
        #expect(waiting.place == "XXBBB")
        #expect(fork.said.last?.contains("\"partial\":true,\"wentOn\":5}") == true)
        // Since it came thirty hours, since it left a day; few boxes are a wide guess.
        fork.report(10, "ARRI", "XXAAA", at: 300)
        let came = try #require(next(&fork, 10, at: 300))
        #expect((325...335).contains(came.p50) && came.p10 < 325 && came.p90 > 345, "\(came)")
        fork.report(10, "DEPA", "XXAAA", at: 320)
        let left = try #require(next(&fork, 10, at: 320))
        #expect((340...348).contains(left.p50), "\(left)")
    }

    @Test func mostGoOneWayAndTheOthersAreNamed() throws {
        var fork = Fork()
        for number in 1...6 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        for number in 7...8 { pass(&fork, number, "XXAAA", "XXCCC", at: Double(number) * 40) }
        fork.report(9, "ARRI", "XXAAA", at: 400)
        #expect(next(&fork, 9, at: 400)?.place == "XXBBB")
        #expect(fork.ways(9, at: 400) == ["XXBBB": 75, "XXCCC": 25])
        #expect(
            fork.said.last?.contains(
                "\"ways\":[{\"via\":\"XXBBB\",\"share\":0.75},{\"via\":\"XXCCC\",\"share\":0.25}]")
                == true, "\(fork.said.last ?? "")")
    }

    /// What was reported long after is not told at once; who asks hears why nothing is expected.
    @Test func whoAsksHearsWhyNothingIsExpected() throws {
        var fork = Fork()
        fork.advance(to: 100)
        fork.send(
            "{\"id\":\"late\",\"container\":\"\(Fork.box(9))\",\"event\":\"ARRI\",\"place\":\"USNYC\","
                + "\"time\":\"\(Fork.time(90))\"}", at: 100)
        #expect(
            fork.view(9, at: 100)?.unknown?.contains("USNYC is no place of the network") == true)
        // Months later it is nobody's question.
        #expect(fork.view(9, at: 100 + 24 * 60)?.unknown?.contains("USNYC is no place") != true)
    }

    /// Where nobody has gone on from it is the network's nearest place, and says so; to where it could have
    /// gone sooner from where it came it is not: from the end of the rails by sea to where they begin.
    @Test func theNearestPlaceIsNotBackWhereItCameFrom() throws {
        var fork = Fork()
        fork.reports(9, [("ARRI", "CNURC", 0), ("DEPA", "CNURC", 5)], at: 10)
        let guess = next(&fork, 9, at: 15)
        #expect(fork.said.last?.contains("\"wentOn\":0}") == true && guess != nil)
        fork.reports(10, [("DEPA", "DEDUI", 0), ("ARRI", "DEHAM", 14)], at: 20)
        let seen = fork.view(10, at: 35)
        let view = try #require(seen)
        #expect(!view.stops.contains { $0.place == "CNSGH" || $0.place == "DEDUI" })
        // One that has left by sea goes by sea, however long that is.
        fork.send(
            "{\"id\":\"sailed\",\"container\":\"\(Fork.box(10))\",\"event\":\"DEPA\",\"place\":\"DEHAM\","
                + "\"mode\":\"SEA\",\"time\":\"\(Fork.time(37))\"}", at: 37)
        #expect(next(&fork, 10, at: 37)?.place == "CNSGH")
        // One that came by sea goes on by land.
        fork.reports(11, [("DEPA", "CNSGH", 0), ("ARRI", "DEHAM", 800)], at: 40)
        #expect(next(&fork, 11, at: 841)?.place == "PLWAW")
    }

    /// There and back again: what comes next depends on where a box comes from.
    @Test func nobodyGoesBackWhereItCameFrom() throws {
        var fork = Fork()
        for number in 1...6 {
            let at = Double(number) * 100
            pass(&fork, number, "XXAAA", "XXBBB", at: at)
            fork.report(number, "ARRI", "XXCCC", at: at + 60)
            // And others the other way.
            pass(&fork, 20 + number, "XXCCC", "XXBBB", at: at)
            fork.report(20 + number, "ARRI", "XXAAA", at: at + 60)
        }
        for (number, from, to) in [(50, "XXAAA", "XXCCC"), (51, "XXCCC", "XXAAA")] {
            let at = Double(number) * 20
            fork.report(number, "ARRI", from, at: at)
            fork.report(number, "ARRI", "XXBBB", at: at + 18)
            #expect(next(&fork, number, at: at + 19)?.place == to)
            #expect(fork.ways(number, at: at + 19).isEmpty)
        }
        // A new one that came from a third place may go to either.
        fork.report(52, "ARRI", "XXDDD", at: 1_100)
        fork.report(52, "ARRI", "XXBBB", at: 1_130)
        #expect(fork.ways(52, at: 1_131) == ["XXAAA": 50, "XXCCC": 50])
    }

    /// What boxes with plans do is what boxes do.
    @Test func thoseWithPlansTeachThoseWithout() throws {
        var fork = Fork()
        for number in 1...6 {
            let at = Double(number) * 50
            fork.plan(number, OnwardTests.milestones(from: at), at: at)
            fork.report(number, "DEPA", "XXAAA", at: at)
            fork.report(number, "ARRI", "XXBBB", at: at + 26)
        }
        fork.report(9, "DEPA", "XXAAA", at: 400)
        let found = try #require(next(&fork, 9, at: 400))
        #expect(found.place == "XXBBB" && (424...428).contains(found.p50), "\(found)")
    }

    /// Known to the network, too, boxes go where they go.
    @Test func whatBoxesDoCountsMoreThanTheShortestLeg() throws {
        var fork = Fork()
        fork.report(1, "ARRI", "CNURM", at: 1)
        let guess = try #require(next(&fork, 1, at: 1)).place
        let other = try #require(["CNHRS", "CNAKL", "CNLAZ"].first { $0 != guess })
        for number in 2...8 { pass(&fork, number, "CNURM", other, at: Double(number) * 40) }
        fork.report(9, "ARRI", "CNURM", at: 500)
        #expect(next(&fork, 9, at: 500)?.place == other)
    }

    private static func retracted(
        _ number: Int, _ event: String, _ place: String, _ id: String
    ) -> String {
        "{\"id\":\"\(id)\",\"container\":\"\(Fork.box(number))\",\"event\":\"\(event)\","
            + "\"place\":\"\(place)\",\"time\":\"\(Fork.time(70))\","
            + "\"updated\":\"\(Fork.time(20))\",\"retract\":true}"
    }

    /// Retracted, corrected, claimed by a plan: what was learned is what stands.
    @Test(arguments: [false, true]) func whatTurnedOutOtherwiseIsTakenBack(isKept: Bool)
        async throws
    {
        var fork = Fork()
        var last: [String] = []
        for number in 1...5 {
            pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40)
            last.append(fork.report(number, "DEPA", "XXBBB", at: Double(number) * 40 + 31))
        }
        fork.report(9, "ARRI", "XXAAA", at: 400)
        #expect(next(&fork, 9, at: 400)?.place == "XXBBB")
        // All that was ever seen of one of them at the second place was wrong.
        fork.send(OnwardTests.retracted(1, "ARRI", "XXBBB", fork.arrivals[1] ?? ""), at: 401)
        fork.send(OnwardTests.retracted(1, "DEPA", "XXBBB", last[0]), at: 402)
        fork.report(10, "ARRI", "XXAAA", at: 410)
        #expect(next(&fork, 10, at: 410) == nil)
        // A plan that comes later has its box for itself, and teaches the same.
        fork.plan(2, OnwardTests.milestones(from: 80), at: 420)
        fork.report(11, "ARRI", "XXAAA", at: 430)
        #expect(next(&fork, 11, at: 430) == nil)
        pass(&fork, 6, "XXAAA", "XXBBB", at: 440)
        fork.report(12, "ARRI", "XXAAA", at: 480)
        #expect(next(&fork, 12, at: 480)?.place == "XXBBB")
        // After a start anew it is still so; what rests is not in memory then.
        let end = try await fork.again(isKept)
        if !isKept { #expect(end.canonicalState() == fork.engine.canonicalState()) }
        fork.engine = end
        fork.report(13, "ARRI", "XXAAA", at: 500)
        #expect(next(&fork, 13, at: 500)?.place == "XXBBB")
    }

    /// What is shut lets nothing on.
    @Test func aClosureHoldsThoseWithoutAPlanToo() throws {
        var fork = Fork()
        for number in 1...6 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        fork.send(
            "{\"closure\":\"C-1\",\"place\":\"XXAAA\",\"from\":\"\(Fork.time(395))\","
                + "\"until\":\"\(Fork.time(600))\"}", at: 395)
        fork.report(9, "ARRI", "XXAAA", at: 400)
        let found = try #require(next(&fork, 9, at: 400))
        #expect(found.p10 >= 600, "\(found)")
    }

    @Test func whatIsClosedLaterIsSaidAtOnce() throws {
        var fork = Fork()
        for number in 1...6 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        fork.report(9, "ARRI", "XXAAA", at: 400)
        fork.send(
            "{\"closure\":\"C-1\",\"place\":\"XXAAA\",\"from\":\"\(Fork.time(401))\","
                + "\"until\":\"\(Fork.time(600))\"}", at: 401)
        fork.advance(to: 402)
        let line = fork.said.last { $0.contains(Fork.box(9)) && $0.contains("\"eta\"") }
        #expect(line?.contains("\"time\":\"\(Fork.time(401))\"") == true, "\(line ?? "")")
    }

    /// Said twice, at days alone, or where it cannot be: only what is evidence shows where boxes go.
    @Test func onlyEvidenceTeaches() throws {
        var twice = Fork()
        for number in 1...5 {
            for _ in 1...2 { pass(&twice, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        }
        twice.report(9, "ARRI", "XXAAA", at: 400)
        #expect(next(&twice, 9, at: 400)?.place == "XXBBB")
        // From Urumqi to Duisburg in two hours.
        var wrong = Fork()
        for number in 1...6 {
            wrong.reports(
                number,
                [
                    ("ARRI", "CNURM", 0), ("DEPA", "CNURM", 10), ("ARRI", "DEDUI", 12),
                    ("ARRI", "CNAKL", 30),
                ], at: Double(number) * 100)
        }
        wrong.report(9, "ARRI", "CNURM", at: 900)
        #expect(next(&wrong, 9, at: 900)?.place == "CNAKL")
        #expect(wrong.ways(9, at: 900).isEmpty)
        // Between two places there is one of which only the day is known.
        var vague = Fork()
        for number in 1...6 {
            let at = Double(number) * 240
            vague.report(number, "ARRI", "XXAAA", at: at)
            vague.send(
                "{\"id\":\"d-\(number)\",\"container\":\"\(Fork.box(number))\",\"event\":\"ARRI\","
                    + "\"place\":\"XXMID\",\"time\":\"\(Fork.time(at + 48).prefix(10))\"}",
                at: at + 72)
            vague.report(number, "ARRI", "XXBBB", at: at + 120)
        }
        vague.report(9, "ARRI", "XXAAA", at: 2_000)
        #expect(next(&vague, 9, at: 2_000) == nil)
    }

    /// Loaded is not left.
    @Test func whatWasLoadedMayStandThere() throws {
        var fork = Fork()
        for number in 1...8 {
            fork.reports(
                number,
                [
                    ("ARRI", "XXAAA", 0), ("LOAD", "XXAAA", 4), ("DEPA", "XXAAA", 76),
                    ("ARRI", "XXBBB", 100),
                ], at: Double(number) * 150)
        }
        for (hours, event, left) in [(0.0, "ARRI", 100.0), (4, "LOAD", 96), (76, "DEPA", 24)] {
            fork.report(9, event, "XXAAA", at: 2_000 + hours)
            let found = try #require(next(&fork, 9, at: 2_000 + hours))
            #expect(abs(found.p50 - 2_000 - hours - left) < 6, "\(event): \(found)")
        }
    }

    /// What has not changed is not learned anew, when a report of before comes late.
    @Test func aLateReportOfTheBeginningChangesNothingBehindIt() throws {
        var fork = Fork()
        for number in 1...60 {
            fork.reports(
                number, [("DEPA", "XXAAA", 0), ("ARRI", "XXBBB", 30), ("ARRI", "XXCCC", 60)],
                at: Double(number) * 0.1)
        }
        for number in 1...60 { fork.report(number, "ARRI", "XXAAA", at: Double(number) * 0.1 - 5) }
        fork.report(99, "ARRI", "XXBBB", at: 400)
        let found = try #require(next(&fork, 99, at: 400))
        #expect(found.place == "XXCCC" && abs(found.p50 - 430) < 3, "\(found)")
    }

    /// Reports that name a shipment before its plan comes teach once.
    @Test func aPlanThatComesLaterTeachesOnce() throws {
        var fork = Fork()
        for number in 1...3 {
            for (event, place, hours) in [("DEPA", "XXAAA", 0.0), ("ARRI", "XXBBB", 24)] {
                let at = Double(number) * 40 + hours
                fork.send(
                    "{\"id\":\"\(event)-\(number)\",\"container\":\"\(Fork.box(number))\","
                        + "\"event\":\"\(event)\",\"place\":\"\(place)\",\"shipment\":\"W-\(number)\","
                        + "\"time\":\"\(Fork.time(at))\"}", at: at)
            }
        }
        for number in 1...3 {
            fork.plan(number, OnwardTests.milestones(from: Double(number) * 40), at: 300)
        }
        fork.report(9, "DEPA", "XXAAA", at: 400)
        #expect(next(&fork, 9, at: 400) == nil)
    }

    /// Where boxes end, or go to anywhere, nothing is guessed.
    @Test func whereMostStayOrScatterNothingIsGuessed() throws {
        var ended = Fork()
        for number in 1...30 { ended.report(number, "ARRI", "XXEND", at: Double(number)) }
        for number in 31...36 { pass(&ended, number, "XXEND", "XXODD", at: Double(number)) }
        ended.report(99, "ARRI", "XXEND", at: 200)
        #expect(next(&ended, 99, at: 200) == nil)
        var hub = Fork()
        for number in 0..<60 {
            pass(&hub, number, "XXHUB", "XXT\(10 + number % 20)", at: 1 + Double(number))
        }
        hub.report(99, "ARRI", "XXHUB", at: 200)
        #expect(next(&hub, 99, at: 200) == nil)
    }

    /// Whatever is reported first at the next place, it has come there; and a place is not left for itself.
    @Test func whoeverReportsAnythingShowsTheWay() throws {
        for codes in [["DEPA", "DEPA"], ["GTOT", "GTOT"], ["LOAD", "DISC"]] {
            var fork = Fork()
            for number in 1...6 {
                fork.reports(
                    number, [(codes[0], "XXAAA", 0), (codes[1], "XXBBB", 20)],
                    at: Double(number) * 40)
            }
            fork.report(9, codes[0], "XXAAA", at: 400)
            let found = try #require(next(&fork, 9, at: 400), "\(codes)")
            #expect(found.place == "XXBBB" && abs(found.p50 - 420) < 3, "\(codes): \(found)")
        }
        var fork = Fork()
        for number in 1...6 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        fork.report(9, "GTOT", "XXAAA", at: 400)
        fork.report(9, "GTIN", "XXAAA", at: 407)
        #expect(next(&fork, 9, at: 407)?.place == "XXBBB")
    }

    /// A plan that names no place to go to is not over where its box stands.
    @Test func aPlanWithoutAnEndIsNotItsEnd() {
        var fork = Fork()
        fork.report(1, "ARRI", "KZHOR", at: 1)
        fork.plan(1, "\"mode\":\"RAIL\"", at: 2)
        fork.report(1, "DEPA", "KZHOR", at: 12)
        let view = fork.view(1, at: 13)
        #expect(view?.arrived == nil)
        #expect(view?.unknown?.contains("no place to go to") == true, "\(String(describing: view))")
        #expect(fork.said.allSatisfy { !$0.contains("\"actual\"") })
    }

    /// Hearing of it again is no silence.
    @Test func aBoxThatComesAgainIsNotSaidToBeSilent() {
        var fork = Fork()
        for number in 1...6 { pass(&fork, number, "XXAAA", "XXBBB", at: Double(number) * 40) }
        fork.report(9, "ARRI", "XXAAA", at: 400)
        fork.report(9, "ARRI", "XXAAA", at: 400 + 24 * 60)
        #expect(fork.said.allSatisfy { !$0.contains("not heard of") })
    }

    /// A forecast of what never was is ended.
    @Test func allThatWasReportedIsTakenBack() throws {
        var fork = Fork()
        let id = fork.report(1, "ARRI", "KZHOR", at: 1)
        #expect(fork.said.last?.contains("\"partial\":true") == true)
        fork.send(OnwardTests.retracted(1, "ARRI", "KZHOR", id), at: 2)
        let last = try #require(fork.said.last)
        #expect(
            last.contains("\"unknown\":\"all that was reported of it was taken back\""), "\(last)")
        let count = fork.said.count
        fork.advance(to: 100)
        #expect(fork.said.count == count)
    }
}
