import Testing
import Tracking
import Wire

/// What carriers, terminals and forwarders send: an arrival and nothing else, what is still ahead, a booking's name,
/// papers before the ship.
struct CarriersWordsTests {
    // MARK: Plans that say little

    @Test func anArrivalIsAllThatIsPlanned() {
        // What happens before it is on its way, however long before.
        tell(
            """
            plan CNSGH > NLRTM by SEA ARRI NLRTM 41 promised 43
            expect end 38 44
            5.5 DEPA CNSGH
            expect done DEPA CNSGH
            39 ARRI NLRTM
            expect done ARRI NLRTM
            expect arrived -5760
            """)
        // Of a port that nobody knows it has come, too, and nobody knows to the hour when a ship will.
        var story = Story("")
        story.tell(
            """
            plan CNYTN > NLRTM by SEA ARRI NLRTM 34 promised 35
            """)
        let edges = ["p10", "p90"].flatMap { story.saidTexts($0) }.compactMap { TimeText.parse($0) }
        #expect(edges.count == 2)
        if edges.count == 2 {
            #expect(edges[1].instant.minutes(since: edges[0].instant) > 2 * 1_440)
        }
        tell(
            """
            plan CNYTN > NLRTM by SEA ARRI NLRTM 34 promised 40
            5 DEPA CNYTN
            expect none off-route
            33 ARRI NLRTM
            expect done ARRI NLRTM
            """)
    }

