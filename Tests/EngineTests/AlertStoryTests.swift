import TestKit
import Testing
import Tracking

/// Alerts of boxes that do what real ones do (see `Story` for how these are read).
@Suite struct AlertStoryTests {
    private func tell(
        _ text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for failure in Story.run(text) {
            Issue.record("\(failure)", sourceLocation: sourceLocation)
        }
    }

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
            14.5 GTOT DEDUI
            expect cleared off-route
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
