import Tracking

/// One line of the feed, read and checked for form.
public enum FeedLine: Sendable, Equatable {
    case event(TrackingEvent)
    case plan(ShipmentPlan)
    case closure(Closure)
    case acknowledgement(AlertAcknowledgement)
    case silence(AlertSilence)
    case hello(Hello)
    case ping
    case bye
    /// Nothing but space: ignored.
    case empty
    case reject(LineReject)

    /// The sender's running number, where the line could be read that far.
    public var seq: Int64? {
        switch self {
        case .event(let event): event.seq
        case .plan(let plan): plan.seq
        case .closure(let closure): closure.seq
        case .acknowledgement(let acknowledgement): acknowledgement.seq
        case .silence(let silence): silence.seq
        case .hello, .ping, .bye, .empty, .reject: nil
        }
    }
}

/// A sender that opens a session.
public struct Hello: Sendable, Equatable {
    public var version: String
    public var post: String
    public var stream: String
    public var token: String?
    /// The last number of the stream that was acknowledged to the sender, by whatever server.
    public var acknowledged: Int64?

    /// What every JSON reader takes for a whole number; no stream comes near it.
    public static let largestSeq: Int64 = 9_007_199_254_740_991
}

/// Bounds of what one line may say; each is a setting.
public struct FeedLimits: Sendable, Equatable {
    /// Bytes of a line without its end.
    public var maxLine = 65_536
    /// Bytes of one text field.
    public var maxText = 256
    /// Containers of one plan.
    public var maxContainers = 1_000
    /// Milestones of one plan, and places of its `via`.
    public var maxMilestones = 256
    /// Containers of one plan times its milestones.
    public var maxWork = 100_000
    /// Whether identifiers with control characters are refused: at the feed they are, but what a log
    /// took is read as it is.
    public var refusesControls = true
    /// Whether a 60th second where none can be, and an offset that no clock shows, are refused: the same.
    public var refusesNonsense = true

    public init() {}

    /// Larger than any setting allows: for lines that were taken already.
    public static let largest: FeedLimits = {
        var limits = FeedLimits()
        limits.maxLine = 1 << 24
        limits.maxText = 1 << 16
        limits.maxContainers = 1 << 20
        limits.maxMilestones = 1 << 16
        limits.maxWork = .max
        limits.refusesControls = false
        limits.refusesNonsense = false
        return limits
    }()
}

/// Every key that a feed line can have at its top level.
enum FeedKey: UInt8 {
    case container, event, place, time, id, seq, `class`, mode, vehicle, seals, shipment
    case reason, remark, updated, retract
    case plan, containers, from, to, via, promised, milestones, start, minutes
    case closure, until
    case hello, post, stream, token, ping, bye
    case acknowledge, rev, note, silence, types, shipments, places, acknowledged
    case source, was

    static let count = 42

    /// The key that these bytes spell, nil for keys that are only kept.
    static func named(_ b: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> FeedKey? {
        let raw = UnsafeBufferPointer(rebasing: b[range])
        func matches(_ text: StaticString) -> Bool {
            guard raw.count == text.utf8CodeUnitCount else { return false }
            for index in 0..<raw.count where raw[index] != text.utf8Start[index] { return false }
            return true
        }
        guard let first = raw.first else { return nil }
        switch first {
        case 0x61:
            if matches("acknowledge") { return .acknowledge }
            return matches("acknowledged") ? .acknowledged : nil
        case 0x62: return matches("bye") ? .bye : nil
        case 0x63:
            if matches("container") { return .container }
            if matches("class") { return .class }
            if matches("containers") { return .containers }
            return matches("closure") ? .closure : nil
        case 0x65: return matches("event") ? .event : nil
        case 0x66: return matches("from") ? .from : nil
        case 0x68: return matches("hello") ? .hello : nil
        case 0x69: return matches("id") ? .id : nil
        case 0x6D:
            if matches("mode") { return .mode }
            if matches("minutes") { return .minutes }
            return matches("milestones") ? .milestones : nil
        case 0x6E: return matches("note") ? .note : nil
        case 0x70: return p(matches)
        case 0x72:
            if matches("rev") { return .rev }
            if matches("reason") { return .reason }
            if matches("remark") { return .remark }
            return matches("retract") ? .retract : nil
        case 0x73: return s(matches)
        case 0x74:
            if matches("time") { return .time }
            if matches("to") { return .to }
            if matches("types") { return .types }
            return matches("token") ? .token : nil
        case 0x75:
            if matches("updated") { return .updated }
            return matches("until") ? .until : nil
        case 0x76:
            if matches("vehicle") { return .vehicle }
            return matches("via") ? .via : nil
        case 0x77: return matches("was") ? .was : nil
        default: return nil
        }
    }

    static func p(_ matches: (StaticString) -> Bool) -> FeedKey? {
        if matches("place") { return .place }
        if matches("plan") { return .plan }
        if matches("promised") { return .promised }
        if matches("post") { return .post }
        if matches("places") { return .places }
        return matches("ping") ? .ping : nil
    }

    static func s(_ matches: (StaticString) -> Bool) -> FeedKey? {
        if matches("shipment") { return .shipment }
        if matches("seals") { return .seals }
        if matches("seq") { return .seq }
        if matches("start") { return .start }
        if matches("source") { return .source }
        if matches("silence") { return .silence }
        if matches("shipments") { return .shipments }
        return matches("stream") ? .stream : nil
    }
}

/// Reads feed lines.
public struct FeedParser: Sendable {
    public var limits: FeedLimits

