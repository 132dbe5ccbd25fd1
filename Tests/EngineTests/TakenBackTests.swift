import Log
import Simulation
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let now = Instant(seconds: 1_767_225_600 + 2 * 86_400)
private let box = "QZTU0000016"
private let other = "QZTU0000021"

private func lines(_ texts: [String], scope: Set<String>? = nil, seq: Int64? = nil) -> FeedChunk {
    let origin =
        scope == nil && seq == nil ? Origin() : Origin(post: "GATE", stream: seq == nil ? "" : "s")
    var chunk = FeedChunk(
        source: 1, origin: origin, text: Array((texts.joined(separator: "\n") + "\n").utf8),
        parser: FeedParser())
    chunk.scope = scope
    if let seq {
        for at in chunk.lines.indices { chunk.lines[at].seq = seq + Int64(at) }
    }
    return chunk
}

private func plan(_ more: String = "", boxes: [String] = [box, other]) -> String {
    "{\"plan\":\"P\",\"containers\":[\(boxes.map { "\"\($0)\"" }.joined(separator: ","))],"
        + "\"from\":\"KZALA\",\"to\":\"UZTAS\",\"mode\":\"RAIL\",\"start\":\"2026-01-01T00:00:00Z\","
        + "\"promised\":\"2026-01-02T12:00:00Z\"\(more)}"
}

private func retraction(_ more: String = "") -> String {
    "{\"plan\":\"P\",\"retract\":true\(more)}"
}

extension Engine {
    fileprivate mutating func hears(_ texts: [String], scope: Set<String>? = nil) -> Effects {
        step([lines(texts, scope: scope)], now: now)
    }

    fileprivate func plans(_ text: String) -> Int {
        ContainerNumber(text).flatMap { register.slots[$0] }
            .map { register.records[$0].plans.count } ?? 0
    }
}

extension Effects {
    fileprivate var refusals: [LineReject] { commit?.quarantined.map(\.reject) ?? [] }
    fileprivate var said: [FlatObject] {
        (commit?.outputs ?? []).compactMap { FlatObject($0.bytes) }
    }
    fileprivate var notes: [LineNote] { replies.flatMap(\.warnings).map(\.note) }
}

/// Plans that are cancelled.
struct TakenBackPlanTests {
    @Test func whatWasSaidOfItEndsInWords() {
        tell(
            """
            plan KZALA > UZTAS by RAIL start 1 promised 3
            now 5
            expect open overdue
            cancel
            expect withdrawn overdue
            expect said text plan S was taken back
            expect said unknown plan S was taken back
            now 30
            expect none overdue
            expect none late
            """)
    }

    @Test func itConcernsNobodyUntilItIsStatedAgain() {
        var engine = freshEngine(now: now)
        _ = engine.hears([plan()])
        #expect(engine.plans(box) == 1 && engine.plans(other) == 1)
        // It need not say of which boxes; where it does that is of no account.
        #expect(engine.hears([retraction(",\"containers\":[\"\(box)\"]")]).refusals.isEmpty)
        #expect(engine.plans(box) == 0 && engine.plans(other) == 0)
        // A late copy of the plan is none of today's.
        let copy = engine.hears([plan()])
        #expect(copy.notes.map(\.code) == [.planEarlier] && engine.plans(box) == 0)
        #expect(engine.hears([plan(",\"updated\":\"2026-01-03T00:00:00Z\"")]).notes.isEmpty)
        #expect(engine.plans(box) == 1)
        // A retraction of before that comes late does not end it.
        _ = engine.hears([retraction(",\"updated\":\"2026-01-02T00:00:00Z\"")])
        #expect(engine.plans(box) == 1)
        _ = engine.hears([retraction(",\"updated\":\"2026-01-03T00:00:01Z\"")])
        #expect(engine.plans(box) == 0)
    }

    @Test func whatIsNotKnownIsNotTakenBackSilently() {
        var engine = freshEngine(now: now)
        let bare = engine.hears([retraction()])
        #expect(bare.refusals.map(\.code) == [.unknownID])
        #expect(bare.refusals.first?.detail == "no plan P is known")
        _ = engine.hears([plan()])
        #expect(engine.plans(box) == 1)

        var early = freshEngine(now: now)
        let dated = early.hears([retraction(",\"updated\":\"2026-01-02T00:00:00Z\"")])
        #expect(dated.refusals.first?.detail.contains("counts as taken back") == true)
        _ = early.hears([plan(",\"updated\":\"2026-01-01T00:00:00Z\"")])
        #expect(early.plans(box) == 0)
        _ = early.hears([plan(",\"updated\":\"2026-01-02T00:00:01Z\"")])
        #expect(early.plans(box) == 1)
    }

