import Engine
import TestKit
import Testing
import Tracking
import Wire

/// What forwarders by sea live through: ships that sail without the box, terminals that it is driven between,
/// bookings that follow one another, bills of which one leads through ports that the other does not name.
struct OceanStoryTests {
    private static let plan = """
        plan GTIN ZAA 4, LOAD ZAA 7, DEPA ZAA 7.5, ARRI ZBB 14, DISC ZBB 14.6, LOAD ZBB 20, DEPA ZBB 20.5, ARRI ZCC 44, DISC ZCC 45, GTOT ZCC 48 by SEA promised 50
        4 GTIN ZAA
        7 LOAD ZAA on V1
        7.5 DEPA ZAA on V1
        14 ARRI ZBB on V1
        14.6 DISC ZBB on V1
        """

    private static let aboard =
        plan + """

            20 LOAD ZBB on V2
            20.5 DEPA ZBB on V2
            44 ARRI ZCC on V2
            """

    // MARK: Ships that sail

    @Test(arguments: ["on V1", "by SEA", ""])
    func theShipThatBroughtItSailsWithoutIt(_ how: String) {
        _ = Story.told(
            OceanStoryTests.plan + """

                15 DEPA ZBB \(how)
                expect next LOAD ZBB
                22 LOAD ZBB on V2
                22.3 DEPA ZBB on V2
                expect done DEPA ZBB
                expect next ARRI ZCC
                """)
    }

    @Test func whatDepartsAboutWhenItIsToIsAboard() {
        _ = Story.told(
            OceanStoryTests.plan + """

                20.4 DEPA ZBB by SEA
                expect done DEPA ZBB
                expect next ARRI ZCC
                """)
    }

    @Test func whatIsLoadedAfterItsShipHadLeftWasNotAboard() {
        // Nobody has planned when: it could have been.
        _ = Story.told(
            """
            plan ZAA > ZCC via ZBB by SEA
            plan DEPA ZAA 1, DISC ZBB 8, LOAD ZBB 9, DEPA ZBB 9.2, GTOT ZCC 30 by SEA
            1 DEPA ZAA
            8 DISC ZBB
            8.9 DEPA ZBB
            expect done DEPA ZBB
            12 LOAD ZBB
            expect next DEPA ZBB
            12.5 DEPA ZBB
            expect done DEPA ZBB
            """)
    }

