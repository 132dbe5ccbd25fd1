import Foundation
import Simulation
import Testing
import Tracking
import Wire

/// Feeds the line reader with what no sender should send. `CARAVAN_TEST_FUZZ_SECONDS` says for how
/// long; a line that broke something belongs into `corpus`, for good.
@Suite struct FuzzTests {
    /// Where mutations begin: one line of each kind, and lines that were hard once.
    static let corpus: [String] = [
        #"{"id":"khg-000812","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
            + #""time":"2026-11-23T10:15:00+05:00","mode":"RAIL","seals":["OOLAYJ9379"],"seq":812}"#,
        #"{"plan":"SHP-1","containers":["MSKU0308961"],"from":"CNXIA","to":"DEDUI","mode":"RAIL","#
            + #""via":["CNHRS"],"promised":"2026-12-09T18:00:00+01:00","milestones":[{"place":"#
            + #""CNHRS","event":"DEPA","time":"2026-11-22T20:00:00+08:00","id":"a","after":[]}]}"#,
        #"{"closure":"C","place":"CNHRS","from":"2026-10-01T00:00:00+08:00","until":null}"#,
        #"{"hello":"caravan/1","post":"KZHOR-GATE2","stream":"5f0c","token":"t"}"#,
        #"{"id":"x","container":"MSKU0308961","retract":true,"updated":"9999-12-31T23:59:60Z"}"#,
        #"{"ping":1}"#, #"{"bye":1}"#, "", "{}", "[]", "\u{FEFF}{}", "{\"a\":1e999}",
        "{\"a\":123456789012345678901234567890}", #"{"a":"\ud83d\ude80\u0000"}"#,
        #"{"a":{"b":[[[[[[[[1]]]]]]]]}}"#, "{\"container\":\"\\u004dSKU0308961\"}",
        #"{"seq":1,"seq":2}"#, #"{"time":"0000-00-00T00:00:00Z"}"#, "{\"a\":\"\r\"}",
    ]

    private static let pieces: [[UInt8]] = [
        [0x00], [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x0D],
        [0xEF, 0xBB, 0xBF], Array("\\u0000".utf8), Array("\\ud800".utf8), Array("\"".utf8),
        Array("{".utf8), Array("[".utf8), Array("}".utf8), Array("-".utf8), Array("1e400".utf8),
        Array("99999999999999999999".utf8), Array("9999-12-31T23:59:60Z".utf8),
        Array("2016-12-31T23:59:60Z".utf8), Array("null".utf8), Array(",".utf8), Array(":".utf8),
    ]

    private static func mutate(_ line: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var line = line
        for _ in 0...Int(random.next() % 4) {
            let at = line.isEmpty ? 0 : Int(random.next() % UInt64(line.count + 1))
            switch random.next() % 6 {
            case 0:
                line.insert(contentsOf: pieces[Int(random.next() % UInt64(pieces.count))], at: at)
            case 1 where at < line.count: line[at] = UInt8(truncatingIfNeeded: random.next())
            case 2 where at < line.count: line[at] ^= 1 << (random.next() % 8)
            case 3 where at < line.count: line.removeSubrange(at..<min(line.count, at + 1 + at % 9))
            case 4 where at < line.count:
                let end = min(line.count, at + 40)
                line.insert(contentsOf: line[at..<end], at: at)
            default:
                let other = Array(corpus[Int(random.next() % UInt64(corpus.count))].utf8)
                line = Array(line[..<at]) + other.suffix(from: min(at, other.count))
            }
        }
        return line.filter { $0 != 0x0A }
    }

    @Test func noLineBreaksTheReader() throws {
        let stated = ProcessInfo.processInfo.environment["CARAVAN_TEST_FUZZ_SECONDS"]
        let deadline = Date().addingTimeInterval(stated.flatMap { Double($0) } ?? 60)
        let seed =
            ProcessInfo.processInfo.environment["CARAVAN_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...1_000_000_000)
        print("noLineBreaksTheReader: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let parser = FeedParser()
        var lines = 0
        var accepted = 0
        while Date() < deadline {
            var batch: [[UInt8]] = []
            for _ in 0..<200 {
                let start = FuzzTests.corpus[Int(random.next() % UInt64(FuzzTests.corpus.count))]
                batch.append(FuzzTests.mutate(Array(start.utf8), &random))
            }
            for line in batch {
                let value = line.withUnsafeBufferPointer { parser.parse($0) }
                // The same bytes say the same, whatever stood before them.
                #expect(value == line.withUnsafeBufferPointer { parser.parse($0) })
                if case .reject(let reject) = value {
                    #expect(!reject.detail.isEmpty)
                    var out = JSONWriter()
                    Reply.reject(1, reject, to: &out)
                    #expect(FlatObject(out.bytes.dropLast()) != nil, "\(reject)")
                } else {
                    accepted += 1
                    // What the reader takes is UTF-8 that a database text can hold.
                    #expect(String(validating: line, as: UTF8.self) != nil)
                    if case .event(let event) = value {
                        let texts = [event.id, event.shipment, event.reason, event.place]
                        #expect(texts.allSatisfy { $0?.utf8.contains(0) != true })
                    }
                }
            }
            framed(batch, &random)
            lines += batch.count
        }
        print("\(lines) lines, \(accepted) of them good")
        #expect(accepted > 0 && accepted < lines)
    }

    /// However the bytes are cut, the same lines come out.
    private func framed(_ lines: [[UInt8]], _ random: inout SeededGenerator) {
        let stream = Array(lines.map { $0 + [0x0A] }.joined())
        func cut(_ pieces: [ArraySlice<UInt8>]) -> [[UInt8]] {
            var framer = LineFramer(maxLine: 4_096)
            var out: [[UInt8]] = []
            for piece in pieces {
                Array(piece).withUnsafeBufferPointer {
                    framer.feed($0) { framed in
                        if case .line(let bytes) = framed { out.append(Array(bytes)) }
                    }
                }
            }
            return out
        }
        var pieces: [ArraySlice<UInt8>] = []
        var at = 0
        while at < stream.count {
            let end = min(stream.count, at + 1 + Int(random.next() % 700))
            pieces.append(stream[at..<end])
            at = end
        }
        #expect(cut([stream[...]]) == cut(pieces))
    }
}