    @Test func sentAgainInItsSessionItIsADuplicate() {
        for more in ["", ",\"updated\":\"2026-01-02T00:00:00Z\""] {
            var engine = freshEngine(now: now)
            #expect(
                engine.step([lines([retraction(more)], seq: 1)], now: now).refusals.count == 1)
            let again = engine.step([lines([retraction(more)], seq: 1)], now: now)
            #expect(again.refusals.isEmpty && again.counts.duplicate == 1)
            // Though the plan have come in between.
            _ = engine.step([lines([plan()], seq: 2)], now: now)
            let late = engine.step([lines([retraction(more)], seq: 1)], now: now)
            #expect(late.refusals.isEmpty && late.counts.duplicate == 1, "\(late.refusals)")
        }
    }

    /// A post takes back what passes its places, and nothing else.
    @Test func onlyWhomItConcernsTakesItBack() {
        var engine = freshEngine(now: now)
        _ = engine.hears([plan()])
        let stranger = engine.hears([retraction()], scope: ["DEDUI"])
        #expect(stranger.refusals.map(\.code) == [.forbidden] && engine.plans(box) == 1)
        #expect(engine.hears([retraction()], scope: ["KZALA"]).refusals.isEmpty)
        #expect(engine.plans(box) == 0)
        // Sent again it is a duplicate, for whom it concerned.
        #expect(engine.hears([retraction()], scope: ["KZALA"]).counts.duplicate == 1)
        #expect(engine.hears([retraction()], scope: ["UZTAS"]).counts.duplicate == 1)
        #expect(engine.hears([retraction()], scope: ["DEDUI"]).refusals.count == 1)
        // And for nobody else to state anew.
        let stolen = plan(",\"updated\":\"2026-01-03T00:00:00Z\"")
            .replacing("UZTAS", with: "DEDUI").replacing("KZALA", with: "CNXIA")
        #expect(engine.hears([stolen], scope: ["DEDUI"]).refusals.map(\.code) == [.forbidden])
        // Whoever took it back naming some places has not made it theirs.
        _ = engine.hears(
            [retraction(",\"from\":\"KZALA\",\"updated\":\"2026-01-02T23:00:00Z\"")],
            scope: ["KZALA"])
        let anew = plan(",\"updated\":\"2026-01-03T00:00:00Z\"")
        #expect(engine.hears([anew], scope: ["UZTAS"]).refusals.isEmpty)
        #expect(engine.plans(box) == 1)
        // Nobody blocks a plan that is not there yet.
        let blind = ",\"from\":\"KZALA\",\"updated\":\"2026-01-02T00:00:00Z\""
        let unknown = retraction(blind).replacing("\"P\"", with: "\"Q\"")
        #expect(engine.hears([unknown], scope: ["KZALA"]).refusals.map(\.code) == [.unknownID])
        let theirs = plan(",\"updated\":\"2026-01-01T00:00:00Z\"")
            .replacing("\"P\"", with: "\"Q\"")
        #expect(engine.hears([theirs], scope: ["UZTAS"]).refusals.isEmpty)
    }

    @Test func whoSaysCancelledIsToldTheWord() {
        var engine = freshEngine(now: now)
        let said = engine.hears(["{\"plan\":\"P\",\"cancelled\":true}"]).refusals
        #expect(said.first?.detail == "containers is missing; is retract meant by cancelled?")
    }

    /// Names that nobody knows are not kept.
    @Test func whatIsUnknownCostsNothing() {
        var engine = freshEngine(now: now)
        let before = engine.register.symbols.texts.count
        for number in 0..<50 {
            _ = engine.hears([retraction().replacing("\"P\"", with: "\"X\(number)\"")])
        }
        #expect(engine.register.symbols.texts.count == before)
    }

    /// A name that an alert had is not used for another.
    @Test func alertsOfAPlanThatComesBackHaveOtherNames() {
        var engine = freshEngine(now: now)
        var said: [FlatObject] = []
        var clock = now
        func tell(_ line: String) {
            said += engine.step([lines([line])], now: clock).said
            clock = clock.advanced(minutes: 120)
            while engine.nextDue <= clock { said += engine.step([], now: engine.nextDue).said }
        }
        let late = plan().replacing("2026-01-01T00", with: "2026-01-03T00")
            .replacing("2026-01-02T12", with: "2026-01-03T06")
        func at(_ line: String, _ hour: Int) -> String {
            line.dropLast() + ",\"updated\":\"2026-01-03T0\(hour):00:00Z\"}"
        }
        for (hour, line) in [late, retraction(), late, retraction(), late].enumerated() {
            tell(at(line, hour))
        }
        let alerts = said.filter { $0.text("kind") == "alert" }
        #expect(alerts.count { $0.text("state") == "raised" } == 6)
        #expect(alerts.count { $0.text("state") == "withdrawn" } == 4)
        let names = alerts.map { "\($0.text("alert") ?? "") \($0.integer("rev") ?? 0)" }
        #expect(Set(names).count == names.count)
        // Also after a start in between.
        let slot = ContainerNumber(box).flatMap { engine.register.slots[$0] } ?? 0
        let record = engine.register.records[slot]
        var symbols = engine.register.symbols
        let again = try? RecordCoding.decode(RecordCoding.encode(record, symbols.texts), &symbols)
        #expect(record.episodesGone == 2 && again?.episodesGone == 2)
        #expect(record.journeys.first?.publication.episodesBefore == 2)
        #expect(again?.journeys.first?.publication.episodesBefore == 2)
    }

    /// The same after a start from the snapshot, in which it rests, and by a replay.
    @Test func aStartLeadsToTheSame() async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let steps = [
            [plan(), plan().replacing("\"P\"", with: "\"Q\"")], [retraction()],
            [retraction(",\"updated\":\"2026-01-02T00:00:00Z\"").replacing("\"P\"", with: "\"R\"")],
        ]
        let first = engine.step([], changes: [.rules(AlertRules()), .network(.shipped)], now: now)
        try await log.commit(try #require(first.commit))
        for (index, step) in steps.enumerated() {
            try await log.commit(try #require(engine.hears(step).commit))
            let recovered = try await Recovery.run(log)
            #expect(
                recovered.engine.canonicalState() == engine.canonicalState(), "step \(index)")
        }
        let checkpoint = engine.cut(now: now)
        #expect(checkpoint.resting == ["P", "R"])
        try await log.checkpoint(checkpoint)
        engine.rest(checkpoint.quiet)
        let symbol = try #require(engine.register.symbols.known("P"))
        #expect(engine.register.retracted[symbol] == nil)
        let recovered = try await Recovery.run(log)
        #expect(recovered.engine.canonicalState() == engine.canonicalState())
        // It is known still: what comes of it is looked up.
        let late = lines([plan()])
        let missing = engine.missing([late])
        #expect(missing.shipments == ["P"])
        // It comes back, changes nothing, and rests again.
        try engine.admit(try await log.load(missing))
        _ = engine.step([late], now: now)
        #expect(engine.plans(box) == 1 && engine.register.retracted[symbol] != nil)
        let next = engine.cut(now: now)
        #expect(next.resting == ["P"] && next.revived.isEmpty)
        try await log.checkpoint(next)
        engine.rest(next.quiet)
        #expect(engine.register.retracted.isEmpty)
    }

    /// What such a line held before anybody read the key is no flaw of the log.
    @Test(arguments: ["true", "\"no\"", "1", "[]"]) func anOldLineIsReadFromTheLog(
        _ value: String
    ) async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        let first = engine.step([], changes: [.rules(AlertRules()), .network(.shipped)], now: now)
        try await log.commit(try #require(first.commit))
        var limits = FeedLimits()
        limits.refusesNonsense = false
        let text = plan(",\"retract\":\(value)")
        var chunk = FeedChunk(
            source: 1, origin: Origin(), text: Array("\(text)\n".utf8),
            parser: FeedParser(limits: limits))
        chunk.meaning = .patient
        try await log.commit(try #require(engine.step([chunk], now: now).commit))
        try await log.checkpoint(engine.cut(now: now))
        var recovered = try await Recovery.run(log).engine
        #expect(recovered.plans(box) == 1)
        // The same line today says what it says.
        guard value == "true" else { return }
        _ = recovered.hears([text])
        #expect(recovered.plans(box) == 0)
    }

    /// In whichever order they come.
    @Test func versionsAroundItLeadToTheSame() {
        func stop(_ code: String, _ place: String, _ day: Int) -> String {
            "{\"event\":\"\(code)\",\"place\":\"\(place)\",\"time\":\"2026-01-0\(day)T00:00:00Z\"}"
        }
        func version(_ hour: Int, _ stops: [String]) -> String {
            "{\"plan\":\"P\",\"containers\":[\"\(box)\"],\"milestones\":["
                + stops.joined(separator: ",") + "],\"updated\":\"2026-01-02T0\(hour):00:00Z\"}"
        }
        let all = [
            version(1, [stop("DEPA", "ZAA", 1), stop("ARRI", "ZBB", 3), stop("GTOT", "ZBB", 4)]),
            retraction(",\"updated\":\"2026-01-02T02:00:00Z\""),
            version(3, [stop("ARRI", "ZBB", 3), stop("GTOT", "ZBB", 4)]),
        ]
        let number = ContainerNumber(box)
        let told = [[0, 1, 2], [0, 2, 1], [2, 0, 1], [1, 0, 2]].map { order in
            var engine = freshEngine(now: now)
            for at in order { _ = engine.hears([all[at]]) }
            return number.flatMap { engine.view($0, now: now) }?.journeys.first?.stops.map {
                "\($0.code) \($0.place)"
            } ?? []
        }
        #expect(Set(told).count == 1 && told.first?.count == 3, "\(told)")
    }

    /// Reports that name it still are of a box without a plan.
    @Test func aBoxThatNamesItStandsWhereItIs() throws {
        var engine = freshEngine(now: now)
        let report =
            "{\"container\":\"\(box)\",\"event\":\"GTIN\",\"place\":\"KZALA\",\"shipment\":\"P\","
            + "\"time\":\"2026-01-02T23:50:00Z\"}"
        let fresh = plan().replacing("2026-01-02T12", with: "2026-01-06T12")
            .replacing("2026-01-01T00", with: "2026-01-02T23")
        let first = engine.hears([fresh, report]).said
        #expect(first.contains { $0.text("shipment") == "P" && $0.has("p50") })
        let said = engine.hears([retraction()]).said
        #expect(
            said.contains {
                $0.text("container") == box && $0.text("shipment") == "P"
                    && $0.text("unknown") == "plan P was taken back"
            })
        let slot = try #require(ContainerNumber(box).flatMap { engine.register.slots[$0] })
        let place = try #require(engine.register.symbols.known("KZALA"))
        #expect(engine.waits(engine.register.records[slot], at: [place], []))
    }

    /// Who sent such a line before it meant something sent a plan.
    @Test func ofBeforeItIsAPlanAsEver() {
        var engine = freshEngine(now: now)
        var chunk = lines([plan(",\"retract\":true")])
        chunk.meaning = .scaled
        _ = engine.step([chunk], now: now)
        #expect(engine.plans(box) == 1)
    }
}

