import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Posts that fall silent, and what becomes of the alerts of their boxes.
@Suite struct SilentPostTests {
    private func silent(_ hours: Range<Double>) -> Corridor {
        var corridor = Corridor()
        corridor.silent["B"] = hours
        return corridor
    }

    @Test func aSilentPostIsOneAlertAndItsBoxesAreNone() throws {
        var corridor = silent(150..<172)
        corridor.run(until: 210)
        corridor.expect("raised", "post-silent", within: 151..<157)
        corridor.expect("cleared", "post-silent", within: 172..<172.2)
        corridor.expectNone("overdue", in: 140..<210)
        corridor.expectNone("late", in: 140..<210)
        let end = try #require(corridor.alerts("post-silent", "cleared").first?.object)
        #expect(end.text("post") == "B" && end.text("place") == "ZBB")
        #expect(end.text("container") == nil)
        let children = try #require(end.integer("children"))
        #expect(children > 10 && end.texts("containers")?.count == min(50, children))
        // It grew, and said so a few times and not at each box.
        #expect(corridor.alerts("post-silent", "updated").count <= 8)
    }

    @Test func withoutThePostsSilenceTheSameBoxesAreOverdue() {
        // The control: of one box alone it is told.
        var corridor = Corridor()
        corridor.lost = [150]
        corridor.run(until: 210)
        #expect(corridor.alerts("overdue", "raised").count == 1)
        corridor.expectNone("post-silent")
    }

    @Test func aBoxThatIsReallyMissingIsToldOnceThePostIsBack() {
        var corridor = silent(150..<172)
        corridor.lost = [147]
        corridor.run(until: 171.9)
        corridor.expectNone("overdue", in: 140..<172)
        corridor.run(until: 230)
        let told = corridor.alerts("overdue", "raised")
        #expect(told.count == 1)
        #expect(told.first?.object.text("container") == Corridor.box(147))
        #expect(told.first.map { $0.at >= 172 && $0.at < 180 } == true)
    }

    @Test func aPostWithNothingToReportIsNotMissed() {
        var corridor = Corridor()
        corridor.lastDeparture = 150
        corridor.run(until: 400)
        corridor.expectNone("post-silent")
    }

    @Test func aPostThatIsHardlyKnownIsNotMissed() {
        var corridor = silent(40..<60)
        corridor.run(until: 70)
        corridor.expectNone("post-silent")
    }

    @Test func aRevokedPostIsNotWaitedFor() {
        var corridor = silent(150..<400)
        corridor.run(until: 160)
        corridor.expect("raised", "post-silent", within: 151..<157)
        var post = PostEnrolment(name: "B", places: ["*"])
        post.isRevoked = true
        corridor.enrol([post])
        corridor.run(until: 162)
        corridor.expect("withdrawn", "post-silent", within: 160..<162)
    }

    /// Where nobody reports at all it is one thing, and not as many as there are posts.
    @Test func whenNobodyReportsThatIsOneAlert() throws {
        var corridor = Corridor()
        for post in ["A", "B", "C"] { corridor.silent[post] = 150..<170 }
        corridor.run(until: 200)
        corridor.expect("raised", "post-silent", within: 151..<158)
        corridor.expect("cleared", "post-silent", within: 170..<170.2)
        let line = try #require(corridor.alerts("post-silent").first?.object)
        #expect(line.text("text")?.contains("from anybody") == true && line.text("post") == nil)
        corridor.expectNone("overdue", in: 152..<200)
        #expect(try corridor.replayed().canonicalState() == corridor.engine.canonicalState())
    }

    /// That it concerns more and more boxes is told, but not with each of them.
    @Test func itGrowsInHours() {
        var corridor = silent(150..<190)
        corridor.run(until: 189)
        let told = corridor.alerts("post-silent").map(\.at)
        #expect(told.count > 3)
        let levels = corridor.alerts("post-silent").map { $0.object.text("severity") ?? "" }
        for at in told.indices.dropFirst() where levels[at] == levels[at - 1] {
            #expect(told[at] - told[at - 1] >= 0.99, "\(told)")
        }
    }

