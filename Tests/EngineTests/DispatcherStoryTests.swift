import Engine
import TestKit
import Testing
import Tracking
import Wire

/// What dispatchers of trains and posts at the border live through: boxes that are sent back, seals, silence that
/// is none, ends that nobody reports.
struct DispatcherStoryTests {
    private func texts(_ story: Story, _ type: String, _ states: Set<String>) -> [String] {
        story.lines.filter { $0.text("type") == type && states.contains($0.text("state") ?? "") }
            .compactMap { $0.text("text") }
    }

    // MARK: Where a trip begins

    @Test func whatIsSentBackBeginsWhereItStands() {
        let story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            0.5 DEPA CNXIA
            4 ARRI CNHRS
            4.3 DEPA CNHRS
            4.75 ARRI KZHOR
            5.4 CUSI KZHOR
            now 7.4
            plan KZHOR > CNXIA by RAIL promised 20
            expect not KZALA
            expect way CNHRS CNXIA
            expect end 12 20
            10 DEPA KZHOR
            expect done DEPA KZHOR
            expect end 13 18
            """)
        // Customs hold it all the same.
        #expect(!texts(story, "customs-hold", ["cleared"]).contains { $0.contains("another way") })
    }

    @Test func aBoxThatIsBroughtToItsOriginIsNotOffItsWay() {
        let story = Story.told(
            """
            0.2 DEPA KZHOR
            0.6 ARRI CNHRS
            1 DEPA CNHRS
            plan CNXIA > DEDUI by RAIL promised 30
            5 ARRI CNXIA
            expect none off-route
            expect end 15 30
            """)
        #expect(texts(story, "off-route", ["raised"]).isEmpty)
    }

    // MARK: Why it is late

    @Test func whatIsOverWasToBlame() {
        let story = Story.told(
            """
            plan CNXIA > KZALA by RAIL promised 8
            0.2 DEPA CNXIA
            4 ARRI CNHRS
            4.4 DEPA CNHRS
            5 ARRI ALTYNKOL
            11 DEPA ALTYNKOL
            expect open late
            """)
        let said = texts(story, "late", ["raised", "updated"])
        #expect(said.contains { $0.hasSuffix("waiting at Altynkol") }, "\(said)")
        // Neither is it slow on a way that it has been on for a minute.
        #expect(!said.contains { $0.contains("slow on the way to Almaty") }, "\(said)")
    }

    // MARK: Silence

    @Test func whereThePromiseIsSafeNobodyHasToAct() {
        let story = Story.told(
            """
            plan CNXIA > KZALA by RAIL promised 60
            0.2 DEPA CNXIA
            now 8
            """)
        let raised = story.lines.filter {
            $0.text("type") == "overdue" && $0.text("state") == "raised"
        }
        #expect(!raised.isEmpty && raised.allSatisfy { $0.text("severity") == "info" })
    }

    @Test func whatIsHeardOfMeanwhileIsNotSilent() {
        let story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 60
            0.2 DEPA CNXIA
            4 ARRI KZHOR
            4.3 LOAD KZHOR
            now 9
            expect open overdue
            9.1 DEPA KZHOR
            expect none overdue
            """)
        #expect(
            texts(story, "overdue", ["raised", "updated"]).allSatisfy { !$0.contains("0 min") })
        let ends = texts(story, "overdue", ["cleared"])
        #expect(ends.contains { $0.contains("was reported at Khorgos dry port") }, "\(ends)")
    }

    @Test func aClosureIsNoMatterOfSilence() throws {
        var story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 60
            0.2 DEPA CNXIA
            now 8
            expect open overdue
            """)
        let before = story.lines.last { $0.text("type") == "overdue" }?.integer("delayMinutes")
        story.tell(
            """
            close PLMAA 8 30
            now 8.1
            """)
        let after = story.lines.last { $0.text("type") == "overdue" }?.integer("delayMinutes")
        let delay = try #require(before)
        #expect(try #require(after) - delay < 600)
    }

    /// A terminal that never says that a box has left: for the first ones that is told, then it is known.
    @Test func anEndThatNobodyReportsIsLearned() {
        var engine = freshEngine(now: Story.start)
        var raised: [Int: Int] = [:]
        func at(_ day: Double) -> String {
            TimeText.string(Story.start.advanced(minutes: day * 1_440))
        }
        for number in 0..<40 {
            let box = Story.numbered(number)?.description ?? ""
            let day = Double(number) * 3
            let id = "E\(number)"
            let lines: [(Double, String)] = [
                (
                    day,
                    "{\"plan\":\"\(id)\",\"containers\":[\"\(box)\"],\"from\":\"KZHOR\","
                        + "\"to\":\"KZALA\",\"mode\":\"RAIL\",\"promised\":\"\(at(day + 4))\"}"
                ),
                (
                    day + 0.3,
                    "{\"id\":\"\(id)-1\",\"container\":\"\(box)\",\"event\":\"DEPA\","
                        + "\"place\":\"KZHOR\",\"time\":\"\(at(day + 0.3))\"}"
                ),
                (
                    day + 1,
                    "{\"id\":\"\(id)-2\",\"container\":\"\(box)\",\"event\":\"ARRI\","
                        + "\"place\":\"KZALA\",\"time\":\"\(at(day + 1))\"}"
                ),
            ]
            for (when, line) in lines {
                let now = Story.start.advanced(minutes: when * 1_440)
                while engine.nextDue <= now { count(engine.step([], now: engine.nextDue), number) }
                count(engine.step([chunk([line])], now: now), number)
            }
        }
        func count(_ effects: Effects, _ number: Int) {
            for output in effects.commit?.outputs ?? [] {
                guard let line = FlatObject(output.bytes), line.text("type") == "late" else {
                    continue
                }
                raised[number / 20, default: 0] += 1
            }
        }
        // Of the last twenty there is hardly a word.
        #expect(raised[0, default: 0] > 5, "\(raised)")
        #expect(raised[1, default: 0] * 4 < raised[0, default: 0], "\(raised)")
    }

    // MARK: Closures and seals

    @Test func whatIsShutUntilFurtherNoticeIsToldAtOnce() {
        _ = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            0.2 DEPA CNXIA
            4 ARRI KZHOR
            now 4.5
            close PLMAA 4.4 -
            expect raised closure
            """)
    }

    @Test func sealsCountFromTheGateIn() {
        _ = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            0.2 GTIN CNXIA sealed A1
            4 ARRI CNHRS sealed B2
            expect raised seal
            """)
    }

    @Test func sealsThatComeAndGoStayOneAlert() {
        let story = Story.told(
            """
            plan CNXIA > DEDUI by RAIL promised 30
            0.2 DEPA CNXIA sealed A1
            4 ARRI CNHRS sealed B2
            4.01 DEPA CNHRS sealed A1
            4.02 ARRI KZHOR sealed B2
            4.03 CUSI KZHOR sealed A1
            4.04 CUSR KZHOR sealed B2
            4.05 LOAD KZHOR sealed A1
            4.06 DEPA KZHOR sealed B2
            """)
        let seals = story.lines.filter { $0.text("type") == "seal" }
        #expect(seals.contains { $0.bool("flapping") == true })
        let flapping = seals.firstIndex { $0.bool("flapping") == true } ?? 0
        #expect(seals[flapping...].allSatisfy { $0.text("state") != "cleared" })
    }
}
