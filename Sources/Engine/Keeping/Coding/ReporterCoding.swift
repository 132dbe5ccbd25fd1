import Alerting
import Log
import Tracking

/// What a post usually does, among the pools' rows: a row for each, under a key that no pool has.
enum ReporterCoding {
    static let mark: UInt8 = 0xFB
    static let version: UInt8 = 1

    static func isMeant(_ bytes: [UInt8]) -> Bool { bytes.first == mark }

    static func key(_ habit: Reporters.Habit, _ texts: [String]) -> [UInt8] {
        let isPost = habit.key.post != 0
        let name = texts[Int(isPost ? habit.key.post : habit.key.place)]
        return [mark, isPost ? 1 : 0] + Array(name.utf8)
    }

    static func encode(_ habit: Reporters.Habit, _ texts: [String]) -> [UInt8] {
        var out = TaggedEncoder()
        if habit.key.post != 0 { out.text(1, texts[Int(habit.key.post)]) }
        if habit.key.place != 0 { out.text(2, texts[Int(habit.key.place)]) }
        out.instant(3, habit.first)
        out.instant(4, habit.last)
        out.double(5, habit.reports)
        out.list(6, habit.pauses.map { Int64($0.bitPattern) })
        out.list(7, habit.clock.delays.map { Int64($0) })
        out.list(8, habit.clock.before.map { $0 ? 1 : 0 })
        out.instant(9, habit.clock.lastTime)
        out.instant(10, habit.clock.lastReceived)
        out.instant(11, habit.lookAt, default: .never)
        let spoken = habit.spoken.map {
            (place: texts[Int($0.key.place)], code: $0.key.code, $0.value)
        }
        .sorted { ($0.place, $0.code.rawValue) < ($1.place, $1.code.rawValue) }
        for (place, code, count) in spoken {
            out.message(12) { out in
                out.text(1, place)
                out.code(2, code)
                out.unsigned(3, count)
            }
        }
        return [mark, version] + out.bytes
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> Reporters.Habit {
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        try FormatVersion.check(
            try decoder.byte(), "what a post usually does", oldest: 1, newest: version)
        var reader = TaggedReader(decoder)
        var habit = Reporters.Habit(Reporters.Key(post: 0, place: 0), at: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: habit.key.post = symbols.number(try reader.text(field))
            case 2: habit.key.place = symbols.number(try reader.text(field))
            case 3: habit.first = try reader.instant(field)
            case 4: habit.last = try reader.instant(field)
            case 5: habit.reports = try reader.double(field)
            case 6:
                let read = try reader.list(field).map {
                    Float(bitPattern: UInt32(truncatingIfNeeded: $0))
                }
                for (at, count) in zip(habit.pauses.indices, read) { habit.pauses[at] = count }
            case 7:
                habit.clock.delays = try reader.list(field).suffix(ClockTrail.kept).map {
                    Int32(clamping: $0)
                }
            case 8: habit.clock.before = try reader.list(field).map { $0 != 0 }
            case 9: habit.clock.lastTime = try reader.instant(field)
            case 10: habit.clock.lastReceived = try reader.instant(field)
            case 11: habit.lookAt = try reader.instant(field)
            case 12:
                let (key, count) = try spoken(try reader.message(field), &symbols)
                habit.spoken[key] = count
            default: try reader.skip(field)
            }
        }
        // Of equal length, whoever wrote them.
        while habit.clock.before.count < habit.clock.delays.count {
            habit.clock.before.append(false)
        }
        habit.clock.before = Array(habit.clock.before.prefix(habit.clock.delays.count))
        return habit
    }

    private static func spoken(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (ReportingKey, UInt32) {
        var reader = fields
        var key = ReportingKey(place: 0, code: .arri)
        var count: UInt32 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: key.place = symbols.number(try reader.text(field))
            case 2: key.code = try reader.code(field)
            case 3: count = try reader.clamped(field)
            default: try reader.skip(field)
            }
        }
        return (key, count)
    }
}
