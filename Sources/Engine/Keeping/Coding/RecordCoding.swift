import Forecast
import Log
import Tracking

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

extension TaggedEncoder {
    /// Left out where it is `unset`.
    mutating func instant(_ number: Int, _ value: Instant, default: Instant = .unset) {
        signed(number, value.microseconds, default: `default`.microseconds)
    }

    mutating func code(_ number: Int, _ value: some RawRepresentable<UInt8>) {
        unsigned(number, value.rawValue)
    }
}

extension TaggedReader {
    mutating func instant(_ field: Field) throws(CodingFlaw) -> Instant {
        Instant(microseconds: try signed(field))
    }
}

/// A container's record as bytes that mean the same in every process: symbols are written as their
/// texts. What can be derived from events and plans (the progress of journeys) is left out.
enum RecordCoding {
    /// Format 2 had no field numbers (`EarlierRecord`).
    static let version: UInt8 = 3

    static func encode(_ record: ContainerRecord, _ texts: [String]) -> [UInt8] {
        var table = TextTable()
        var body = TaggedEncoder()
        func symbol(_ number: UInt32) -> UInt64 { UInt64(table.number(texts[Int(number)])) }
        // The empty text is the default of every symbol.
        _ = table.number("")
        for event in record.history.events {
            body.message(3) { out in
                out.fixed(1, event.identity.high)
                out.fixed(2, event.identity.low)
                out.fixed(3, event.content)
                out.instant(4, event.time)
                out.instant(5, event.updated)
                out.unsigned(6, symbol(event.place))
                out.unsigned(7, symbol(event.shipment))
                out.code(8, event.code)
                out.code(9, event.eventClass)
                out.code(10, event.mode)
                out.flag(11, event.retracted)
                out.unsigned(12, event.flags.rawValue)
                if event.seals != 0 { out.unsigned(13, event.seals) }
                if event.vehicle != 0 { out.unsigned(14, event.vehicle) }
                if event.post != 0 { out.unsigned(15, symbol(event.post)) }
                if event.delaySeconds != 0 { out.signed(16, event.delaySeconds) }
                if event.correctedMinutes != 0 { out.signed(17, event.correctedMinutes) }
                if event.source != 0 { out.unsigned(18, symbol(event.source)) }
            }
        }
        for version in record.history.superseded {
            body.message(4) { out in
                out.fixed(1, version.identity.high)
                out.fixed(2, version.identity.low)
                out.fixed(3, version.content)
                out.instant(4, version.updated)
            }
        }
        if !record.plans.isEmpty { body.list(5, record.plans.map { Int64(symbol($0)) }) }
        if record.episodesGone > 0 { body.unsigned(7, record.episodesGone) }
        for journey in record.journeys {
            body.message(6) { out in
                out.unsigned(1, symbol(journey.shipment))
                out.unsigned(2, journey.ordinal)
                encode(journey.publication, &out, &table, texts)
            }
        }
        var out = TaggedEncoder()
        out.fixed(1, record.number.packed)
        for text in table.texts { out.text(2, text) }
        return [version] + out.bytes + body.bytes
    }

    private static func encode(
        _ said: Journey.Publication, _ out: inout TaggedEncoder, _ table: inout TextTable,
        _ texts: [String]
    ) {
        out.instant(3, said.p10)
        out.instant(4, said.p50)
        out.instant(5, said.p90)
        out.instant(6, said.publishedAt)
        out.instant(7, said.owedAt, default: .never)
        out.instant(8, said.reviewAt, default: .never)
        out.instant(9, said.overdueAt, default: .never)
        out.instant(10, said.holdUntil)
        out.flag(11, said.lateVerdict)
        out.signed(12, said.furthest, default: -1)
        for alert in said.alerts {
            let place = UInt64(table.number(texts[Int(alert.place)]))
            out.message(13) { encode(alert, place, &$0) }
        }
        out.floats(14, said.path)
        for interval in said.forecasts { out.message(15) { encode(interval, &$0) } }
        if let next = said.next {
            out.message(16) { out in
                encode(next.interval, &out)
                out.unsigned(5, next.milestone)
            }
        }
        out.list(17, said.taught.map(\.microseconds))
        out.list(18, said.taughtElsewhere.map { Int64($0) })
        if said.way != 0 { out.fixed(19, said.way) }
        if said.publishedWay != 0 { out.fixed(20, said.publishedWay) }
        if said.unknown != 0 { out.fixed(21, said.unknown) }
        if said.episodesBefore != 0 { out.unsigned(25, said.episodesBefore) }
        if said.owedFor != .events { out.code(23, said.owedFor) }
        for stay in said.taughtStays {
            let place = UInt64(table.number(texts[Int(stay.place)]))
            out.message(24) { out in
                out.unsigned(1, place)
                out.instant(2, stay.came)
                out.instant(3, stay.left)
            }
        }
        for heard in said.heard {
            let source = UInt64(table.number(texts[Int(heard.statement.source)]))
            out.message(22) { encode(heard, source, &$0) }
        }
    }

