import Alerting
import Forecast
import Log
import Tracking

/// What is remembered for alerts beside the journeys, among the pools' rows: one row under a key that no
/// pool has.
enum AlertBookCoding {
    static let mark: UInt8 = 0xFC
    static let key: [UInt8] = [mark]
    static let version: UInt8 = 1

    static func isMeant(_ bytes: [UInt8]) -> Bool { bytes.first == mark }

    static func encode(
        _ book: AlertBook, _ habits: ReportingHabits, _ texts: [String]
    ) -> [UInt8] {
        var out = TaggedEncoder()
        func text(_ symbol: UInt32) -> String { texts[Int(symbol)] }
        // In an order that does not depend on how a process numbers its symbols.
        let parties = book.parties.flatMap { entry in entry.value.map { (entry.key, $0) } }
            .map { (place: text($0.place), seenAt: text($0.seenAt), key: $0, party: $1) }
            .sorted {
                ($0.place, $0.seenAt, $0.party.raised, $0.party.id)
                    < ($1.place, $1.seenAt, $1.party.raised, $1.party.id)
            }
        for entry in parties {
            out.message(1) { out in
                out.code(1, entry.key.type)
                out.text(2, entry.place)
                out.code(3, entry.key.code)
                out.text(4, entry.seenAt)
                out.fixed(5, entry.party.id)
                out.instant(6, entry.party.seen)
                out.instant(7, entry.party.raised)
                out.signed(8, entry.party.count)
                out.code(9, entry.key.mode)
            }
        }
        let known = habits.habits.map { (place: text($0.key.place), key: $0.key, habit: $0.value) }
            .sorted { ($0.place, $0.key.code.rawValue) < ($1.place, $1.key.code.rawValue) }
        for entry in known {
            out.message(2) { out in
                out.text(1, entry.place)
                out.code(2, entry.key.code)
                out.double(3, entry.habit.passed)
                out.double(4, entry.habit.silent)
            }
        }
        for (code, claim) in habits.claims.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            out.message(7) { out in
                out.code(2, code)
                out.double(3, claim.passed)
                out.double(4, claim.silent)
            }
        }
        for silence in book.silences.values.sorted(by: { $0.id < $1.id }) {
            out.message(3) { encode(silence, &$0) }
        }
        for incident in book.incidents.values.sorted(by: { $0.key < $1.key }) {
            out.message(4) { encode(incident, &$0) }
        }
        out.instant(5, book.sweptAt)
        out.instant(6, book.unheardAt)
        return [mark, version] + out.bytes
    }

    private static func encode(_ silence: AlertSilence, _ out: inout TaggedEncoder) {
        out.text(1, silence.id)
        out.list(2, silence.types.map { Int64($0.rawValue) })
        for place in silence.places { out.text(3, place) }
        for container in silence.containers { out.fixed(4, container.packed) }
        for shipment in silence.shipments { out.text(5, shipment) }
        out.instant(7, silence.from)
        out.instant(8, silence.until)
        if let reason = silence.reason { out.text(9, reason) }
        if let updated = silence.updated { out.instant(10, updated) }
        out.flag(11, silence.retract)
        out.text(12, silence.author)
        out.fixed(13, silence.content)
    }

    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (book: AlertBook, habits: ReportingHabits) {
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        try FormatVersion.check(
            try decoder.byte(), "the book of alerts", oldest: 1, newest: version)
        var reader = TaggedReader(decoder)
        var (book, habits) = (AlertBook(), ReportingHabits())
        while let field = try reader.next() {
            switch field.number {
            case 1:
                let (key, party) = try party(try reader.message(field), &symbols)
                book.add(party, to: key)
            case 2:
                let (key, habit) = try habit(try reader.message(field), &symbols)
                habits.habits[key] = habit
            case 7:
                let (key, claim) = try habit(try reader.message(field), &symbols)
                habits.claims[key.code] = claim
            case 3:
                let silence = try silence(try reader.message(field))
                book.silences[silence.id] = silence
            case 4:
                let incident = try incident(try reader.message(field), &symbols)
                book.incidents[incident.key] = incident
            case 5: book.sweptAt = try reader.instant(field)
            case 6: book.unheardAt = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        book.noteLooks()
        return (book, habits)
    }

    private static func silence(_ fields: TaggedReader) throws(CodingFlaw) -> AlertSilence {
        var reader = fields
        var silence = AlertSilence(id: "", from: .unset, until: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: silence.id = try reader.text(field)
            case 2:
                silence.types = try reader.list(field).compactMap {
                    AlertType(rawValue: UInt8(clamping: $0))
                }
            case 3: silence.places.append(try reader.text(field))
            case 4: silence.containers.append(ContainerNumber(packed: try reader.fixed(field)))
            case 5: silence.shipments.append(try reader.text(field))
            case 7: silence.from = try reader.instant(field)
            case 8: silence.until = try reader.instant(field)
            case 9: silence.reason = try reader.text(field)
            case 10: silence.updated = try reader.instant(field)
            case 11: silence.retract = try reader.flag(field)
            case 12: silence.author = try reader.text(field)
            case 13: silence.content = try reader.fixed(field)
            default: try reader.skip(field)
            }
        }
        return silence
    }

    private static func party(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (AlertBook.PartyKey, AlertBook.Party) {
        var reader = fields
        var key = AlertBook.PartyKey(type: .late, place: 0, code: .arri, seenAt: 0)
        var party = AlertBook.Party(id: 0, seen: .unset, raised: .unset, count: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: key.type = try reader.code(field)
            case 2: key.place = symbols.number(try reader.text(field))
            case 3: key.code = try reader.code(field)
            case 4: key.seenAt = symbols.number(try reader.text(field))
            case 5: party.id = try reader.fixed(field)
            case 6: party.seen = try reader.instant(field)
            case 7: party.raised = try reader.instant(field)
            case 8: party.count = Int(try reader.signed(field))
            case 9: key.mode = try reader.code(field)
            default: try reader.skip(field)
            }
        }
        return (key, party)
    }

    private static func habit(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (ReportingHabits.Key, ReportingHabits.Habit) {
        var reader = fields
        var key = ReportingHabits.Key(place: 0, code: .arri)
        var habit = ReportingHabits.Habit()
        while let field = try reader.next() {
            switch field.number {
            case 1:
                let place = try reader.text(field)
                // Nothing: any place.
                key.place = place.isEmpty ? 0 : symbols.number(place)
            case 2: key.code = try reader.code(field)
            case 3: habit.passed = try reader.double(field)
            case 4: habit.silent = try reader.double(field)
            default: try reader.skip(field)
            }
        }
        return (key, habit)
    }
}

/// Incidents: their places stand beside their episodes.
extension AlertBookCoding {
    private static func encode(_ incident: Incident, _ out: inout TaggedEncoder) {
        out.code(1, incident.key.type)
        out.text(2, incident.key.subject)
        out.flag(3, incident.key.isPost)
        out.text(4, incident.place)
        for episode in incident.episodes {
            out.message(5) { RecordCoding.encode(episode, 0, &$0) }
        }
        for child in incident.children.sorted() { out.fixed(6, child.packed) }
        out.signed(8, incident.toldChildren)
        out.instant(15, incident.toldAt)
        out.instant(9, incident.since)
        out.instant(10, incident.until, default: .never)
        out.instant(11, incident.backAt)
        out.instant(12, incident.quietAt)
        out.instant(16, incident.toldSince)
        out.instant(17, incident.toldUntil, default: .never)
        out.instant(13, incident.lookAt, default: .never)
        if let flaw = incident.flaw {
            out.message(14) { out in
                out.signed(1, flaw.minutes)
                out.flag(2, flaw.isWholeHours)
            }
        }
    }

    private static func incident(
        _ fields: TaggedReader, _ symbols: inout Symbols
    ) throws(CodingFlaw) -> Incident {
        var reader = fields
        var incident = Incident(
            IncidentKey(.closure, ""), place: "", since: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: incident.key.type = try reader.code(field)
            case 2: incident.key.subject = try reader.text(field)
            case 3: incident.key.isPost = try reader.flag(field)
            case 4: incident.place = try reader.text(field)
            case 5:
                incident.episodes.append(
                    try RecordCoding.alert(try reader.message(field), [0]))
            case 6: incident.children.insert(ContainerNumber(packed: try reader.fixed(field)))
            case 8: incident.toldChildren = Int(try reader.signed(field))
            case 15: incident.toldAt = try reader.instant(field)
            case 9: incident.since = try reader.instant(field)
            case 10: incident.until = try reader.instant(field)
            case 11: incident.backAt = try reader.instant(field)
            case 12: incident.quietAt = try reader.instant(field)
            case 16: incident.toldSince = try reader.instant(field)
            case 17: incident.toldUntil = try reader.instant(field)
            case 13: incident.lookAt = try reader.instant(field)
            case 14: incident.flaw = try flaw(try reader.message(field))
            default: try reader.skip(field)
            }
        }
        // Of before it was kept.
        if incident.toldSince == .unset, incident.toldAt != .unset {
            (incident.toldSince, incident.toldUntil) = (incident.since, incident.until)
        }
        let place = symbols.number(incident.place)
        for at in incident.episodes.indices { incident.episodes[at].place = place }
        return incident
    }

    private static func flaw(_ fields: TaggedReader) throws(CodingFlaw) -> ClockTrail.Flaw {
        var reader = fields
        var flaw = ClockTrail.Flaw(minutes: 0, isWholeHours: false)
        while let field = try reader.next() {
            switch field.number {
            case 1: flaw.minutes = Int(try reader.signed(field))
            case 2: flaw.isWholeHours = try reader.flag(field)
            default: try reader.skip(field)
            }
        }
        return flaw
    }
}
