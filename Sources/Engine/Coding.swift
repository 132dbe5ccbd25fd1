import Forecast
import Tracking
import Wire

/// Texts that recur within one encoded value, each written once.
struct TextTable {
    private(set) var texts: [String] = []
    private var numbers: [String: Int] = [:]

    mutating func number(_ text: String) -> Int {
        if let known = numbers[text] { return known }
        numbers[text] = texts.count
        texts.append(text)
        return texts.count - 1
    }
}

extension ByteEncoder {
    mutating func instant(_ value: Instant) {
        switch value {
        case .unset: byte(0)
        case .never: byte(1)
        default:
            byte(2)
            signed(value.microseconds)
        }
    }

    mutating func double(_ value: Double) { fixed(value.bitPattern) }
}

extension ByteDecoder {
    mutating func instant() throws(CodingFlaw) -> Instant {
        switch try byte() {
        case 0: return .unset
        case 1: return .never
        default: return Instant(microseconds: try signed())
        }
    }

    mutating func double() throws(CodingFlaw) -> Double { Double(bitPattern: try fixed()) }

    mutating func code<C: RawRepresentable>(_ type: C.Type) throws(CodingFlaw) -> C
    where C.RawValue == UInt8 {
        let raw = try byte()
        guard let value = C(rawValue: raw) else {
            throw CodingFlaw("\(raw) is no \(type)")
        }
        return value
    }
}

/// A container's record as bytes that mean the same in every process: symbols are written as their
/// texts. What can be derived from events and plans (the progress of journeys) is left out.
enum RecordCoding {
    static let version: UInt8 = 2

    static func encode(_ record: ContainerRecord, _ texts: [String]) -> [UInt8] {
        var table = TextTable()
        var body = ByteEncoder()
        func symbol(_ number: UInt32) { body.count(table.number(texts[Int(number)])) }
        body.count(record.history.events.count)
        for event in record.history.events {
            body.fixed(event.identity.high)
            body.fixed(event.identity.low)
            body.fixed(event.content)
            body.instant(event.time)
            body.instant(event.updated)
            symbol(event.place)
            symbol(event.shipment)
            body.byte(event.code.rawValue)
            body.byte(
                event.eventClass.rawValue | event.mode.rawValue << 2
                    | (event.retracted ? 0x80 : 0))
        }
        body.count(record.history.superseded.count)
        for version in record.history.superseded {
            body.fixed(version.identity.high)
            body.fixed(version.identity.low)
            body.fixed(version.content)
            body.instant(version.updated)
        }
        body.count(record.plans.count)
        for plan in record.plans { symbol(plan) }
        body.count(record.journeys.count)
        for journey in record.journeys {
            symbol(journey.shipment)
            body.unsigned(UInt64(journey.ordinal))
            encode(journey.publication, &body, &table, texts)
        }
        var out = ByteEncoder()
        out.byte(version)
        out.fixed(record.number.packed)
        out.count(table.texts.count)
        for text in table.texts { out.text(text) }
        out.bytes += body.bytes
        return out.bytes
    }

    private static func encode(
        _ publication: Journey.Publication, _ body: inout ByteEncoder,
        _ table: inout TextTable, _ texts: [String]
    ) {
        for instant in [
            publication.p10, publication.p50, publication.p90, publication.publishedAt,
            publication.owedAt, publication.reviewAt, publication.overdueAt, publication.holdUntil,
        ] { body.instant(instant) }
        body.byte(publication.lateVerdict ? 1 : 0)
        body.signed(Int64(publication.furthest))
        body.count(publication.alerts.count)
        for alert in publication.alerts {
            body.byte(alert.type.rawValue)
            body.unsigned(UInt64(alert.milestone))
            body.count(table.number(texts[Int(alert.place)]))
            body.byte(alert.code.rawValue)
            body.unsigned(UInt64(alert.episode))
            body.unsigned(UInt64(alert.rev))
            body.byte(alert.phase.rawValue)
            body.byte(alert.severity.rawValue)
            body.instant(alert.since)
            body.unsigned(UInt64(alert.evidence))
            body.signed(Int64(alert.delayMinutes))
            body.float(alert.probability)
            body.instant(alert.confirmAt)
            body.byte(alert.horizon)
        }
        body.count(publication.path.count)
        for minutes in publication.path { body.float(minutes) }
        body.count(publication.forecasts.count)
        for forecast in publication.forecasts { encode(forecast, &body) }
        body.count(publication.next == nil ? 0 : 1)
        if let next = publication.next { encode(next, &body) }
        body.count(publication.taught.count)
        for instant in publication.taught { body.instant(instant) }
    }

