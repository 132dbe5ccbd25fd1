import Forecast
import Log
import Tracking

/// Which ways boxes took, among the pools' rows: one row under a key that no pool has.
enum PartingCoding {
    static let mark: UInt8 = 0xFA
    /// The same of where boxes go on to, whatever was planned.
    static let onwardMark: UInt8 = 0xF9
    static let version: UInt8 = 1

    static func row(_ partings: Partings, _ mark: UInt8, _ texts: [String]) -> Checkpoint.PoolRow {
        Checkpoint.PoolRow(key: [mark], state: encode(partings, mark, texts))
    }

    static func encode(_ partings: Partings, _ mark: UInt8, _ texts: [String]) -> [UInt8] {
        var out = TaggedEncoder()
        func text(_ symbol: UInt32) -> String { texts[Int(symbol)] }
        // In an order that does not depend on how a process numbers its symbols.
        let known = partings.records
            .map { (place: text($0.key.place), next: text($0.key.next), $0.key.kind, $0.value) }
            .sorted { ($0.place, $0.next, $0.2) < ($1.place, $1.next, $1.2) }
        for (place, next, kind, record) in known {
            out.message(1) { out in
                out.text(1, place)
                out.text(2, next)
                out.fixed(3, kind)
                out.double(4, record.on)
                for turn in record.turns {
                    out.message(5) { out in
                        out.text(1, text(turn.to))
                        out.double(2, turn.boxes)
                    }
                }
            }
        }
        return [mark, version] + out.bytes
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> Partings {
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        try FormatVersion.check(
            try decoder.byte(), "the ways that boxes took", oldest: 1, newest: version)
        var reader = TaggedReader(decoder)
        var records: [Partings.Key: Partings.Record] = [:]
        while let field = try reader.next() {
            switch field.number {
            case 1:
                let (key, record) = try record(try reader.message(field), &symbols)
                records[key] = record
            default: try reader.skip(field)
            }
        }
        return Partings(records: records)
    }

    private static func record(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (Partings.Key, Partings.Record) {
        var reader = fields
        var key = Partings.Key(place: 0, next: 0, kind: 0)
        var record = Partings.Record()
        while let field = try reader.next() {
            switch field.number {
            case 1: key.place = symbols.number(try reader.text(field))
            case 2:
                // Of boxes that go on it is nowhere where that does not matter.
                let text = try reader.text(field)
                key.next = text.isEmpty ? 0 : symbols.number(text)
            case 3: key.kind = try reader.fixed(field)
            case 4: record.on = try reader.double(field)
            case 5: record.turns.append(try turn(try reader.message(field), &symbols))
            default: try reader.skip(field)
            }
        }
        let counts = [record.on] + record.turns.map(\.boxes)
        guard counts.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
            throw CodingFlaw("the ways that boxes took are damaged")
        }
        return (key, record)
    }

    private static func turn(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (to: UInt32, boxes: Double) {
        var reader = fields
        var (to, boxes) = (UInt32(0), 0.0)
        while let field = try reader.next() {
            switch field.number {
            case 1: to = symbols.number(try reader.text(field))
            case 2: boxes = try reader.double(field)
            default: try reader.skip(field)
            }
        }
        return (to, boxes)
    }
}
