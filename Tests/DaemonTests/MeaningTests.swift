import Client
import Foundation
import TestKit
import Testing
import Tracking
import Wire

private func caravan(_ words: [String], status: Int32 = 0, input: String? = nil) throws -> String {
    try Shell.run([DaemonProcess.program("caravan")] + words, input: input, status: status)
}

private func event(
    _ id: String, _ box: String, _ code: String, _ place: String, _ time: String,
    _ more: String = ""
) -> String {
    "{\"id\":\"\(id)\",\"container\":\"\(box)\",\"event\":\"\(code)\",\"place\":\"\(place)\","
        + "\"time\":\"2026-11-\(time)\"\(more)}"
}

private func plan(
    _ name: String, _ box: String, _ milestones: [(String, String, String)], _ promised: String
) -> String {
    let list = milestones.map {
        "{\"place\":\"\($0.1)\",\"event\":\"\($0.0)\",\"time\":\"2026-11-\($0.2)\"}"
    }
    return "{\"plan\":\"\(name)\",\"containers\":[\"\(box)\"],\"milestones\":["
        + list.joined(separator: ",")
        + "],\"to\":\"\(milestones.last?.1 ?? "")\",\"promised\":\"2026-11-\(promised)\"}"
}

/// A daemon whose clock begins at noon of 25 November 2026, and what people send to it.
final class Noon {
    let cluster: TestCluster
    let daemon: DaemonProcess

    init(_ settings: [String] = []) throws {
        cluster = try TestCluster()
        daemon = try DaemonProcess(
            cluster: cluster, settings: ["clock.start=2026-11-25T12:00:00Z"] + settings)
    }

    /// Sends lines over a connection of their own; returns the replies.
    @discardableResult
    func hears(_ lines: [String]) throws -> [FlatObject] {
        let socket = try LineSocket(daemon.feed)
        try socket.send(lines.joined(separator: "\n") + "\n")
        socket.halfClose()
        var replies: [FlatObject] = []
        while let line = try socket.readLine(), let object = FlatObject(line) {
            replies.append(object)
            if object.has("bye") { return replies }
        }
        return replies
    }

    /// What a container looks like a quarter past noon, as JSON.
    func shows(_ name: String, at: String = "2026-11-25T12:15:00Z") throws -> FlatObject {
        let text = try caravan(["show", name, "--at", at, "--database", cluster.conninfo])
        return try #require(FlatObject(text.split(separator: "\n").first.map(String.init) ?? ""))
    }

    /// The same as a person sees it.
    func draws(_ name: String, at: String = "2026-11-25T12:15:00Z") throws -> String {
        let words = [
            DaemonProcess.program("caravan"), "show", name, "--at", at, "--database",
            "'\(cluster.conninfo)'",
        ]
        return try Shell.run([
            "env", "NO_COLOR=1", "script", "-qec", words.joined(separator: " "), "/dev/null",
        ])
    }

    func outputs() throws -> [FlatObject] { try daemon.output().compactMap { FlatObject($0) } }

    /// What a tail request is answered with first.
    func asks(_ request: String) throws -> String {
        let socket = try LineSocket(daemon.tail)
        try socket.send(request + "\n")
        return try socket.readLine() ?? ""
    }
}

extension [FlatObject] {
    fileprivate func codes(_ kind: String) -> [String] {
        filter { $0.has(kind) }.compactMap { $0.text("code") }
    }
}

