import Testing
import Tracking

/// Plans that name places of their own beside the ends between which the network finds the way.
struct NamedPlacesTests {
    @Test func whatAPlanNamesLiesOnItsWay() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL ARRI KZHOR 6, promised 30
            expect way KZHOR PLMAA DEDUI
            expect not CNAKL
            1 DEPA CNXIA
            6 ARRI KZHOR
            expect done ARRI KZHOR
            expect none off-route
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA CNHRS 6, promised 30
            expect way CNXIA CNHRS PLMAA DEDUI
            1 DEPA CNXIA
            5 ARRI CNHRS
            expect done ARRI CNHRS
            6 DEPA CNHRS
            expect done DEPA CNHRS
            expect none off-route
            """)
    }

    @Test func portsOfACarrierLeadToAPlaceInland() {
        tell(
            """
            plan CNSGH > DEDUI by SEA LOAD CNSGH 1, DISC SGSIN 7, LOAD SGSIN 9, DISC NLRTM 39, promised 50
            expect way SGSIN NLRTM DEDUI
            1 LOAD CNSGH
            7 DISC SGSIN
            expect done DISC SGSIN
            expect none off-route
            9 LOAD SGSIN
            39 DISC NLRTM
            expect done DISC NLRTM
            expect way DEDUI
            """)
    }

    @Test func whatAPlanLeadsThroughLiesWhereItIsNear() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via KZHOR ARRI DEHAM 24, promised 30
            expect way KZHOR PLMAA DEHAM DEDUI
            1 DEPA CNXIA
            24 ARRI DEHAM
            expect not KZHOR
            """)
    }

    /// What is done at a border is done before the plan's own departure, and what its list has in another order is
    /// put where it is done.
    @Test func whatIsDoneAtABorderStays() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA KZHOR 8, promised 30
            1 DEPA CNXIA
            6 ARRI KZHOR
            6.5 CUSR KZHOR
            expect done CUSR KZHOR
            8 DEPA KZHOR
            expect done DEPA KZHOR
            """)
        tell(
            """
            plan CNXIA > DEDUI by RAIL DEPA CNXIA 2, GTIN CNXIA 2, promised 30
            expect next GTIN CNXIA
            1 GTIN CNXIA
            expect next DEPA CNXIA
            """)
    }

    @Test func aGateInIsAMilestoneWhereTheNetworkLeads() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL GTIN CNXIA 1, DEPA CNXIA 2, promised 30
            expect next GTIN CNXIA
            1 GTIN CNXIA
            expect done GTIN CNXIA
            expect next DEPA CNXIA
            2 DEPA CNXIA
            expect way PLMAA DEDUI
            """)
    }

    @Test func milestonesWithoutTimesAreFoundAWay() {
        var story = Story("")
        story.say(
            "{\"plan\":\"S\",\"containers\":[\"\(Story.box?.description ?? "")\"],\"mode\":\"RAIL\","
                + "\"from\":\"CNXIA\",\"to\":\"DEDUI\",\"promised\":\"2026-01-25T00:00:00Z\","
                + "\"milestones\":[{\"place\":\"CNXIA\",\"event\":\"DEPA\"},"
                + "{\"place\":\"DEDUI\",\"event\":\"ARRI\"}]}")
        #expect(story.saidTexts("unknown").isEmpty)
        #expect(story.saidTexts("p50").count == 1)
    }

    /// A box that misses its ship stays, and somebody is told that it has not left.
    @Test func aBoxThatIsTakenOffItsShip() {
        tell(
            """
            plan LOAD CNSGH 3.5, DEPA CNSGH 4, ARRI DEHAM 38, DISC DEHAM 39 by SEA promised 45
            2 GTIN CNSGH
            3.5 LOAD CNSGH
            3.9 DISC CNSGH
            5 GTOT CNSGH
            expect next DEPA CNSGH
            expect none off-route
            now 37
            expect open overdue
            """)
        tell(
            """
            plan LOAD CNSGH 3.5, DEPA CNSGH 4, ARRI DEHAM 38, DISC DEHAM 39 by SEA promised 45
            3.5 LOAD CNSGH
            3.9 DISC CNSGH
            11.1 LOAD CNSGH
            11.3 DISC CNSGH
            expect next DEPA CNSGH
            expect none off-route
            12 LOAD CNSGH
            12.5 DEPA CNSGH
            expect done DEPA CNSGH
            """)
    }

    /// A ship that leaves a port out goes on from where it is, and not by where it came from.
    @Test func aPortThatIsLeftOut() {
        tell(
            """
            plan LOAD CNSGH 3.5, DEPA CNSGH 4, ARRI DEHAM 38, DISC DEHAM 39 by SEA promised 45
            3.5 LOAD CNSGH
            4 DEPA CNSGH
            36.5 ARRI NLRTM
            expect not CNSGH
            expect end 37 48
            """)
        // The timetable of what is ahead stays where a port comes between that nobody knows.
        tell(
            """
            plan DEPA CNSGH 4, ARRI DEHAM 42, DISC DEHAM 43 by SEA promised 48
            4 DEPA CNSGH
            11 ARRI SGSIN
            expect extra ARRI SGSIN
            expect end 40 48
            """)
    }

    @Test func wherePlansNameTheEndsAloneNoWayIsLeft() {
        tell(
            """
            plan DEPA CNXIA 1, ARRI DEDUI 18, promised 20
            1 DEPA CNXIA
            3 ARRI CNURM
            expect none off-route
            5 ARRI CNHRS
            expect none off-route
            """)
    }
}