    public init(limits: FeedLimits = FeedLimits()) { self.limits = limits }

    /// One line without its end. Never fails: what is wrong is a `.reject`.
    public func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> FeedLine {
        do { return try read(bytes) } catch { return .reject(error) }
    }

    public func parse(_ text: String) -> FeedLine {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    private func read(_ bytes: UnsafeBufferPointer<UInt8>) throws(LineReject) -> FeedLine {
        if bytes.isEmpty { return .empty }
        if bytes.count > limits.maxLine {
            throw LineReject(
                .tooLong, detail: "\(bytes.count) bytes; at most \(limits.maxLine) are read")
        }
        if let flaw = UTF8Check.firstFlaw(bytes) {
            throw LineReject(.utf8, detail: "not UTF-8 from byte \(flaw + 1) on")
        }
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw LineReject(.json, detail: "a byte order mark before the line; send none")
        }
        var scanner = JSONScanner(bytes)
        scanner.skipSpace()
        if scanner.at == bytes.count { return .empty }
        if bytes[scanner.at] != 0x7B {
            guard JSONScanner.beginsValue(bytes[scanner.at]) else {
                throw LineReject(
                    .json,
                    detail: "this is no JSON: a line is one object, such as "
                        + "{\"container\":\"…\",\"event\":\"GTIN\",\"place\":\"KZHOR\",\"time\":"
                        + "\"\(TimeText.example)\"}")
            }
            _ = try scanner.value()
            try scanner.finish()
            throw LineReject(.unknownLine, detail: "a line is one JSON object")
        }
        var fields = Fields(bytes: bytes, limits: limits)
        var others = KeySet()
        try scanner.object { (key, value) throws(LineReject) in
            if !key.escaped, let name = FeedKey.named(bytes, key.range) {
                try fields.set(name, value)
            } else {
                try fields.setOther(key, value, &others)
            }
        }
        try scanner.finish()
        return try interpret(fields)
    }

    private func interpret(_ fields: Fields) throws(LineReject) -> FeedLine {
        if fields.has(.plan) { return .plan(try PlanReader(fields).read()) }
        if fields.has(.closure) { return .closure(try EventReader(fields).closure()) }
        if fields.has(.container) || fields.has(.event) {
            return .event(try EventReader(fields).event())
        }
        if fields.has(.acknowledge) {
            return .acknowledgement(try OrderReader(fields).acknowledgement())
        }
        if fields.has(.silence) { return .silence(try OrderReader(fields).silence()) }
        if fields.has(.hello) { return .hello(try hello(fields)) }
        if fields.has(.ping) { return .ping }
        if fields.has(.bye) { return .bye }
        if fields.has(.place) || fields.has(.time) || fields.has(.retract) {
            throw LineReject(.missing, field: "container", detail: "an event names its container")
        }
        let stray = fields.unknownKeys.first { !KeyNotes.note($0, on: .event).suggest.isEmpty }
        let hint = stray.map { key in
            "; is \(KeyNotes.note(key, on: .event).suggest[0]) meant by \(Printable.text(key))?"
        }
        throw LineReject(
            .unknownLine,
            detail:
                "none of container, plan, closure, acknowledge, silence, hello, ping or bye is there"
                + (hint ?? ""))
    }