    @Test func whatOldNewsBringsIsWaitedFor() {
        var corridor = silent(150..<172)
        // After it is back it still sends old news, a line a minute, for forty minutes.
        corridor.delay = { post, at in post == "B" && (4 * 160..<4 * 168).contains(at) ? 360 : 0 }
        corridor.run(until: 230)
        let end = corridor.alerts("post-silent", "cleared").map(\.at)
        #expect(end.count == 1 && end.allSatisfy { $0 >= 172 && $0 <= 173.1 }, "\(end)")
    }

    @Test func aReplaySaysTheSame() throws {
        var corridor = silent(150..<172)
        corridor.run(until: 165)
        var again = try corridor.replayed()
        #expect(again.canonicalState() == corridor.engine.canonicalState())
        #expect(again.nextDue == corridorDue(corridor))
        corridor.run(until: 200)
        #expect(try corridor.replayed().canonicalState() == corridor.engine.canonicalState())
    }

    private func corridorDue(_ corridor: Corridor) -> Instant {
        var engine = corridor.engine
        return engine.nextDue
    }

    @Test func aRestartInItsMiddleGoesOn() async throws {
        var corridor = silent(150..<172)
        let log = MemoryLog()
        corridor.run(until: 160)
        try await corridor.checkpoint(log)
        corridor.run(until: 165)
        try await corridor.write(log)
        var live = corridor.engine
        var again = try await Recovery.run(log).engine
        #expect(again.canonicalState() == live.canonicalState())
        #expect(again.nextDue == live.nextDue)
        #expect(again.alertCounts[.postSilent, .critical] == 1)
    }

    @Test func itIsSeenToAndSilencedLikeAnyOther() throws {
        var corridor = silent(150..<172)
        corridor.run(until: 160)
        let line = try #require(corridor.alerts("post-silent").last?.object)
        let (id, rev) = (try #require(line.text("alert")), try #require(line.integer("rev")))
        corridor.send(["{\"acknowledge\":\"\(id)\",\"rev\":\(rev),\"note\":\"power cut\"}"])
        let seen = try #require(corridor.alerts("post-silent", "acknowledged").last?.object)
        #expect(seen.text("note") == "power cut" && seen.integer("rev") == rev + 1)
        corridor.send([
            "{\"silence\":\"S-1\",\"types\":[\"post-silent\"],\"from\":\"2026-01-01T00:00:00Z\","
                + "\"until\":\"2026-02-01T00:00:00Z\"}"
        ])
        corridor.run(until: 175)
        let end = try #require(corridor.alerts("post-silent", "cleared").last?.object)
        #expect(end.text("silenced") == "S-1")
    }
}

/// Closures, and what they delay.
@Suite struct ClosureIncidentTests {
    private func closed(_ until: String = "2026-01-08T12:00:00Z") -> String {
        "{\"closure\":\"C-1\",\"place\":\"ZBB\",\"from\":\"2026-01-07T06:00:00Z\",\"until\":\"\(until)\"}"
    }