    @Test func onlyWhatIsAheadIsSentAgain() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA CNXIA 2.5, ARRI ALTYNKOL 7.6, ARRI PLMAA 15.8, ARRI DEDUI 19 promised 21
            2.5 DEPA CNXIA
            7.6 ARRI ALTYNKOL
            now 9
            plan CNXIA > DEDUI by RAIL ARRI DEDUI 19 promised 21
            expect done ARRI ALTYNKOL
            expect end 18 21
            expect none off-route
            now 15
            expect none overdue
            15.8 ARRI PLMAA
            expect none off-route
            19 ARRI DEDUI
            expect done ARRI DEDUI
            """)
        // Elsewhere than planned before, behind a voyage that is over.
        tell(
            """
            plan CNSGH > NLRTM by SEA DEPA CNSGH 1, ARRI SGSIN 7, DEPA SGSIN 9, ARRI NLRTM 34 promised 36
            1 DEPA CNSGH
            7 ARRI SGSIN
            now 8
            plan CNSGH > NLRTM by SEA ARRI BEANR 34, DEPA BEANR 35, ARRI NLRTM 36 promised 38
            expect done ARRI SGSIN
            expect way BEANR NLRTM
            34 ARRI BEANR
            expect done ARRI BEANR
            expect none off-route
            """)
    }

    /// Another plan under the same name is not continued: it leaves from elsewhere.
    @Test func anotherVoyageIsAnother() {
        tell(
            """
            plan DEPA CNSGH 1, ARRI NLRTM 34 by SEA promised 36
            now 2
            plan DEPA CNNGB 8, ARRI NLRTM 40 by SEA promised 42
            expect not CNSGH
            expect next DEPA CNNGB
            """)
    }

    @Test func ordinaryStopsAreOnTheWay() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA CNXIA 2.5, ARRI ALTYNKOL 7.6, ARRI PLMAA 15.8, ARRI DEDUI 19 promised 21
            2.5 DEPA CNXIA
            6.5 ARRI CNHRS
            expect none off-route
            7.6 ARRI ALTYNKOL
            expect none off-route
            9.6 ARRI KZALA
            expect none off-route
            12.7 ARRI RUMOW
            expect none off-route
            15.8 ARRI PLMAA
            expect done ARRI PLMAA
            """)
        // What lies elsewhere does not.
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA CNXIA 2.5, ARRI ALTYNKOL 7.6, ARRI PLMAA 15.8, ARRI DEDUI 19 promised 21
            2.5 DEPA CNXIA
            7.6 ARRI ALTYNKOL
            10 ARRI UZTAS
            expect open off-route
            """)
    }

    @Test func nobodyHasSaidWhenItLeaves() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL promised 90
            now 20
            expect none overdue
            """)
        // Where its promise is at stake somebody is told.
        tell(
            """
            plan CNXIA > DEDUI by RAIL promised 25
            now 20
            expect open late
            """)
    }

    // MARK: What that is not

    /// Who leaves late arrives late, whatever the carrier said of the arrival.
    @Test func aLateDepartureCounts() {
        tell(
            """
            plan CNSGH > NLRTM by SEA ARRI NLRTM 34 promised 36
            20 DEPA CNSGH
            expect end 44 60
            now 20.1
            expect open late
            """)
    }

    /// What a box does long before is another trip of it.
    @Test func theTripBeforeIsAnother() {
        tell(
            """
            plan CNSGH > NLRTM by SEA ARRI NLRTM 60 promised 62
            3 ARRI NLRTM
            4 DISC NLRTM
            5 GTOT NLRTM
            expect end 55 66
            25 DEPA CNSGH
            expect done DEPA CNSGH
            60 ARRI NLRTM
            expect done ARRI NLRTM
            """)
        tell(
            """
            plan CNSGH > NLRTM by SEA ARRI NLRTM 60 promised 62
            4 STRP KZALA
            expect end 55 66
            expect next DEPA CNSGH
            """)
    }

    @Test func whereItBeginsIsNotOffItsWay() {
        tell(
            """
            plan CNSGH > NLRTM by SEA ARRI QQSGN 12, ARRI NLRTM 38 promised 40
            5 DEPA CNSGH
            expect none off-route
            12 ARRI QQSGN
            expect done ARRI QQSGN
            expect none off-route
            """)
    }

    @Test func whatComesBackIsOffItsWay() {
        let way =
            "plan CNXIA > DEDUI by RAIL DEPA CNXIA 2.5, ARRI ALTYNKOL 7.6, ARRI PLMAA 15.8, ARRI DEDUI 19 promised 21\n"
        tell(
            way + """
                2.5 DEPA CNXIA
                7.6 ARRI ALTYNKOL
                12.7 ARRI RUMOW
                expect none off-route
                15.7 ARRI KZALA
                expect open off-route
                """)
        // Taken off there it does not only stop.
        tell(
            way + """
                2.5 DEPA CNXIA
                7.6 ARRI ALTYNKOL
                9.6 ARRI KZALA
                expect none off-route
                9.9 DISC KZALA
                expect open off-route
                """)
    }

    @Test func overABorderAPaperIsSoon() {
        tell(
            """
            plan DEPA CNHRS 1, ARRI KZHOR 1.25, DEPA KZHOR 2, ARRI KZALA 3 by ROAD promised 4
            1 DEPA CNHRS
            1.1 CUSI KZHOR
            expect by ARRI KZHOR
            """)
    }

    @Test func anotherBookingLeavesForElsewhere() {
        tell(
            """
            plan DEPA CNSGH 13, ARRI SGSIN 20, ARRI NLRTM 48 by SEA promised 50
            1 GTIN CNSGH under MAEU1
            2 DEPA CNSGH under MAEU1
            4 ARRI CNNGB under MAEU1
            expect next DEPA CNSGH
            expect none off-route
            11 GTIN CNSGH
            13 DEPA CNSGH
            expect done DEPA CNSGH
            """)
    }

    @Test func aTrainMayLeaveByTheGate() {
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI ALTYNKOL 7.6, ARRI DEDUI 19 by RAIL promised 21
            2.5 GTOT CNXIA
            expect next ARRI ALTYNKOL
            """)
    }

    @Test func aPortIsNoTerminal() {
        tell(
            """
            plan DEPA CNSGH 1, ARRI NLRTM 30, DEPA NLRTM 32, ARRI DEHAM 34 by SEA promised 36
            1 DEPA CNSGH
            30 ARRI NLRTM
            31 DISC BEQQZ
            expect open off-route
            """)
    }

    @Test func whatHasNoTimesIsKeptToo() {
        var story = Story("")
        let box = Story.box?.description ?? ""
        func plan(_ updated: String, _ milestones: [String]) -> String {
            "{\"plan\":\"S\",\"containers\":[\"\(box)\"],\"from\":\"CNXIA\",\"to\":\"DEDUI\",\"mode\":\"RAIL\","
                + "\"promised\":\"2026-01-21T00:00:00Z\",\"updated\":\"\(updated)\",\"milestones\":["
                + milestones.map {
                    let parts = $0.split(separator: " ")
                    return "{\"event\":\"\(parts[0])\",\"place\":\"\(parts[1])\"}"
                }.joined(separator: ",") + "]}"
        }
        story.say(plan("2026-01-01T00:00:00Z", ["DEPA CNXIA", "ARRI ALTYNKOL", "ARRI DEDUI"]))
        story.tell(
            """
            2 DEPA CNXIA
            7 ARRI ALTYNKOL
            now 7.5
            """)
        story.say(plan("2026-01-08T12:00:00Z", ["ARRI DEDUI"]))
        story.tell("expect done ARRI ALTYNKOL\nexpect none late\nexpect none off-route")
        #expect(story.failures.isEmpty, "\(story.failures)")
    }

    // MARK: What is reported

    @Test func anEmptyBoxIsFetched() {
        tell(
            """
            plan DEPA CNSGH 24.5, ARRI NLRTM 60 by SEA promised 62
            15.5 GTOT CNSGH
            expect next DEPA CNSGH
            21.5 GTIN CNSGH
            expect next DEPA CNSGH
            expect end 58 64
            expect none off-route
            24.6 DEPA CNSGH
            expect done DEPA CNSGH
            """)
        // By road it leaves by the gate.
        tell(
            """
            plan DEPA KZALA 2, ARRI UZTAS 4 by ROAD promised 5
            2 GTOT KZALA
            expect next ARRI UZTAS
            """)
    }

    @Test func aBookingThatNobodyPlannedBeginsWithTheGate() {
        var story = Story("")
        story.tell(
            """
            plan DEPA CNSGH 3, ARRI SGSIN 9, ARRI NLRTM 38 by SEA promised 40
            2 GTIN CNSGH under MAEU123
            3 DEPA CNSGH under MAEU123
            expect done DEPA CNSGH
            9 ARRI SGSIN under MAEU123
            expect done ARRI SGSIN
            """)
        #expect(story.failures.isEmpty, "\(story.failures)")
        #expect(!story.saidTexts("shipment").contains("MAEU123"))
    }

    @Test func aPaperDoesNotTravel() {
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI DEDUI 19, GTOT DEDUI 20 by RAIL promised 22
            2.5 DEPA CNXIA
            5.3 CUSS DEDUI
            5.4 CUSR DEDUI
            expect next ARRI DEDUI
            expect end 17 24
            13 CUSI DEDUI
            expect next ARRI DEDUI
            19 ARRI DEDUI
            expect done ARRI DEDUI
            """)
        // Where nearly all of the leg is behind, it tells of an arrival that nobody reported.
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI DEDUI 19, GTOT DEDUI 20 by RAIL promised 22
            2.5 DEPA CNXIA
            19 CUSI DEDUI
            expect by ARRI DEDUI
            """)
    }

    @Test func aTerminalGoesByItsOwnName() {
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI DEDUI 19, GTOT DEDUI 21 by RAIL promised 22
            2.5 DEPA CNXIA
            19 ARRI DEDUI
            19.5 DISC DIT-DUISBURG
            expect next GTOT DEDUI
            expect none off-route
            27 GTOT DEDUI
            expect arrived 7200
            """)
    }

    @Test func customsHoldWhereATimetableWaits() {
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI PLMAA 15, DEPA PLMAA 17, ARRI DEDUI 20 by RAIL promised 22
            2.5 DEPA CNXIA
            15 ARRI PLMAA
            15.1 CUSI PLMAA
            now 22
            expect open customs-hold
            expect none overdue
            22 DEPA PLMAA
            expect none customs-hold
            """)
    }

    @Test func oneOfTwoSealsIsRead() {
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI ALTYNKOL 8, ARRI DEDUI 19 by RAIL promised 22
            2 GTIN CNXIA sealed CN123,SH9
            2.5 DEPA CNXIA sealed CN123
            expect raised seal
            8 ARRI ALTYNKOL sealed CN123,SH9
            expect cleared seal
            expect none seal
            """)
        // What nobody has explained does not become its own by being read twice.
        tell(
            """
            plan DEPA CNXIA 2.5, ARRI ALTYNKOL 8, ARRI PLMAA 15, ARRI DEDUI 19 by RAIL promised 22
            2.5 DEPA CNXIA sealed A1
            8 ARRI ALTYNKOL sealed B2
            expect raised seal
            8.2 CUSI ALTYNKOL sealed A1
            expect cleared seal
            8.9 CUSR ALTYNKOL sealed B2
            expect open seal
            15 ARRI PLMAA sealed B2
            expect open seal
            """)
    }

    // MARK: What is said

    /// Silence that somebody is told of is no good news.
    @Test func silenceDoesNotClear() {
        var story = Story("")
        story.tell(
            """
            plan DEPA CNXIA 2.5, ARRI CNHRS 6, ARRI ALTYNKOL 7, DEPA ALTYNKOL 9, ARRI PLMAA 16, DEPA PLMAA 18, ARRI DEDUI 20 by RAIL promised 27
            2.5 DEPA CNXIA
            """)
        var latest = Instant.unset
        var isLate = false
        for hour in stride(from: 60, through: 30 * 24, by: 1) {
            let seen = story.count
            story.tell("now \(Double(hour) / 24)")
            for line in story.lines.dropFirst(seen) {
                if line.text("type") == "overdue", line.text("state") == "raised" { isLate = true }
                #expect(!(line.text("type") == "late" && line.text("state") == "cleared"))
                guard let p50 = line.instant("p50") else { continue }
                #expect(!isLate || p50 >= latest, "at hour \(hour)")
                latest = max(latest, p50)
            }
        }
        #expect(isLate)
    }

    /// A word that changes nothing is not what silence has changed.
    @Test func aWordIsNotToBlameForSilence() {
        var story = Story("")
        story.tell(
            """
            plan DEPA CNYTN 3, ARRI NLRTM 33 by SEA promised 33.5
            3 DEPA CNYTN
            now 34.9
            """)
        story.say(
            "{\"container\":\"\(Story.box?.description ?? "")\",\"event\":\"ARRI\",\"place\":\"NLRTM\",\"class\":\"EST\","
                + "\"source\":\"NOBODY\",\"time\":\"2026-02-05T00:00:00Z\",\"updated\":\"2026-02-04T21:00:00Z\"}"
        )
        let causes = story.lines.flatMap { $0.objects("because") }.compactMap { $0.text("cause") }
        #expect(!causes.contains("estimate"), "\(causes)")
    }
}