/// What is said to be from the future, or of nobody.
struct AheadTests {
    private func event(_ minutesAhead: Double, _ more: String = "") -> String {
        "{\"id\":\"e\(Int(minutesAhead))\",\"container\":\"\(box)\",\"event\":\"GTIN\",\"place\":"
            + "\"KZHOR\",\"time\":\"\(TimeText.string(now.advanced(minutes: minutesAhead)))\"\(more)}"
    }

    @Test func whatHasHappenedLiesBehind() {
        var engine = freshEngine(now: now)
        #expect(engine.hears([event(10)]).notes.isEmpty)
        let ahead = engine.hears([event(480)])
        #expect(ahead.refusals.isEmpty && ahead.notes.map(\.code) == [.timeAhead])
        #expect(ahead.notes.first?.detail.contains("lies 8 h ahead") == true)
        #expect(engine.hears([event(11)]).notes.first?.detail.contains("11 min ahead") == true)
        #expect(engine.hears([event(480, ",\"class\":\"EST\"")]).notes.isEmpty)
        // Of a place whose zone nobody knows nobody knows that either.
        let nowhere = event(300).replacing("Z\"}", with: "\"}").replacing("KZHOR", with: "QQA")
        #expect(!engine.hears([nowhere]).notes.map(\.code).contains(.timeAhead))
        // Where a clock is known to be wrong, and is set right, it says so no more.
        let correction = ClockCorrection(minutes: -480, from: .unset, until: nil)
        var post = PostEnrolment(name: "GATE", places: ["*"])
        post.corrections = [correction]
        _ = engine.step([], changes: [.posts([post])], now: now)
        #expect(engine.hears([event(485)], scope: ["KZHOR"]).notes.isEmpty)
    }

