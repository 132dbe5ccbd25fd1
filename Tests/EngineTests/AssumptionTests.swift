import Log
import Simulation
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z
private let now = start.advanced(minutes: 2 * 1_440)
private let box = "QZTU0000016"

private func at(_ text: String) -> Instant {
    TimeText.parse(text)?.instant ?? .unset
}

private func said(
    _ lines: [String], by post: String = "", stream: String = "", seq: Int64? = nil
) -> FeedChunk {
    var chunk = FeedChunk(
        source: 1, origin: Origin(post: post, stream: stream),
        text: Array((lines.joined(separator: "\n") + "\n").utf8), parser: FeedParser())
    if let seq {
        for at in chunk.lines.indices { chunk.lines[at].seq = seq + Int64(at) }
    }
    return chunk
}

private func event(_ id: String, _ place: String, _ time: String, _ more: String = "") -> String {
    "{\"id\":\"\(id)\",\"container\":\"\(box)\",\"event\":\"GTIN\",\"place\":\"\(place)\","
        + "\"time\":\"\(time)\"\(more)}"
}

private func plan(_ name: String, _ promised: String, _ more: String = "") -> String {
    "{\"plan\":\"\(name)\",\"containers\":[\"\(box)\"],\"milestones\":[{\"place\":\"KZHOR\",\"event\":"
        + "\"DEPA\",\"time\":\"2026-01-02T16:00:00\"},{\"place\":\"KZALA\",\"event\":\"ARRI\","
        + "\"time\":\"2026-01-03T02:00:00\"}],\"to\":\"KZALA\",\"promised\":\"\(promised)\"\(more)}"
}

extension Engine {
    fileprivate mutating func hears(_ chunk: FeedChunk) -> Effects { step([chunk], now: now) }

    fileprivate func times(_ shipment: String) -> [Instant?] {
        guard let plan = register.symbols.known(shipment).flatMap({ register.shipments[$0] })?.plan
        else { return [] }
        return [plan.promised] + plan.milestones.map(\.time)
    }
}

extension Effects {
    fileprivate var notes: [LineNote] { replies.flatMap(\.warnings).map(\.note) }
    fileprivate var codes: [String] { notes.map(\.code.rawValue) }
    fileprivate var refusals: [LineReject] { commit?.quarantined.map(\.reject) ?? [] }
}

