import TestKit
import Testing
import Tracking
import Wire

/// Alerts of boxes that do what real ones do (see `Story` for how these are read).
@Suite struct AlertStoryTests {
    @Test func silenceIsToldAndEndsWithASign() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, CUSR ZBB 3, DEPA ZBB 4, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            now 2.1
            expect none overdue
            now 12
            expect open overdue
            12.5 ARRI ZBB
            expect cleared overdue
            expect none overdue
            """)
    }

    @Test func aSignFromBehindEndsItToo() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, CUSR ZBB 3, DEPA ZBB 4, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            now 12
            expect open overdue
            12.5 ARRI ZCC
            expect cleared overdue
            expect none late
            """)
    }

    @Test func whatWasReportedLateAfterAllClears() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 4, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            now 12
            expect open overdue
            2 ARRI ZBB heard 12.1
            expect none seal
            now 12.2
            expect cleared overdue
            """)
    }

    /// A plan that is sent now so and now so: the third time it is said, and ends once there is calm.
    @Test func whatComesAndGoesStaysOpenUntilItIsCalm() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect raised off-route
            now 4.02
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR promised 20
            expect none off-route
            now 4.04
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            expect raised off-route
            now 4.06
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR promised 20
            expect none off-route
            now 4.08
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            expect raised off-route
            now 4.1
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR promised 20
            expect open off-route
            now 4.16
            expect open off-route
            now 4.2
            expect none off-route
            """)
    }

    @Test func nobodyReportedOfItForAYear() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            now 30
            expect open overdue
            now 380
            expect none overdue
            expect none late
            """)
    }

    @Test func whatWasSeenLastIsGivenUpToo() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            4.1 GTIN DEDUI
            expect open off-route
            expect open impossible
            now 380
            expect none off-route
            expect none impossible
            expect none overdue
            expect none late
            now 800
            expect none off-route
            """)
    }

    @Test func offThePlannedWay() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect raised off-route
            5 DEPA CNHRS
            expect open off-route
            retract ARRI CNHRS
            retract DEPA CNHRS
            expect withdrawn off-route
            """)
        // Where the plan named no way there is none to leave.
        tell(
            """
            plan CNXIA > DEDUI by RAIL promised 20
            0.5 DEPA CNXIA
            4 ARRI CNAKL
            expect none off-route
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect raised off-route
            14 ARRI DEDUI
            expect cleared off-route
            """)
    }

    @Test func behindTheOtherBorderItIsOnItsWayAgain() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect open off-route
            6 ARRI CNAKL
            expect cleared off-route
            """)
        // A plan that names where it is ends it, too; one that does not says where it is now.
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect open off-route
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            expect withdrawn off-route
            expect none off-route
            """)
    }

    @Test func whatTheClockAloneShowsIsTold() {
        // A step of which nothing is known may last for days: but a promise that has passed has passed.
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 6, ARRI ZCC 6.5 promised 6.55
            1 DEPA ZAA
            now 6.9
            expect open late
            now 12
            expect updated late
            """)
    }

    @Test func aSealThatWasRemovedIsNoRiddle() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 3, ARRI ZCC 4, GTOT ZCC 5 promised 6
            1 DEPA ZAA sealed P1
            2 RMVD ZBB sealed P1
            3 DEPA ZBB sealed P7
            expect none seal
            4 ARRI ZCC sealed P8
            expect raised seal
            4.1 RMVD ZCC
            expect cleared seal
            """)
    }

    @Test func aSecondChangeOfSealsIsToldToo() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 3, ARRI ZCC 4, GTOT ZCC 5 promised 6
            1 DEPA ZAA sealed P1
            2 ARRI ZBB sealed P2
            expect raised seal
            4 ARRI ZCC sealed P3
            expect raised seal
            5 GTOT ZCC sealed P3
            expect cleared seal
            expect none seal
            """)
    }

    @Test func aBoxCannotBeInTwoPlaces() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            4.1 GTIN DEDUI
            expect raised impossible
            5 DEPA CNHRS
            expect cleared impossible
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            4.1 GTIN DEDUI
            expect open impossible
            retract GTIN DEDUI
            expect withdrawn impossible
            """)
    }

    @Test func sealsThatAreOthersThanBefore() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 3, ARRI ZCC 4, GTOT ZCC 5 promised 6
            1 DEPA ZAA sealed A1,B2
            2 ARRI ZBB sealed B-2,a1
            expect none seal
            3 DEPA ZBB sealed A1,X9
            expect raised seal
            4 ARRI ZCC sealed A1,X9
            expect open seal
            4.1 RSEA ZCC
            expect cleared seal
            """)
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, GTOT ZBB 3 promised 6
            1 DEPA ZAA sealed A1
            2 ARRI ZBB sealed A2
            expect open seal
            retract ARRI ZBB
            expect withdrawn seal
            """)
    }

    @Test func customsLookAtItAndDoNotLetItGo() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            4.2 CUSI CNHRS
            now 5
            expect none customs-hold
            now 16
            expect open customs-hold
            expect none overdue
            17 CUSR CNHRS
            expect cleared customs-hold
            """)
    }

    @Test func customsLookAtItAgain() {
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS ALTYNKOL promised 20
            1 DEPA CNXIA
            4 ARRI ALTYNKOL
            4.1 CUSI ALTYNKOL
            4.5 CUSR ALTYNKOL
            4.7 CUSI ALTYNKOL
            now 7.5
            expect open customs-hold
            10 CUSR ALTYNKOL
            expect cleared customs-hold
            expect said text was released by customs
            """)
    }

    @Test func aSecondWordOfALeavingIsNoReturn() {
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS ALTYNKOL promised 20
            1 DEPA CNXIA
            4 ARRI ALTYNKOL
            5.5 DEPA ALTYNKOL
            6.2 ARRI KZALA
            6.5 DEPA ALTYNKOL
            expect done ARRI KZALA
            expect not ALTYNKOL
            expect none overdue
            """)
        // Where it came back it did.
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS ALTYNKOL promised 20
            1 DEPA CNXIA
            4 ARRI ALTYNKOL
            5.5 DEPA ALTYNKOL
            6.2 ARRI KZSRY
            7.5 ARRI ALTYNKOL
            8 DEPA ALTYNKOL
            expect way KZALA
            expect next ARRI KZALA
            """)
    }

    /// Whose fault it is: of what lasts, not of what ended long ago.
    @Test func aWayThatIsSilentIsToBlame() {
        var story = Story("")
        story.tell(
            """
            plan CNSGH > NLRTM by SEA promised 42
            4 DEPA CNSGH
            now 60
            """)
        let causes = story.alerts("late").flatMap { $0.objects("because") }
        #expect(!causes.isEmpty && causes.allSatisfy { $0.text("place") == "NLRTM" })
        #expect(story.alerts("late").allSatisfy { $0.text("text")?.contains("held at") == false })
    }

    @Test func somebodySeesToIt() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            now 12
            acknowledge overdue
            expect acknowledged overdue
            expect open overdue
            12.5 ARRI ZBB
            expect cleared overdue
            """)
    }

    @Test func aSilenceMarksAndHidesNothing() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, ARRI ZCC 6 promised 9
            1 DEPA ZAA
            silence overdue 1 20
            now 12
            expect marked overdue
            12.5 ARRI ZBB
            expect marked overdue
            expect cleared overdue
            """)
    }
}