    /// It would shut out all that is said until then.
    @Test(arguments: ["event", "plan", "closure"]) func aVersionOfDaysAheadIsRefused(
        _ kind: String
    ) {
        func line(_ hours: Double) -> String {
            let updated = ",\"updated\":\"\(TimeText.string(now.advanced(minutes: hours * 60)))\""
            switch kind {
            case "event": return event(-60, updated)
            case "plan": return plan(updated)
            default:
                return "{\"closure\":\"C\",\"place\":\"KZHOR\",\"from\":"
                    + "\"2026-01-05T00:00:00Z\"\(updated)}"
            }
        }
        var engine = freshEngine(now: now)
        let refused = engine.hears([line(24.01)]).refusals
        #expect(refused.map(\.code) == [.future] && refused.first?.field == "updated")
        #expect(engine.hears([line(23.9)]).refusals.isEmpty)
        // A log that took it takes it again.
        var old = freshEngine(now: now)
        var chunk = lines([line(100)])
        chunk.meaning = .scaled
        #expect(old.step([chunk], now: now).refusals.isEmpty)
    }

    /// Until then it counts, and all else does not: both is said.
    @Test func aClosureOfHoursAheadSaysWhatItShutsOut() {
        func closure(_ until: Int, _ updated: Double?, _ more: String = "") -> String {
            let version = updated.map {
                ",\"updated\":\"\(TimeText.string(now.advanced(minutes: $0 * 60)))\""
            }
            return
                "{\"closure\":\"C\",\"place\":\"KZHOR\",\"from\":\"2026-01-03T00:00:00Z\",\"until\":"
                + "\"2026-01-0\(until)T00:00:00Z\"\(version ?? "")\(more)}"
        }
        var engine = freshEngine(now: now)
        #expect(engine.hears([closure(5, 8)]).notes.map(\.code) == [.timeAhead])
        for earlier in [closure(4, nil), closure(4, 0), "{\"closure\":\"C\",\"retract\":true}"] {
            #expect(engine.hears([earlier]).notes.map(\.code) == [.closureEarlier])
        }
        // It need not say where.
        let updated = ",\"updated\":\"2026-01-03T09:00:00Z\"}"
        let retraction = "{\"closure\":\"C\",\"retract\":true" + updated
        #expect(engine.hears([retraction]).refusals.isEmpty)
        #expect(engine.closureBook.windows.isEmpty)
        let unknown = engine.hears(["{\"closure\":\"X\",\"retract\":true}"])
        #expect(unknown.refusals.map(\.code) == [.unknownID])
    }