    static func encode(
        _ alert: AlertEpisode, _ place: UInt64, _ out: inout TaggedEncoder
    ) {
        out.code(1, alert.type)
        out.unsigned(2, alert.milestone)
        out.unsigned(3, place)
        out.code(4, alert.code)
        out.unsigned(5, alert.episode)
        out.unsigned(6, alert.rev)
        out.code(7, alert.phase)
        out.code(8, alert.severity)
        out.instant(9, alert.since)
        out.unsigned(10, alert.evidence)
        out.signed(11, alert.delayMinutes)
        out.float(12, alert.probability)
        out.instant(13, alert.confirmAt, default: .never)
        out.unsigned(14, alert.horizon)
        out.flag(16, alert.isShadow)
        out.unsigned(17, alert.occurrence)
        out.instant(18, alert.expected)
        if let convoy = alert.convoy {
            out.fixed(19, convoy.id)
            out.signed(20, convoy.count)
            out.flag(21, convoy.isLead)
        }
        out.instant(22, alert.acknowledgedUntil)
        if alert.acknowledgement != 0 { out.fixed(23, alert.acknowledgement) }
        out.unsigned(24, alert.levelRev)
        out.instant(25, alert.raisedAt)
        out.flag(26, alert.isFlapping)
        out.signed(27, alert.toldMinutes)
        if !alert.parent.isEmpty { out.text(28, alert.parent) }
        if alert.at != alert.milestone { out.unsigned(15, UInt64(alert.at) + 1) }
    }

    private static func encode(_ heard: Heard, _ source: UInt64, _ out: inout TaggedEncoder) {
        out.unsigned(1, source)
        out.unsigned(2, UInt64(heard.statement.milestone))
        out.instant(3, heard.statement.time)
        out.instant(4, heard.statement.saidAt)
        out.unsigned(6, heard.horizon)
        out.floats(7, [heard.p10, heard.p50, heard.p90])
    }

