import Testing
import Tracking
import Wire

/// Cases in the manner of the JSON parsing test suites: what must be read, what must be refused.
@Suite struct JSONTests {
    /// Whole values that are JSON; each is tried as the value of an unknown key.
    static let good: [String] = [
        "1", "-1", "0", "-0", "0.5", "-0.5e+10", "1E2", "1e-2", "123456789012345678901234567890",
        "true", "false", "null", "[]", "[1,2,[3,[]]]", "{}", "{\"a\":{\"b\":[]}}", " 1 ", "\"\"",
        "\"\\u0041\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "\"\\uD83D\\uDE00\"", "\"é漢😀\"", "\"\u{7F}\"",
        "\"\\u0000\"", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "[\n\t1\r\n]", "\"\\uFFFF\"",
    ]

    static let bad: [String] = [
        "", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity",
        "tru", "True", "nul", "nulll", "[1,]", "[,1]", "[1", "1]", "{\"a\"}", "{\"a\":}",
        "{a:1}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{1:1}", "'a'", "\"a", "\"\\x41\"", "\"\\u12\"",
        "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "\"\\u00G0\"", "\"\t\"", "\"\u{0}\"",
        "\"\u{1F}\"", "\"\\\"", "[1 2]", "{\"a\":1 \"b\":2}", "1 2", "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}", "/**/1", "1//", "\u{FEFF}1", "-01", "2.e3", "--1",
    ]

    private func line(_ value: String) -> String {
        #"{"container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
            + #""time":"2026-11-23T10:15:00+05:00","extra":"# + value + "}"
    }

    @Test(arguments: good) func readsWhatIsJSON(_ value: String) {
        guard case .event = FeedParser().parse(line(value)) else {
            Issue.record("refused: \(value)")
            return
        }
    }

    @Test(arguments: bad) func refusesWhatIsNot(_ value: String) {
        guard case .reject(let reject) = FeedParser().parse(line(value)) else {
            Issue.record("read: \(value)")
            return
        }
        #expect(reject.code == .json)
    }

    @Test func nestsOnlySoDeep() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        // The line's own object is one level.
        guard case .event = FeedParser().parse(line(nested(JSONScanner.maxDepth - 1))) else {
            Issue.record("refused at the limit")
            return
        }
        guard case .reject = FeedParser().parse(line(nested(JSONScanner.maxDepth))) else {
            Issue.record("read beyond the limit")
            return
        }
    }

    @Test func refusesBytesThatAreNotUTF8() {
        let flawed: [[UInt8]] = [
            [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xC3], [0xE6, 0xBC], [0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
        ]
        for bytes in flawed {
            let text = Array(line("\"").dropLast().utf8) + bytes + Array("\"}".utf8)
            let read = text.withUnsafeBufferPointer { FeedParser().parse($0) }
            guard case .reject(let reject) = read else {
                Issue.record("read: \(bytes)")
                continue
            }
            #expect(reject.code == .utf8)
        }
    }

    @Test func decodesEscapesInWhatItKeeps() {
        let text =
            #"{"container":"MSKU0308961","event":"GTIN","place":"\u004bZHOR","#
            + #""time":"2026-11-23T10:15:00+05:00","id":"a\ud83d\ude00\"","sh\u0069pment":"S\/1"}"#
        guard case .event(let event) = FeedParser().parse(text) else {
            Issue.record("refused")
            return
        }
        #expect(event.place == "KZHOR")
        #expect(event.id == "a😀\"")
        #expect(event.shipment == "S/1")
    }

    /// Any damage to a good line is read or refused, never worse; the seed is printed.
    @Test func survivesDamage() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 1...1_000_000_000, using: &generator)
        print("survivesDamage: seed \(seed)")
        var random = TestGenerator(state: seed)
        let samples = FeedLineTests.goldens.map { Array($0.line.utf8) }
            .filter { !$0.isEmpty }
        for _ in 0..<20_000 {
            var bytes = samples[Int(random.next() % UInt64(samples.count))]
            for _ in 0...(random.next() % 3) {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                default: bytes.removeSubrange(at...)
                }
                if bytes.isEmpty { bytes = [0x7B] }
            }
            _ = bytes.withUnsafeBufferPointer { FeedParser().parse($0) }
        }
    }
}

struct TestGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