    private func hello(_ fields: Fields) throws(LineReject) -> Hello {
        Hello(
            version: try fields.required(.hello, "hello"),
            post: try fields.required(.post, "post"),
            stream: try fields.required(.stream, "stream"),
            token: try fields.text(.token, "token"),
            acknowledged: try fields.integer(.acknowledged, "acknowledged").map {
                min(max($0, 0), Hello.largestSeq)
            })
    }
}

/// The known values of one line, by key.
struct Fields {
    let bytes: UnsafeBufferPointer<UInt8>
    let limits: FeedLimits
    var slots: InlineArray<42, JSONSlot> = .init(repeating: JSONSlot())

    init(bytes: UnsafeBufferPointer<UInt8>, limits: FeedLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    @inline(__always)
    mutating func set(_ key: FeedKey, _ value: JSONSlot) throws(LineReject) {
        guard slots[Int(key.rawValue)].kind == .absent else {
            throw LineReject(
                .json, field: "\(key)", detail: "the key stands twice in one object")
        }
        slots[Int(key.rawValue)] = value
    }

    /// A key that is not known as it stands; with escapes it may still spell one that is.
    mutating func setOther(
        _ key: JSONSlot, _ value: JSONSlot, _ others: inout KeySet
    ) throws(LineReject) {
        if key.escaped {
            let plain = JSONText.unescaped(UnsafeBufferPointer(rebasing: bytes[key.range]))
            let name = plain.withUnsafeBufferPointer { FeedKey.named($0, 0..<$0.count) }
            if let name { return try set(name, value) }
        }
        try others.insert(key, in: bytes)
        guard unknownKeys.count < Fields.mostUnknown else { return }
        unknownKeys.append(String(JSONText.decode(bytes, key).prefix(Fields.longestKey)))
    }

    /// Unknown keys of one object that are told to its sender.
    static let mostUnknown = 8

    /// Characters of an unknown key that are told to its sender.
    static let longestKey = 40

    /// Keys of this line that no line has, and those of its milestones.
    var unknownKeys: [String] = []

    /// Whether keys are there that only other kinds of lines have.
    @inline(__always)
    var hasOtherThanEvents: Bool {
        for raw in FeedKey.plan.rawValue...FeedKey.acknowledged.rawValue
        where slots[Int(raw)].kind != .absent {
            return true
        }
        return false
    }

    /// Keys that are known, but not on a line of this kind.
    func unknownKeys(besides keys: Set<FeedKey>) -> [String] {
        var found = unknownKeys
        for raw in 0..<UInt8(FeedKey.count) {
            guard let key = FeedKey(rawValue: raw), slot(key).kind != .absent, !keys.contains(key)
            else { continue }
            found.append("\(key)")
        }
        return found
    }

    @inline(__always)
    func slot(_ key: FeedKey) -> JSONSlot { slots[Int(key.rawValue)] }

    /// Present and not null.
    @inline(__always)
    func has(_ key: FeedKey) -> Bool {
        let kind = slot(key).kind
        return kind != .absent && kind != .null
    }

    /// Calls `element` with each element of a list of `most` at most; with none where it is absent.
    func each(
        _ key: FeedKey, _ name: String, most: Int,
        _ element: (JSONSlot) throws(LineReject) -> Void
    ) throws(LineReject) {
        guard has(key) else { return }
        let slot = slot(key)
        guard slot.kind == .array else {
            throw LineReject(.type, field: name, detail: "\(name) is a list")
        }
        var count = 0
        var scanner = JSONScanner(bytes, slot.range)
        try scanner.array { (value) throws(LineReject) in
            count += 1
            if count > most {
                throw LineReject(.type, field: name, detail: "\(name) has more than \(most)")
            }
            try element(value)
        }
    }

    func raw(_ slot: JSONSlot) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[slot.range])
    }

