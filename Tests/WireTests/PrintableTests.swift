import Testing
import Tracking
import Wire

/// What a stranger can write, and what acts on a terminal, a log or a metric that shows it.
private let nasty = [
    "\u{1B}[31mred", "\u{1B}]0;title\u{7}", "a\r\nb", "a\nb", "\u{0}", "\u{7F}", "\u{85}",
    "\u{9B}31m",
    "\u{202E}gnp.exe", "\u{2066}x\u{2069}", "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{200F}",
    "\u{61C}",
    "\u{E0041}", "\u{FFF9}",
]

@Suite struct PrintableTests {
    @Test(arguments: nasty) func nothingThatActsIsShown(_ text: String) {
        let shown = Printable.text("x\(text)y")
        #expect(!shown.unicodeScalars.contains(where: Printable.acts))
        #expect(shown.contains("\\u{"))
        #expect(Printable.firstActing(text)?.hasPrefix("U+") == true)
        let line = "{\"place\":\"x\(text)y\"}"
        let json = Printable.json(line)
        #expect(!json.unicodeScalars.contains(where: Printable.acts))
        // The same value, where the line was JSON at all.
        if let before = FlatObject(line) {
            #expect(FlatObject(json)?.text("place") == before.text("place"))
        }
    }

    @Test func whatPeopleWriteIsShownAsItIs() {
        for text in ["Łódź", "喀什", "Қорғас", "Хоргос", "a b-c_d/e", "é", "👩‍🚀", "ی\u{200C}ک"] {
            #expect(Printable.text(text) == text)
            #expect(Printable.json(text) == text)
            #expect(Printable.firstActing(text) == nil)
        }
        #expect(Printable.text("a\nb", keepingLineFeeds: true) == "a\nb")
    }

    private static let lines = [
        #"{"id":"%","container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z"}"#,
        #"{"container":"MSKU0308961","event":"GTIN","place":"%","time":"2026-01-01T00:00:00Z"}"#,
        #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z","shipment":"%"}"#,
        #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z","vehicle":"%"}"#,
        #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z","reason":"%"}"#,
        #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z","seals":["A","%"]}"#,
        #"{"plan":"%","containers":["MSKU0308961"],"from":"CNXIA","to":"KZALA"}"#,
        #"{"plan":"S","containers":["MSKU0308961"],"from":"%","to":"KZALA"}"#,
        #"{"plan":"S","containers":["MSKU0308961"],"from":"CNXIA","to":"%"}"#,
        #"{"plan":"S","containers":["MSKU0308961"],"from":"CNXIA","to":"KZALA","via":["%"]}"#,
        #"{"plan":"S","containers":["MSKU0308961"],"milestones":[{"place":"%","event":"ARRI"}]}"#,
        #"{"plan":"S","containers":["MSKU0308961"],"milestones":[{"place":"A","id":"%","event":"ARRI"}]}"#,
        #"{"closure":"%","place":"CNHRS","from":"2026-01-01T00:00:00Z"}"#,
        #"{"closure":"C","place":"%","from":"2026-01-01T00:00:00Z"}"#,
        #"{"hello":"caravan/1","post":"%","stream":"s"}"#,
        #"{"hello":"caravan/1","post":"P","stream":"%"}"#,
    ]

    private func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            String(scalar).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }.joined()
    }

    @Test(arguments: lines) func noNameHoldsAControlCharacter(_ line: String) {
        for text in nasty where text != "\u{0}" {
            let named = line.replacing("%", with: "x\(escaped(text))y")
            guard case .reject(let reject) = FeedParser().parse(named) else {
                Issue.record("taken: \(named)")
                continue
            }
            #expect(reject.code == .type)
            #expect(reject.detail.contains("control character (U+"), "\(reject.detail)")
            // What a log took is read as it is.
            if case .reject(let refused) = FeedParser(limits: .largest).parse(named) {
                Issue.record("a log's line is refused: \(refused.detail)")
            }
        }
        for text in ["Łódź", "喀什", "Қорғас"] {
            let named = line.replacing("%", with: text)
            if case .reject(let refused) = FeedParser().parse(named) {
                Issue.record("refused: \(named): \(refused.detail)")
            }
        }
    }

    @Test func freeTextMayHoldWhatItLikes() {
        let line =
            #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","time":"2026-01-01T00:00:00Z","#
            + #""remark":"two\nlines\u001b[0m"}"#
        var isTaken = false
        if case .event = FeedParser().parse(line) { isTaken = true }
        #expect(isTaken)
    }
}
