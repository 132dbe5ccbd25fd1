import Forecast
import Log
import Tracking

/// A pool with its key.
enum PoolCoding {
    /// Formats 2 and 3 had no field numbers (`EarlierPool`).
    static let version: UInt8 = 4

    static let unknownPlaces = 8

    /// The key of a pool's row.
    static func key(_ key: PoolKey, _ texts: [String]) -> [UInt8] {
        var out = ByteEncoder()
        out.byte(key.level.rawValue)
        out.byte(key.kind.rawValue)
        out.byte(key.mode.rawValue)
        out.byte(key.direction.rawValue)
        out.byte(key.fromCode.rawValue)
        out.byte(key.toCode.rawValue)
        out.signed(Int64(key.plannedClass))
        out.text(texts[Int(key.fromPlace)])
        out.text(texts[Int(key.toPlace)])
        return out.bytes
    }

    static func encode(
        _ key: PoolKey, _ pool: Pool, _ flow: QueuePace, _ texts: [String]
    ) -> [UInt8] {
        var out = TaggedEncoder()
        out.message(1) { out in
            out.code(1, key.level)
            out.code(2, key.kind)
            out.code(3, key.mode)
            out.code(4, key.direction)
            out.code(5, key.fromCode)
            out.code(6, key.toCode)
            out.signed(7, key.plannedClass, default: -1)
            out.text(8, texts[Int(key.fromPlace)])
            out.text(9, texts[Int(key.toPlace)])
        }
        out.floats(2, pool.values)
        out.unsigned(3, UInt64(pool.head))
        out.unsigned(4, UInt64(pool.pending))
        out.unsigned(5, pool.version)
        out.unsigned(6, UInt64(pool.drawn))
        if let curve = pool.curve { out.floats(7, curve.values) }
        if let recent = pool.recent { out.floats(8, recent.values) }
        out.floats(9, pool.longValues)
        if let long = pool.long { out.floats(10, long.values) }
        out.unsigned(11, UInt64(pool.skipped))
        encode(pool.memories, &out)
        out.list(16, flow.ended.flatMap { [$0.start.microseconds, $0.end.microseconds] })
        out.instant(17, flow.frontier)
        out.unsigned(19, UInt64(flow.pending))
        out.instant(20, flow.takenAt)
        out.double(22, pool.credit)
        out.instant(23, pool.admittedAt)
        encode(pool.tendency, &out)
        if flow.level != 0 { out.floats(25, [flow.level]) }
        if pool.places > 0 || key.level == .kind { out.unsigned(28, UInt64(pool.places) + 1) }
        if pool.worth != Worth() { out.floats(26, floats(pool.worth)) }
        if pool.correlation != Correlation() {
            out.floats(27, [pool.correlation.mean, pool.correlation.count])
        }
        return [version] + out.bytes
    }

    private static func encode(_ memories: HorizonWeights, _ out: inout TaggedEncoder) {
        func flat(_ vectors: [SIMD4<Float>]) -> [Float] {
            vectors.flatMap { vector in (0..<HorizonWeights.spans).map { vector[$0] } }
        }
        out.list(12, memories.past.map(\.at.microseconds))
        out.floats(13, flat(memories.past.map(\.minutes)))
        // Figures of nothing are the default.
        if memories.counts.contains(where: { $0 != 0 }) {
            out.floats(14, flat(memories.errors))
            out.list(15, memories.counts.map(Int64.init))
        }
        out.floats(21, flat(memories.weights))
    }

    private static func encode(_ tendency: Tendency, _ out: inout TaggedEncoder) {
        guard tendency != Tendency() else { return }
        let classes = 0..<Tendency.classes
        out.floats(
            24,
            classes.map { tendency.scores[$0] } + classes.map { tendency.counts[$0] }
                + floats(tendency.worth))
    }

    private static func floats(_ worth: Worth) -> [Float] {
        [worth.without, worth.with, worth.judged]
    }

