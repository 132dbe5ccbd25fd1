import Log
import Testing
import Tracking
import Wire

@Suite struct FeedLineTests {
    struct Golden: Sendable, CustomTestStringConvertible {
        var line: String
        /// What it is: a kind, or `code field`.
        var means: String
        var testDescription: String { String(line.prefix(60)) }
    }

    static let goldens: [Golden] = [
        Golden(
            line: #"{"id":"khg-000812","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
                + #""time":"2026-11-23T10:15:00+05:00","mode":"RAIL","vehicle":"1520-88213","#
                + #""seals":["OOLAYJ9379"],"shipment":"SHP-1","seq":812}"#, means: "event"),
        Golden(
            line: #"{"plan":"SHP-1","containers":["MSKU0308961"],"from":"CNXIA","to":"DEDUI","#
                + #""mode":"RAIL","via":["CNHRS","KZHOR","PLMAA"],"#
                + #""promised":"2026-12-09T18:00:00+01:00","milestones":[{"place":"CNHRS","#
                + #""event":"DEPA","time":"2026-11-22T20:00:00+08:00"}]}"#, means: "plan"),
        Golden(
            line: #"{"closure":"CNHRS-2026-10-01","place":"CNHRS","mode":"ROAD","#
                + #""from":"2026-10-01T00:00:00+08:00","until":"2026-10-04T00:00:00+08:00","#
                + #""reason":"HOL"}"#, means: "closure"),
        Golden(
            line: #"{"hello":"caravan/1","post":"KZHOR-GATE2","stream":"5f0c","token":"x"}"#,
            means: "hello"),
        Golden(line: #"{"ping":1}"#, means: "ping"),
        Golden(line: #"{"bye":1}"#, means: "bye"),
        Golden(line: "", means: "empty"),
        Golden(line: "   ", means: "empty"),
        Golden(
            line: #"{"container":"msku 030896-1","event":"gated_in","place":" kzhor ","#
                + #""time":"2026-11-23T10:15:00"}"#, means: "event"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","mode":"TRUCK","#
                + #""time":"2026-11-23t10:15:00.123456z","class":"EST"}"#, means: "event"),
        Golden(
            line: #"{"id":"x","container":"MSKU0308961","retract":true}"#, means: "event"),
        Golden(
            line: #"{"container":"MSCU1234567","event":"GTIN","place":"X","#
                + #""time":"2026-11-23T10:15:00Z"}"#, means: "check-digit container"),
        Golden(
            line: #"{"container":"MSKU1","event":"GTIN","place":"X","#
                + #""time":"2026-11-23T10:15:00Z"}"#, means: "container container"),
        Golden(
            line: #"{"event":"GTIN","place":"X","time":"2026-11-23T10:15:00Z"}"#,
            means: "missing container"),
        Golden(
            line: #"{"container":"MSKU0308961","place":"X","time":"2026-11-23T10:15:00Z"}"#,
            means: "missing event"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTNI","place":"X","#
                + #""time":"2026-11-23T10:15:00Z"}"#, means: "event event"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","time":"2026-11-23T10:15:00Z"}"#,
            means: "missing place"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X"}"#, means: "missing time"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X","time":"23.11.2026"}"#,
            means: "time time"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X","time":5}"#,
            means: "type time"),
        Golden(
            line: #"{"container":5,"event":"GTIN","place":"X","time":"2026-11-23T10:15:00Z"}"#,
            means: "type container"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X\u0000","#
                + #""time":"2026-11-23T10:15:00Z"}"#, means: "type place"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X","seq":1.5,"#
                + #""time":"2026-11-23T10:15:00Z"}"#, means: "type seq"),
        Golden(
            line: #"{"container":"MSKU0308961","event":"GTIN","place":"X","#
                + #""seq":9223372036854775808,"time":"2026-11-23T10:15:00Z"}"#, means: "type seq"),
        Golden(
            line: #"{"container":"MSKU0308961","retract":true}"#, means: "missing id"),
        Golden(line: #"{"plan":"S","containers":[]}"#, means: "missing containers"),
        Golden(
            line: #"{"plan":"S","containers":["MSCU1234567"]}"#, means: "check-digit containers"),
        Golden(line: #"{"plan":"","containers":["MSKU0308961"]}"#, means: "missing plan"),
        Golden(line: #"{"closure":"c","place":"X"}"#, means: "missing from"),
        Golden(line: #"{"foo":1}"#, means: "unknown-line"),
        Golden(line: "[1]", means: "unknown-line"),
        Golden(line: "{", means: "json"),
        Golden(
            line: #"{"acknowledge":"a-1","rev":2,"note":"seen","until":"2026-11-26T08:00:00Z"}"#,
            means: "acknowledge"),
        Golden(line: #"{"acknowledge":"a-1"}"#, means: "missing rev"),
        Golden(line: #"{"acknowledge":"a-1","rev":0}"#, means: "type rev"),
        Golden(
            line: #"{"acknowledge":"a-1","rev":2,"until":"2026-11-26T08:00:00"}"#,
            means: "time until"),
        Golden(
            line:
                #"{"silence":"S","types":["overdue"],"places":["KZHOR"],"from":"2026-11-26T08:00:00Z","until":"2026-11-27T08:00:00Z"}"#,
            means: "silence"),
        Golden(line: #"{"silence":"S","from":"2026-11-26T08:00:00Z"}"#, means: "missing until"),
        Golden(
            line:
                #"{"silence":"S","types":["overdeu"],"from":"2026-11-26T08:00:00Z","until":"2026-11-27T08:00:00Z"}"#,
            means: "type types"),
        Golden(
            line:
                #"{"silence":"S","types":["late"],"from":"2026-11-28T08:00:00Z","until":"2026-11-27T08:00:00Z"}"#,
            means: "time until"),
        Golden(line: #"{"silence":"S","retract":true}"#, means: "silence"),
        Golden(
            line: #"{"silence":"S","from":"2026-11-26T08:00:00Z","until":"2026-11-27T08:00:00Z"}"#,
            means: "missing types"),
        // A stray key makes an event no order.
        Golden(
            line:
                #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-11-23T10:15:00Z","silence":"S"}"#,
            means: "event"),
        Golden(
            line: #"{"container":"MSKU0308961","container":"MSKU0308961"}"#, means: "json container"
        ),
    ]

    private func meaning(_ line: FeedLine) -> String {
        switch line {
        case .event: "event"
        case .plan: "plan"
        case .closure: "closure"
        case .acknowledgement: "acknowledge"
        case .silence: "silence"
        case .hello: "hello"
        case .ping: "ping"
        case .bye: "bye"
        case .empty: "empty"
        case .reject(let reject):
            reject.code.rawValue + (reject.field.map { " " + $0 } ?? "")
        }
    }

    @Test(arguments: goldens) func means(_ golden: Golden) {
        #expect(meaning(FeedParser().parse(golden.line)) == golden.means)
    }

    @Test func readsEveryFieldOfAnEvent() throws {
        guard case .event(let event) = FeedParser().parse(FeedLineTests.goldens[0].line) else {
            Issue.record("refused")
            return
        }
        #expect(event.id == "khg-000812")
        #expect(event.container.description == "MSKU0308961")
        #expect(event.code == .gtin)
        #expect(event.mode == .rail)
        #expect(event.offsetMinutes == 300)
        #expect(event.time == TimeText.parse("2026-11-23T05:15:00Z")?.instant)
        #expect(event.shipment == "SHP-1")
        #expect(event.seq == 812)
    }

    @Test func identityIsOfTheContentWhereNoIDIs() {
        func identity(_ text: String) -> Identity? {
            guard case .event(let event) = FeedParser().parse(text) else { return nil }
            return event.identity
        }
        let one =
            #"{"container":"MSKU0308961","event":"GTIN","place":"X","#
            + #""time":"2026-11-23T10:15:00Z","seq":1}"#
        let moved =
            #"{"seq":2, "time":"2026-11-23T12:15:00+02:00","place":"x","event":"GATED_IN","#
            + #""container":"msku0308961"}"#
        let other = one.replacing("GTIN", with: "GTOT")
        #expect(identity(one) != nil)
        #expect(identity(one) == identity(moved))
        #expect(identity(one) != identity(other))
    }

    @Test func boundsHoldAtTheBound() {
        var limits = FeedLimits()
        limits.maxText = 20
        limits.maxContainers = 2
        limits.maxMilestones = 2
        let parser = FeedParser(limits: limits)
        func event(_ place: String) -> String {
            #"{"container":"MSKU0308961","event":"GTIN","place":""# + place
                + #"","time":"2026-11-23T10:15:00Z"}"#
        }
        #expect(meaning(parser.parse(event(String(repeating: "P", count: 20)))) == "event")
        #expect(meaning(parser.parse(event(String(repeating: "P", count: 21)))) == "type place")
        let two = #"{"plan":"S","containers":["MSKU0308961","CSQU3054383"],"via":["A","B"]}"#
        #expect(meaning(parser.parse(two)) == "plan")
        let three = two.replacing(#""B""#, with: #""B","C""#)
        #expect(meaning(parser.parse(three)) == "type via")
        let boxes = two.replacing(#""CSQU3054383""#, with: #""CSQU3054383","TOLU4734787""#)
        #expect(meaning(parser.parse(boxes)) == "type containers")
    }
}

@Suite struct FramingTests {
    private func cut(_ pieces: [[UInt8]], limit: Int) -> [String] {
        var framer = LineFramer(maxLine: limit)
        var found: [String] = []
        func note(_ framed: LineFramer.Framed) {
            switch framed {
            case .line(let bytes): found.append(String(decoding: bytes, as: UTF8.self))
            case .tooLong(let head, let length, _): found.append("too long \(length) \(head.count)")
            }
        }
        for piece in pieces { piece.withUnsafeBufferPointer { framer.feed($0, note) } }
        framer.finish(note)
        return found
    }

    /// Whole, byte by byte and in pieces: the same lines.
    @Test func everyCutGivesTheSameLines() {
        let text = Array("one\ntwo\r\n\n\(String(repeating: "x", count: 40))\nthree\nend".utf8)
        let whole = cut([text], limit: 10)
        #expect(whole == ["one", "two", "", "too long 40 40", "three", "end"])
        #expect(cut(text.map { [$0] }, limit: 10) == whole)
        for size in 2..<12 {
            let pieces = stride(from: 0, to: text.count, by: size).map {
                Array(text[$0..<min($0 + size, text.count)])
            }
            #expect(cut(pieces, limit: 10) == whole)
        }
    }

    @Test func theLimitIsTheLimit() {
        for end in ["\n", "\r\n"] {
            let at = Array((String(repeating: "x", count: 10) + end).utf8)
            let over = Array((String(repeating: "x", count: 11) + end).utf8)
            #expect(cut([at], limit: 10) == [String(repeating: "x", count: 10)])
            #expect(cut(at.map { [$0] }, limit: 10) == [String(repeating: "x", count: 10)])
            #expect(cut([over], limit: 10)[0].hasPrefix("too long"))
            #expect(cut(over.map { [$0] }, limit: 10)[0].hasPrefix("too long"))
        }
    }
}

@Suite struct TextTests {
    @Test func instantsComeBack() {
        var random = TestGenerator(state: 99)
        for _ in 0..<2_000 {
            let instant = Instant(microseconds: Int64(random.next() % 4_000_000_000_000_000))
            let offset = Int(random.next() % 1_600) - 800
            let text = TimeText.string(instant, offsetMinutes: offset)
            #expect(TimeText.parse(text)?.instant == instant)
        }
    }

    @Test(arguments: [
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:00+5:00", "2026-01-01", "2026-01-01T00:00:00.Z",
        "2026/01/01T00:00:00Z", "2026-01-01T00:00:61Z", "x", "",
    ]) func refusesOtherTimes(_ text: String) {
        #expect(TimeText.parse(text) == nil)
    }

    /// What people write instead of RFC 3339, taken for what it is.
    @Test(arguments: [
        ("2026-11-25T10:15:00+0500", "2026-11-25T10:15:00+05:00"),
        ("2026-11-25T10:15:00+05", "2026-11-25T10:15:00+05:00"),
        ("2026-11-25 10:15:00+05:00", "2026-11-25T10:15:00+05:00"),
        ("2026-11-25 10:15:00 +0500", "2026-11-25T10:15:00+05:00"),
        ("2026-11-25t10:15:00z", "2026-11-25T10:15:00Z"),
        ("2026-11-25T10:15Z", "2026-11-25T10:15:00Z"),
        ("2026-11-25 10:15", "2026-11-25T10:15:00"),
        ("  2026-11-25T10:15:00Z ", "2026-11-25T10:15:00Z"),
        ("2026-11-25T10:15:00,5-0330", "2026-11-25T10:15:00.5-03:30"),
    ]) func whatPeopleWriteInstead(_ written: String, _ meant: String) {
        #expect(TimeText.parse(written) != nil)
        #expect(TimeText.parse(written) == TimeText.parse(meant))
    }

    @Test func aDayAloneIsADay() throws {
        let day = try TimeText.read(utf8("2026-11-25"), strictly: true).get()
        #expect(day.isDateOnly && day.offsetMinutes == nil)
        #expect(day.instant == TimeText.parse("2026-11-25T00:00:00")?.instant)
        for text in ["2026-11-31", "2026-13-01", "25.11.2026", "2026/11/25", "2026-11-2"] {
            #expect(throws: TimeText.Flaw.form) {
                try TimeText.read(utf8(text), strictly: true).get()
            }
        }
    }

    private func utf8(_ text: String) -> UnsafeBufferPointer<UInt8> {
        // Small, and for as long as the tests run.
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
        _ = bytes.initialize(from: text.utf8)
        return UnsafeBufferPointer(bytes)
    }

    @Test func onlyClocksOfThisEarthAreTaken() {
        func flaw(_ text: String, strictly: Bool = true) -> TimeText.Flaw? {
            if case .failure(let flaw) = TimeText.read(utf8(text), strictly: strictly) {
                return flaw
            }
            return nil
        }
        for good in [
            "2026-11-25T10:15:00+14:00", "2026-11-25T10:15:00-12:00", "2016-12-31T23:59:60Z",
            "2017-01-01T04:59:60+05:00", "2016-12-31T18:29:60-05:30",
        ] { #expect(flaw(good) == nil, "\(good)") }
        for bad in [
            "2026-11-25T10:15:00+14:01", "2026-11-25T10:15:00-12:01", "2026-11-25T10:15:00+23:59",
        ] {
            #expect(flaw(bad) == .offset, "\(bad)")
            // What a log took it takes again.
            #expect(flaw(bad, strictly: false) == nil)
        }
        for bad in [
            "2026-11-25T12:30:60+05:00", "2016-12-31T23:59:60", "2016-12-31T23:59:60+05:00",
        ] {
            #expect(flaw(bad) == .leapSecond, "\(bad)")
            #expect(flaw(bad, strictly: false) == nil)
        }
    }

    @Test func leapSecondsAndLeapDaysAreRead() throws {
        let leap = try #require(TimeText.parse("2016-12-31T23:59:60Z")).instant
        #expect(leap == TimeText.parse("2017-01-01T00:00:00Z")?.instant)
        #expect(TimeText.parse("2024-02-29T00:00:00Z") != nil)
        #expect(TimeText.parse("9999-12-31T23:59:59Z") != nil)
    }

    @Test func repliesAreTheContracts() {
        var out = JSONWriter()
        Reply.ack(1_240, to: &out)
        Reply.reject(
            1_187,
            LineReject(
                .checkDigit, field: "container", detail: "MSCU1234567 should end in 6",
                suggest: ["MSCU1234566"]), to: &out)
        Reply.bye(1_240, to: &out)
        Reply.error("seq 9 came", .gap, expected: 813, to: &out)
        let expected = """
            {"ack":1240}
            {"reject":1187,"code":"check-digit","field":"container","detail":"MSCU1234567 should \
            end in 6","suggest":["MSCU1234566"]}
            {"bye":1240}
            {"error":"seq 9 came","code":"gap","expected":813}

            """
        #expect(String(decoding: out.bytes, as: UTF8.self) == expected)
    }

    @Test func outputLinesAreTheContracts() throws {
        let time = try #require(TimeText.parse("2026-11-24T10:00:00Z")).instant
        let number = try #require(ContainerNumber("MSKU0308961"))
        let eta = EtaEvent(
            time: time, container: number, shipment: "SHP-1", place: "DEDUI", p10: time, p50: time,
            p90: time, promised: time, lateProbability: 0.83, changeMinutes: 310,
            because: [Cause(place: "KZHOR", minutes: 290, kind: .dwell)], event: "khg-000812")
        let line = OutputLine(seq: 81_235, .eta(eta))
        let expected =
            #"{"seq":81235,"kind":"eta","time":"2026-11-24T10:00:00Z","#
            + #""container":"MSKU0308961","shipment":"SHP-1","place":"DEDUI","#
            + #""p10":"2026-11-24T10:00:00Z","p50":"2026-11-24T10:00:00Z","#
            + #""p90":"2026-11-24T10:00:00Z","promised":"2026-11-24T10:00:00Z","#
            + #""lateProbability":0.83,"changeMinutes":310,"because":[{"place":"KZHOR","#
            + #""minutes":290,"cause":"dwell"}],"event":"khg-000812"}"#
        #expect(String(decoding: line.bytes, as: UTF8.self) == expected)
    }

    @Test func tailRequestsAreRead() throws {
        let text =
            #"{"tail":"caravan/1","after":81234,"kinds":["alert"],"types":["late"],"#
            + #""severity":"warning","containers":["msku0308961"],"name":"tower-1"}"#
        let request = try TailRequest.parse(Array(text.utf8))
        #expect(request.after == .seq(81_234))
        #expect(request.filter.containers == ["MSKU0308961"])
        #expect(request.filter.severity == .warning)
        #expect(request.name == "tower-1")
        #expect(try TailRequest.parse([]).filter.isOpen)
        // A key that is said twice would count as one of both says.
        #expect(throws: LineReject.self) {
            try TailRequest.parse(Array(#"{"tail":"caravan/1","after":1,"after":"now"}"#.utf8))
        }
        #expect(throws: LineReject.self) {
            try TailRequest.parse(Array(#"{"tail":"caravan/2"}"#.utf8))
        }
    }

    @Test func theLogsEntriesComeBack() throws {
        var writer = LogBlobWriter()
        let lines = ["a", "", String(repeating: "z", count: 300)]
        for (index, line) in lines.enumerated() {
            let origin = Origin(post: index == 1 ? "P" : "")
            _ = Array(line.utf8).withUnsafeBufferPointer { writer.append(.line, origin, $0) }
        }
        let (meaning, entries) = try LogBlob.read(writer.finished())
        #expect(meaning == .current)
        #expect(entries.map { String(decoding: $0.bytes, as: UTF8.self) } == lines)
        #expect(entries[1].origin.post == "P")
        #expect(throws: CodingFlaw.self) { try LogBlob.read(Array(writer.finished().dropLast())) }
        // Of the version before: without the meaning, which was the first.
        let earlier = [1] + writer.finished().dropFirst(2)
        #expect(try LogBlob.read(earlier).meaning == .first)
        #expect(try LogBlob.read(earlier).entries == entries)
        for later in [[9] + writer.finished().dropFirst(), [2, 99] + earlier.dropFirst()] {
            do {
                _ = try LogBlob.read(later)
                Issue.record("a batch of a later version was read")
            } catch {
                #expect(error.detail.contains("a later version of Caravan wrote it"))
            }
        }
    }

    @Test func networkFlawsNameTheirLine() {
        let text = "network | x\nzone | Z | +01:00\nplace | A | A |  | XX | 91 | 0 | Z | border\n"
        do {
            _ = try NetworkFile.parse(Array(text.utf8))
            Issue.record("read")
        } catch {
            #expect(error.line == 3)
            #expect(error.detail.contains("latitude"))
        }
    }
}

/// What a person hears who has typed a line by hand.
@Suite struct HandTypedTests {
    private func refusal(_ line: String) -> LineReject? {
        if case .reject(let reject) = FeedParser().parse(line) { return reject }
        return nil
    }

    private func line(_ fields: String) -> String {
        "{\"container\":\"QZTU0000206\",\"event\":\"GTIN\",\"place\":\"KZHOR\",\"time\":"
            + "\"2026-11-25T10:15:00Z\"\(fields)}"
    }

    @Test func eachSlipIsNamed() {
        for (typed, words) in [
            (line(","), "a comma too many at byte"),
            (line(",\"seals\":[\"A\",]"), "a comma too many at byte"),
            ("{\u{201C}container\u{201D}:1}", "a quotation mark of another kind"),
            ("{'container':'QZTU0000206'}", "a quotation mark of another kind"),
            (line(",\"seals\":\"A\""), "seals is a list of strings"),
            (line(",\"seals\":[1]"), "seals is a list of strings"),
            (line(",\"class\":\"DONE\""), "ACT (ACTUAL), EST (ESTIMATED) or PLN (PLANNED)"),
            (
                line("").replacing("2026-11-25T10:15:00Z", with: "25.11.2026 10:15"),
                "such as 2026-11-23"
            ),
            (line("").replacing("QZTU0000206", with: "QZTU0000207"), "should end in 6"),
            (
                line("").replacing("QZTU", with: "QZ\u{422}U"),
                "Cyrillic \u{422} (U+0422) at 3 looks like the letter T"
            ),
            (
                line("").replacing("QZTU", with: "\u{396}ZTU"),
                "Greek \u{396} (U+0396) at 1 looks like the letter Z"
            ),
            (line("").replacing("GTIN", with: "GT\u{406}N"), "looks like the letter I"),
            (line("").replacing("0000206", with: "000020\u{666}"), "looks like the digit 6"),
            (line("").replacing("\"container\"", with: "\"contaner\""), "is it meant by contaner?"),
            (line("").replacing("\"time\"", with: "\"timestamp\""), "is it meant by timestamp?"),
            (
                "{\"Container\":\"QZTU0000206\",\"Event\":\"GTIN\"}",
                "is container meant by Container?"
            ),
            (
                "{\"plan\":\"P\",\"container\":[\"QZTU0000206\"]}",
                "a plan names a list of containers"
            ),
            (line("").replacing("GTIN", with: "GATED-IN"), "is GTIN (GATED_IN) meant?"),
        ] {
            #expect(
                refusal(typed)?.detail.contains(words) == true,
                "\(typed): \(refusal(typed)?.detail ?? "-")")
        }
        #expect(refusal(line("").replacing("GTIN", with: "GT\u{406}N"))?.suggest == ["GTIN"])
        #expect(
            refusal(line("").replacing("QZTU0000206", with: "QZTUOOOO2O6"))?.suggest == [
                "QZTU0000206"
            ])
    }

    @Test func whatIsMeantIsTaken() {
        for number in [
            "\u{202A}QZTU0000206", "QZTU000020 6\u{200E}", "qztu0000206", "QZTU 000 020-6",
            "QZTU\u{A0}0000206", "QZTU\u{2011}000020\u{2009}6",
            "\u{FF31}\u{FF3A}\u{FF34}\u{FF35}0000206",
        ] {
            guard
                case .event(let event) = FeedParser().parse(
                    line("").replacing("QZTU0000206", with: number))
            else {
                Issue.record("\(number) is refused")
                continue
            }
            #expect(event.container.description == "QZTU0000206")
        }
        for (word, meant) in [("ACTUAL", EventClass.act), ("estimated", .est), ("Planned", .pln)] {
            guard case .event(let event) = FeedParser().parse(line(",\"class\":\"\(word)\"")) else {
                Issue.record("\(word) is refused")
                continue
            }
            #expect(event.eventClass == meant)
        }
    }

    /// What a line could always say hashes as it always did.
    @Test func contentsOfOldStayKnown() throws {
        func content(_ fields: String) -> UInt64 {
            guard case .event(let event) = FeedParser().parse(line(fields)) else { return 0 }
            return event.content
        }
        #expect(content("") == 6_491_226_488_574_921_487)
        #expect(content(",\"class\":\"ACTUAL\"") == content(""))
        #expect(content(",\"shipement\":\"S\"") == content(""))
        #expect(
            Set([content(""), content(",\"source\":\"A\""), content(",\"source\":\"B\"")]).count
                == 3)
    }

    /// What is no number of minutes is refused with the milestone that has it; a log that took it before
    /// milestones had minutes keeps its line.
    @Test(arguments: ["-1", "\"90\"", "90.5", "527041", "1e30"])
    func minutesThatAreNone(_ value: String) throws {
        let line = Array(
            ("{\"plan\":\"P1\",\"containers\":[\"MSKU0308961\"],\"milestones\":[{\"place\":\"KZHOR\","
                + "\"event\":\"DEPA\",\"minutes\":\(value)}]}").utf8)
        let live = line.withUnsafeBufferPointer { FeedParser().parse($0) }
        guard case .reject(let reject) = live else {
            Issue.record("taken: \(value)")
            return
        }
        #expect(reject.field == "minutes" && reject.detail.contains("DEPA KZHOR"))
        let logged = line.withUnsafeBufferPointer { FeedParser(limits: .largest).parse($0) }
        guard case .plan(let plan) = logged else {
            Issue.record("a log refuses \(value)")
            return
        }
        #expect(plan.milestones.first?.minutes == nil)
    }
}

/// What one line may cost.
struct LineCostTests {
    @Test func fewOfManyUnknownKeysAreTold() {
        let keys = (0..<5_000).map { "\"k\($0)\":1" }.joined(separator: ",")
        let line =
            "{\"container\":\"MSKU0308961\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
            + "\"time\":\"2026-01-01T00:00:00Z\",\(keys)}"
        guard case .event(let event) = FeedParser().parse(line) else {
            Issue.record("not read")
            return
        }
        #expect(event.unknownKeys == (0..<8).map { "k\($0)" })
        #expect(event.flags.contains(.keyUnknown))
    }
}