    @Test(arguments: ["by SEA", "on V2"])
    func noShipTakesItToItsEnd(_ how: String) {
        _ = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                45.5 DEPA ZCC \(how)
                expect next GTOT ZCC
                now 55
                expect open late
                56 GTOT ZCC
                expect arrived 8640
                """)
    }

    @Test func whatSailsOnBeforeItIsUnloadedHasNotArrived() {
        let story = Story.told(
            OceanStoryTests.aboard + """

                45.5 DEPA ZCC on V2
                expect next DISC ZCC
                48 DISC DEHAM on V2
                expect raised off-route
                expect next DISC ZCC
                58 DISC ZCC
                60 GTOT ZCC
                expect arrived 14400
                """)
        #expect(!story.lines.contains { $0.has("actual") && $0.text("place") == "DEHAM" })
    }

    @Test func whatLeavesByRoadHasLeft() {
        _ = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                46 DEPA ZCC by ROAD
                expect by GTOT ZCC
                expect end 46 46
                """)
    }

    /// Whatever it was loaded onto takes it along, by rail or by barge.
    @Test(arguments: ["RAIL", "BARGE", "SEA"])
    func whatIsLoadedLeavesWithThat(_ mode: String) {
        let story = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                47 LOAD ZCC by \(mode)
                47.3 DEPA ZCC by \(mode)
                expect by GTOT ZCC
                expect end 47.3 47.3
                now 60
                """)
        #expect(!story.lines.contains { $0.text("type") == "overdue" })
    }

    /// Some say by what the leg went, on each line.
    @Test func theLastWordOfATrainPostEndsTheTrip() {
        _ = Story.told(
            """
            plan DEPA ZAA 1, ARRI ZBB 12, DISC ZBB 12.5, GTOT ZBB 14 by RAIL promised 15
            1 DEPA ZAA by RAIL
            12 ARRI ZBB by RAIL
            13.8 DEPA ZBB by RAIL
            expect by GTOT ZBB
            """)
    }

    @Test func anotherShipThatIsNamedMayHaveTakenIt() {
        _ = Story.told(
            OceanStoryTests.plan + """

                16 DEPA ZBB by SEA on V7
                expect done DEPA ZBB
                expect next ARRI ZCC
                """)
    }

    @Test func aTrainNumberThatStaysIsNoOtherTrain() {
        _ = Story.told(
            """
            plan DEPA ZAA 1, ARRI ZBB 5, DISC ZBB 5.2, LOAD ZBB 5.8, DEPA ZBB 6, ARRI ZCC 12 by RAIL
            1 DEPA ZAA on X8024
            5 ARRI ZBB on X8024
            5.3 DISC ZBB on X8024
            6 DEPA ZBB on X8024
            expect done DEPA ZBB
            expect next ARRI ZCC
            """)
    }

    // MARK: Gates

    @Test func whatIsDrivenToAnotherTerminalIsNotLoaded() {
        _ = Story.told(
            OceanStoryTests.plan + """

                16 GTOT ZBB
                expect next LOAD ZBB
                16.3 GTIN ZBB
                expect next LOAD ZBB
                now 28
                expect open overdue
                29 LOAD ZBB on V2
                expect cleared overdue
                """)
    }

    @Test func anEndIsReachedOnce() {
        let story = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                46 PICK ZCC
                expect by GTOT ZCC
                expect end 46 46
                50 GTIN ZCC
                52 LOAD ZCC on V3
                53 DEPA ZCC on V3
                """)
        #expect(story.lines.count { $0.has("actual") } == 1)
    }

    /// The consignee's yard, where the terminal's gate says nothing.
    @Test(arguments: ["WAREHOUSE-7", "DEDUI"])
    func whatIsSeenBehindItsEndHasArrived(_ yard: String) {
        let story = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                47 GTIN \(yard)
                now 60
                """)
        #expect(story.lines.contains { $0.has("actual") })
        #expect(!story.lines.contains { ["late", "overdue"].contains($0.text("type")) })
    }

    // MARK: Trips

    @Test func aTripIsOverWhereTheNextBegins() {
        var story = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                """)
        let box = Story.box?.description ?? ""
        story.say(
            "{\"plan\":\"NEXT\",\"containers\":[\"\(box)\"],\"milestones\":[{\"event\":\"GTIN\",\"place\":\"ZCC\","
                + "\"time\":\"2026-02-20T00:00:00Z\"},{\"event\":\"ARRI\",\"place\":\"ZEE\","
                + "\"time\":\"2026-03-05T00:00:00Z\"}],\"mode\":\"SEA\"}")
        story.tell(
            """
            50.5 GTIN ZCC under NEXT
            expect by GTOT ZCC
            expect end 50.5 50.5
            """)
        #expect(story.failures == [])
    }

    /// A customs paper of the next trip is written while this one lasts.
    @Test func aPaperOfTheNextTripEndsNone() {
        var story = Story.told(OceanStoryTests.aboard + "\n45 DISC ZCC on V2")
        let box = Story.box?.description ?? ""
        story.say(
            "{\"plan\":\"NEXT\",\"containers\":[\"\(box)\"],\"milestones\":[{\"event\":\"GTIN\",\"place\":\"ZCC\","
                + "\"time\":\"2026-02-20T00:00:00Z\"},{\"event\":\"ARRI\",\"place\":\"ZEE\","
                + "\"time\":\"2026-03-05T00:00:00Z\"}],\"mode\":\"SEA\"}")
        story.tell(
            """
            46 CUSS ZCC under NEXT
            expect next GTOT ZCC
            48 GTOT ZCC under S
            expect arrived -2880
            """)
        #expect(story.failures == [])
    }

    @Test func twoBillsOfOneTripShareItsReports() {
        var story = Story("")
        let box = Story.box?.description ?? ""
        story.say(
            "{\"plan\":\"HOUSE\",\"containers\":[\"\(box)\"],\"milestones\":[{\"event\":\"GTIN\",\"place\":\"ZAA\","
                + "\"time\":\"2026-01-05T00:00:00Z\"},{\"event\":\"ARRI\",\"place\":\"ZDD\","
                + "\"time\":\"2026-02-20T00:00:00Z\"}],\"promised\":\"2026-02-22T00:00:00Z\"}")
        story.tell(
            OceanStoryTests.aboard + """

                45 DISC ZCC
                48 GTOT ZCC
                50 ARRI ZDD
                """)
        #expect(story.failures == [])
        let lines = story.lines
        #expect(
            lines.contains {
                $0.text("shipment") == "HOUSE" && $0.text("place") == "ZDD" && $0.has("actual")
            })
        #expect(
            !lines.contains { $0.text("shipment") == "HOUSE" && $0.text("type") == "overdue" })
        #expect(
            !lines.contains { $0.text("type") == "off-route" }, "the other bill leads there")
    }

    // MARK: Off its way

    @Test func fromOneUnplannedPortToTheNextIsOneEpisode() {
        let story = Story.told(
            OceanStoryTests.plan + """

                20 LOAD ZBB on V2
                20.5 DEPA ZBB on V2
                26 ARRI ZXX on V2
                expect raised off-route
                35 ARRI ZYY on V2
                expect open off-route
                44 ARRI ZCC on V2
                expect cleared off-route
                """)
        let said = story.lines.filter { $0.text("type") == "off-route" }
        #expect(said.compactMap { $0.text("state") } == ["raised", "cleared"])
    }

    @Test func whatIsStrippedElsewhereIsOffItsWayNoMore() {
        _ = Story.told(
            OceanStoryTests.plan + """

                20 LOAD ZBB on V2
                20.5 DEPA ZBB on V2
                42 DISC ZXX on V2
                expect raised off-route
                48 STRP ZXX
                expect cleared off-route
                """)
    }

    @Test func aPortThatIsShutToShipsLetsTrucksOut() {
        let story = Story.told(
            OceanStoryTests.aboard + """

                45 DISC ZCC on V2
                """)
        var shut = story
        shut.say(
            "{\"closure\":\"C-1\",\"place\":\"ZCC\",\"mode\":\"SEA\",\"from\":\"2026-02-15T12:00:00Z\","
                + "\"until\":\"2026-02-25T00:00:00Z\"}")
        #expect(!shut.saidTexts("kind").contains("eta"), "\(shut.lines.suffix(2))")
    }

    // MARK: Places that nobody knows

    @Test func aMisspeltPlaceIsNoArrival() {
        let story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            1 DEPA CNXIA
            14 ARRI DEDUI
            14.2 GTIN KZHRO
            """)
        #expect(!story.lines.contains { $0.has("actual") && $0.text("place") != "DEDUI" })
    }

    @Test func betweenAirportsThatNobodyKnowsItFlew() {
        let story = Story.told(
            """
            plan GTIN CNXIA 10, DEPA XIY-APT 10.3, ARRI FRA-APT 10.8, GTIN DEDUI 11 by AIR
            10 GTIN CNXIA by ROAD
            10.3 DEPA XIY-APT by AIR
            10.8 ARRI FRA-APT by AIR
            11 GTIN DEDUI by ROAD
            expect arrived 0
            """)
        #expect(!story.lines.contains { $0.text("type") == "impossible" })
    }

    @Test func aPlaceThatNobodyKnowsVouchesForNothing() {
        let story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            1 DEPA CNXIA
            7 GTIN KZHOR
            7.01 GTIN SIDING-7
            7.02 GTIN DEDUI
            now 7.2
            expect aside GTIN DEDUI
            """)
        #expect(story.lines.contains { $0.text("type") == "impossible" })
    }

    @Test func whoLeavesItsWayAgainAndAgainUnderManyPlansIsRead() {
        // Each plan has ways of its own; all of them are more than are remembered at once.
        var story = Story("")
        let box = Story.box?.description ?? ""
        for plan in 0..<48 {
            story.say(
                "{\"plan\":\"P\(plan)\",\"containers\":[\"\(box)\"],\"milestones\":["
                    + "{\"event\":\"DEPA\",\"place\":\"CNXIA\",\"time\":\"2026-01-02T00:\(10 + plan % 48):00Z\"},"
                    + "{\"event\":\"ARRI\",\"place\":\"DEDUI\",\"time\":\"2026-02-20T00:00:00Z\"}]}"
            )
        }
        var text = ""
        for at in 0..<260 {
            text += "\(2 + Double(at) * 0.17) ARRI \(at % 2 == 0 ? "KZALA" : "KZASN")\n"
        }
        story.tell(text)
        #expect(story.failures == [])
        var engine = story.engine
        let view = Story.box.flatMap { engine.view($0, now: Instant(seconds: 1_772_000_000)) }
        #expect(view?.journeys.count == 48)
    }
}