    @Test func milestonesOfABoxThatThePlanDoesNotName() {
        var engine = freshEngine(now: now)
        func stated(_ text: String) -> [LineNote] {
            let milestone =
                ",\"milestones\":[{\"place\":\"KZALA\",\"event\":\"DEPA\",\"container\":\"\(text)\"}]"
            return engine.hears([plan(milestone, boxes: [box])]).notes
        }
        #expect(stated(other).map(\.code) == [.containerUnlisted])
        #expect(stated(box).isEmpty)
    }

    /// A ship takes longer than thirty days, and its plan may come when it has long left.
    @Test func aPlanThatComesLateMayBeOfAShipThatLeftLongAgo() {
        tell(
            """
            2 DEPA CNSGH
            now 38
            plan CNSGH > NLRTM by SEA promised 45
            expect done DEPA CNSGH
            """)
        tell(
            """
            2 DEPA KZALA
            now 60
            plan KZALA > UZTAS by RAIL promised 70
            expect next DEPA KZALA
            """)
        // What ended there then was another voyage.
        tell(
            """
            3 ARRI NLRTM
            now 38
            plan CNSGH > NLRTM by SEA promised 80
            expect next DEPA CNSGH
            """)
    }
}

/// Who goes together.
struct ConvoyTests {
    /// Whether each of two boxes, seen at one place at once, leads its own.
    private func leads(_ modes: [String]) -> [Bool] {
        var engine = freshEngine(now: now)
        let first = TimeText.string(now.advanced(minutes: -60))
        let last = TimeText.string(now.advanced(minutes: 360))
        for (text, mode) in zip([box, other], modes) {
            _ = engine.hears([
                "{\"plan\":\"\(text)\",\"containers\":[\"\(text)\"],\"mode\":\"\(mode)\",\"milestones\":["
                    + "{\"event\":\"DEPA\",\"place\":\"ZAA\",\"time\":\"\(first)\"},"
                    + "{\"event\":\"ARRI\",\"place\":\"ZBB\",\"time\":\"\(last)\"}]}",
                "{\"container\":\"\(text)\",\"event\":\"DEPA\",\"place\":\"ZAA\",\"time\":\"\(first)\"}",
            ])
        }
        var found: [Bool] = []
        let end = now.advanced(minutes: 20 * 1_440)
        while engine.nextDue <= end {
            for line in engine.step([], now: engine.nextDue).said
            where line.text("type") == "overdue" && line.text("state") == "raised" {
                found.append(line.object("convoy")?.bool("lead") == true)
            }
        }
        return found
    }

