import Testing
import Wire

/// Boxes that are done before their plan is, and plans that become others.
struct EndedElsewhereTests {
    @Test func aBoxThatIsStrippedShortOfItsEndIsNotChased() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 25
            1 DEPA CNXIA
            15 ARRI PLMAA
            17 ARRI PLWAW
            17.4 STRP PLWAW
            expect said unknown it was stripped at
            18 GTOT PLWAW
            now 40
            expect none overdue
            expect none late
            """)
        // What is stuffed again goes on, and a plan that strips it knows what it does.
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 25
            1 DEPA CNXIA
            15 ARRI PLMAA
            15.4 STRP PLMAA
            15.9 STUF PLMAA
            now 40
            expect open late
            """)
        tell(
            """
            plan DEPA CNXIA 1, ARRI DEDUI 18, STRP DEDUI 19, GTOT DEDUI 20 promised 21
            1 DEPA CNXIA
            18 ARRI DEDUI
            19 STRP DEDUI
            expect next GTOT DEDUI
            """)
    }

    @Test func whatGoesOnWasNotStripped() {
        tell(
            """
            plan CNXIA > DEDUI by RAIL via CNHRS KZALA promised 25
            1 DEPA CNXIA
            15 ARRI PLMAA
            15.4 STRP PLMAA
            expect said unknown it was stripped at
            17 ARRI PLWAW
            expect said place DEDUI
            expect end 17 25
            """)
    }

    @Test func aPlanThatIsOverSaysNothingAnew() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 12
            1 DEPA KZALA
            3 ARRI UZTAS
            3.5 GTOT UZTAS
            now 6
            plan KZALA > UZTAS by RAIL start 1 promised 20
            expect silent
            """)
    }

    @Test func anotherEndOrPromiseIsSaid() {
        tell(
            """
            plan CNSGH > DEHAM by SEA promised 45
            4 DEPA CNSGH
            now 10
            plan CNSGH > NLRTM by SEA promised 45
            expect said place NLRTM
            now 12
            plan CNSGH > NLRTM by SEA promised 60
            expect said promised 2026-03-02
            now 13
            plan CNSGH > NLRTM by SEA promised 60.01
            expect silent
            """)
    }

    @Test func theFirstOfATrainKnowsHowManyTheyAre() {
        var story = Story("")
        let boxes = (1...6).compactMap { Story.numbered($0) }
        let list = boxes.map { "\"\($0)\"" }.joined(separator: ",")
        story.say(
            "{\"plan\":\"T\",\"containers\":[\(list)],\"mode\":\"RAIL\",\"from\":\"CNXIA\",\"to\":"
                + "\"KZALA\",\"via\":[\"CNHRS\"],\"promised\":\"2026-01-10T00:00:00Z\"}")
        story.tell("now 1")
        for box in boxes {
            story.say(
                "{\"container\":\"\(box)\",\"event\":\"DEPA\",\"place\":\"CNXIA\",\"time\":"
                    + "\"2026-01-02T00:00:00Z\"}")
        }
        story.tell("now 40")
        let raised = story.alerts("late").filter { $0.text("state") == "raised" }
        let leads = raised.compactMap { $0.object("convoy") }.filter { $0.bool("lead") == true }
        #expect(raised.count == boxes.count && leads.count == 1)
        #expect(leads.first?.integer("count") == boxes.count)
    }
}