    @Test func aClosureIsTheParentOfWhatItDelays() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 149.9)
        let raised = try #require(corridor.alerts("closure", "raised").first?.object)
        let id = try #require(raised.text("alert"))
        #expect(raised.text("place") == "ZBB" && raised.integer("children") ?? 0 > 0)
        let late = corridor.alerts("late", "raised")
        let children = late.filter { $0.object.text("incident") == id }
        #expect(children.count >= 10)
        #expect(
            children.allSatisfy { $0.object.text("text")?.hasSuffix("ZBB will be closed") == true })
        // What is late for another reason says which.
        for other in late where other.object.text("incident") != id {
            #expect(other.object.text("text")?.contains("closed") == false)
        }
        // The parent comes first.
        #expect(
            (raised.integer("seq") ?? .max) < (late.first?.object.integer("seq") ?? 0))
        corridor.run(until: 200)
        corridor.expect("cleared", "closure", within: 180..<180.2)
    }

    @Test func aClosureThatNobodyWaitsForIsNoAlert() {
        var corridor = Corridor()
        corridor.run(until: 100)
        corridor.send([closed().replacing("ZBB", with: "ZDD")])
        corridor.run(until: 200)
        corridor.expectNone("closure")
    }

    @Test func itSaysWhichItIsAndWhetherAnotherGoesOn() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed().dropLast() + ",\"reason\":\"HOL\"}"])
        corridor.send([
            "{\"closure\":\"C-2\",\"place\":\"ZBB\",\"from\":\"2026-01-07T06:00:00Z\"}"
        ])
        corridor.run(until: 185)
        let first = try #require(corridor.alerts("closure", "raised").first?.object)
        #expect(first.text("closure") == "C-1" && first.text("reason") == "HOL")
        let open = corridor.alerts("closure", "raised").last?.object
        #expect(open?.text("closure") == "C-2")
        #expect(open?.text("text")?.contains("until further notice") == true)
        // As long as boxes are thought to wait for it.
        #expect(open?.integer("delayMinutes") == 7 * 1_440)
        let end = try #require(corridor.alerts("closure", "cleared").first?.object)
        #expect(end.text("text")?.contains("another goes on") == true)
    }

    /// One that ends when it begins was none.
    @Test func oneThatWasNoneIsWithdrawn() {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 141)
        corridor.send([
            closed("2026-01-07T06:00:00Z").dropLast() + ",\"updated\":\"2026-01-06T21:00:00Z\"}"
        ])
        corridor.run(until: 170)
        corridor.expect("withdrawn", "closure", within: 141..<141.1)
        #expect(corridor.alerts("closure", "cleared").isEmpty)
    }

    @Test func takenBackItIsWithdrawn() {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 145)
        corridor.send([
            closed().dropLast() + ",\"retract\":true,\"updated\":\"2026-01-07T01:00:00Z\"}"
        ])
        corridor.run(until: 150)
        corridor.expect("withdrawn", "closure", within: 145..<145.1)
        #expect(corridor.alerts("closure", "cleared").isEmpty)
    }

    @Test func itEndsWhenItsLastWordSays() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 145)
        corridor.send([
            closed("2026-01-09T12:00:00Z").dropLast() + ",\"updated\":\"2026-01-07T01:00:00Z\"}"
        ])
        // Who plans by it hears that.
        let update = try #require(
            corridor.alerts("closure", "updated").first { $0.at >= 145 }?.object)
        #expect(
            update.text("text")?.hasPrefix(
                "ZBB is closed from 2026-01-07 06:00Z until 2026-01-09 12:00Z (before: until "
                    + "2026-01-08 12:00Z): it delays") == true)
        #expect(update.integer("delayMinutes") == 54 * 60)
        corridor.run(until: 230)
        corridor.expect("cleared", "closure", within: 204..<204.2)
    }

    /// By less than an hour it is no news, however often; by more in all it is, once.
    @Test func anEndThatIsPutOffByMinutesIsToldByTheHour() {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 160)
        for minutes in 1...90 {
            let until = TimeText.string(Corridor.at(180).advanced(minutes: Double(minutes)))
            let updated = TimeText.string(Corridor.at(159).advanced(minutes: Double(minutes) / 2))
            corridor.send([closed(until).dropLast() + ",\"updated\":\"\(updated)\"}"])
        }
        let put = corridor.alerts("closure", "updated").filter {
            $0.object.text("text")?.contains("before: until") == true
        }
        #expect(put.count == 1)
    }

    @Test func anotherModeIsNews() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 150)
        corridor.send([
            closed().dropLast() + ",\"mode\":\"RAIL\",\"updated\":\"2026-01-07T05:00:00Z\"}"
        ])
        let update = try #require(
            corridor.alerts("closure", "updated").last { $0.at >= 150 }?.object)
        #expect(update.text("text")?.hasPrefix("ZBB is closed to rail from") == true)
    }

    /// Those that come when it is over do not wait for it.
    @Test func oneThatIsCutShortDelaysFewer() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        corridor.send([closed()])
        corridor.run(until: 149)
        let before = corridor.alerts("closure").last?.object.integer("children") ?? 0
        corridor.send([
            closed("2026-01-07T07:00:00Z").dropLast() + ",\"updated\":\"2026-01-07T05:00:00Z\"}"
        ])
        let cut = try #require(corridor.alerts("closure", "updated").last { $0.at >= 149 }?.object)
        #expect(cut.integer("children") ?? .max < before, "\(before)")
    }

    /// What was said of the wrong place holds nobody up there any more.
    @Test func oneThatWasSaidOfAnotherPlaceMoves() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        let soon = closed().replacing("2026-01-07T06", with: "2026-01-06T22")
        corridor.send([soon.replacing("ZBB", with: "ZCC")])
        corridor.run(until: 141)
        let raised = try #require(corridor.alerts("closure", "raised").first?.object)
        #expect(raised.text("place") == "ZCC")
        corridor.send([soon.dropLast() + ",\"updated\":\"2026-01-06T21:00:00Z\"}"])
        // Whoever follows either place hears all of it.
        let gone = try #require(corridor.alerts("closure", "withdrawn").last?.object)
        #expect(gone.text("place") == "ZCC" && gone.text("alert") == raised.text("alert"))
        #expect(gone.text("text")?.hasSuffix("it is said of ZBB") == true)
        let moved = try #require(corridor.alerts("closure", "raised").last?.object)
        #expect(moved.text("place") == "ZBB" && moved.text("alert") != raised.text("alert"))
        // Boxes behind ZBB are let go.
        let (before, now) = (raised.integer("children") ?? 0, moved.integer("children") ?? .max)
        #expect(now > 0 && now < before)
        corridor.run(until: 200)
        corridor.expect("cleared", "closure", within: 180..<180.2)
    }

    /// Who has left the place does not wait for it, when it is said how many do.
    @Test func whoHasPassedIsNotCounted() throws {
        var corridor = Corridor()
        corridor.run(until: 140)
        let until = "2026-01-13T00:00:00Z"
        corridor.send([closed(until)])
        corridor.run(until: 141)
        let raised = try #require(corridor.alerts("closure", "raised").first?.object)
        // They get through all the same.
        corridor.run(until: 180)
        corridor.send([
            closed("2026-01-14T00:00:00Z").dropLast() + ",\"updated\":\"2026-01-08T00:00:00Z\"}"
        ])
        let update = try #require(corridor.alerts("closure", "updated").last?.object)
        let named = Set(update.texts("containers") ?? [])
        #expect(!named.isEmpty)
        #expect(named.isDisjoint(with: (raised.texts("containers") ?? []).prefix(1)))
        #expect(update.integer("children") == named.count)
    }
}