    /// A text; checked for its kind, its length and NUL (which no database text can hold).
    func text(_ slot: JSONSlot, _ name: String) throws(LineReject) -> String {
        guard slot.kind == .string else {
            throw LineReject(.type, field: name, detail: "\(name) is a string")
        }
        guard Int(slot.end - slot.start) <= limits.maxText else {
            throw LineReject(
                .type, field: name, detail: "\(name) is longer than \(limits.maxText) bytes")
        }
        let decoded = JSONText.decode(bytes, slot)
        if slot.escaped, decoded.utf8.contains(0) {
            throw LineReject(.type, field: name, detail: "\(name) holds a NUL")
        }
        // Most texts are plain ASCII, where a look at the bytes is enough.
        if limits.refusesControls, slot.escaped || raw(slot).contains(where: { $0 >= 0x7F }),
            let control = Printable.firstActing(decoded)
        {
            throw LineReject(
                .type, field: name,
                detail: "\(name) holds a control character (\(control)), which no name needs")
        }
        return decoded
    }

    /// nil where it is absent or null.
    @inline(__always)
    func text(_ key: FeedKey, _ name: String) throws(LineReject) -> String? {
        guard has(key) else { return nil }
        return try text(slot(key), name)
    }

    func required(_ key: FeedKey, _ name: String) throws(LineReject) -> String {
        guard let found = try text(key, name) else {
            throw LineReject(.missing, field: name, detail: "\(name) is missing")
        }
        guard !found.isEmpty else {
            throw LineReject(.missing, field: name, detail: "\(name) is empty")
        }
        return found
    }

    /// A field that is needed; a key that nothing reads may be what was meant for it.
    func missing(_ name: String, on kind: KeyNotes.Kind = .event) -> LineReject {
        let strays = unknownKeys.compactMap { key in
            KeyNotes.note(key, on: kind).suggest.first.map { (key: Printable.text(key), meant: $0) }
        }
        var detail = "\(name) is missing"
        if let stray = strays.first(where: { $0.meant == name }) {
            detail += "; is it meant by \(stray.key)?"
        } else if let stray = strays.first {
            detail += "; is \(stray.meant) meant by \(stray.key)?"
        }
        if kind == .plan, has(.container) { detail += "; a plan names a list of containers" }
        return LineReject(.missing, field: name, detail: detail)
    }

    /// It is there, and not empty: a sheet has cells that hold nothing.
    func holds(_ key: FeedKey) -> Bool {
        has(key) && !(slot(key).kind == .string && raw(slot(key)).isEmpty)
    }

    func time(_ key: FeedKey, _ name: String) throws(LineReject) -> TimeText.Read? {
        guard holds(key) else { return nil }
        return try time(slot(key), name)
    }

    func time(_ slot: JSONSlot, _ name: String) throws(LineReject) -> TimeText.Read {
        guard slot.kind == .string else {
            throw LineReject(
                .type, field: name, detail: "\(name) is a string such as \(TimeText.example)")
        }
        let read =
            slot.escaped
            ? .failure(.form)
            : TimeText.read(
                raw(slot), strictly: limits.refusesNonsense)
        switch read {
        case .success(let read): return read
        case .failure(let flaw):
            let shown = String(JSONText.decode(bytes, slot).prefix(40))
            let why =
                switch flaw {
                case .form: "\(shown) is no RFC 3339 time such as \(TimeText.example)"
                case .leapSecond:
                    "\(shown) has a 60th second, which only the last minute of a day of UTC can have"
                case .offset:
                    "the offset of \(shown) is shown by no clock: they go from -12:00 to +14:00"
                }
            throw LineReject(
                .time, field: name, detail: why,
                suggest: flaw == .form ? TimeText.meant(shown).map { [$0] } ?? [] : [])
        }
    }

    /// What a day alone stands for.
    enum Day {
        case begins, ends
    }

    /// A time of a plan or a closure, read as UTC where it has no offset; `civil` and `days` take down
    /// what it did not say. nil where it is absent.
    func instant(
        _ key: FeedKey, _ name: String, day: Day? = nil, _ field: ShipmentPlan.CivilFields,
        _ civil: inout ShipmentPlan.CivilFields, _ days: inout ShipmentPlan.CivilFields
    ) throws(LineReject) -> Instant? {
        guard let read = try time(key, name) else { return nil }
        if read.offsetMinutes == nil { civil.insert(field) }
        guard read.isDateOnly else { return read.instant }
        guard let day else { throw wantsTimeOfDay(name) }
        days.insert(field)
        return day == .begins
            ? read.instant : Instant(microseconds: read.instant.microseconds + 86_399_000_000)
    }