    @Test func aTruckIsNoTrain() {
        #expect(leads(["RAIL", "RAIL"]) == [true, false])
        #expect(leads(["RAIL", "ROAD"]) == [true, true])
    }
}

/// Several plans of a box that has been there before.
struct UsedAgainTests {
    /// How many milestones of each plan were reported. What is told: `P from to stated promised` and
    /// `CODE place day`, in any order but for what comes of `stated`.
    private func reached(_ told: [String]) -> [String: Int] {
        func at(_ day: Double) -> Instant { now.advanced(minutes: (day - 100) * 1_440) }
        var engine = freshEngine(now: at(0))
        var steps: [(at: Double, line: String)] = []
        for line in told {
            let words = line.split(separator: " ").map(String.init)
            if words.count == 3 {
                let day = Double(words[2]) ?? 0
                steps.append(
                    (
                        day,
                        "{\"container\":\"\(box)\",\"event\":\"\(words[0])\",\"place\":\"\(words[1])\","
                            + "\"time\":\"\(TimeText.string(at(day)))\"}"
                    ))
            } else {
                let day = Double(words[3]) ?? 0
                steps.append(
                    (
                        day,
                        "{\"plan\":\"\(words[0])\",\"containers\":[\"\(box)\"],\"from\":\"\(words[1])\","
                            + "\"to\":\"\(words[2])\",\"mode\":\"RAIL\",\"promised\":"
                            + "\"\(TimeText.string(at(Double(words[4]) ?? 0)))\"}"
                    ))
            }
        }
        for step in steps.sorted(by: { $0.at < $1.at }) {
            _ = engine.step([lines([step.line])], now: at(step.at))
        }
        let view = ContainerNumber(box).flatMap { engine.view($0, now: at(100)) }
        return Dictionary(
            (view?.journeys ?? []).compactMap { journey in
                journey.shipment.map { name in
                    (name, journey.stops.count { $0.reached != nil && !$0.isImplied })
                }
            }, uniquingKeysWith: { first, _ in first })
    }

    private let trip = ["DEPA KZALA 31", "ARRI UZTAS 32", "GTOT UZTAS 32.5"]

    @Test func twoBillsOfOneTripShareIt() {
        // The box was at the end of one of them before.
        let bills = ["HOUSE KZALA UZTAS 20 40", "MASTER KZALA KZSRY 20 39"]
        let before = ["ARRI KZSRY 4", "DEPA KZSRY 5", "ARRI KZALA 8"]
        let shared = reached(before + bills + ["DEPA KZALA 31", "ARRI KZSRY 31.5"])
        #expect(shared["HOUSE"] ?? 0 >= 1 && shared["MASTER"] ?? 0 >= 2, "\(shared)")
        let apart = reached(
            before + ["HOUSE KZALA UZTAS 20 40", "MASTER KZALA KZSRY 20 37"] + trip)
        #expect(apart["HOUSE"] == 3, "\(apart)")
        // One of them comes when it is over.
        let late = reached(["HOUSE KZALA UZTAS 30 42"] + trip + ["MASTER KZALA UZTAS 33 42"])
        #expect(late["HOUSE"] == 3 && late["MASTER"] == 3, "\(late)")
    }

    @Test func theNextBookingIsAnotherTrip() {
        let next = reached(["FIRST KZALA UZTAS 30 33"] + trip + ["NEXT KZALA UZTAS 33 52"])
        #expect(next["FIRST"] == 3 && next["NEXT"] == 0, "\(next)")
        // Both were stated when the first was over.
        let after = reached(trip + ["FIRST KZALA UZTAS 33 33.5", "NEXT KZALA UZTAS 33.1 52"])
        #expect(after["FIRST"] == 3 && after["NEXT"] == 0, "\(after)")
    }
}