/// Clocks that are wrong.
@Suite struct ClockTests {
    @Test(arguments: [(60.0, 60), (300, 300), (-60, -60), (-300, -300), (12, 12)])
    func aWrongClockIsToldOnce(_ skew: Double, _ minutes: Int) throws {
        var corridor = Corridor()
        corridor.skew["B"] = (skew, 0)
        corridor.run(until: 80)
        corridor.expect("raised", "post-clock", within: 8..<40)
        let line = try #require(corridor.alerts("post-clock").first?.object)
        #expect(abs((line.integer("delayMinutes") ?? 0) - abs(minutes)) <= 2)
        #expect(line.text("post") == "B")
        #expect(line.text("text")?.contains(minutes > 0 ? "ahead" : "behind") == true)
        #expect(line.text("text")?.contains("caravan post correct") == (minutes % 60 == 0))
    }

    @Test func aPostThatSendsNowAndThenHasNoWrongClock() {
        var corridor = Corridor()
        // All that happened in an hour, at its end; and a fixed 50 minutes later is no hour.
        corridor.delay = { post, at in post == "B" ? Double(at * 7 % 60) : post == "C" ? 50 : 1 }
        corridor.run(until: 100)
        corridor.expectNone("post-clock")
    }

    @Test func aClockThatIsSetRightEndsIt() {
        var corridor = Corridor()
        corridor.skew["C"] = (60, 0)
        corridor.run(until: 60)
        corridor.skew["C"] = nil
        corridor.run(until: 100)
        corridor.expect("raised", "post-clock", within: 8..<60)
        corridor.expect("cleared", "post-clock", within: 70..<100)
    }

    /// What comes late tells nothing of a clock: neither that it is wrong, nor that it is right again.
    @Test func lateNewsIsNoSignThatAClockIsRight() {
        var corridor = Corridor()
        corridor.skew["B"] = (180, 0)
        corridor.silent["B"] = 60..<72
        corridor.run(until: 100)
        corridor.expect("raised", "post-clock", within: 8..<40)
        #expect(corridor.alerts("post-clock").count == 1)
    }

