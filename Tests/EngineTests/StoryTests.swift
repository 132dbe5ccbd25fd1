import TestKit
import Testing
import Tracking

/// What is believed of boxes that do what real ones do (see `Story` for how these are read).
@Suite struct StoryTests {
    // MARK: On the way

    @Test func anySignAtAPlaceSaysThatItGotThere() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, CUSR ZBB 2.2, DEPA ZBB 2.5, ARRI ZCC 4 promised 5
            1 DEPA ZAA
            2.1 INSP ZBB
            expect by ARRI ZBB
            expect next CUSR ZBB
            2.6 GTOT ZBB
            expect passed CUSR ZBB
            expect next ARRI ZCC
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            7 ARRI KZALA
            expect passed DEPA CNHRS
            expect way RUMOW BYBQT PLMAA DEDUI
            expect end 12 20
            """)
    }

    @Test func itsOwnWordCountsBeforeAnother() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 3, ARRI ZCC 4 promised 5
            1 DEPA ZAA
            2.1 INSP ZBB
            2 ARRI ZBB heard 2.2
            expect done ARRI ZBB
            expect next DEPA ZBB
            """)
    }

    @Test func aNeighbourIsTheSamePlace() {
        tell(
            """
            plan DEPA CNHRS 1, ARRI ALTYNKOL 1.5, DEPA ALTYNKOL 3, ARRI KZALA 4 promised 5
            1 DEPA CNHRS
            1.4 GTIN KZHOR
            expect done ARRI ALTYNKOL
            3 DEPA NUR_ZHOLY
            expect done DEPA ALTYNKOL
            expect next ARRI KZALA
            """)
    }

    @Test func theSecondOfTwoNeighboursIsNoSignOfWhatIsDoneAtTheFirst() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZHOR promised 20
            0.5 DEPA CNXIA
            5 ARRI ALTYNKOL
            expect done ARRI KZHOR
            expect next CUSR KZHOR
            6 CUSR ALTYNKOL
            7 DEPA KZHOR
            expect next ARRI ALTYNKOL
            7.2 DEPA ALTYNKOL
            expect next ARRI KZALA
            """)
    }

    // MARK: Off the way

    @Test func byAnotherBorder() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            expect way CNAKL KZDOS DEDUI
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            expect said route
            expect not CNAKL
            expect not KZDOS
            expect extra ARRI CNHRS
            expect way ALTYNKOL KZALA RUMOW DEDUI
            expect end 12 24
            5 DEPA CNHRS
            5.1 ARRI ALTYNKOL
            expect way KZALA RUMOW DEDUI
            """)
    }

    @Test func seenFirstUnderWay() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL promised 16
            2 GTIN KZHOR
            expect said route
            expect not CNXIA
            expect not CNAKL
            expect way KZALA RUMOW PLMAA DEDUI
            expect end 9 18
            """)
    }

    @Test func byRoadWhereRailWasPlanned() {
        tell(
            """
            plan CNURM > KZALA by RAIL via CNHRS promised 6
            1 DEPA CNURM by ROAD
            2 ARRI NUR_ZHOLY by ROAD
            expect done ARRI ALTYNKOL
            expect way KZALA
            expect end 3 7
            """)
    }

    @Test func anExtraStayWhereNobodyKnowsThePlace() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 3, DEPA ZBB 4, ARRI ZCC 6 promised 7
            1 DEPA ZAA
            2 ARRI ZXX
            expect said route
            expect extra ARRI ZXX
            expect next ARRI ZBB
            3 ARRI ZBB
            expect next DEPA ZBB
            5 ARRI ZYY
            expect passed DEPA ZBB
            expect next ARRI ZCC
            """)
    }

    @Test func aPlanOfMilestonesGoesOnWithWhatMakesSense() {
        tell(
            """
            plan DEPA CNURM 1, ARRI CNAKL 2, DEPA KZDOS 4, ARRI KZAST 6 promised 7
            1 DEPA CNURM
            3 ARRI CNHRS
            expect not CNAKL
            expect next ARRI KZAST
            expect extra ARRI CNHRS
            """)
    }

    @Test func backOnTheOldWay() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 3, DEPA ZBB 4, ARRI ZCC 6 promised 7
            1 DEPA ZAA
            2 ARRI ZXX
            retract ARRI ZXX
            expect next ARRI ZBB
            expect not ZXX
            3 ARRI ZBB
            expect next DEPA ZBB
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNAKL KZDOS promised 20
            0.5 DEPA CNXIA
            3.5 ARRI CNHRS
            expect not CNAKL
            5 ARRI CNAKL
            expect way KZDOS RUMOW DEDUI
            expect not ALTYNKOL
            """)
    }

    @Test func itCameBack() {
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 3, ARRI ZCC 4 promised 5
            1 DEPA ZAA
            2 ARRI ZBB
            3 DEPA ZBB
            3.5 ARRI ZAA
            expect said route
            expect next DEPA ZAA
            expect way ZBB ZCC
            4 DEPA ZAA
            5 ARRI ZBB
            expect next DEPA ZBB
            6 ARRI ZCC
            expect arrived 1440
            """)
    }

    @Test func papersMoveABoxNoFurtherThanToTheNextStay() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 CUSR BYBQT
            0.6 DEPA CNXIA
            expect next ARRI CNLAZ
            2 CUSR PLMAA
            expect next ARRI CNLAZ
            3 ARRI CNURM
            expect done ARRI CNURM
            4.5 CUSR CNHRS
            expect done CUSR CNHRS
            expect way KZALA DEDUI
            """)
        tell(
            """
            plan DEPA ZAA 1, ARRI ZBB 2, DEPA ZBB 2.4, ARRI ZCC 3, CUSR ZCC 3.2, GTOT ZCC 4 promised 5
            1 DEPA ZAA
            1.5 CUSR ZCC
            expect next ARRI ZBB
            3 ARRI ZCC
            expect done CUSR ZCC
            expect next GTOT ZCC
            """)
    }

    @Test func whatWasLetGoMayMakeSenseAgain() {
        tell(
            """
            plan DEPA CNXIA 1, ARRI CNHRS 5, DEPA CNHRS 6, ARRI KZALA 8 promised 9
            1 DEPA CNXIA
            4 ARRI CNAKL
            expect not CNHRS
            5 ARRI CNURM
            expect next ARRI CNHRS
            expect way CNHRS KZALA
            """)
    }

    @Test func anExtraStayBeforeItLeft() {
        tell(
            """
            plan CNXIA > KZALA by RAIL via CNHRS start 1 promised 12
            1.2 GTIN ZXX
            expect extra ARRI ZXX
            expect next DEPA CNXIA
            2 DEPA CNXIA
            expect next ARRI CNLAZ
            """)
    }

    // MARK: What cannot be

    @Test func farFromThePlanTheNewestWaits() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            5 ARRI KZALA
            5.02 ARRI CNAKL
            expect aside ARRI CNAKL
            expect way RUMOW DEDUI
            """)
    }

    @Test func twoPlacesWithinAnHour() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            0.6 ARRI DEDUI
            expect aside ARRI DEDUI
            expect next ARRI CNLAZ
            3 ARRI CNURM
            expect done ARRI CNURM
            expect aside ARRI DEDUI
            """)
    }

    @Test func ofTwoTheOneThatGoesOn() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 ARRI DEDUI
            0.6 DEPA CNXIA
            expect aside DEPA CNXIA
            1.5 ARRI CNLAZ
            expect aside ARRI DEDUI
            expect done DEPA CNXIA
            """)
    }

    @Test func clocksThatDisagree() {
        tell(
            """
            plan DEPA CNHRS 1, ARRI ALTYNKOL 1.1, DEPA ALTYNKOL 3, ARRI KZALA 4 promised 5
            0.95 ARRI ALTYNKOL heard 1
            1 DEPA CNHRS
            expect done DEPA CNHRS
            expect next DEPA ALTYNKOL
            """)
    }

    @Test func aWayIsLeftSoOftenAtTheMost() {
        // To and fro for half a year: it ends, and costs what it may.
        var text = "plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20\n0.5 DEPA CNXIA\n"
        for turn in 0..<300 {
            let place = turn.isMultiple(of: 2) ? "ARRI CNURM" : "ARRI CNAKL"
            text += "\(Double(turn) + 3) \(place)\n"
        }
        tell(text + "expect done ARRI CNURM")
    }

    // MARK: What is not known

    @Test func noWayIsSaidOnce() {
        tell(
            """
            plan USNYC > BRSSZ by SEA promised 20
            expect said unknown no way from USNYC to BRSSZ is known
            now 5
            expect said unknown no way
            6 ARRI ZXX
            expect silent
            19 ARRI BRSSZ
            expect arrived -1440
            """)
    }

    @Test func aPlanWhoseBoxIsNeverHeardOf() {
        tell(
            """
            plan DEPA KZHOR 1, ARRI KZALA 2 promised 3
            now 120
            expect said unknown never heard of
            """)
    }

    @Test func aBoxWithoutAPlanWhereNobodyKnowsTheWay() {
        tell(
            """
            1 ARRI ZXX
            expect said unknown no plan names it
            2 DEPA ZXX
            expect silent
            """)
    }

    @Test func notHeardOfForLongerThanAnything() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 20
            0.5 DEPA CNXIA
            now 100
            expect said unknown longer than anything seen
            101 ARRI KZALA
            expect way RUMOW DEDUI
            expect end 105 115
            """)
    }

    // MARK: The end

    @Test func arrivedIsArrived() {
        tell(
            """
            plan DEPA CNHRS 1, ARRI KZALA 2 promised 2.5
            1 DEPA CNHRS
            2.75 ARRI KZALA
            expect arrived 360
            expect said actual 2026-01-03T18:00:00Z
            5 GTOT KZALA
            expect silent
            6 GTIN CNHRS
            expect silent
            """)
    }

    @Test func beforeItBegins() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA start 10 promised 30
            1 DROP DEDUI heard 9
            expect next DEPA CNXIA
            10.5 DEPA CNXIA
            expect next ARRI CNLAZ
            """)
    }
}