    private static func encode(_ forecast: Forecasted, _ body: inout ByteEncoder) {
        body.byte(forecast.horizon)
        body.instant(forecast.p50)
        body.float(forecast.before)
        body.float(forecast.behind)
    }

    private static func forecasted(
        _ decoder: inout ByteDecoder
    ) throws(CodingFlaw) -> Forecasted {
        Forecasted(
            horizon: try decoder.byte(), p50: try decoder.instant(),
            before: try decoder.float(), behind: try decoder.float())
    }

    /// The shipments whose plans name the container of an encoded record.
    static func plans(_ bytes: [UInt8]) throws(CodingFlaw) -> [String] {
        var symbols = Symbols()
        return try decode(bytes, &symbols).plans.map { symbols[$0] }
    }

    /// The record, its journeys still without progress.
    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> ContainerRecord {
        var decoder = ByteDecoder(bytes)
        guard try decoder.byte() == version else {
            throw CodingFlaw("a journey of a version that this program does not know")
        }
        var record = ContainerRecord(number: ContainerNumber(packed: try decoder.fixed()))
        var table: [UInt32] = []
        for _ in 0..<(try decoder.count()) {
            let text = try decoder.text()
            table.append(text.isEmpty ? 0 : symbols.number(text))
        }
        for _ in 0..<(try decoder.count()) {
            record.history.events.append(try event(&decoder, table))
        }
        for _ in 0..<(try decoder.count()) {
            record.history.superseded.append(
                SupersededVersion(
                    identity: Identity(high: try decoder.fixed(), low: try decoder.fixed()),
                    content: try decoder.fixed(), updated: try decoder.instant()))
        }
        for _ in 0..<(try decoder.count()) { record.plans.append(try symbol(&decoder, table)) }
        for _ in 0..<(try decoder.count()) {
            var journey = Journey(
                shipment: try symbol(&decoder, table),
                ordinal: UInt32(truncatingIfNeeded: try decoder.unsigned()))
            journey.publication = try publication(&decoder, table)
            record.journeys.append(journey)
        }
        guard decoder.isAtEnd else { throw CodingFlaw("bytes after the end of a journey") }
        return record
    }