    /// Four reports in five come at once, the others when there is a link: one alert for one wrong clock.
    @Test func aClockThatStaysWrongIsToldOnce() {
        var corridor = Corridor()
        corridor.skew["C"] = (10, 0)
        corridor.delay = { post, at in post == "C" && at % 5 == 0 ? 240 : 0 }
        corridor.run(until: 200)
        #expect(corridor.alerts("post-clock", "raised").count == 1)
        #expect(corridor.alerts("post-clock", "cleared").isEmpty)
    }

    private func post(_ corrections: [ClockCorrection]) -> PostEnrolment {
        var post = PostEnrolment(name: "B", places: ["*"])
        post.corrections = corrections
        return post
    }

    @Test func aCorrectionSetsRightWhatWasSaidAndIsTakenBackWhole() throws {
        var right = Corridor()
        right.enrol([post([])])
        right.run(until: 60)
        var corridor = Corridor()
        corridor.enrol([post([])])
        corridor.skew["B"] = (120, 0)
        corridor.run(until: 60)
        let before = corridor.engine.trackedState()
        let correction = ClockCorrection(minutes: -120, from: Corridor.start, until: nil)
        corridor.enrol([post([correction])])
        corridor.expect("raised", "post-clock", within: 8..<60)
        corridor.expect("cleared", "post-clock", within: 60..<60.1)
        // Each box was where it was, when it was.
        for number in 0..<44 {
            let box = try #require(ContainerNumber(Corridor.box(number)))
            var (a, b) = (corridor.engine, right.engine)
            let (mine, other) = (a.view(box, now: corridor.now), b.view(box, now: right.now))
            #expect(
                mine?.journeys.first?.stops.map(\.reached)
                    == other?.journeys.first?.stops.map(\.reached))
        }
        #expect(try corridor.replayed().canonicalState() == corridor.engine.canonicalState())
        corridor.enrol([post([])])
        #expect(corridor.engine.trackedState() == before)
    }

    @Test func whatComesAfterACorrectionIsSetRightAtOnce() throws {
        var corridor = Corridor()
        corridor.enrol([
            post([
                ClockCorrection(
                    minutes: -60, from: Corridor.at(20), until: Corridor.at(40))
            ])
        ])
        corridor.skew["B"] = (60, 0)
        corridor.run(until: 60)
        func arrived(_ number: Int) throws -> Double {
            let box = try #require(ContainerNumber(Corridor.box(number)))
            var engine = corridor.engine
            let stops = engine.view(box, now: corridor.now)?.journeys.first?.stops ?? []
            let at = try #require(stops.first { $0.place == "ZBB" }?.reached)
            return at.minutes(since: Corridor.start) / 60 - Double(number) - 6
        }
        // Stated before the window, in it, after it.
        #expect(try abs(arrived(5) - 1) < 0.3)
        #expect(try abs(arrived(20)) < 0.3)
        #expect(try abs(arrived(45) - 1) < 0.3)
    }

    @Test func manyBoxesAreSetRightInSteps() throws {
        var corridor = Corridor()
        corridor.enrol([post([])])
        var lines: [String] = []
        for number in 0..<2_500 {
            lines.append(
                "{\"container\":\"\(Corridor.box(number))\",\"event\":\"ARRI\",\"place\":\"ZBB\","
                    + "\"time\":\"2026-01-01T00:00:00Z\"}")
        }
        corridor.send(lines, from: "B")
        var engine = corridor.engine
        let correction = ClockCorrection(minutes: 60, from: Corridor.start, until: nil)
        var steps = 0
        _ = engine.step([], changes: [.posts([post([correction])])], now: corridor.now)
        while engine.nextDue <= corridor.now {
            _ = engine.step([], now: corridor.now)
            steps += 1
        }
        #expect(steps == 2)
        for number in [0, 1_250, 2_499] {
            let box = try #require(ContainerNumber(Corridor.box(number)))
            let report = engine.view(box, now: corridor.now)?.reports.first
            #expect(report?.time == Corridor.at(1))
            #expect(report?.flags.words == ["place-unknown", "clock-corrected"])
        }
    }
}