/// Cases from the field, each through a real daemon.
@Suite(.serialized) struct MeaningTests {
    @Test func aPlanWithoutOffsets() throws {
        let noon = try Noon()
        let box = "QZTU0000016"
        let replies = try noon.hears([
            plan(
                "T1", box,
                [("DEPA", "KZHOR", "25T16:00:00"), ("ARRI", "KZALA", "26T02:00:00")], "26T04:00:00"),
            event("1", box, "DEPA", "KZHOR", "25T16:00:00", ",\"shipment\":\"T1\""),
        ])
        #expect(replies.codes("warn") == ["offset-assumed", "offset-assumed"])
        // Before the ack that covers it.
        #expect(
            replies.firstIndex { $0.has("warn") } ?? 9 < replies.firstIndex { $0.has("ack") } ?? 0)
        let journey = try #require(try noon.shows(box).objects("journeys").first)
        #expect(journey.instant("promised") == TimeText.parse("2026-11-26T04:00:00+05:00")?.instant)
        #expect(
            journey.objects("milestones").map { $0.instant("planned") } == [
                TimeText.parse("2026-11-25T16:00:00+05:00")?.instant,
                TimeText.parse("2026-11-26T02:00:00+05:00")?.instant,
            ])
        #expect(journey.texts("flags") == ["offset-assumed"])
        #expect(try noon.shows(box).objects("events").first?.texts("flags") == ["offset-assumed"])
        #expect(try noon.draws(box).contains("without offset"))
    }

    @Test func numbersFromAnotherKeyboard() throws {
        let noon = try Noon()
        let replies = try noon.hears([
            event("1", "QZ\u{422}U0000206", "GTIN", "KZHOR", "25T16:00:00+05:00"),
            event("2", "QZTU\u{A0}0000206", "GTIN", "KZHOR", "25T16:00:00+05:00"),
            event("3", "qztu 000020-6", "GTOT", "kz hor", "25T16:30:00+05:00"),
            event("4", "QZTU00O0206", "GTOT", "KZHOR", "25T16:40:00+05:00"),
            event("5", "QZTU0000206", "\u{421}USR", "KZHOR", "25T16:50:00+05:00"),
        ])
        let refused = replies.filter { $0.has("reject") }
        #expect(refused.map { $0.integer("reject") } == [1, 4, 5])
        #expect(refused.map { $0.text("code") } == ["container", "container", "event"])
        #expect(refused[0].text("detail")?.hasPrefix("Cyrillic \u{422} (U+0422) at 3") == true)
        #expect(refused[0].texts("suggest") == ["QZTU0000206"])
        #expect(refused[1].texts("suggest") == ["QZTU0000206"])
        #expect(refused[2].texts("suggest") == ["CUSR"])
        #expect(try noon.shows("qztu000020 6").objects("events").count == 2)
    }

    @Test func aClockThatLostItsDate() throws {
        let noon = try Noon()
        let box = "QZTU0000309"
        try noon.hears([
            plan(
                "T4", box,
                [("DEPA", "CNHRS", "25T10:00:00+05:00"), ("GTIN", "KZHOR", "25T15:00:00+05:00")],
                "26T08:00:00+05:00"),
            event("1", box, "DEPA", "CNHRS", "25T10:00:00+05:00"),
        ])
        let replies = try noon.hears([
            event("2", box, "GTIN", "KZHOR", "25T15:00:00+05:00").replacing(
                "2026-11-25", with: "2007-04-11"),
            event("3", "QZTU0000314", "GTIN", "KZHOR", "25T15:00:00Z").replacing(
                "2026-", with: "0000-"),
            event("4", box, "GTIN", "KZHOR", "25T12:30:60+05:00"),
            event("5", box, "GTIN", "KZHOR", "25T10:15:00+23:59"),
        ])
        #expect(replies.codes("reject") == ["past", "past", "time", "time"])
        #expect(replies.first?.text("detail")?.contains("7168 days") == true)
        #expect(try noon.shows(box).objects("journeys").count == 1)
        #expect(
            try noon.outputs().allSatisfy { line in
                ["p10", "p50", "p90"].allSatisfy {
                    line.instant($0).map { $0 > Instant(seconds: 1_700_000_000) } ?? true
                }
            })
        // Other ways to write a time are taken for what they are.
        let taken = try noon.hears([
            event("6", box, "GTIN", "KZHOR", "25T15:00:00+0500"),
            event("7", box, "GTOT", "KZHOR", "25 15:10:00+05:00"),
            event("8", box, "CUSR", "KZHOR", "25t15:20:00z"),
            event("9", box, "INSP", "KZHOR", "25"),
        ])
        // One of them some hours ahead of this noon.
        #expect(taken.codes("reject").isEmpty)
        #expect(taken.codes("warn") == ["time-ahead", "date-only"])
        let events = try noon.shows(box).objects("events")
        #expect(events.first { $0.text("id") == "6" }?.text("time") == "2026-11-25T10:00:00Z")
        #expect(
            events.first { $0.text("id") == "9" }?.texts("flags")?.contains("date-only") == true)
    }

    @Test func twoPostsThatCountFromOne() throws {
        let noon = try Noon()
        let box = "QZTU0000504"
        var tokens: [String: String] = [:]
        for (post, place) in [("CNHRS-GATE", "cn hrs"), ("KZHOR-GATE2", "Khorgos dry port")] {
            tokens[post] = try caravan([
                "post", "enrol", post, "--place", place, "--database", noon.cluster.conninfo,
            ]).split(separator: "\n").last.map(String.init)
        }
        func session(_ post: String, _ line: String) throws -> String {
            let socket = try LineSocket(noon.daemon.feed)
            try socket.send(
                "{\"hello\":\"caravan/1\",\"post\":\"\(post)\",\"stream\":\"s\",\"token\":\""
                    + "\(tokens[post] ?? "")\"}\n\(line)\n")
            var said = ""
            while let line = try socket.readLine() {
                said += line + "\n"
                if line.hasPrefix("{\"ack\":2}") { return said }
            }
            return said
        }
        let first = try session(
            "CNHRS-GATE", event("812", box, "DEPA", "CNHRS", "25T10:00:00+05:00", ",\"seq\":1"))
        let second = try session(
            "KZHOR-GATE2", event("812", box, "GTIN", "KZHOR", "25T16:00:00+05:00", ",\"seq\":1"))
        #expect(!first.contains("reject") && !second.contains("reject"), "\(first)\(second)")
        let events = try noon.shows(box).objects("events")
        #expect(events.map { $0.text("post") } == ["CNHRS-GATE", "KZHOR-GATE2"])
        // A misspelt place that it may not speak of is not blamed on it without a word of what was meant.
        let third = try session(
            "KZHOR-GATE2", event("813", box, "GTIN", "KZHRO", "25T16:00:00+05:00", ",\"seq\":2"))
        #expect(
            third.contains("forbidden") && third.contains("\"suggest\":[\"KZHOR\"]"), "\(third)")
    }

    @Test func whatSomebodyExpectsHasNotHappened() throws {
        let noon = try Noon()
        let box = "QZTU0000715"
        let replies = try noon.hears([
            event(
                "1", box, "ARRI", "KZALA", "27T10:00:00+05:00",
                ",\"class\":\"EST\",\"source\":\"carrier\""),
            event("2", box, "GATED_IN", "KZHOR", "25T15:00:00+05:00", ",\"class\":\"ACTUAL\""),
            event("3", box, "DEPARTED", "KZHOR", "26T15:00:00+05:00", ",\"class\":\"estimated\""),
            event(
                "4", box, "INSPECTED", "KZHOR", "25T15:10:00+05:00",
                ",\"seals\":[{\"number\":\"A\"}]"),
        ])
        #expect(replies.codes("reject") == ["type"])
        #expect(
            replies.first { $0.has("reject") }?.text("detail") == "seals is a list of strings")
        let text = try noon.draws(box)
        #expect(!text.contains("arrived") && !text.contains("departed"))
        #expect(text.contains("expected by carrier: ARRI Almaty") && text.contains("told"))
        #expect(
            try noon.shows(box).objects("events").map { $0.text("class") } == ["ACT", "EST", "EST"])
    }

    @Test func arrivedIsArrived() throws {
        let noon = try Noon()
        let box = "QZTU0001007"
        try noon.hears([
            plan(
                "T11", box,
                [("DEPA", "KZHOR", "24T10:00:00+05:00"), ("ARRI", "KZALA", "25T00:00:00+05:00")],
                "25T02:00:00+05:00"),
            event("1", box, "DEPA", "KZHOR", "24T10:00:00+05:00"),
        ])
        try noon.hears([event("2", box, "ARRI", "KZALA", "25T11:00:00+05:00")])
        let last = try #require(try noon.outputs().last { $0.text("kind") == "eta" })
        #expect(last.text("actual") == "2026-11-25T06:00:00Z")
        #expect(last.integer("deviationMinutes") == 540)
        #expect(!last.has("p50") && !last.has("lateProbability"))
        #expect(try noon.shows(box).objects("journeys").first?.integer("deviationMinutes") == 540)
        let text = try noon.draws(box)
        #expect(text.contains("arrived 9 h late") && !text.contains("probability"))
        // Of another year it is said which.
        #expect(try noon.draws(box, at: "2027-01-02T00:00:00Z").contains("25 Nov 2026"))
    }

    /// Of an arrival of which only the day is known no hours are told.
    @Test func aDayIsNoMidnight() throws {
        let noon = try Noon()
        let box = "QZTU0000084"
        try noon.hears([
            plan(
                "EA", box,
                [("DEPA", "KZHOR", "24T10:00:00+05:00"), ("ARRI", "KZALA", "25T10:00:00+05:00")],
                "25T20:00:00+05:00"),
            event("1", box, "DEPA", "KZHOR", "24T10:00:00+05:00"),
        ])
        try noon.hears([event("2", box, "ARRI", "KZALA", "25")])
        let last = try #require(try noon.outputs().last { $0.text("kind") == "eta" })
        #expect(last.text("actual") == "2026-11-25" && !last.has("deviationMinutes"))
        let journey = try #require(try noon.shows(box).objects("journeys").first)
        #expect(journey.text("actual") == "2026-11-25" && !journey.has("deviationMinutes"))
        #expect(journey.objects("milestones").last?.text("actual") == "2026-11-25")
        let text = try noon.draws(box)
        #expect(
            text.contains("arrived 25 Nov") && !text.contains("00:00") && !text.contains("early"))
    }

    @Test func aPlanThatIsHandedInLate() throws {
        let noon = try Noon(["alerts.settle-minutes=0.05"])
        let box = "QZTU0001305"
        try noon.hears([
            plan(
                "T14", box,
                [
                    ("DEPA", "CNHRS", "24T10:00:00+05:00"), ("DEPA", "KZHOR", "25T08:00:00+05:00"),
                    ("ARRI", "KZALA", "25T16:00:00+05:00"),
                ], "25T20:00:00+05:00")
        ])
        try noon.hears([event("1", box, "DEPA", "CNHRS", "24T10:00:00+05:00")])
        try noon.hears([event("2", box, "DEPA", "KZHOR", "25T08:00:00+05:00")])
        // One word, once it is all in.
        let deadline = LineSocket.now() + 20
        var outputs = try noon.outputs()
        while outputs.isEmpty, LineSocket.now() < deadline {
            usleep(100_000)
            outputs = try noon.outputs()
        }
        #expect(outputs.count == 1)
        #expect(outputs.allSatisfy { $0.text("kind") == "eta" })
        #expect(
            outputs.allSatisfy { $0.objects("because").allSatisfy { $0.text("cause") != "plan" } })
        #expect(!(try noon.draws(box)).contains("-"), "no negative delay")
    }

    @Test func theEmptyBoxComesBack() throws {
        let noon = try Noon()
        let box = "QZTU0001408"
        try noon.hears([
            plan(
                "T15", box,
                [
                    ("DEPA", "KZHOR", "24T10:00:00+05:00"), ("ARRI", "KZALA", "25T00:00:00+05:00"),
                    ("GTOT", "KZALA", "25T04:00:00+05:00"),
                ], "25T06:00:00+05:00"),
            event("1", box, "DEPA", "KZHOR", "24T10:00:00+05:00"),
            event("2", box, "GTOT", "KZALA", "25T04:00:00+05:00"),
            event("3", box, "GTIN", "KZALA", "25T15:00:00+05:00", ",\"remark\":\"empty\""),
        ])
        let journey = try #require(try noon.shows(box).objects("journeys").first)
        #expect(journey.objects("milestones").map { $0.has("actual") } == [true, false, true])
        #expect(try noon.draws(box).contains("“empty”"))
    }

    @Test func aPlanThatRunsBackwards() throws {
        let noon = try Noon()
        let replies = try noon.hears([
            plan(
                "T16", "QZTU0001500",
                [
                    ("DEPA", "CNHRS", "25T16:00:00+05:00"), ("ARRI", "KZHOR", "25T10:00:00+05:00"),
                    ("ARRI", "KZALA", "25T08:00:00+05:00"),
                ], "25T09:00:00+05:00")
        ])
        #expect(replies.codes("reject") == ["time"])
        #expect(replies.first?.text("detail")?.contains("KZHOR") == true)
    }

    @Test func everythingThatIsKnownIsShown() throws {
        let noon = try Noon()
        let box = "QZTU0001603"
        try noon.hears([
            plan(
                "T17", box,
                [
                    ("ARRI", "KZHOR", "25T10:00:00+05:00"), ("DEPA", "KZHOR", "25T19:00:00+05:00"),
                ], "26T10:00:00+05:00"),
            event("1", box, "ARRI", "KZHOR", "25T10:00:00+05:00", ",\"vehicle\":\"1520-88213\""),
            event(
                "2", box, "CUSI", "KZHOR", "25T11:00:00+05:00",
                ",\"reason\":\"CIN\",\"remark\":\"opened\""),
            event(
                "3", box, "RMVD", "KZHOR", "25T12:00:00+05:00", ",\"seals\":[\"AA111\",\"AA112\"]"),
            event("4", box, "GTOT", "KZHOR", "25T12:30:00+05:00"),
            "{\"id\":\"4\",\"container\":\"\(box)\",\"retract\":true}",
            event("5", box, "INSP", "KZHOR", "25T13:00:00+05:00"),
            event(
                "5", box, "INSP", "KZHOR", "25T13:30:00+05:00",
                ",\"updated\":\"2026-11-25T09:00:00Z\""),
        ])
        let events = try noon.shows(box).objects("events")
        #expect(
            events.map {
                "\($0.text("event") ?? "")\($0.bool("retracted") == true ? " retracted" : "")"
                    + "\($0.bool("replaced") == true ? " replaced" : "")"
            } == [
                "ARRI", "CUSI", "RMVD", "GTOT retracted", "INSP replaced", "INSP",
            ])
        #expect(events[0].text("vehicle") == "1520-88213")
        #expect(events[1].text("reason") == "CIN" && events[1].text("remark") == "opened")
        #expect(events[2].texts("seals") == ["AA111", "AA112"])
        // A shipment that only events name is shown, too; those of a post as those of nobody.
        try noon.hears([
            event("6", box, "RSEA", "KZHOR", "25T14:00:00+05:00", ",\"shipment\":\"BOOKING-7\"")
        ])
        #expect(
            try caravan(["show", "BOOKING-7", "--database", noon.cluster.conninfo]).contains(box))
        let text = try noon.draws(box)
        for part in [
            "picked for inspection", "reason CIN", "“opened”", "seals AA111 AA112", "(retracted)",
            "(replaced)", "vehicle 1520-88213",
        ] { #expect(text.contains(part), "\(part)") }
    }

    @Test func everyNameCanBeShownAndLimitsMayBeRaised() throws {
        let noon = try Noon([
            "feed.max-line=262144", "feed.max-text=1024", "feed.max-containers=2000",
        ])
        let long = String(repeating: "x", count: 1_000)
        let numbers = (0..<1_500).compactMap { ContainerNumber(owner: "QZTU", serial: $0) }
        let list = numbers.map { "\"\($0)\"" }.joined(separator: ",")
        let wide =
            "{\"plan\":\"WIDE\",\"containers\":[\(list)],\"from\":\"CNXIA\",\"to\":\"KZALA\",\"mode\":\"RAIL\",\"pad\":\"\(String(repeating: "y", count: 60_000))\"}"
        #expect(wide.utf8.count > 65_536)
        let names = [
            long, "QZTU0001603", "a b", "it's", "-dash", "quote\\\"quote", "Алматы-7", "50%_\\\\x",
        ]
        let box = "QZTU0000016"
        let plans = names.map {
            "{\"plan\":\"\($0)\",\"containers\":[\"\(box)\"],\"from\":\"CNXIA\",\"to\":\"KZALA\",\"mode\":\"RAIL\"}"
        }
        let refused = try noon.hears([wide] + plans).filter { $0.has("reject") }
        #expect(refused.isEmpty, "\(refused.compactMap { $0.text("detail") })")
        #expect(
            try caravan([
                "show", "WIDE", "--database", noon.cluster.conninfo,
            ]).split(separator: "\n").count == 1_500)
        for name in names {
            let plain = name.replacing("\\\"", with: "\"").replacing("\\\\", with: "\\")
            let text = try caravan([
                "show", "--database", noon.cluster.conninfo, "--", plain,
            ])
            #expect(text.contains(box), "\(plain.prefix(20))")
        }
    }

    @Test func timesThatAClockShowsTwiceOrNever() throws {
        let noon = try Noon()
        let box = "QZTU0001706"
        let replies = try noon.hears([
            event("1", box, "GTIN", "SGSIN", "25T16:00:00"),
            event("2", box, "GTOT", "DEDUI", "25T02:30:00").replacing("-11-", with: "-10-"),
            event("3", box, "GTIN", "DEDUI", "29T02:30:00").replacing("-11-", with: "-03-"),
        ])
        #expect(
            replies.codes("warn") == [
                "place-unknown", "zone-unknown", "offset-assumed", "offset-assumed",
            ])
        let events = try noon.shows(box).objects("events")
        #expect(events.map { $0.text("id") } == ["3", "2", "1"])
        #expect(events.allSatisfy { $0.texts("flags")?.contains("offset-assumed") == true })
        #expect(events[1].text("time") == "2026-10-25T00:30:00Z")
        #expect(events[0].text("time") == "2026-03-29T01:30:00Z")
    }

    @Test func aTailThatCannotMatchIsTold() throws {
        let noon = try Noon()
        let box = "QZTU0000016"
        try noon.hears([
            plan(
                "T", box, [("DEPA", "KZHOR", "25T10:00:00Z"), ("ARRI", "KZALA", "26T10:00:00Z")],
                "26T12:00:00Z")
        ])
        for (request, words) in [
            (
                #""after":"start","kinds":["alerts"]"#,
                ["eta, alert, score", "\"code\":\"protocol\""]
            ),
            (#""types":["later"]"#, ["late, overdue, stuck"]),
            (#""after":999999"#, ["999999"]),
            (#""aftre":"start""#, ["aftre", "after"]),
            (#""severity":"bad""#, ["info, warning or critical"]),
            (#""containers":["QZTU0000017"]"#, ["QZTU0000017"]),
        ] {
            let answer = try noon.asks("{\"tail\":\"caravan/1\",\(request)}")
            #expect(answer.contains("error"), "\(answer)")
            for word in words { #expect(answer.contains(word), "\(answer)") }
        }
        // Places and numbers are forgiven as in the feed.
        for request in [
            #""places":["kz ala"]"#, #""places":["almaty"]"#, #""containers":["qztu 000001-6"]"#,
            #""kinds":["ETA"]"#, #""types":["stuck"],"kinds":["eta"]"#,
        ] {
            let socket = try LineSocket(noon.daemon.tail)
            try socket.send("{\"tail\":\"caravan/1\",\"after\":\"start\",\(request)}\n")
            #expect(try socket.readLine()?.contains("welcome") == true)
            #expect(try socket.readLine()?.contains("\"place\":\"KZALA\"") == true, "\(request)")
        }
    }

    @Test func eachAssumptionIsToldOnceAndNotWithoutEnd() throws {
        let noon = try Noon(["metrics.file=metrics.prom"])
        let box = "QZTU0000016"
        func lines(_ range: Range<Int>) -> [String] {
            range.map { event("\($0)", box, "INSP", "NOWHERE-\($0)", "25T10:00:00Z") }
        }
        let again = try noon.hears([
            event("a", box, "GTIN", "KZHOR", "25T10:00:00"),
            event("b", box, "GTOT", "KZHOR", "25T11:00:00"),
        ])
        #expect(again.codes("warn") == ["offset-assumed"])
        // In one batch and in many, a hundred at most.
        let socket = try LineSocket(noon.daemon.feed)
        for part in 0..<15 {
            try socket.send(lines(part * 10..<part * 10 + 10).joined(separator: "\n") + "\n")
        }
        socket.halfClose()
        var warned = 0
        while let line = try socket.readLine() { if line.contains("\"warn\"") { warned += 1 } }
        #expect(warned == 100)
        let deadline = LineSocket.now() + 30
        var metrics = ""
        while LineSocket.now() < deadline, !metrics.contains("place-unknown\"} 150") {
            metrics =
                (try? String(contentsOfFile: noon.daemon.folder + "/metrics.prom", encoding: .utf8))
                ?? ""
            usleep(100_000)
        }
        #expect(metrics.contains("caravan_warned_lines_total{code=\"place-unknown\"} 150"))
        #expect(metrics.contains("caravan_warned_lines_total{code=\"offset-assumed\"} 2"))
        let said = try caravan(
            ["push", "--server", noon.daemon.feed],
            input: event("c", box, "GTIN", "KZHRO", "25T10:00:00Z") + "\n")
        #expect(
            said.contains("line 1:") && said.contains("place-near") && said.contains("1 warnings"),
            "\(said)")
    }

    @Test func anIdThatWentToAnotherBoxIsNoticed() throws {
        let noon = try Noon()
        let (right, wrong) = ("QZTU0000016", "QZTU0000607")
        let first = try noon.hears([
            event("77", wrong, "GTIN", "KZHOR", "25T10:00:00Z"),
            event("77", right, "GTIN", "KZHOR", "25T10:00:00Z"),
        ])
        #expect(first.codes("warn") == ["id-elsewhere"])
        #expect(
            first.first { $0.has("warn") }?.text("detail")?.contains("\"was\":\"\(wrong)\"") == true
        )
        let moved = try noon.hears([
            event(
                "77", right, "GTIN", "KZHOR", "25T10:00:00Z",
                ",\"was\":\"\(wrong)\",\"updated\":\"2026-11-25T11:00:00Z\"")
        ])
        #expect(moved.codes("warn").isEmpty && moved.codes("reject").isEmpty)
        #expect(try noon.shows(wrong).objects("events").map { $0.bool("retracted") } == [true])
        // What changes nothing is no reason to warn: a copy of the wrong line, and one that is refused.
        let copies = try noon.hears([
            event("77", wrong, "GTIN", "KZHOR", "25T10:00:00Z"),
            event("88", wrong, "GTIN", "KZHOR", "25T10:00:00Z").replacing("2026-", with: "2007-"),
            event("88", right, "GTOT", "KZHOR", "25T10:30:00Z"),
        ])
        #expect(copies.codes("warn").isEmpty && copies.codes("reject") == ["past"])
        let moved77 = try noon.shows(right).objects("events").first { $0.text("id") == "77" }
        #expect(moved77?.text("was") == wrong)
    }
}
