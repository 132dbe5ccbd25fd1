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
        // Nobody blocks a plan that is not there yet.
        let blind = ",\"updated\":\"2026-01-02T00:00:00Z\""
        let unknown = retraction(blind).replacing("\"P\"", with: "\"Q\"")
        #expect(engine.hears([unknown], scope: ["KZALA"]).refusals.map(\.code) == [.forbidden])
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
        #expect(engine.register.shipments[symbol] == nil)
        let recovered = try await Recovery.run(log)
        #expect(recovered.engine.canonicalState() == engine.canonicalState())
        // It is known still: what comes of it is looked up.
        let late = lines([plan(",\"updated\":\"2026-01-01T00:00:00Z\"")])
        #expect(engine.missing([late]).shipments == ["P"])
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
    }
}
