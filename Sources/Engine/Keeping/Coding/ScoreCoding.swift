import Forecast
import Log
import Tracking

/// The scores among the pools' rows: one row under a key that no pool has.
enum ScoreCoding {
    static let key: [UInt8] = [0xFE]
    /// Behind 0xFE stood a form without field numbers (`EarlierScores`).
    static let mark: UInt8 = 0xFD
    static let earlierMark: UInt8 = 0xFE
    static let version: UInt8 = 1

    static func isMeant(_ bytes: [UInt8]) -> Bool {
        bytes.first == mark || bytes.first == earlierMark
    }

    static func encode(_ intervals: IntervalCalibrator, _ texts: [String]) -> [UInt8] {
        var out = TaggedEncoder()
        out.signed(1, intervals.scoredDay)
        for horizon in intervals.tallies { out.message(2) { tally(horizon, &$0) } }
        for (number, scores) in [(3, intervals.places), (4, intervals.steps)] {
            let named = scores.map { (texts[Int($0.key)], $0.value) }
            for (place, score) in named.sorted(by: { $0.0 < $1.0 }) {
                out.message(number) { out in
                    out.text(1, place)
                    out.message(2) { tally(score, &$0) }
                }
            }
        }
        return [mark, version] + out.bytes
    }

    private static func tally(_ tally: IntervalCalibrator.Tally, _ out: inout TaggedEncoder) {
        out.double(1, tally.lower)
        out.double(2, tally.upper)
        out.double(3, tally.margin)
        out.unsigned(4, UInt64(tally.count))
        out.unsigned(5, UInt64(tally.covered))
        out.double(6, tally.widthMinutes)
        out.double(7, tally.errorMinutes)
        out.double(8, tally.recent)
        out.instant(9, tally.latest)
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> IntervalCalibrator {
        if bytes.first == earlierMark { return try EarlierScores.decode(bytes, &symbols) }
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        try FormatVersion.check(try decoder.byte(), "the scores", oldest: 1, newest: version)
        var reader = TaggedReader(decoder)
        var intervals = IntervalCalibrator()
        var horizon = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: intervals.scoredDay = try reader.signed(field)
            case 2:
                let found = try tally(try reader.message(field))
                if horizon < intervals.tallies.count { intervals.tallies[horizon] = found }
                horizon += 1
            case 3:
                let (place, score) = try named(try reader.message(field))
                intervals.places[symbols.number(place)] = score
            case 4:
                let (place, score) = try named(try reader.message(field))
                intervals.steps[symbols.number(place)] = score
            default: try reader.skip(field)
            }
        }
        return intervals
    }

    private static func named(
        _ fields: TaggedReader
    ) throws(CodingFlaw) -> (place: String, score: IntervalCalibrator.Tally) {
        var reader = fields
        var place = ""
        var score = IntervalCalibrator.Tally()
        while let field = try reader.next() {
            switch field.number {
            case 1: place = try reader.text(field)
            case 2: score = try tally(try reader.message(field))
            default: try reader.skip(field)
            }
        }
        return (place, score)
    }

    private static func tally(_ fields: TaggedReader) throws(CodingFlaw) -> IntervalCalibrator.Tally
    {
        var reader = fields
        var tally = IntervalCalibrator.Tally()
        while let field = try reader.next() {
            switch field.number {
            case 1: tally.lower = try reader.double(field)
            case 2: tally.upper = try reader.double(field)
            case 3: tally.margin = try reader.double(field)
            case 4: tally.count = try reader.clamped(field)
            case 5: tally.covered = try reader.clamped(field)
            case 6: tally.widthMinutes = try reader.double(field)
            case 7: tally.errorMinutes = try reader.double(field)
            case 8: tally.recent = try reader.double(field)
            case 9: tally.latest = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        return tally
    }
}
