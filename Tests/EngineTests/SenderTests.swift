import Forecast
import Simulation
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z
private let now = start.advanced(minutes: 2 * 1_440)
private let box = "QZTU0000016"
private let other = "QZTU0000607"

private func event(
    _ id: String?, _ code: String, _ place: String, _ time: String, box: String = box,
    _ more: String = ""
) -> String {
    let id = id.map { "\"id\":\"\($0)\"," } ?? ""
    return "{\(id)\"container\":\"\(box)\",\"event\":\"\(code)\",\"place\":\"\(place)\","
        + "\"time\":\"2026-01-01T\(time):00Z\"\(more)}"
}

/// Lines of one sender.
private func said(_ lines: [String], by post: String = "", stream: String = "") -> FeedChunk {
    FeedChunk(
        source: 1, origin: Origin(post: post, stream: stream),
        text: Array((lines.joined(separator: "\n") + "\n").utf8), parser: FeedParser())
}

extension Engine {
    /// What has happened to a container, in words.
    fileprivate mutating func story(_ container: String = box) -> [String] {
        guard let number = ContainerNumber(container), let view = view(number, now: now) else {
            return []
        }
        return view.reports.filter { !$0.retracted && !$0.isSetAside && $0.eventClass == .act }
            .map { "\($0.code.code) \($0.place)" }
    }

    fileprivate mutating func hears(_ chunk: FeedChunk) -> Effects { step([chunk], now: now) }
}

extension Effects {
    fileprivate var codes: [String] {
        replies.flatMap { String(decoding: $0.rejects, as: UTF8.self).split(separator: "\n") }
            .compactMap { FlatObject(String($0))?.text("code") }
    }

    fileprivate var warnings: [String] {
        replies.flatMap(\.warnings).map(\.note.code.rawValue)
    }
}

/// An id is its sender's own.
@Suite struct SenderTests {
    @Test func twoSendersThatCountFromOneAreBothHeard() {
        for posts in [["", ""], ["CNHRS-GATE", "KZHOR-GATE2"], ["", "KZHOR-GATE2"]] {
            var engine = freshEngine(now: start)
            let first = engine.hears(said([event("812", "DEPA", "CNHRS", "10:00")], by: posts[0]))
            let second = engine.hears(said([event("812", "GTIN", "KZHOR", "16:00")], by: posts[1]))
            #expect(first.counts.stored == 1 && second.counts.stored == 1, "\(posts)")
            #expect(engine.story() == ["DEPA CNHRS", "GTIN KZHOR"])
        }
    }