/// What a line leaves open.
@Suite struct AssumptionTests {
    @Test func timesWithoutOffsetAreOnTheClockOfThePlace() {
        var engine = freshEngine(now: start)
        let effects = engine.hears(said([plan("T1", "2026-01-03T04:00:00")]))
        #expect(
            engine.times("T1") == [
                at("2026-01-03T04:00:00+05:00"), at("2026-01-02T16:00:00+05:00"),
                at("2026-01-03T02:00:00+05:00"),
            ])
        #expect(effects.codes == ["offset-assumed", "offset-assumed"])
        #expect(effects.notes.first?.detail.contains("the clock of Almaty, +05:00") == true)
        // The plan says so itself, whoever asks.
        _ = engine.hears(said([event("1", "KZHOR", "2026-01-02T16:00:00", ",\"shipment\":\"T1\"")]))
        let number = ContainerNumber(box)
        let view = number.flatMap { engine.view($0, now: now) }
        #expect(view?.journeys.first?.flags == .offsetAssumed)
        #expect(view?.reports.first?.flags == .offsetAssumed)
        #expect(view?.reports.first?.time == at("2026-01-02T16:00:00+05:00"))
        // Closures alike.
        _ = engine.hears(
            said([
                #"{"closure":"C","place":"CNHRS","from":"2026-01-01T00:00:00","until":"2026-01-04"}"#
            ]))
        #expect(engine.closureBook.closures["C"]?.closure.from == at("2026-01-01T00:00:00+08:00"))
        #expect(engine.closureBook.closures["C"]?.closure.until == at("2026-01-04T23:59:59+08:00"))
    }

    /// Schedules of ships have days; what else is of a day stays in its order.
    @Test(arguments: [
        ["2026-01-10", "2026-01-10", "2026-01-10T08:00:00"],
        ["2026-01-10T18:00:00", "2026-01-10", "2026-01-11"],
        ["2026-01-10T20:00:00+08:00", "2026-01-10", "2026-01-10"],
        ["2026-01-10", "2026-01-10T23:00:00+05:00", "2026-01-12"],
    ])
    func daysOfAPlanKeepItsOrder(_ days: [String]) {
        var engine = freshEngine(now: start)
        let places = ["CNHRS", "KZHOR", "KZALA"]
        let milestones = zip(places, days).map {
            "{\"place\":\"\($0)\",\"event\":\"ARRI\",\"time\":\"\($1)\"}"
        }
        let effects = engine.hears(
            said([
                "{\"plan\":\"T1\",\"containers\":[\"\(box)\"],\"milestones\":[\(milestones.joined(separator: ","))]}"
            ]))
        #expect(effects.counts.stored == 1, "\(effects.refused)")
        let times = engine.times("T1").dropFirst().compactMap { $0 }
        #expect(times == times.sorted(), "\(times)")
        for (time, day) in zip(times, days) where day.count == 10 {
            let noon = at(day + "T12:00:00+06:00")
            #expect(abs(time.minutes(since: noon)) <= 1_080, "\(day): \(TimeText.string(time))")
        }
    }

    @Test func thePostsOwnClockGoesBeforeThatOfThePlace() throws {
        var engine = freshEngine(now: start)
        let zone = try #require(NetworkFile.shipped.zone(named: "Asia/Shanghai"))
        let enrolled = engine.step(
            [], changes: [.posts([PostEnrolment(name: "GATE", places: ["*"], zone: zone)])],
            now: now)
        #expect(enrolled.commit != nil)
        _ = engine.hears(
            said(
                [plan("T1", "2026-01-03T04:00:00"), event("1", "KZHOR", "2026-01-02T16:00:00")],
                by: "GATE"))
        #expect(engine.times("T1").first == at("2026-01-03T04:00:00+08:00"))
        #expect(
            engine.register.records[0].history.events[0].time == at("2026-01-02T16:00:00+08:00"))
        // Said once more it is no news; said otherwise it counts from the next line on.
        #expect(
            engine.step(
                [], changes: [.posts([PostEnrolment(name: "GATE", places: ["*"], zone: zone)])],
                now: now
            ).commit == nil)
        _ = engine.step(
            [], changes: [.posts([PostEnrolment(name: "GATE", places: ["*"])])], now: now)
        _ = engine.hears(said([plan("T2", "2026-01-03T04:00:00")], by: "GATE"))
        #expect(engine.times("T1").first == at("2026-01-03T04:00:00+08:00"))
        #expect(engine.times("T2").first == at("2026-01-03T04:00:00+05:00"))
    }

    /// What was decided is decided again: by a replay, and by a start from the snapshot.
    @Test func aReplayReadsTheSame() async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let zone = try #require(NetworkFile.shipped.zone(named: "+03:00"))
        let steps: [([FeedChunk], [ConfigChange])] = [
            ([], [.rules(AlertRules()), .network(.shipped)]),
            ([], [.posts([PostEnrolment(name: "GATE", zone: zone, sources: ["X"])])]),
            ([said([plan("A", "2026-01-03T04:00:00"), plan("B", "2026-01-04")], by: "GATE")], []),
            ([said([plan("A", "2026-01-03T05:00:00")], by: "GATE", stream: "s", seq: 1)], []),
            ([said([plan("A", "2026-01-03T04:00:00")], by: "GATE", stream: "s", seq: 2)], []),
            ([], [.posts([PostEnrolment(name: "GATE", isRevoked: true)])]),
            (
                [
                    said([
                        event("1", "NOWHERE", "2026-01-02T16:00:00"),
                        event("2", "KZHOR", "2026-01-02"),
                        #"{"closure":"C","place":"CNHRS","from":"2026-01-01T00:00:00"}"#,
                    ])
                ], []
            ),
        ]
        for (index, (chunks, changes)) in steps.enumerated() {
            let effects = engine.step(chunks, changes: changes, now: now)
            try await log.commit(try #require(effects.commit))
            if index == 3 { try await log.checkpoint(engine.cut(now: now)) }
            let recovered = try await Recovery.run(log)
            let isSame = recovered.engine.canonicalState() == engine.canonicalState()
            #expect(isSame && recovered.diverged == 0, "step \(index)")
        }
        try await log.checkpoint(engine.cut(now: now))
        let recovered = try await Recovery.run(log)
        let isSame = recovered.engine.canonicalState() == engine.canonicalState()
        #expect(isSame && recovered.replayed == 0)
    }

    @Test func aZoneThatNobodyKnowsIsSaidAndTeachesNothing() {
        var engine = freshEngine(now: start)
        let effects = engine.hears(said([event("1", "SGSIN", "2026-01-01T16:00:00")]))
        #expect(effects.codes.sorted() == ["place-unknown", "zone-unknown"])
        #expect(engine.register.records[0].history.events[0].flags.isVague)
        let known = engine.hears(said([event("2", "SGSIN", "2026-01-01T16:00:00+08:00")]))
        #expect(known.codes == ["place-unknown"])
    }

    /// The version time, too: a retraction that names no place is on the clock of what it takes back.
    @Test func versionTimesWithoutOffset() {
        var engine = freshEngine(now: start)
        let retraction =
            "{\"container\":\"\(box)\",\"id\":\"a\",\"retract\":true,\"updated\":\"2026-01-01 12:30\"}"
        let effects = engine.hears(
            said(
                [
                    event("a", "KZHOR", "2026-01-01T10:00:00+05:00"), retraction,
                    event(
                        "a", "KZHOR", "2026-01-01T10:10:00+05:00",
                        ",\"updated\":\"2026-01-01 13:00\""),
                ], by: "GATE"))
        #expect(effects.codes == ["offset-assumed"] && effects.notes[0].field == "updated")
        let events = engine.register.records[0].history.events
        #expect(events.map(\.retracted) == [false])
        #expect(events[0].updated == at("2026-01-01T13:00:00+05:00"))
        // Of a day at a place whose zone nobody knows both is said.
        let day = engine.hears(said([event("d", "XXQQQ", "2026-01-01")]))
        #expect(day.codes.sorted() == ["date-only", "place-unknown", "zone-unknown"])
    }

    @Test func theHoursThatComeTwiceOrNever() {
        let late = at("2026-11-25T12:00:00Z")
        var engine = freshEngine(now: start)
        let effects = engine.step(
            [
                said([
                    event("1", "DEDUI", "2026-10-25T02:30:00"),
                    event("2", "DEDUI", "2026-03-29T02:30:00"),
                    event("3", "DEDUI", "2026-07-01T02:30:00"),
                ])
            ], now: late)
        let events = engine.register.records[0].history.events
        #expect(
            events.map(\.time) == [
                at("2026-03-29T03:30:00+02:00"), at("2026-07-01T02:30:00+02:00"),
                at("2026-10-25T02:30:00+02:00"),
            ])
        #expect(events[0].flags.subtracting(.shared) == [.offsetAssumed, .missingHour])
        #expect(events[1].flags.subtracting(.shared) == .offsetAssumed)
        #expect(events[2].flags.subtracting(.shared) == [.offsetAssumed, .repeatedHour])
        #expect(effects.codes == ["offset-assumed", "offset-assumed", "offset-assumed"])
        #expect(
            effects.notes[0].detail.contains("twice") && effects.notes[1].detail.contains("03:30"))
    }

    @Test func placesAreSpelledAsPeopleSpellThem() {
        var engine = freshEngine(now: start)
        let spellings = [
            "kz hor", "KZ-HOR", "KZ\u{A0}HOR", "Khorgos dry port", "khorgos  DRY-port", "kzhor",
        ]
        let lines = spellings.enumerated().map { event("\($0)", $1, "2026-01-01T1\($0):00:00Z") }
        #expect(engine.hears(said(lines)).notes.isEmpty)
        #expect(
            Set(engine.register.records[0].history.events.map { engine.register.symbols[$0.place] })
                == ["KZHOR"])
        let near = engine.hears(
            said([
                event("a", "KZHRO", "2026-01-01T20:00:00Z"),
                event("b", "\u{41A}ZHOR", "2026-01-01T21:00:00Z"),
                event("c", "sg sin", "2026-01-01T22:00:00Z"),
            ]))
        #expect(near.codes == ["place-near", "place-near", "place-unknown"])
        #expect(near.notes[0].suggest == ["KZHOR"] && near.notes[1].suggest == ["KZHOR"])
        #expect(near.notes[1].detail.contains("Cyrillic"))
        // The name of the town alone may mean several.
        let town = engine.hears(said([event("t", "khorgos", "2026-01-01T23:00:00Z")]))
        #expect(town.codes == ["place-near"])
        #expect(Set(town.notes[0].suggest).isSuperset(of: ["KZHOR", "CNHRS"]))
        let slip = engine.hears(said([event("s", "KHORGS", "2026-01-01T23:10:00Z")]))
        let towns = slip.notes.flatMap(\.suggest)
        #expect(towns.contains("KZHOR") && towns.contains("CNHRS"))
        // In plans, too.
        _ = engine.hears(
            said([
                "{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"from\":\"Xi'an\",\"to\":\"almaty\","
                    + "\"via\":[\"Khorgos dry port\"],\"mode\":\"RAIL\"}"
            ]))
        let chain =
            engine.register.symbols.known("P").flatMap { engine.register.shipments[$0]?.chain }
            ?? []
        #expect(chain.contains { engine.register.symbols[$0.place] == "KZHOR" })
    }

    @Test func aClockThatIsYearsBackIsRefused() {
        var engine = freshEngine(now: start)
        func refused(_ days: Double, _ more: String = "", by engine: inout Engine) -> [String] {
            let time = TimeText.string(now.advanced(minutes: -days * 1_440))
            return engine.hears(said([event("\(days)", "KZHOR", time, more)]))
                .refusals.map(\.code.rawValue)
        }
        #expect(refused(7_168, by: &engine) == ["past"])
        #expect(refused(400.01, by: &engine) == ["past"])
        #expect(refused(399.9, by: &engine).isEmpty)
        #expect(refused(500, ",\"class\":\"EST\"", by: &engine).isEmpty)
        var rules = AlertRules()
        rules.pastDays = 0
        var open = freshEngine(rules: rules, now: start)
        #expect(refused(9_000, by: &open).isEmpty)
        // What a log took before there was a bound it takes again.
        #expect(try! RulesCoding.decode([3]).pastDays == 0)
        #expect(try! RulesCoding.decode(RulesCoding.encode(AlertRules())).pastDays == 400)
    }

    @Test func aPlanThatRunsBackwardsIsRefusedWithTheTwo() {
        var engine = freshEngine(now: start)
        func milestones(_ list: String) -> [LineReject] {
            engine.hears(
                said(["{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"milestones\":[\(list)]}"])
            ).refusals
        }
        func stop(_ place: String, _ time: String, _ more: String = "") -> String {
            "{\"place\":\"\(place)\",\"event\":\"ARRI\",\"time\":\"2026-01-0\(time)\"\(more)}"
        }
        let refused = milestones(
            stop("CNHRS", "2T16:00:00+05:00") + "," + stop("KZALA", "2T10:00:00+05:00"))
        #expect(refused.map(\.code) == [.time])
        #expect(refused.first?.detail.contains("CNHRS") == true)
        #expect(refused.first?.detail.contains("KZALA") == true)
        // On the clocks of their places it may be right: 13:00 at Khorgos (CN) is before 11:00 here.
        #expect(milestones(stop("CNHRS", "2T13:00:00") + "," + stop("KZALA", "2T11:00:00")).isEmpty)
        #expect(
            milestones(stop("CNHRS", "2T13:00:00") + "," + stop("KZALA", "2T09:00:00")).count == 1)
        // Ways that run side by side are compared along each of them.
        let joined =
            stop("A", "2T10:00:00Z", ",\"id\":\"a\",\"after\":[]") + ","
            + stop("B", "2T08:00:00Z", ",\"id\":\"b\",\"after\":[]")
        #expect(
            milestones(joined + "," + stop("C", "2T12:00:00Z", ",\"after\":[\"a\",\"b\"]")).isEmpty)
        #expect(
            milestones(joined + "," + stop("C", "2T09:00:00Z", ",\"after\":[\"a\",\"b\"]")).count
                == 1)
    }

    @Test func anOldCopyOfAPlanIsNoNews() {
        var engine = freshEngine(now: start)
        func promise(_ hour: Int, _ more: String = "") -> String {
            plan("P", "2026-01-03T\(hour):00:00Z", more)
        }
        #expect(engine.hears(said([promise(10), promise(11)])).counts.stored == 2)
        let again = engine.hears(said([promise(10)]))
        #expect(again.counts.duplicate == 1 && again.codes == ["plan-earlier"])
        #expect(engine.times("P").first == at("2026-01-03T11:00:00Z"))
        // As it stands it is a plain duplicate.
        #expect(engine.hears(said([promise(11)])).codes.isEmpty)
        // A new number of a session is a new statement.
        let stated = engine.hears(said([promise(10)], by: "P", stream: "s", seq: 1))
        #expect(stated.counts.stored == 1)
        #expect(engine.times("P").first == at("2026-01-03T10:00:00Z"))
        // So is updated; and after that a line without one has no effect, and is told so.
        let updated = engine.hears(said([promise(11, ",\"updated\":\"2026-01-02T00:00:00Z\"")]))
        #expect(updated.counts.stored == 1)
        let bare = engine.hears(said([promise(12)]))
        #expect(bare.counts.stored == 1 && bare.codes == ["plan-earlier"])
        #expect(engine.times("P").first == at("2026-01-03T11:00:00Z"))
    }

    @Test func soManyVersionsOfAPlanAreRemembered() {
        var engine = freshEngine(now: start)
        let versions = (0..<66).map {
            plan("P", TimeText.string(at("2026-01-03T10:00:00Z").advanced(minutes: Double($0))))
        }
        for version in versions { #expect(engine.hears(said([version])).counts.stored == 1) }
        // Of 66 the last is in force, and the 64 before it are known.
        #expect(engine.hears(said([versions[1]])).counts.duplicate == 1)
        #expect(engine.hears(said([versions[0]])).counts.stored == 1)
    }

    /// However it is written: an old copy is an old copy.
    @Test func aPlanIsKnownByWhatItMeans() {
        var engine = freshEngine(now: start)
        let written = plan("P", "2026-01-03T10:00:00+05:00")
        _ = engine.hears(said([written, plan("P", "2026-01-03T12:00:00+05:00")]))
        let again = written.replacing("2026-01-03T10:00:00+05:00", with: "2026-01-03 05:00:00Z")
            .replacing("KZALA", with: "almaty").replacing("QZTU", with: "qztu ")
            .replacing("2026-01-02T16:00:00", with: "2026-01-02T16:00:00+0500")
        let effects = engine.hears(said([again]))
        #expect(effects.codes == ["plan-earlier"] && effects.counts.duplicate == 1)
    }

    @Test func anOffsetThatIsAddedIsAnotherPlan() {
        var engine = freshEngine(now: start)
        _ = engine.hears(said([plan("P", "2026-01-03T04:00:00")]))
        #expect(engine.hears(said([plan("P", "2026-01-03T04:00:00Z")])).counts.stored == 1)
        #expect(engine.times("P").first == at("2026-01-03T04:00:00Z"))
    }

    @Test func aKeyThatNothingReadsIsNamed() {
        var engine = freshEngine(now: start)
        let effects = engine.hears(
            said([
                event("1", "KZHOR", "2026-01-01T10:00:00Z", ",\"shipement\":\"S\",\"x\":1"),
                event("2", "KZHOR", "2026-01-01T11:00:00Z", ",\"shipement\":\"S\",\"via\":[]"),
                "{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"promissed\":\"\",\"milestones\":[{\"place\":"
                    + "\"KZALA\",\"event\":\"ARRI\",\"tiem\":\"\"}]}",
            ]))
        let keys = effects.notes.filter { $0.code == .keyUnknown }
        // Each once.
        #expect(keys.map(\.field) == ["shipement", "x", "via", "promissed", "milestones.tiem"])
        #expect(keys.map(\.suggest) == [["shipment"], [], [], ["promised"], ["time"]])
        #expect(effects.warned[.keyUnknown] == 6)
        #expect(
            engine.register.records[0].history.events.allSatisfy { $0.flags.contains(.keyUnknown) })
    }

    @Test func aPlanThatBeginsWithAGateInIsForecastAndMissed() {
        var engine = freshEngine(now: start)
        let effects = engine.step(
            [
                chunk([
                    "{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"milestones\":[{\"place\":\"KZHOR\","
                        + "\"event\":\"GTIN\",\"time\":\"2026-01-01T06:00:00Z\"},{\"place\":\"KZALA\","
                        + "\"event\":\"ARRI\",\"time\":\"2026-01-02T06:00:00Z\"}],\"to\":\"KZALA\","
                        + "\"promised\":\"2026-01-02T10:00:00Z\"}"
                ])
            ], now: start.advanced(minutes: 8 * 60))
        // It is under way by its plan: its reports may be coming, too.
        #expect(effects.commit?.outputs.isEmpty == true)
        let first = engine.step([], now: engine.nextDue)
        #expect(first.commit?.outputs.map(\.kind) == ["eta"])
        var said: [OutputLine] = []
        while engine.nextDue < start.advanced(minutes: 2_880) {
            let due = engine.nextDue
            said += engine.step([], now: due).commit?.outputs ?? []
        }
        #expect(said.contains { $0.type == "overdue" && $0.place == "KZHOR" })
    }

    @Test func aPlanOfABoxUnderWayWaitsForItsEvents() {
        let plan =
            "{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"milestones\":[{\"place\":\"CNHRS\",\"event\":"
            + "\"DEPA\",\"time\":\"2026-01-01T10:00:00Z\"},{\"place\":\"KZHOR\",\"event\":\"DEPA\",\"time\":"
            + "\"2026-01-02T08:00:00Z\"},{\"place\":\"KZALA\",\"event\":\"ARRI\",\"time\":"
            + "\"2026-01-02T16:00:00Z\"}],\"to\":\"KZALA\",\"promised\":\"2026-01-02T20:00:00Z\"}"
        let events = [
            "{\"id\":\"1\",\"container\":\"\(box)\",\"event\":\"DEPA\",\"place\":\"CNHRS\",\"time\":"
                + "\"2026-01-01T10:00:00Z\"}",
            "{\"id\":\"2\",\"container\":\"\(box)\",\"event\":\"DEPA\",\"place\":\"KZHOR\",\"time\":"
                + "\"2026-01-02T08:00:00Z\"}",
        ]
        let noon = start.advanced(minutes: 36 * 60)
        var engine = freshEngine(now: start)
        var alerts: [OutputLine] = []
        func step(_ lines: [String], _ seconds: Double) {
            let now = noon.advanced(minutes: seconds / 60)
            while engine.nextDue < now {
                alerts += engine.step([], now: engine.nextDue).commit?.outputs ?? []
            }
            alerts += engine.step([chunk(lines)], now: now).commit?.outputs ?? []
        }
        step([plan], 0)
        step([events[0]], 1)
        step([events[1]], 50)
        step([], 60)
        alerts.removeAll { $0.kind != "alert" }
        #expect(alerts.isEmpty)
        // Nor does a fresh word among them open the door.
        var mixed = freshEngine(now: start)
        let fresh = events[0].replacing("\"1\"", with: "\"9\"").replacing("DEPA", with: "INSP")
            .replacing("2026-01-01T10:00:00Z", with: "2026-01-02T11:58:00Z")
        let first = mixed.step([chunk([plan, events[0], fresh])], now: noon)
        let second = mixed.step([chunk([events[1]])], now: noon.advanced(minutes: 0.5))
        #expect(
            ((first.commit?.outputs ?? []) + (second.commit?.outputs ?? [])).allSatisfy {
                $0.kind == "eta"
            })
        // Where nothing comes it speaks up after all, and not of a new plan.
        var silent = freshEngine(now: start)
        _ = silent.step([chunk([plan])], now: noon)
        var said: [String] = []
        while silent.nextDue < noon.advanced(minutes: 600) {
            let outputs = silent.step([], now: silent.nextDue).commit?.outputs ?? []
            said += outputs.filter { $0.kind == "alert" }.map {
                String(decoding: $0.bytes, as: UTF8.self)
            }
        }
        #expect(!said.isEmpty)
        #expect(said.allSatisfy { !$0.contains("plan") || !$0.contains("\"cause\":\"plan\"") })
    }
}
