import Forecast
import Log
import Testing
import Tracking
import Wire

@testable import Engine

/// What is persisted can change: fields that are not known are skipped, those that are not there have
/// their defaults, formats of before are read, and later ones are refused with a word.
@Suite struct CodingTests {
    private let key = PoolKey(
        level: .place, kind: .dwell, mode: .rail, fromCode: .arri, toCode: .gtot, fromPlace: 1,
        toPlace: 1)
    private let texts = ["", "KZHOR"]

    @Test func poolsOfTheFormatsBeforeAreRead() throws {
        // An empty pool as formats 2 and 3 had it: the key, ten figures of nothing, no medians, errors
        // of three or four spans in each class of lead, no weights, an empty flow at the usual pace.
        func earlier(_ format: UInt8, spans: Int) -> [UInt8] {
            let name = PoolCoding.key(key, texts)
            var out: [UInt8] = [format, UInt8(name.count)] + name
            out += Array(repeating: 0, count: 10) + [0]
            for _ in HorizonWeights.leadMinutes { out += Array(repeating: 0, count: spans * 4 + 1) }
            var pace = ByteEncoder()
            pace.signed(0)
            return out + [0, 0, 0] + pace.bytes + [0, 0]
        }
        var symbols = Symbols()
        for bytes in [earlier(2, spans: 3), earlier(3, spans: 4)] {
            let read = try PoolCoding.decode(bytes, &symbols)
            #expect(read.1.memories == Pool().memories && read.1.values.isEmpty)
            #expect(read.0.level == .place && symbols[read.0.toPlace] == "KZHOR")
            #expect(read.2 == QueuePace())
        }
        #expect(throws: CodingFlaw.self) {
            try PoolCoding.decode([1] + earlier(2, spans: 3)[1...], &symbols)
        }
    }

    /// What a damaged row says of beginnings is refused, whatever it is.
    @Test(arguments: [Float.nan, .infinity, -20, 1e30])
    func aDamagedTendencyIsFound(_ value: Float) throws {
        var symbols = Symbols()
        _ = symbols.number("KZHOR")
        for isScore in [true, false] {
            let vector = SIMD8<Float>(value, 0, 0, 0, 0, 0, 0, 0)
            if !isScore, value == 1e30 { continue }
            let pool = Pool(
                values: [1], head: 0, curve: nil, recent: nil, longValues: [], long: nil,
                skipped: 0,
                memories: HorizonWeights(), pending: 0, version: 1, drawn: 1,
                tendency: Tendency(
                    scores: isScore ? vector : .zero, counts: isScore ? .zero : vector,
                    worth: Worth(without: 1, with: 1, judged: 1)))
            let bytes = PoolCoding.encode(key, pool, QueuePace(), symbols.texts)
            #expect(throws: CodingFlaw.self) { try PoolCoding.decode(bytes, &symbols) }
        }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        var symbols = Symbols()
        _ = symbols.number("KZHOR")
        let pool = Pool(
            values: [1, -2, 3], head: 1, curve: Curve(values: (0..<64).map { Float($0) }),
            recent: nil, longValues: [4, 5], long: nil, skipped: 7,
            memories: HorizonWeights(
                past: [HorizonWeights.Medians(at: Instant(seconds: 5), minutes: SIMD4(1, 2, 3, 4))],
                errors: HorizonWeights.leadMinutes.map { SIMD4(Float($0), 0, 1, 2) },
                counts: HorizonWeights.leadMinutes.map { Int($0) },
                weights: [SIMD4(0.25, 0.25, 0.25, 0.25)]),
            pending: 2, version: 9, drawn: 3,
            tendency: Tendency(
                scores: SIMD8(0.5, 0, 0, 0, 0, -1, 0, 0), counts: SIMD8(1, 2, 3, 4, 5, 6, 0, 0),
                worth: Worth(without: 0.5, with: 0.25, judged: 21)),
            worth: Worth(without: 2, with: 1.5, judged: 60))
        let flow = QueuePace(
            ended: [QueuePace.Passage(start: Instant(seconds: 1), end: Instant(seconds: 2))],
            frontier: Instant(seconds: 3), level: 1.25, pending: 3,
            takenAt: Instant(seconds: 4))
        let read = try PoolCoding.decode(
            PoolCoding.encode(key, pool, flow, symbols.texts), &symbols)
        #expect(read.0 == key && read.1 == pool)
        #expect(read.2 == flow && read.2.pace == Pace(factor: 1.1))
        #expect(read.2.ended == flow.ended && read.2.frontier == flow.frontier)
        #expect(read.2.pace == flow.pace && read.2.pending == 3 && read.2.takenAt == flow.takenAt)
    }

    @Test func fieldsOfALaterProgramAreSkipped() throws {
        var record = ContainerRecord(number: try #require(ContainerNumber("MSKU0308961")))
        record.history.events = [
            EventRecord(
                identity: Identity(high: 1, low: 2), content: 3, time: Instant(seconds: 4),
                place: 1,
                code: .gtin)
        ]
        record.journeys = [Journey(shipment: 0, ordinal: 3)]
        record.journeys[0].publication.overdueAt = .unset
        let plain = RecordCoding.encode(record, texts)
        var later = TaggedEncoder()
        later.unsigned(900, UInt64(1))
        later.fixed(901, 2)
        later.text(902, "?")
        later.float(903, 1)
        later.message(904) { $0.text(1, "?") }
        var symbols = Symbols()
        let read = try RecordCoding.decode(plain + later.bytes, &symbols)
        var expected = record
        expected.history.events[0].place = symbols.known("KZHOR") ?? 0
        #expect(read == expected)
        // Of a record with nothing in it every field has its default.
        let bare = try RecordCoding.decode([RecordCoding.version], &symbols)
        #expect(bare == ContainerRecord(number: ContainerNumber(packed: 0)))
        #expect(try RulesCoding.decode([3] + later.bytes).futureHours == 24)
        for refused in [
            { try RecordCoding.decode([RecordCoding.version + 1] + plain[1...], &symbols).number },
            { try RecordCoding.decode([1] + plain[1...], &symbols).number },
        ] {
            #expect(throws: CodingFlaw.self) { try refused() }
        }
        do {
            _ = try RecordCoding.decode([RecordCoding.version + 1], &symbols)
            Issue.record("a record of a later format was read")
        } catch { #expect(error.detail.contains("a later version of Caravan wrote it")) }
    }

    @Test func damageIsAnErrorAndNeverATrap() throws {
        var record = ContainerRecord(number: try #require(ContainerNumber("MSKU0308961")))
        record.history.events = [
            EventRecord(
                identity: Identity(high: 1, low: 2), content: 3, time: .never, place: 1, code: .gtin
            )
        ]
        record.journeys = [Journey(shipment: 1, ordinal: 3)]
        let plain = RecordCoding.encode(record, texts)
        for at in plain.indices {
            for value in [UInt8(0), 0x7F, 0x80, 0xFF] {
                var bytes = plain
                bytes[at] = value
                var symbols = Symbols()
                _ = try? RecordCoding.decode(bytes, &symbols)
                _ = try? PoolCoding.decode([4] + bytes, &symbols)
                _ = try? ScoreCoding.decode([0xFD, 1] + bytes, &symbols)
                _ = try? RulesCoding.decode([3] + bytes)
            }
        }
    }
}