    @Test func aSendersOwnIdWithOtherContentIsAConflict() {
        var engine = freshEngine(now: start)
        _ = engine.hears(said([event("1", "GTIN", "KZHOR", "10:00")], by: "GATE"))
        #expect(
            engine.hears(said([event("1", "GTOT", "KZHOR", "11:00")], by: "GATE")).codes == [
                "conflict"
            ])
        // Nobody in particular may be several: only the same event at the same place contradicts.
        _ = engine.hears(said([event("2", "GTIN", "KZHOR", "12:00")]))
        #expect(engine.hears(said([event("2", "GTIN", "KZHOR", "12:30")])).codes == ["conflict"])
        #expect(engine.hears(said([event("2", "GTOT", "KZHOR", "13:00")])).counts.stored == 1)
    }

    @Test func nobodyTakesBackOrBlocksWhatAnotherSays() {
        var engine = freshEngine(now: start)
        let retraction = "{\"id\":\"7\",\"container\":\"\(box)\",\"retract\":true}"
        // Before and after, by a post and by nobody in particular.
        _ = engine.hears(said([retraction], by: "RAIL"))
        _ = engine.hears(said([retraction]))
        #expect(
            engine.hears(said([event("7", "GTIN", "KZHOR", "10:00")], by: "GATE")).counts.stored
                == 1)
        #expect(engine.hears(said([retraction], by: "THIRD")).codes == ["unknown-id"])
        let corrected = event(
            "7", "GTIN", "DEDUI", "11:00", ",\"updated\":\"2026-01-02T00:00:00Z\"")
        _ = engine.hears(said([corrected], by: "THIRD"))
        #expect(engine.story().contains("GTIN KZHOR"))
        // Its own word counts.
        _ = engine.hears(said([retraction], by: "GATE"))
        #expect(!engine.story().contains("GTIN KZHOR"))
    }

    @Test func aSourceIsItsOwnersUnlessItIsGranted() {
        var engine = freshEngine(now: start)
        _ = engine.step(
            [],
            changes: [
                .posts([
                    PostEnrolment(name: "A", places: ["*"], sources: ["MAEU"]),
                    PostEnrolment(name: "B", places: ["*"], sources: ["MAEU"]),
                    PostEnrolment(name: "C", places: ["*"]),
                ])
            ], now: now)
        let line = event("1", "GTIN", "KZHOR", "10:00", ",\"source\":\"MAEU\"")
        #expect(engine.hears(said([line], by: "A")).counts.stored == 1)
        // Both speak for it: the same, and a correction.
        #expect(engine.hears(said([line], by: "B")).counts.duplicate == 1)
        let moved = event(
            "1", "GTIN", "ALTYNKOL", "10:05",
            ",\"source\":\"MAEU\",\"updated\":\"2026-01-01T12:00:00Z\"")
        #expect(engine.hears(said([moved], by: "B")).counts.stored == 1)
        #expect(engine.story() == ["GTIN ALTYNKOL"])
        // Others do not, nor does anybody speak as another post.
        for (source, post) in [("MAEU", "C"), ("MAEU", ""), ("A", "C"), ("A", "")] {
            let line = event("9", "GTOT", "KZHOR", "18:00", ",\"source\":\"\(source)\"")
            #expect(
                engine.hears(said([line], by: post)).codes == ["forbidden"], "\(source) by \(post)")
        }
        for spelled in ["maeu", "MAEU ", "M\u{410}EU"] {
            let line = event("9", "GTOT", "KZHOR", "18:00", ",\"source\":\"\(spelled)\"")
            #expect(engine.hears(said([line], by: "C")).codes == ["forbidden"], "\(spelled)")
        }
        // What it calls a source of its own is nobody else's; its own name is itself.
        let own = event("5", "GTOT", "KZHOR", "18:00", ",\"source\":\"gate system\"")
        #expect(engine.hears(said([own], by: "C")).counts.stored == 1)
        let named = event("6", "DEPA", "KZHOR", "18:30", ",\"source\":\"C\"")
        #expect(engine.hears(said([named], by: "C")).counts.stored == 1)
    }

    @Test func equalFactsOfSeveralAreOne() {
        var engine = freshEngine(now: start)
        var alone = freshEngine(now: start)
        let plan =
            "{\"plan\":\"S\",\"containers\":[\"\(box)\"],\"milestones\":[{\"place\":\"CNHRS\",\"event\":"
            + "\"DEPA\",\"time\":\"2026-01-01T10:00:00Z\"},{\"place\":\"KZHOR\",\"event\":\"GTIN\","
            + "\"time\":\"2026-01-01T15:00:00Z\"}],\"to\":\"KZHOR\"}"
        let story = [event("a", "DEPA", "CNHRS", "10:00"), event("b", "GTIN", "KZHOR", "16:00")]
        _ = alone.hears(said([plan] + story, by: "P"))
        let first = engine.hears(said([plan] + story, by: "P"))
        #expect(first.commit?.outputs.isEmpty == true)
        let word = engine.step([], now: engine.nextDue)
        let echo = engine.hears(said(story, by: "Q"))
        #expect(echo.counts.stored == 2)
        // Said by two it is no news, no second evidence, and no second lesson.
        #expect(echo.commit?.outputs.isEmpty == true && word.commit?.outputs.count == 1)
        #expect(engine.register.records[0].history.events.count == 4)
        #expect(engine.register.records[0].journeys[0].progress.eventCount == 2)
        let taught = zip(
            engine.forecasting.pools.keys.indices, alone.forecasting.pools.keys.indices
        ).allSatisfy {
            engine.forecasting.pools.pools[$0] == alone.forecasting.pools.pools[$1]
        }
        #expect(taught && engine.forecasting.pools.keys.count == alone.forecasting.pools.keys.count)
        // It lasts as long as one of them says so.
        _ = engine.hears(
            said(["{\"id\":\"b\",\"container\":\"\(box)\",\"retract\":true}"], by: "P"))
        #expect(engine.register.records[0].journeys[0].progress.furthest == 1)
        _ = engine.hears(
            said(["{\"id\":\"b\",\"container\":\"\(box)\",\"retract\":true}"], by: "Q"))
        #expect(engine.register.records[0].journeys[0].progress.furthest == 0)
    }

    @Test func anEventMovesToTheBoxThatWasMeant() {
        let wrong = event("1", "GTIN", "KZHOR", "10:00", box: other)
        let right = event(
            "1", "GTIN", "KZHOR", "10:00",
            ",\"was\":\"\(other)\",\"updated\":\"2026-01-01T11:00:00Z\"")
        for post in ["", "GATE"] {
            for lines in [[wrong, right], [right, wrong], [right, wrong, right, wrong]] {
                var engine = freshEngine(now: start)
                for line in lines { _ = engine.hears(said([line], by: post)) }
                #expect(engine.story() == ["GTIN KZHOR"])
                #expect(engine.story(other).isEmpty, "\(post) \(lines)")
            }
            // And back again.
            var engine = freshEngine(now: start)
            let back = event(
                "1", "GTIN", "KZHOR", "10:00", box: other,
                ",\"was\":\"\(box)\",\"updated\":\"2026-01-01T12:00:00Z\"")
            _ = engine.hears(said([wrong, right, back], by: post))
            #expect(engine.story().isEmpty && engine.story(other) == ["GTIN KZHOR"])
        }
        for (more, code) in [
            (",\"was\":\"\(other)\"", "missing"),
            (",\"was\":\"\(box)\",\"updated\":\"2026-01-01T11:00:00Z\"", "type"),
            (",\"was\":\"QZTU0000608\",\"updated\":\"2026-01-01T11:00:00Z\"", "check-digit"),
        ] {
            var engine = freshEngine(now: start)
            #expect(
                engine.hears(said([event("1", "GTIN", "KZHOR", "10:00", more)])).codes == [code])
        }
    }

    @Test func aCorrectionThatIsCorrectedBackGivesItsPlaceBack() {
        func at(_ place: String, _ time: String, _ version: Int) -> String {
            event(
                "aba", "ARRI", place, time,
                version == 0 ? "" : ",\"updated\":\"2026-01-01T1\(version):30:00Z\"")
        }
        let versions = [
            at("CNLAZ", "10:00", 0), at("CNXIA", "10:00", 1), at("CNLAZ", "10:02", 2),
            at("CNURM", "10:02", 3), at("CNLAZ", "10:02", 4),
        ]
        for post in ["", "GATE"] {
            for (count, place) in [(2, "CNXIA"), (3, "CNLAZ"), (4, "CNURM"), (5, "CNLAZ")] {
                let lines = Array(versions.prefix(count))
                for order in [lines, lines.reversed(), lines + lines] {
                    var engine = freshEngine(now: start)
                    for line in order { _ = engine.hears(said([line], by: post)) }
                    #expect(engine.story() == ["ARRI \(place)"], "\(post) \(order)")
                }
            }
            // By a third place, too.
            var round = freshEngine(now: start)
            for line in [
                at("CNLAZ", "10:00", 0), at("CNXIA", "10:00", 1), at("CNURM", "10:00", 2),
                at("CNLAZ", "10:02", 3),
            ] { _ = round.hears(said([line], by: post)) }
            #expect(round.story() == ["ARRI CNLAZ"])
            // Taken back by name it gives nothing back.
            var engine = freshEngine(now: start)
            let gone =
                "{\"id\":\"aba\",\"container\":\"\(box)\",\"retract\":true,"
                + "\"updated\":\"2026-01-01T19:00:00Z\"}"
            for line in versions + [gone] { _ = engine.hears(said([line], by: post)) }
            #expect(engine.story().isEmpty)
        }
    }

    /// Lines of several senders with the same few ids, corrected, moved and taken back.
    private func jumble(_ random: inout SeededGenerator) -> [FeedChunk] {
        var chunks: [FeedChunk] = []
        let codes = ["GTIN", "DEPA", "ARRI", "INSP"]
        let places = ["KZHOR", "CNHRS", "ALTYNKOL"]
        // A post's own ids never contradict themselves; of nobody in particular, one of each kind.
        var used: Set<String> = []
        for number in 0..<24 {
            let post = ["", "", "A", "B"][Int(random.next() % 4)]
            let id = "\(random.next() % 4)"
            let code = codes[Int(random.next() % 4)]
            let place = places[Int(random.next() % 3)]
            let container = random.chance(0.8) ? box : other
            let minute = (10 + number % 12) * 60
            let time = "\(minute / 60):\(random.chance(0.3) ? "00" : "3\(number % 10)")"
            let updated = ",\"updated\":\"2026-01-01T\(10 + number % 14):\(10 + number):00Z\""
            var line: String
            switch random.next() % 6 {
            case 0:
                line =
                    "{\"id\":\"\(id)\",\"container\":\"\(container)\",\"retract\":true\(updated)}"
            case 1, 2: line = event(id, code, place, time, box: container, updated)
            case 3:
                let was = container == box ? other : box
                line = event(
                    id, code, place, time, box: container, ",\"was\":\"\(was)\"\(updated)")
            default:
                line = event(id, code, place, time, box: container)
                let key = "\(post)|\(id)|\(container)" + (post.isEmpty ? "|\(code)|\(place)" : "")
                guard used.insert(key).inserted else { continue }
            }
            // Sometimes only the day.
            if random.chance(0.1) { line = line.replacing("T\(time):00Z", with: "") }
            chunks.append(said([line], by: post))
        }
        return chunks
    }

    /// Promise 4, with all of it.
    @Test func theOrderOfTheNewsDoesNotShow() {
        let seed = testSeed("theOrderOfTheNewsDoesNotShow")
        let fresh = freshEngine(now: start)
        for round in 0..<500 {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            let chunks = jumble(&random)
            var reference = fresh
            for chunk in chunks { _ = reference.hears(chunk) }
            let expected = reference.trackedState()
            for _ in 0..<4 {
                var engine = fresh
                var shuffled = chunks.shuffled(using: &random)
                shuffled += shuffled.prefix(5)
                for chunk in shuffled { _ = engine.hears(chunk) }
                let isSame = engine.trackedState() == expected
                #expect(isSame, "seed \(seed), round \(round)")
                if !isSame { return }
            }
        }
    }
}