    private static func worth(_ floats: [Float]) throws(CodingFlaw) -> Worth {
        guard floats.count == 3, floats.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
            throw CodingFlaw("a pool is damaged")
        }
        return Worth(without: floats[0], with: floats[1], judged: floats[2])
    }

    private static func correlation(_ floats: [Float]) throws(CodingFlaw) -> Correlation {
        guard floats.count == 2, floats.allSatisfy(\.isFinite), floats[1] >= 0 else {
            throw CodingFlaw("a pool is damaged")
        }
        return Correlation(mean: floats[0], count: floats[1])
    }

    private static func tendency(_ floats: [Float]) throws(CodingFlaw) -> Tendency {
        let count = Tendency.classes
        guard floats.count == 2 * count + 3, floats.allSatisfy(\.isFinite),
            floats[..<count].allSatisfy({ abs($0) < 5 }),
            floats[count...].allSatisfy({ $0 >= 0 })
        else { throw CodingFlaw("a pool is damaged") }
        var (scores, counts) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        for index in 0..<count {
            scores[index] = floats[index]
            counts[index] = floats[count + index]
        }
        return Tendency(
            scores: scores, counts: counts, worth: try worth(Array(floats[(2 * count)...])))
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (PoolKey, Pool, QueuePace) {
        var decoder = ByteDecoder(bytes)
        let format = try decoder.byte()
        try FormatVersion.check(format, "a pool", oldest: 2, newest: PoolCoding.version)
        if format < 4 { return try EarlierPool.decode(bytes, &symbols) }
        var reader = TaggedReader(decoder)
        var key = PoolKey(
            level: .place, kind: .dwell, mode: .unknown, fromCode: .arri, toCode: .arri)
        var parts = Parts()
        var places: Int?
        while let field = try reader.next() {
            switch field.number {
            case 1: key = try self.key(try reader.message(field), &symbols)
            case 2: parts.values = try reader.floats(field)
            case 3: parts.head = try reader.clamped(field)
            case 4: parts.pending = try reader.clamped(field)
            case 5: parts.version = UInt32(truncatingIfNeeded: try reader.unsigned(field))
            case 6: parts.drawn = try reader.clamped(field)
            case 7: parts.curve = try curve(try reader.floats(field))
            case 8: parts.recent = try curve(try reader.floats(field))
            case 9: parts.longValues = try reader.floats(field)
            case 10: parts.long = try curve(try reader.floats(field))
            case 11: parts.skipped = try reader.clamped(field)
            case 12: parts.pastAt = try reader.list(field)
            case 13: parts.past = try reader.floats(field)
            case 14: parts.errors = try reader.floats(field)
            case 15: parts.counts = try reader.list(field)
            case 16: parts.ended = try reader.list(field)
            case 17: parts.frontier = try reader.instant(field)
            // Until meaning 7 whole steps.
            case 18: parts.level = Float(try reader.signed(field))
            case 19: parts.flowPending = try reader.clamped(field)
            case 20: parts.takenAt = try reader.instant(field)
            case 21: parts.weights = try reader.floats(field)
            case 22: parts.credit = try reader.double(field)
            case 23: parts.admittedAt = try reader.instant(field)
            case 25: parts.level = try reader.floats(field).first ?? 0
            case 24: parts.tendency = try tendency(try reader.floats(field))
            case 28: places = try reader.clamped(field) - 1
            case 27: parts.correlation = try correlation(try reader.floats(field))
            case 26: parts.worth = try worth(try reader.floats(field))
            default: try reader.skip(field)
            }
        }
        // Until meaning 12 nobody counted the places of a kind.
        parts.places =
            places.map { max(0, $0) }
            ?? (key.level == .kind && parts.curve != nil ? unknownPlaces : 0)
        guard parts.head < max(1, parts.values.count) else { throw CodingFlaw("a pool is damaged") }
        return (key, parts.pool(), parts.flow())
    }

    private static func key(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> PoolKey {
        var reader = fields
        var key = PoolKey(
            level: PoolKey.Level(rawValue: 0) ?? .place, kind: StepKind(rawValue: 0) ?? .dwell,
            mode: TransportMode(rawValue: 0) ?? .unknown,
            direction: StepDirection(rawValue: 0) ?? .straight,
            fromCode: EventCode(rawValue: 0) ?? .arri, toCode: EventCode(rawValue: 0) ?? .arri)
        func symbol(_ text: String) -> UInt32 { text.isEmpty ? 0 : symbols.number(text) }
        while let field = try reader.next() {
            switch field.number {
            case 1: key.level = try reader.code(field)
            case 2: key.kind = try reader.code(field)
            case 3: key.mode = try reader.code(field)
            case 4: key.direction = try reader.code(field)
            case 5: key.fromCode = try reader.code(field)
            case 6: key.toCode = try reader.code(field)
            case 7: key.plannedClass = Int16(clamping: try reader.signed(field))
            case 8: key.fromPlace = symbol(try reader.text(field))
            case 9: key.toPlace = symbol(try reader.text(field))
            default: try reader.skip(field)
            }
        }
        return key
    }

    private static func curve(_ points: [Float]) throws(CodingFlaw) -> Curve {
        guard points.count == Curve.count else { throw CodingFlaw("a curve is damaged") }
        return Curve(values: points)
    }

    /// What the fields of a pool said.
    private struct Parts {
        var values: [Float] = []
        var head = 0
        var pending = 0
        var version: UInt32 = 0
        var drawn = 0
        var places = 0
        var curve: Curve?
        var recent: Curve?
        var longValues: [Float] = []
        var long: Curve?
        var skipped = 0
        var pastAt: [Int64] = []
        var past: [Float] = []
        var errors: [Float] = []
        var counts: [Int64] = []
        var weights: [Float] = []
        var ended: [Int64] = []
        var frontier = Instant.unset
        var level: Float = 0
        var flowPending = 0
        var takenAt = Instant.unset
        var credit = 0.0
        var admittedAt = Instant.unset
        var tendency = Tendency()
        var worth = Worth()
        var correlation = Correlation()

        private func vectors(_ flat: [Float]) -> [SIMD4<Float>] {
            stride(
                from: 0, to: flat.count - flat.count % HorizonWeights.spans,
                by: HorizonWeights.spans
            ).map {
                var vector = SIMD4<Float>.zero
                for span in 0..<HorizonWeights.spans { vector[span] = flat[$0 + span] }
                return vector
            }
        }

        func pool() -> Pool {
            let usual = HorizonWeights()
            let leads = HorizonWeights.leadMinutes.count
            let errors = vectors(errors)
            let memories = HorizonWeights(
                past: zip(pastAt, vectors(past)).map {
                    HorizonWeights.Medians(at: Instant(microseconds: $0), minutes: $1)
                },
                errors: errors.count == leads ? errors : usual.errors,
                counts: counts.count == leads ? counts.map { Int($0) } : usual.counts,
                weights: vectors(weights))
            return Pool(
                values: values, head: head, curve: curve, recent: recent, longValues: longValues,
                long: long, skipped: skipped, memories: memories, pending: pending,
                version: version, drawn: drawn, places: places,
                credit: credit, admittedAt: admittedAt,
                tendency: tendency, worth: worth, correlation: correlation)
        }

        func flow() -> QueuePace {
            let passages = stride(from: 0, to: ended.count - ended.count % 2, by: 2).map {
                QueuePace.Passage(
                    start: Instant(microseconds: ended[$0]),
                    end: Instant(microseconds: ended[$0 + 1]))
            }
            return QueuePace(
                ended: passages, frontier: frontier, level: level, pending: flowPending,
                takenAt: takenAt)
        }
    }
}
