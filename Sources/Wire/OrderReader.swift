import Tracking

/// Reads what operators state: acknowledgements and silences. Their times carry an offset, as nobody's
/// clock is theirs.
struct OrderReader {
    let fields: Fields

    init(_ fields: Fields) { self.fields = fields }

    static let acknowledgeKeys: Set<FeedKey> = [
        .acknowledge, .rev, .note, .until, .seq, .id, .source,
    ]
    static let silenceKeys: Set<FeedKey> = [
        .silence, .types, .places, .containers, .shipments, .from, .until, .reason,
        .updated, .retract, .seq, .id, .source,
    ]

    func acknowledgement() throws(LineReject) -> AlertAcknowledgement {
        let alert = try fields.required(.acknowledge, "acknowledge").lowercased()
        guard let rev = try fields.integer(.rev, "rev") else {
            throw LineReject(
                .missing, field: "rev", detail: "rev is missing: that of the line that was seen")
        }
        guard rev > 0 else {
            throw LineReject(.type, field: "rev", detail: "rev counts from 1")
        }
        var found = AlertAcknowledgement(
            alert: alert, rev: Int(rev), note: try fields.text(.note, "note"),
            until: try instant(.until, "until"))
        found.seq = try fields.integer(.seq, "seq")
        found.unknownKeys = fields.unknownKeys(besides: OrderReader.acknowledgeKeys)
        var hash = StableHasher()
        hash.combine(alert)
        hash.combine(UInt64(rev))
        hash.combine(found.note)
        hash.combine(UInt64(bitPattern: found.until?.microseconds ?? -1))
        found.content = hash.identity().low
        return found
    }

    func silence() throws(LineReject) -> AlertSilence {
        let id = try fields.required(.silence, "silence")
        let retract = try fields.flag(.retract, "retract")
        let from = try instant(.from, "from")
        let until = try instant(.until, "until")
        if !retract {
            guard from != nil else {
                throw LineReject(.missing, field: "from", detail: "from is missing")
            }
            guard until != nil else {
                throw LineReject(
                    .missing, field: "until", detail: "until is missing: a silence has an end")
            }
        }
        var found = AlertSilence(id: id, from: from ?? .unset, until: until ?? .unset)
        if let from, let until, until < from {
            throw LineReject(.time, field: "until", detail: "until lies before from")
        }
        found.types = try list(.types, "types").map { (text) throws(LineReject) in
            guard let type = AlertType(code: text.lowercased()) else {
                throw LineReject(
                    .type, field: "types",
                    detail: "\(text.prefix(40)) is none of the types: "
                        + AlertType.allCases.map(\.code).joined(separator: ", "),
                    suggest: AlertType.allCases.map(\.code).filter {
                        Slips.between($0, text.lowercased(), atMost: 2) != nil
                    })
            }
            return type
        }
        found.places = try list(.places, "places").map { Fields.code($0) }
        found.shipments = try list(.shipments, "shipments")
        found.containers = try containers()
        let isOfAll =
            found.types.isEmpty && found.places.isEmpty && found.shipments.isEmpty
            && found.containers.isEmpty
        if isOfAll, !retract {
            throw LineReject(
                .missing, field: "types",
                detail: "a silence says what it is about: types, places, containers or shipments")
        }
        found.reason = try fields.text(.reason, "reason")
        found.updated = try instant(.updated, "updated")
        found.retract = retract
        found.seq = try fields.integer(.seq, "seq")
        found.unknownKeys = fields.unknownKeys(besides: OrderReader.silenceKeys)
        found.content = content(found)
        return found
    }

    private func content(_ silence: AlertSilence) -> UInt64 {
        var hash = StableHasher()
        for type in silence.types { hash.combine(type.code) }
        for list in [silence.places, silence.shipments] {
            hash.combine(UInt64(list.count))
            for text in list { hash.combine(text) }
        }
        for container in silence.containers { hash.combine(container.packed) }
        hash.combine(UInt64(bitPattern: silence.from.microseconds))
        hash.combine(UInt64(bitPattern: silence.until.microseconds))
        hash.combine(silence.reason)
        hash.combine(silence.retract ? 1 : 0)
        return hash.identity().low
    }

    private func containers() throws(LineReject) -> [ContainerNumber] {
        var found: [ContainerNumber] = []
        try fields.each(.containers, "containers", most: fields.limits.maxMilestones) {
            (slot) throws(LineReject) in
            found.append(try fields.container(slot, "containers"))
        }
        return found
    }

    private func list(_ key: FeedKey, _ name: String) throws(LineReject) -> [String] {
        var found: [String] = []
        try fields.each(key, name, most: fields.limits.maxMilestones) { (slot) throws(LineReject) in
            found.append(try fields.text(slot, name))
        }
        return found
    }

    private func instant(_ key: FeedKey, _ name: String) throws(LineReject) -> Instant? {
        guard let read = try fields.time(key, name) else { return nil }
        guard read.offsetMinutes != nil, !read.isDateOnly else {
            throw LineReject(
                .time, field: name,
                detail: "\(name) is a time with its offset, such as \(TimeText.example)")
        }
        return read.instant
    }
}
