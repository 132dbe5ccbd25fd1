import Testing

/// What people send that no plan had in mind.
struct MistakeStoryTests {
    @Test func aNameThatNobodyPlannedTellsWhereTheBoxIs() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            1 ARRI KZALA
            1.5 DEPA KZALA under COSU612
            expect done DEPA KZALA
            2.5 ARRI KZSRY under COSU612
            3 ARRI UZTAS under COSU612
            3.5 GTOT UZTAS under COSU612
            expect done GTOT UZTAS
            now 20
            expect none overdue
            """)
    }

    @Test func whatComesUnderAnotherNameAfterTheEndIsAnotherTrip() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            1 ARRI KZALA
            1.5 DEPA KZALA
            3 ARRI UZTAS
            3.5 GTOT UZTAS
            expect done GTOT UZTAS
            6 GTIN KZALA under NEXT
            7 DEPA KZALA under NEXT
            expect done GTOT UZTAS
            expect none off-route
            """)
    }

    @Test func whatBringsABoxToItsPlansBeginningIsAnotherTrip() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 5 promised 12
            1 DEPA CNURM under IMPORT
            4 ARRI KZALA under IMPORT
            4.5 GTOT KZALA under IMPORT
            expect next DEPA KZALA
            5.2 ARRI KZALA under IMPORT
            expect next DEPA KZALA
            6 DEPA KZALA under BOOKING
            expect done DEPA KZALA
            8 ARRI UZTAS under BOOKING
            expect done ARRI UZTAS
            """)
        // Where the first report is from further on.
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            3 ARRI UZTAS under BOOKING
            expect done ARRI UZTAS
            """)
    }

    @Test func aLongVoyageUnderTheCarriersNameIsOneTrip() {
        tell(
            """
            plan CNSGH > NLRTM by SEA start 1 promised 50
            1 LOAD CNSGH under COSU612
            2 DEPA CNSGH under COSU612
            38 ARRI NLRTM under COSU612
            39 GTOT NLRTM under COSU612
            expect done GTOT NLRTM
            """)
        tell(
            """
            plan CNSGH > NLRTM by SEA start 1 promised 50
            2 DEPA CNSGH
            38 ARRI NLRTM under COSU612
            39 GTOT NLRTM under COSU612
            expect done GTOT NLRTM
            """)
    }

    @Test func afterALongSilenceAnotherNameIsAnotherTrip() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            1 DEPA KZALA
            3 ARRI UZTAS
            90 GTIN UZTAS under NEXT
            91 GTOT UZTAS under NEXT
            expect next GTOT UZTAS
            """)
    }

    @Test func anotherShipmentElsewhereIsNoEvidenceOfThePlan() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            1 DEPA KZALA
            1.5 ARRI DEHAM under EXPORT
            2 DEPA DEHAM under EXPORT
            expect not DEHAM
            expect way UZTAS
            3 ARRI UZTAS
            expect done ARRI UZTAS
            """)
    }

    @Test(arguments: ["STRP", "PICK"]) func whatIsStrippedOrFetchedAtItsEndHasArrived(
        _ code: String
    ) {
        tell(
            """
            plan DEDUI > NLRTM by RAIL start 1 promised 6
            1 DEPA DEDUI
            2 ARRI NLRTM
            2.1 DISC NLRTM
            2.5 \(code) NLRTM
            expect by GTOT NLRTM
            now 12
            expect none late
            expect none overdue
            """)
    }

    @Test func whatIsPickedUpOnTheWayGoesOn() {
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS start 1 promised 20
            1 DEPA CNXIA
            6 ARRI CNHRS
            6.5 PICK CNHRS
            expect way KZALA
            """)
    }

    @Test func whoWaitsAtItsEndIsNotLikelyToReachIt() {
        tell(
            """
            plan DEDUI > NLRTM by RAIL start 1 promised 2.2
            1 DEPA DEDUI
            2 ARRI NLRTM
            2.1 DISC NLRTM
            now 8
            expect open late
            expect said text is likely to leave
            """)
    }

    @Test func aPlaceThatIsOnlyPassedIsShutAllTheSame() {
        tell(
            """
            plan CNXIA > CNURM by RAIL start 0 promised 12
            0.2 DEPA CNXIA
            expect end 2 10
            close CNLAZ 0.3 14
            expect end 14 24
            15 ARRI CNLAZ
            expect end 15 24
            """)
    }

    @Test func untilFurtherNoticeIsNotOverWhileNobodyEndsIt() {
        tell(
            """
            plan CNXIA > CNURM by RAIL start 0 promised 12
            0.2 DEPA CNXIA
            close CNLAZ 0.3 -
            expect end 7 16
            now 10
            expect end 14 24
            expect none overdue
            close CNLAZ 0.3 10
            expect end 10 16
            """)
    }

    @Test func sealsOfTheGateAreThoseOfTheJourney() {
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS start 1 promised 20
            0.5 GTIN CNXIA sealed A1
            1 DEPA CNXIA
            6 ARRI CNHRS sealed B1
            expect open seal
            """)
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS start 3 promised 20
            0.5 ARRI CNXIA sealed OLD
            1 STRP CNXIA
            2 GTIN CNXIA sealed A1
            3 DEPA CNXIA
            8 ARRI CNHRS sealed A1
            expect none seal
            """)
    }

    /// What is open then is what should have been open all the time.
    @Test func aReleaseThatNeverWasLeavesTheBoxWithCustoms() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR start 1 promised 16
            1 DEPA CNXIA
            5 ARRI CNHRS
            5.1 CUSI CNHRS
            5.2 CUSR CNHRS
            now 8
            expect open overdue
            retract CUSR CNHRS
            expect withdrawn overdue
            expect raised customs-hold
            """)
    }

    @Test func whatWasSaidByReportsThatNeverWereIsWithdrawn() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR start 1 promised 16
            30 ARRI USNYC
            expect open late
            expect open off-route
            retract ARRI USNYC
            expect withdrawn off-route
            expect withdrawn late
            expect said unknown never heard of
            """)
    }

    /// What a box did before it was booked again is no part of the new trip.
    @Test func aBoxThatIsUsedAgainBeginsAnew() {
        tell(
            """
            1 DEPA KZALA
            2 ARRI UZTAS
            2.5 GTOT UZTAS
            now 22
            plan KZALA > UZTAS by RAIL promised 32
            expect next DEPA KZALA
            23 DEPA KZALA
            expect done DEPA KZALA
            25 ARRI UZTAS
            26 GTOT UZTAS
            expect done GTOT UZTAS
            """)
        // Home again, and for the same way.
        tell(
            """
            1 DEPA KZALA
            2 ARRI UZTAS
            4 DEPA UZTAS
            6 ARRI KZALA
            now 10
            plan KZALA > UZTAS by RAIL promised 20
            expect next DEPA KZALA
            """)
        // Its own times say so, too.
        tell(
            """
            1 DEPA ZAA
            4 ARRI ZBB
            now 20
            plan DEPA ZAA 21, ARRI ZBB 24 promised 25
            expect next DEPA ZAA
            """)
        // Whatever it still does there before it leaves.
        tell(
            """
            1 DEPA KZALA
            4 ARRI UZTAS
            now 5
            plan KZALA > UZTAS by RAIL promised 15
            6 GTOT UZTAS
            expect next DEPA KZALA
            8 DEPA KZALA
            expect done DEPA KZALA
            """)
        // Of which nothing is heard until it is there again.
        tell(
            """
            1 DEPA KZALA
            4 ARRI UZTAS
            4.5 GTOT UZTAS
            now 5
            plan KZALA > UZTAS by RAIL promised 35
            30 ARRI UZTAS
            expect done ARRI UZTAS
            """)
        // The plan of a trip that is just over is its plan.
        tell(
            """
            1 DEPA KZALA
            2 ARRI UZTAS
            2.5 GTOT UZTAS
            now 3
            plan KZALA > UZTAS by RAIL promised 4
            expect done GTOT UZTAS
            """)
    }

    /// … but what the plan itself begins with, papers of a place ahead, ways of which nobody knows how long they
    /// take, and those that come to their end on the way, tell of no other trip.
    @Test func whatHappenedBeforeAPlanWasStatedMayBeIts() {
        tell(
            """
            1 DEPA KZALA
            2 ARRI UZTAS
            2.5 GTOT UZTAS
            now 3
            plan KZALA > UZTAS by RAIL start 1 promised 9
            expect done GTOT UZTAS
            """)
        tell(
            """
            1 DEPA CNXIA
            2 CUSI DEDUI
            now 3
            plan CNXIA > DEDUI by RAIL via CNHRS promised 40
            expect done DEPA CNXIA
            """)
        tell(
            """
            10 DEPA QQA
            36 ARRI QQB
            now 37
            plan QQA > QQB promised 40
            expect done ARRI QQB
            """)
        tell(
            """
            1 DEPA KZHOR
            2 ARRI KZALA
            2.5 DEPA KZALA
            now 3
            plan DEPA KZHOR 1, ARRI KZALA 2, ARRI KZHOR 4 promised 90
            expect done DEPA KZHOR
            expect next ARRI KZHOR
            """)
    }

    @Test func aPromiseOfThePastIsOfATripOfThen() {
        tell(
            """
            1 DEPA CNXIA
            4 ARRI CNHRS
            8 ARRI KZALA
            17 ARRI DEDUI
            18 GTOT DEDUI
            now 60
            plan CNXIA > DEDUI by RAIL via CNHRS promised 18
            expect done DEPA CNXIA
            expect done GTOT DEDUI
            now 70
            expect none late
            """)
    }

    /// By sea as far as there is sea.
    @Test func aBookingBySeaToAPlaceInland() {
        tell(
            """
            plan CNSGH > DEDUI by SEA via NLRTM start 1 promised 60
            expect way NLRTM DEDUI
            expect not KZALA
            expect not PLMAA
            expect end 35 60
            """)
        tell(
            """
            plan CNSGH > DEDUI by SEA start 1 promised 60
            expect not KZALA
            expect not PLMAA
            expect end 35 60
            """)
    }

    @Test func aLateAlertSaysWhatItKnows() {
        tell(
            """
            9 DEPA ZAA
            now 9.1
            plan DEPA ZAA 1, ARRI ZBB 3, ARRI ZCC 10 promised 11
            now 9.2
            expect said text it was 8 days behind its plan at ZAA
            """)
        // What is shut after it should have been there explains nothing.
        tell(
            """
            close PLMAA 5 30
            plan CNXIA > DEDUI by RAIL via CNHRS start 1 promised 4
            now 0.2
            expect said text its way usually takes longer
            """)
    }
}