    func wantsTimeOfDay(_ name: String) -> LineReject {
        LineReject(
            .time, field: name,
            detail: "\(name) is a day alone; it needs the time of day, such as "
                + TimeText.example)
    }

    func integer(_ key: FeedKey, _ name: String) throws(LineReject) -> Int64? {
        guard has(key) else { return nil }
        let slot = slot(key)
        guard slot.kind == .number, let value = Fields.integer(raw(slot)) else {
            throw LineReject(
                .type, field: name, detail: "\(name) is a whole number under 2^63")
        }
        return value
    }

    static func integer(_ raw: UnsafeBufferPointer<UInt8>) -> Int64? {
        var at = 0
        var value: Int64 = 0
        let negative = raw.first == 0x2D
        if negative { at = 1 }
        while at < raw.count {
            guard raw[at] >= 0x30, raw[at] <= 0x39 else { return nil }
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int64(raw[at] - 0x30))
            if over || carry { return nil }
            value = sum
            at += 1
        }
        return negative ? -value : value
    }

    func flag(_ key: FeedKey, _ name: String) throws(LineReject) -> Bool {
        switch slot(key).kind {
        case .absent, .null, .false: return false
        case .true: return true
        default: throw LineReject(.type, field: name, detail: "\(name) is true or false")
        }
    }

    /// A place code: trimmed, in upper case.
    func place(_ slot: JSONSlot, _ name: String) throws(LineReject) -> String {
        let found = Fields.code(try text(slot, name))
        guard !found.isEmpty else {
            throw LineReject(.missing, field: name, detail: "\(name) is empty")
        }
        return found
    }

    /// Trimmed and in upper case; most senders write it so already.
    static func code(_ text: String) -> String {
        var plain = true
        for byte in text.utf8 where byte <= 0x20 || byte >= 0x61 {
            plain = false
            break
        }
        if plain { return text }
        let upper = text.uppercased()
        let trimmed = upper.drop { $0 == " " }
        return String(trimmed.reversed().drop { $0 == " " }.reversed())
    }

    func container(_ slot: JSONSlot, _ name: String) throws(LineReject) -> ContainerNumber {
        guard slot.kind == .string else {
            throw LineReject(
                .type, field: name,
                detail: name == "containers"
                    ? "containers is a list of strings" : "\(name) is a string")
        }
        if raw(slot).isEmpty {
            throw LineReject(.missing, field: name, detail: "\(name) is empty")
        }
        var parsed: Result<ContainerNumber, ContainerNumber.Flaw> = .failure(.form)
        if !slot.escaped { parsed = ContainerNumber.parse(raw(slot)) }
        // Only what is not plain ASCII needs a second look.
        if parsed == .failure(.form) {
            parsed = ContainerNumber.parse(
                ContainerNumber.plain(String(JSONText.decode(bytes, slot).prefix(64))))
        }
        switch parsed {
        case .success(let number): return number
        case .failure(.form):
            let text = String(JSONText.decode(bytes, slot).prefix(64))
            let meant = ContainerNumber.meant(text)
            // A number that looks right is not repeated: what is wrong with it is.
            let detail =
                LookAlike.words(about: ContainerNumber.plain(text)).map { "\($0)" }
                ?? "\(Printable.text(String(text.prefix(40)))) is not four letters (the last U, J, Z, A, B, D, E or K) and "
                + "seven digits"
            throw LineReject(
                .container, field: name, detail: detail,
                suggest: meant.map { [$0.description] } ?? [])
        case .failure(.checkDigit(let expected)):
            let shown = ContainerNumber.plain(
                Fields.code(String(JSONText.decode(bytes, slot).prefix(64))))
            let corrected = ContainerNumber.corrected(shown)
            throw LineReject(
                .checkDigit, field: name, detail: "\(shown) should end in \(expected)",
                suggest: corrected.map { [$0.description] } ?? [])
        }
    }
}