    private static func encode(_ interval: IssuedInterval, _ out: inout TaggedEncoder) {
        out.unsigned(1, interval.horizon)
        out.instant(2, interval.p50)
        out.float(3, interval.before)
        out.float(4, interval.behind)
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
        let format = try decoder.byte()
        try FormatVersion.check(format, "a journey", oldest: 2, newest: version)
        if format == 2 { return try EarlierRecord.decode(bytes, &symbols) }
        var reader = TaggedReader(decoder)
        var record = ContainerRecord(number: ContainerNumber(packed: 0))
        var table: [UInt32] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: record.number = ContainerNumber(packed: try reader.fixed(field))
            case 2:
                let text = try reader.text(field)
                table.append(text.isEmpty ? 0 : symbols.number(text))
            case 3: record.history.events.append(try event(try reader.message(field), table))
            case 4: record.history.superseded.append(try superseded(try reader.message(field)))
            case 5:
                for number in try reader.list(field) {
                    record.plans.append(try symbol(UInt64(bitPattern: number), table))
                }
            case 6: record.journeys.append(try journey(try reader.message(field), table))
            case 7: record.episodesGone = try reader.clamped(field)
            default: try reader.skip(field)
            }
        }
        return record
    }

    private static func symbol(
        _ number: UInt64, _ table: [UInt32]
    ) throws(CodingFlaw) -> UInt32 {
        guard number < table.count else { throw CodingFlaw("a text beyond the table") }
        return table[Int(number)]
    }

    private static func event(
        _ fields: TaggedReader, _ table: [UInt32]
    ) throws(CodingFlaw) -> EventRecord {
        var reader = fields
        var event = EventRecord(
            identity: Identity(high: 0, low: 0), content: 0, time: .unset, place: 0,
            code: EventCode(rawValue: 0) ?? .arri)
        while let field = try reader.next() {
            switch field.number {
            case 1: event.identity.high = try reader.fixed(field)
            case 2: event.identity.low = try reader.fixed(field)
            case 3: event.content = try reader.fixed(field)
            case 4: event.time = try reader.instant(field)
            case 5: event.updated = try reader.instant(field)
            case 6: event.place = try symbol(try reader.unsigned(field), table)
            case 7: event.shipment = try symbol(try reader.unsigned(field), table)
            case 8: event.code = try reader.code(field)
            case 9: event.eventClass = try reader.code(field)
            case 10: event.mode = try reader.code(field)
            case 11: event.retracted = try reader.flag(field)
            case 12: event.flags = EventFlags(rawValue: try reader.clamped(field))
            case 13: event.seals = try reader.clamped(field)
            case 14: event.vehicle = try reader.clamped(field)
            case 15: event.post = try symbol(try reader.unsigned(field), table)
            case 18: event.source = try symbol(try reader.unsigned(field), table)
            case 16: event.delaySeconds = Int32(clamping: try reader.signed(field))
            case 17: event.correctedMinutes = Int16(clamping: try reader.signed(field))
            default: try reader.skip(field)
            }
        }
        return event
    }

    private static func superseded(
        _ fields: TaggedReader
    ) throws(CodingFlaw) -> SupersededVersion {
        var reader = fields
        var version = SupersededVersion(
            identity: Identity(high: 0, low: 0), content: 0, updated: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: version.identity.high = try reader.fixed(field)
            case 2: version.identity.low = try reader.fixed(field)
            case 3: version.content = try reader.fixed(field)
            case 4: version.updated = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        return version
    }

    private static func journey(
        _ fields: TaggedReader, _ table: [UInt32]
    ) throws(CodingFlaw) -> Journey {
        var reader = fields
        var journey = Journey(shipment: 0, ordinal: 0)
        var said = Journey.Publication()
        while let field = try reader.next() {
            switch field.number {
            case 1: journey.shipment = try symbol(try reader.unsigned(field), table)
            case 2: journey.ordinal = try reader.clamped(field)
            case 3: said.p10 = try reader.instant(field)
            case 4: said.p50 = try reader.instant(field)
            case 5: said.p90 = try reader.instant(field)
            case 6: said.publishedAt = try reader.instant(field)
            case 7: said.owedAt = try reader.instant(field)
            case 8: said.reviewAt = try reader.instant(field)
            case 9: said.overdueAt = try reader.instant(field)
            case 10: said.holdUntil = try reader.instant(field)
            case 11: said.lateVerdict = try reader.flag(field)
            case 12: said.furthest = Int(try reader.signed(field))
            case 13: said.alerts.append(try alert(try reader.message(field), table))
            case 14: said.path = try reader.floats(field)
            case 15: said.forecasts.append(try interval(try reader.message(field)).interval)
            case 16: said.next = try interval(try reader.message(field))
            case 17: said.taught = try reader.list(field).map { Instant(microseconds: $0) }
            case 18: said.taughtElsewhere = try reader.list(field).map { UInt32(clamping: $0) }
            case 19: said.way = try reader.fixed(field)
            case 20: said.publishedWay = try reader.fixed(field)
            case 21: said.unknown = try reader.fixed(field)
            case 25: said.episodesBefore = try reader.clamped(field)
            case 23: said.owedFor = try reader.code(field)
            case 22: said.heard.append(try heard(try reader.message(field), table))
            case 24: said.taughtStays.append(try stay(try reader.message(field), table))
            default: try reader.skip(field)
            }
        }
        journey.publication = said
        return journey
    }

    private static func stay(
        _ fields: TaggedReader, _ table: [UInt32]
    ) throws(CodingFlaw) -> Stay {
        var reader = fields
        var stay = Stay(place: 0, came: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: stay.place = try symbol(try reader.unsigned(field), table)
            case 2: stay.came = try reader.instant(field)
            case 3: stay.left = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        return stay
    }

    private static func interval(_ fields: TaggedReader) throws(CodingFlaw) -> AwaitedInterval {
        var reader = fields
        var interval = IssuedInterval(horizon: 0, p50: .unset, before: 0, behind: 0)
        var milestone: UInt32 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: interval.horizon = try reader.clamped(field)
            case 2: interval.p50 = try reader.instant(field)
            case 3: interval.before = try reader.float(field)
            case 4: interval.behind = try reader.float(field)
            case 5: milestone = try reader.clamped(field)
            default: try reader.skip(field)
            }
        }
        return AwaitedInterval(milestone: milestone, interval)
    }

    private static func heard(
        _ fields: TaggedReader, _ table: [UInt32]
    ) throws(CodingFlaw) -> Heard {
        var reader = fields
        var said = Statement(
            source: 0, milestone: 0, time: .unset, saidAt: .unset)
        var horizon: UInt8 = 0
        var quantiles: [Float] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: said.source = try symbol(try reader.unsigned(field), table)
            case 2: said.milestone = try reader.clamped(field)
            case 3: said.time = try reader.instant(field)
            case 4: said.saidAt = try reader.instant(field)
            case 6: horizon = try reader.clamped(field)
            case 7: quantiles = try reader.floats(field)
            default: try reader.skip(field)
            }
        }
        guard quantiles.count == 3, quantiles.allSatisfy(\.isFinite) else {
            throw CodingFlaw("a statement is damaged")
        }
        return Heard(
            statement: said, horizon: horizon, p10: quantiles[0], p50: quantiles[1],
            p90: quantiles[2])
    }

    static func alert(
        _ fields: TaggedReader, _ table: [UInt32]
    ) throws(CodingFlaw) -> AlertEpisode {
        var reader = fields
        var alert = AlertEpisode(
            AlertKey(.late, milestone: 0, place: 0, code: .arri), episode: 0, since: .unset)
        alert.phase = .pending
        var at: UInt32?
        while let field = try reader.next() {
            switch field.number {
            case 1: alert.type = try reader.code(field)
            case 2: alert.milestone = try reader.clamped(field)
            case 3: alert.place = try symbol(try reader.unsigned(field), table)
            case 4: alert.code = try reader.code(field)
            case 5: alert.episode = try reader.clamped(field)
            case 6: alert.rev = try reader.clamped(field)
            case 7: alert.phase = try reader.code(field)
            case 8: alert.severity = try reader.code(field)
            case 9: alert.since = try reader.instant(field)
            case 10: alert.evidence = try reader.clamped(field)
            case 11: alert.delayMinutes = Int32(clamping: try reader.signed(field))
            case 12: alert.probability = try reader.float(field)
            case 13: alert.confirmAt = try reader.instant(field)
            case 14: alert.horizon = try reader.clamped(field)
            case 16: alert.isShadow = try reader.flag(field)
            case 17: alert.occurrence = try reader.clamped(field)
            case 18: alert.expected = try reader.instant(field)
            case 19:
                alert.convoy = Convoy(id: try reader.fixed(field), count: 1, isLead: false)
            case 20: alert.convoy?.count = Int(try reader.signed(field))
            case 21: alert.convoy?.isLead = try reader.flag(field)
            case 22: alert.acknowledgedUntil = try reader.instant(field)
            case 23: alert.acknowledgement = try reader.fixed(field)
            case 24: alert.levelRev = try reader.clamped(field)
            case 25: alert.raisedAt = try reader.instant(field)
            case 26: alert.isFlapping = try reader.flag(field)
            case 27: alert.toldMinutes = Int32(clamping: try reader.signed(field))
            case 28: alert.parent = try reader.text(field)
            case 15:
                let number = try reader.unsigned(field)
                guard number > 0 else { throw CodingFlaw("a milestone without a number") }
                at = UInt32(clamping: number - 1)
            default: try reader.skip(field)
            }
        }
        alert.at = at ?? alert.milestone
        return alert
    }
}

/// What a reader of single records needs to know of them.
public enum EncodedRecord {
    public static func plans(_ bytes: [UInt8]) throws(CodingFlaw) -> [String] {
        try RecordCoding.plans(bytes)
    }
}