    private static func symbol(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> UInt32 {
        let number = Int(try decoder.unsigned())
        guard number < table.count else { throw CodingFlaw("a text beyond the table") }
        return table[number]
    }

    private static func event(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> EventRecord {
        let identity = Identity(high: try decoder.fixed(), low: try decoder.fixed())
        let content = try decoder.fixed()
        let time = try decoder.instant()
        let updated = try decoder.instant()
        let place = try symbol(&decoder, table)
        let shipment = try symbol(&decoder, table)
        let code = try decoder.code(EventCode.self)
        let flags = try decoder.byte()
        guard let eventClass = EventClass(rawValue: flags & 3),
            let mode = TransportMode(rawValue: flags >> 2 & 7)
        else { throw CodingFlaw("an event of unknown class or mode") }
        return EventRecord(
            identity: identity, content: content, time: time, updated: updated, place: place,
            shipment: shipment, code: code, eventClass: eventClass, mode: mode,
            retracted: flags & 0x80 != 0)
    }

    private static func publication(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> Journey.Publication {
        var said = Journey.Publication()
        said.p10 = try decoder.instant()
        said.p50 = try decoder.instant()
        said.p90 = try decoder.instant()
        said.publishedAt = try decoder.instant()
        said.owedAt = try decoder.instant()
        said.reviewAt = try decoder.instant()
        said.overdueAt = try decoder.instant()
        said.holdUntil = try decoder.instant()
        said.lateVerdict = try decoder.byte() == 1
        said.furthest = Int(try decoder.signed())
        for _ in 0..<(try decoder.count()) { said.alerts.append(try alert(&decoder, table)) }
        for _ in 0..<(try decoder.count()) { said.path.append(try decoder.float()) }
        for _ in 0..<(try decoder.count()) {
            said.forecasts.append(try forecasted(&decoder))
        }
        if try decoder.count() == 1 { said.next = try forecasted(&decoder) }
        for _ in 0..<(try decoder.count()) { said.taught.append(try decoder.instant()) }
        return said
    }

    private static func alert(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> AlertEpisode {
        var alert = AlertEpisode(
            type: try decoder.code(AlertType.self),
            milestone: UInt16(truncatingIfNeeded: try decoder.unsigned()),
            place: try symbol(&decoder, table), code: try decoder.code(EventCode.self),
            episode: UInt16(truncatingIfNeeded: try decoder.unsigned()), since: .unset)
        alert.rev = UInt16(truncatingIfNeeded: try decoder.unsigned())
        alert.phase = try decoder.code(AlertEpisode.Phase.self)
        alert.severity = try decoder.code(Severity.self)
        alert.since = try decoder.instant()
        alert.evidence = UInt16(truncatingIfNeeded: try decoder.unsigned())
        alert.delayMinutes = Int32(truncatingIfNeeded: try decoder.signed())
        alert.probability = try decoder.float()
        alert.confirmAt = try decoder.instant()
        alert.horizon = try decoder.byte()
        return alert
    }
}

/// What a reader of single records needs to know of them.
public enum EncodedRecord {
    public static func plans(_ bytes: [UInt8]) throws(CodingFlaw) -> [String] {
        try RecordCoding.plans(bytes)
    }
}

/// A pool with its key.
enum PoolCoding {
    /// Version 2 knew no shares of the plan.
    static let version: UInt8 = 3

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
        _ key: PoolKey, _ pool: Pool, _ flow: Flow, _ texts: [String]
    ) -> [UInt8] {
        var out = ByteEncoder()
        out.byte(version)
        out.blob(self.key(key, texts))
        out.count(pool.values.count)
        for value in pool.values { out.float(value) }
        out.count(pool.head)
        out.count(pool.pending)
        out.unsigned(UInt64(pool.version))
        out.count(pool.drawn)
        out.byte(pool.curve == nil ? 0 : 1)
        for value in pool.curve?.values ?? [] { out.float(value) }
        out.byte(pool.recent == nil ? 0 : 1)
        for value in pool.recent?.values ?? [] { out.float(value) }
        out.count(pool.longValues.count)
        for value in pool.longValues { out.float(value) }
        out.byte(pool.long == nil ? 0 : 1)
        for value in pool.long?.values ?? [] { out.float(value) }
        out.count(pool.skipped)
        encode(pool.memories, &out)
        out.count(flow.ended.count)
        for passage in flow.ended {
            out.instant(passage.start)
            out.instant(passage.end)
        }
        out.instant(flow.frontier)
        out.signed(Int64(flow.paceStep))
        out.count(flow.pending)
        out.instant(flow.takenAt)
        return out.bytes
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (PoolKey, Pool, Flow) {
        var decoder = ByteDecoder(bytes)
        let format = try decoder.byte()
        guard (2...PoolCoding.version).contains(format) else {
            throw CodingFlaw("a pool of a version that this program does not know")
        }
        var inner = ByteDecoder(try decoder.blob())
        func symbol(_ text: String) -> UInt32 { text.isEmpty ? 0 : symbols.number(text) }
        var key = PoolKey(
            level: try inner.code(PoolKey.Level.self), kind: try inner.code(StepKind.self),
            mode: try inner.code(TransportMode.self),
            direction: try inner.code(StepDirection.self),
            fromCode: try inner.code(EventCode.self), toCode: try inner.code(EventCode.self))
        key.plannedClass = Int16(truncatingIfNeeded: try inner.signed())
        key.fromPlace = symbol(try inner.text())
        key.toPlace = symbol(try inner.text())
        var values: [Float] = []
        for _ in 0..<(try decoder.count()) { values.append(try decoder.float()) }
        let head = Int(try decoder.unsigned())
        let pending = Int(try decoder.unsigned())
        let version = UInt32(truncatingIfNeeded: try decoder.unsigned())
        let drawn = Int(try decoder.unsigned())
        let curve = try self.curve(&decoder)
        let recent = try self.curve(&decoder)
        var longValues: [Float] = []
        for _ in 0..<(try decoder.count()) { longValues.append(try decoder.float()) }
        let long = try self.curve(&decoder)
        let skipped = Int(try decoder.unsigned())
        let memories = try memories(&decoder, spans: format > 2 ? Memories.spans : 3)
        var ended: [Flow.Passage] = []
        for _ in 0..<(try decoder.count()) {
            ended.append(
                Flow.Passage(start: try decoder.instant(), end: try decoder.instant()))
        }
        let flow = Flow(
            ended: ended, frontier: try decoder.instant(),
            paceStep: Int(try decoder.signed()), pending: Int(try decoder.unsigned()),
            takenAt: try decoder.instant())
        guard head <= values.count, decoder.isAtEnd else { throw CodingFlaw("a pool is damaged") }
        let pool = Pool(
            values: values, head: head, curve: curve, recent: recent, longValues: longValues,
            long: long, skipped: skipped, memories: memories, pending: pending,
            version: version, drawn: drawn)
        return (key, pool, flow)
    }

    private static func encode(_ memories: Memories, _ out: inout ByteEncoder) {
        func vector(_ vector: SIMD4<Float>) {
            for span in 0..<Memories.spans { out.float(vector[span]) }
        }
        out.count(memories.past.count)
        for medians in memories.past {
            out.instant(medians.at)
            vector(medians.minutes)
        }
        for lead in Memories.leadMinutes.indices {
            vector(memories.errors[lead])
            out.count(memories.counts[lead])
        }
        out.count(memories.weights.count)
        for weights in memories.weights { vector(weights) }
    }

    private static func memories(
        _ decoder: inout ByteDecoder, spans: Int
    ) throws(CodingFlaw) -> Memories {
        func vector() throws(CodingFlaw) -> SIMD4<Float> {
            var vector = SIMD4<Float>.zero
            for span in 0..<spans { vector[span] = try decoder.float() }
            return vector
        }
        var past: [Memories.Medians] = []
        for _ in 0..<(try decoder.count()) {
            past.append(Memories.Medians(at: try decoder.instant(), minutes: try vector()))
        }
        var errors: [SIMD4<Float>] = []
        var counts: [Int] = []
        for _ in Memories.leadMinutes {
            errors.append(try vector())
            counts.append(Int(try decoder.unsigned()))
        }
        var weights: [SIMD4<Float>] = []
        for _ in 0..<(try decoder.count()) { weights.append(try vector()) }
        return Memories(past: past, errors: errors, counts: counts, weights: weights)
    }

    private static func curve(_ decoder: inout ByteDecoder) throws(CodingFlaw) -> Curve? {
        guard try decoder.byte() == 1 else { return nil }
        var points: [Float] = []
        for _ in 0..<Curve.count { points.append(try decoder.float()) }
        return Curve(values: points)
    }
}

/// The interval guard among the pools' rows: one row under a key that no pool has.
enum GuardCoding {
    static let key: [UInt8] = [0xFE]
    static let version: UInt8 = 0xFE

    static func encode(_ intervals: IntervalGuard, _ texts: [String]) -> [UInt8] {
        var out = ByteEncoder()
        out.byte(version)
        func tally(_ tally: IntervalGuard.Tally) {
            out.fixed(tally.lower.bitPattern)
            out.fixed(tally.upper.bitPattern)
            out.fixed(tally.margin.bitPattern)
            out.count(tally.count)
            out.count(tally.covered)
            out.fixed(tally.widthMinutes.bitPattern)
            out.fixed(tally.errorMinutes.bitPattern)
        }
        out.signed(intervals.scoredDay)
        for horizon in intervals.tallies { tally(horizon) }
        for scores in [intervals.places, intervals.steps] {
            let named = scores.map { (texts[Int($0.key)], $0.value) }
            out.count(named.count)
            for (place, score) in named.sorted(by: { $0.0 < $1.0 }) {
                out.text(place)
                tally(score)
            }
        }
        return out.bytes
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> IntervalGuard {
        var decoder = ByteDecoder(bytes)
        guard try decoder.byte() == version else { throw CodingFlaw("the scores are damaged") }
        func tally() throws(CodingFlaw) -> IntervalGuard.Tally {
            var tally = IntervalGuard.Tally()
            tally.lower = Double(bitPattern: try decoder.fixed())
            tally.upper = Double(bitPattern: try decoder.fixed())
            tally.margin = Double(bitPattern: try decoder.fixed())
            tally.count = Int(truncatingIfNeeded: try decoder.unsigned())
            tally.covered = Int(truncatingIfNeeded: try decoder.unsigned())
            tally.widthMinutes = Double(bitPattern: try decoder.fixed())
            tally.errorMinutes = Double(bitPattern: try decoder.fixed())
            return tally
        }
        var intervals = IntervalGuard()
        intervals.scoredDay = try decoder.signed()
        for index in intervals.tallies.indices { intervals.tallies[index] = try tally() }
        for _ in 0..<(try decoder.count()) {
            let place = symbols.number(try decoder.text())
            intervals.places[place] = try tally()
        }
        for _ in 0..<(try decoder.count()) {
            let place = symbols.number(try decoder.text())
            intervals.steps[place] = try tally()
        }
        return intervals
    }
}

/// Alert rules as bytes.
public enum RulesCoding {
    /// Version 1 knew no limits.
    static let version: UInt8 = 2

    public static func encode(_ rules: AlertRules) -> [UInt8] {
        var out = ByteEncoder()
        out.byte(version)
        for value in [
            rules.raiseProbability, rules.clearProbability, rules.clearShare,
            Double(rules.confirmEvents), rules.confirmMinutes, rules.calmMinutes,
            rules.publishIntervalSeconds, rules.publishMinutes, rules.publishShare,
            rules.backlogMinutes, rules.settleMinutes, rules.futureHours,
        ] + rules.levelMinutes { out.double(value) }
        for limit in [rules.maxEvents, rules.maxPlans, rules.maxClosures] {
            out.signed(Int64(limit))
        }
        return out.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(CodingFlaw) -> AlertRules {
        var decoder = ByteDecoder(bytes)
        let version = try decoder.byte()
        guard (1...RulesCoding.version).contains(version) else {
            throw CodingFlaw("alert rules of a version that this program does not know")
        }
        var rules = AlertRules()
        rules.raiseProbability = try decoder.double()
        rules.clearProbability = try decoder.double()
        rules.clearShare = try decoder.double()
        rules.confirmEvents = Int(try decoder.double())
        rules.confirmMinutes = try decoder.double()
        rules.calmMinutes = try decoder.double()
        rules.publishIntervalSeconds = try decoder.double()
        rules.publishMinutes = try decoder.double()
        rules.publishShare = try decoder.double()
        rules.backlogMinutes = try decoder.double()
        rules.settleMinutes = try decoder.double()
        rules.futureHours = try decoder.double()
        for level in rules.levelMinutes.indices {
            rules.levelMinutes[level] = try decoder.double()
        }
        // What was taken in without limits is taken in again without them.
        rules.maxEvents = version > 1 ? Int(try decoder.signed()) : .max
        rules.maxPlans = version > 1 ? Int(try decoder.signed()) : .max
        rules.maxClosures = version > 1 ? Int(try decoder.signed()) : .max
        return rules
    }
}
