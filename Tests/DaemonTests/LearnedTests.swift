import Foundation
import TestKit
import Testing
import Tracking
import Wire

private func caravan(_ words: [String]) throws -> String {
    try Shell.run([DaemonProcess.program("caravan")] + words)
}

private func box(_ number: Int) -> String {
    ContainerNumber(owner: "QZTU", serial: 2_000 + number)?.description ?? ""
}

/// What a running daemon has learned, as people ask for it.
@Suite struct LearnedTests {
    private func event(
        _ number: Int, _ code: String, _ place: String, _ time: String, _ more: String = ""
    ) -> String {
        "{\"container\":\"\(box(number))\",\"shipment\":\"L-\(number)\",\"event\":\"\(code)\","
            + "\"place\":\"\(place)\",\"time\":\"2026-11-\(time):00Z\",\"mode\":\"ROAD\"\(more)}"
    }

    private func begin(_ number: Int) -> [String] {
        [
            "{\"plan\":\"L-\(number)\",\"containers\":[\"\(box(number))\"],\"mode\":\"ROAD\",\"milestones\":["
                + "{\"place\":\"CNKSS\",\"event\":\"DEPA\",\"time\":\"2026-11-25T08:00:00Z\"},"
                + "{\"place\":\"ZQQ\",\"event\":\"ARRI\",\"time\":\"2026-11-25T20:00:00Z\"}],"
                + "\"promised\":\"2026-11-26T00:00:00Z\"}",
            event(number, "DEPA", "CNKSS", "25T11:55"),
        ]
    }

    private func says(_ number: Int) -> String {
        event(number, "ARRI", "ZQQ", "25T14:00", ",\"class\":\"EST\",\"source\":\"Haul\"")
    }

    @Test func waysAndSourcesAreLearned() throws {
        let noon = try Noon()
        // Each of them says two o'clock, and it is four.
        for lines in [
            (0..<20).flatMap { begin($0) }, (0..<20).map { says($0) },
            (0..<20).map { event($0, "ARRI", "ZQQ", "25T16:00") }, begin(90) + [says(90)],
        ] {
            #expect(try noon.hears(lines).allSatisfy { !$0.has("reject") })
        }
        let database = ["--database", noon.cluster.conninfo]
        let learned = try caravan(["network", "learned"] + database)
        #expect(learned.contains("# place | ZQQ |"))
        #expect(learned.contains("# leg | CNKSS | ZQQ | ROAD |  |  | ? | 4.1 | 4.1 |"))
        #expect(learned.contains("| 20 boxes"))
        // What it says of itself goes elsewhere than the file.
        let file = learned.split(separator: "\n").filter { !$0.hasPrefix("moves of") }
        _ = try NetworkFile.parse(Array(file.joined(separator: "\n").utf8))
        let many = try caravan(["network", "learned", "--least", "21"] + database)
        #expect(!many.contains("ZQQ"))

        let sources = try caravan(["show", "--sources"] + database).split(separator: "\n")
            .compactMap { FlatObject(String($0)) }
        let known = try #require(sources.first)
        #expect(known.text("source") == "HAUL")
        #expect(sources.reduce(0) { $0 + ($1.integer("count") ?? 0) } >= 5)
        #expect(sources.allSatisfy { $0.integer("p50Minutes") == 120 })

        let shown = try noon.shows(box(90)).objects("journeys")
        let estimate = try #require(shown.first?.objects("estimates").first)
        #expect(estimate.text("source") == "HAUL" && estimate.text("place") == "ZQQ")
        #expect((estimate.integer("judged") ?? 0) >= 5 && (estimate.number("weight") ?? 0) > 0.3)
        #expect(estimate.instant("p50") == TimeText.parse("2026-11-25T16:00:00Z")?.instant)
        // What is not on its way, or too far ahead, is said to change nothing.
        try noon.hears([
            event(90, "ARRI", "ZRR", "25T15:00", ",\"class\":\"EST\",\"source\":\"Haul\""),
            event(90, "DEPA", "CNKSS", "25T13:00", ",\"class\":\"PLN\",\"source\":\"Haul\""),
        ])
        let idle = try noon.shows(box(90)).objects("events").map { $0.text("idle") }
        #expect(Set(idle) == [nil, "no-milestone", "outdated"])
        let drawn = try noon.draws(box(90)).split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
        #expect(drawn.contains("HAUL expects ARRI ZQQ"))
        #expect(drawn.contains("% of the forecast"))
    }
}
