import Tracking

/// Reads checkpoint events and closures from a line's fields.
struct EventReader {
    let fields: Fields

    init(_ fields: Fields) { self.fields = fields }

    func event() throws(LineReject) -> TrackingEvent {
        guard fields.has(.container) else {
            throw fields.missing("container")
        }
        let container = try fields.container(fields.slot(.container), "container")
        let retract = try fields.flag(.retract, "retract")
        let id = try fields.text(.id, "id").flatMap { $0.isEmpty ? nil : $0 }
        if retract, id == nil {
            throw LineReject(.missing, field: "id", detail: "a retraction names the event's id")
        }
        let code = try eventCode(optional: retract)
        var place = ""
        if fields.has(.place) {
            place = try fields.place(fields.slot(.place), "place")
        } else if !retract {
            throw fields.missing("place")
        }
        let time = try fields.time(.time, "time")
        if time == nil, !retract {
            throw fields.missing("time")
        }
        var event = TrackingEvent(
            container: container, identity: Identity(high: 0, low: 0), content: 0, id: id,
            code: code ?? .insp, eventClass: try eventClass(), mode: try mode(), place: place,
            time: time?.instant ?? .unset, offsetMinutes: time == nil ? 0 : time?.offsetMinutes,
            shipment: try fields.text(.shipment, "shipment").flatMap { $0.isEmpty ? nil : $0 },
            reason: try fields.text(.reason, "reason"), seq: try fields.integer(.seq, "seq"),
            retract: retract)
        event.hasCode = code != nil
        event.source = try fields.text(.source, "source").flatMap { $0.isEmpty ? nil : $0 }
        if time?.isDateOnly == true { event.flags.insert(.dateOnly) }
        if let updated = try fields.time(.updated, "updated") {
            if updated.isDateOnly { throw fields.wantsTimeOfDay("updated") }
            event.updated = updated.instant
            event.isUpdatedCivil = updated.offsetMinutes == nil
        }
        if fields.holds(.was) { event.was = try was(event) }
        if !fields.unknownKeys.isEmpty || fields.hasOtherThanEvents {
            event.unknownKeys = fields.unknownKeys(besides: EventReader.keys)
            if !event.unknownKeys.isEmpty { event.flags.insert(.keyUnknown) }
        }
        try identify(&event)
        return event
    }

    static let keys: Set<FeedKey> = [
        .container, .event, .place, .time, .id, .seq, .class, .mode, .vehicle, .seals, .shipment,
        .reason, .remark, .updated, .retract, .source, .was,
    ]

    static let closureKeys: Set<FeedKey> = [
        .closure, .place, .mode, .from, .until, .reason, .updated, .retract, .seq, .source, .id,
        .remark,
    ]

    /// The container that an earlier version named, where this one moves the event from there to here.
    private func was(_ event: TrackingEvent) throws(LineReject) -> ContainerNumber? {
        let was = try fields.container(fields.slot(.was), "was")
        guard event.id != nil else {
            throw LineReject(
                .missing, field: "id",
                detail: "was moves an event to another container: it names the event's id")
        }
        guard event.updated != nil else {
            throw LineReject(
                .missing, field: "updated",
                detail: "was moves an event to another container: it needs updated, the time of "
                    + "the correction")
        }
        guard was != event.container else {
            throw LineReject(
                .type, field: "was",
                detail: "was is the container that was named wrongly, and "
                    + "this line still names it")
        }
        return was
    }

    /// Identity of the `id`, else of the content; the content is everything but `id`, `seq` and
    /// `updated`, in a fixed order, so that key order and spacing do not count.
    private func identify(_ event: inout TrackingEvent) throws(LineReject) {
        var hash = StableHasher()
        hash.combine(event.container.packed)
        hash.combine(
            UInt64(event.code.rawValue) | UInt64(event.eventClass.rawValue) << 8
                | UInt64(event.mode.rawValue) << 16 | (event.retract ? 1 << 24 : 0)
                | (event.offsetMinutes == nil ? 1 << 25 : 0))
        hash.combine(event.place)
        hash.combine(UInt64(bitPattern: event.time.microseconds))
        hash.combine(event.shipment)
        hash.combine(event.reason)
        let vehicle = try fields.text(.vehicle, "vehicle")
        hash.combine(vehicle)
        hash.combine(try remark())
        let seals = try seals()
        hash.combine(seals)
        event.vehicle = SealHash.of(vehicle.map { [$0] } ?? [])
        event.seals = SealHash.of(seals?.split(separator: "\u{1F}").map(String.init) ?? [])
        // What lines could not always say counts only where it is said, so that older lines stay known.
        if event.flags.contains(.dateOnly) { hash.combine("day") }
        if let source = event.source { hash.combine("source\u{1F}\(source)") }
        if let was = event.was { hash.combine(was.packed) }
        let content = hash.identity()
        event.content = content.low
        guard let id = event.id else {
            event.identity = content
            return
        }
        var named = StableHasher()
        named.combine(id)
        event.identity = named.identity()
    }

    /// Free text may be as long as the line.
    private func remark() throws(LineReject) -> String? {
        guard fields.has(.remark) else { return nil }
        let slot = fields.slot(.remark)
        guard slot.kind == .string else {
            throw LineReject(.type, field: "remark", detail: "remark is a string")
        }
        return JSONText.decode(fields.bytes, slot)
    }

    private func seals() throws(LineReject) -> String? {
        guard fields.has(.seals) else { return nil }
        let slot = fields.slot(.seals)
        guard slot.kind == .array else {
            throw LineReject(.type, field: "seals", detail: "seals is a list of strings")
        }
        var joined = ""
        var scanner = JSONScanner(fields.bytes, slot.range)
        try scanner.array { (element) throws(LineReject) in
            guard element.kind == .string else {
                throw LineReject(.type, field: "seals", detail: "seals is a list of strings")
            }
            joined += try fields.text(element, "seals") + "\u{1F}"
        }
        return joined
    }

    func eventCode(optional: Bool) throws(LineReject) -> EventCode? {
        guard fields.has(.event) else {
            if optional { return nil }
            throw fields.missing("event")
        }
        let slot = fields.slot(.event)
        if slot.kind == .string, !slot.escaped, slot.end - slot.start == 4,
            let code = EventCodes.quick(fields.raw(slot))
        {
            return code
        }
        let text = Fields.code(try fields.text(slot, "event"))
        if let code = EventCodes.named[text] { return code }
        let latin = LookAlike.latin(text)
        let near = EventCodes.meant(latin).map { [$0] } ?? EventCodes.near(latin)
        let why = LookAlike.words(about: text).map { ": \($0)" } ?? ""
        let hint = near.isEmpty ? "" : "; is \(near.map(\.prompt).joined(separator: " or ")) meant?"
        throw LineReject(
            .event, field: "event",
            detail: "\(text.prefix(40)) is no DCSA event code\(why)\(hint)",
            suggest: near.map(\.code))
    }

    private func eventClass() throws(LineReject) -> EventClass {
        guard let text = try fields.text(.class, "class"), !text.isEmpty else { return .act }
        switch text {
        case "ACT": return .act
        case "EST": return .est
        case "PLN": return .pln
        default: break
        }
        switch Fields.code(text) {
        case "ACT", "ACTUAL": return .act
        case "EST", "ESTIMATED": return .est
        case "PLN", "PLANNED": return .pln
        default:
            let why = LookAlike.words(about: text).map { ": \($0)" } ?? ""
            throw LineReject(
                .type, field: "class",
                detail: "class is ACT (ACTUAL), EST (ESTIMATED) or PLN (PLANNED)\(why)")
        }
    }

    func mode() throws(LineReject) -> TransportMode {
        guard let text = try fields.text(.mode, "mode"), !text.isEmpty else { return .unknown }
        guard let mode = TransportMode(code: Fields.code(text)) else {
            let why = LookAlike.words(about: text).map { ": \($0)" } ?? ""
            throw LineReject(
                .type, field: "mode", detail: "mode is RAIL, ROAD, SEA, BARGE or AIR\(why)")
        }
        return mode
    }

    func closure() throws(LineReject) -> Closure {
        let id = try fields.required(.closure, "closure")
        let retract = try fields.flag(.retract, "retract")
        guard fields.has(.place) || retract else {
            throw LineReject(.missing, field: "place", detail: "place is missing")
        }
        var civil: ShipmentPlan.CivilFields = []
        var days: ShipmentPlan.CivilFields = []
        let from = try fields.instant(.from, "from", day: .begins, .from, &civil, &days)
        guard from != nil || retract else {
            throw LineReject(.missing, field: "from", detail: "from is missing")
        }
        let until = try fields.instant(.until, "until", day: .ends, .until, &civil, &days)
        let updated = try fields.instant(.updated, "updated", .updated, &civil, &days)
        var closure = Closure(
            id: id, place: fields.has(.place) ? try fields.place(fields.slot(.place), "place") : "",
            mode: try mode(),
            from: from ?? .unset, until: until, reason: try fields.text(.reason, "reason"),
            updated: updated, retract: retract, seq: try fields.integer(.seq, "seq"))
        closure.civil = civil
        closure.days = days
        closure.unknownKeys = fields.unknownKeys(besides: EventReader.closureKeys)
        var hash = StableHasher()
        hash.combine(closure.place)
        hash.combine(UInt64(closure.mode.rawValue) | (retract ? 256 : 0))
        hash.combine(UInt64(bitPattern: closure.from.microseconds))
        hash.combine(UInt64(bitPattern: until?.microseconds ?? -1))
        hash.combine(closure.reason)
        closure.content = hash.identity().low
        return closure
    }
}

/// Codes and their synonyms.
enum EventCodes {
    static let named: [String: EventCode] = {
        var table: [String: EventCode] = [:]
        for code in EventCode.allCases {
            table[code.code] = code
            table[code.word] = code
        }
        let others: [(String, EventCode)] = [
            ("PICKUP", .pick), ("PICK_UP", .pick), ("DROPOFF", .drop), ("DROP_OFF", .drop),
            ("REMOVED", .rmvd), ("SEALED", .rsea), ("BORDER_CROSSED", .cros),
            ("CUSTOMS_SCAN", .cuss), ("CUSTOMS_INSPECTION", .cusi), ("UNLOADED", .disc),
        ]
        for (word, code) in others { table[word] = code }
        return table
    }()

    private static let packed: [UInt32: EventCode] = {
        var table: [UInt32: EventCode] = [:]
        for code in EventCode.allCases { table[pack(Array(code.code.utf8))] = code }
        return table
    }()

    private static func pack(_ bytes: some Collection<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Four letters in upper case, as nearly all lines have them.
    static func quick(_ bytes: UnsafeBufferPointer<UInt8>) -> EventCode? {
        guard bytes.count == 4 else { return nil }
        return packed[
            UInt32(bytes[0]) << 24 | UInt32(bytes[1]) << 16 | UInt32(bytes[2]) << 8
                | UInt32(bytes[3])]
    }

    /// What is meant by words that are no code, but stand for one; other separators do not count.
    static func meant(_ text: String) -> EventCode? {
        let word = String(text.map { $0 == " " || $0 == "-" ? "_" : $0 })
        if let code = named[word] { return code }
        let words: [String: EventCode] = [
            "ARRIVAL": .arri, "ARRIVE": .arri, "DEPARTURE": .depa, "DEPART": .depa, "LEFT": .depa,
            "GATE_IN": .gtin, "GATEIN": .gtin, "IN": .gtin, "GATE_OUT": .gtot, "GATEOUT": .gtot,
            "OUT": .gtot, "LOADING": .load, "DISCHARGE": .disc, "UNLOAD": .disc,
            "UNLOADING": .disc, "CROSSING": .cros, "BORDER": .cros, "SCAN": .cuss,
            "SCANNED": .cuss, "INSPECTION": .insp, "INSPECT": .insp, "CUSTOMS_RELEASE": .cusr,
            "RELEASED": .cusr, "RELEASE": .cusr, "CLEARED": .cusr, "SEAL": .rsea,
            "UNSEALED": .rmvd, "STUFFING": .stuf, "STRIPPING": .strp, "UNSTUFFED": .strp,
        ]
        return words[word]
    }

    /// Codes that are a slip of the finger away.
    static func near(_ text: String) -> [EventCode] {
        let typed = Array(text.utf8)
        return EventCode.allCases.filter { code in
            let wanted = Array(code.code.utf8)
            if typed.count == 4 {
                let wrong = zip(typed, wanted).filter { $0 != $1 }.count
                return wrong == 1 || typed.sorted() == wanted.sorted()
            }
            return Slips.between(text, code.code, atMost: 1) != nil
        }
    }
}

/// Reads shipment plans.
struct PlanReader {
    let fields: Fields

    init(_ fields: Fields) { self.fields = fields }

    func read() throws(LineReject) -> ShipmentPlan {
        var civil: ShipmentPlan.CivilFields = []
        var days: ShipmentPlan.CivilFields = []
        let shipment = try fields.required(.plan, "plan")
        let retract = try retraction()
        let containers = try containers(optional: retract)
        var inner: [String] = []
        var plan = ShipmentPlan(
            shipment: shipment, containers: containers,
            origin: try optionalPlace(.from, "from"),
            destination: try optionalPlace(.to, "to"), mode: try EventReader(fields).mode(),
            via: try via(),
            promised: try fields.instant(
                .promised, "promised", day: .ends, .promised, &civil, &days),
            start: try fields.instant(.start, "start", day: .begins, .start, &civil, &days),
            milestones: try milestones(&inner),
            updated: try fields.instant(.updated, "updated", .updated, &civil, &days),
            seq: try fields.integer(.seq, "seq"))
        plan.retract = retract
        plan.civil = civil
        plan.days = days
        if plan.milestones.contains(where: \.isDay) { plan.days.insert(.milestones) }
        plan.unknownKeys = fields.unknownKeys(besides: PlanReader.keys) + inner
        plan.content = content(plan)
        let work = plan.containers.count.multipliedReportingOverflow(by: plan.estimatedMilestones)
        guard !work.overflow, work.partialValue <= fields.limits.maxWork else {
            throw LineReject(
                .limit, field: plan.milestones.isEmpty ? "containers" : "milestones",
                detail: "\(plan.containers.count) containers times \(plan.estimatedMilestones) "
                    + "milestones are more than \(fields.limits.maxWork) (feed.max-plan-work): "
                    + "state the containers in several plans")
        }
        return plan
    }

    static let keys: Set<FeedKey> = [
        .plan, .containers, .from, .to, .via, .mode, .promised, .milestones, .start, .updated, .seq,
        .source, .id, .remark, .retract,
    ]

    static let milestoneKeys: Set<FeedKey> = [
        .place, .event, .time, .minutes, .id, .container,
    ]

    /// Minutes that a step may be planned to last: a year.
    static let mostMinutes: Int64 = 527_040

    private func optionalPlace(_ key: FeedKey, _ name: String) throws(LineReject) -> String? {
        guard fields.has(key) else { return nil }
        return try fields.place(fields.slot(key), name)
    }

    /// A log of before it was read holds it as whatever it was.
    private func retraction() throws(LineReject) -> Bool {
        guard fields.limits.refusesNonsense else { return fields.slot(.retract).kind == .true }
        return try fields.flag(.retract, "retract")
    }

    /// `optional`: what is taken back need not say of which containers.
    private func containers(optional: Bool) throws(LineReject) -> [ContainerNumber] {
        guard fields.has(.containers) else {
            if optional { return [] }
            throw fields.missing("containers", on: .plan)
        }
        var found: [ContainerNumber] = []
        var seen: Set<ContainerNumber> = []
        try fields.each(.containers, "containers", most: fields.limits.maxContainers) {
            (slot) throws(LineReject) in
            let number = try fields.container(slot, "containers")
            if seen.insert(number).inserted { found.append(number) }
        }
        if found.isEmpty, !optional {
            throw LineReject(
                .missing, field: "containers",
                detail: "a plan names a container; \"retract\":true takes a plan back")
        }
        return found
    }

    private func via() throws(LineReject) -> [String] {
        var found: [String] = []
        try fields.each(.via, "via", most: fields.limits.maxMilestones) {
            (slot) throws(LineReject) in
            found.append(try fields.place(slot, "via"))
        }
        return found
    }

    /// `unknown`: keys that no milestone has.
    private func milestones(
        _ unknown: inout [String]
    ) throws(LineReject) -> [PlannedMilestone] {
        var others: Set<String> = []
        var found: [PlannedMilestone] = []
        var ids: Set<String> = []
        try fields.each(.milestones, "milestones", most: fields.limits.maxMilestones) {
            (slot) throws(LineReject) in
            let next = try milestone(slot, &others)
            if let id = next.id, !ids.insert(id).inserted {
                throw LineReject(.type, field: "id", detail: "two milestones have id \(id)")
            }
            found.append(next)
        }
        for earlier in found.flatMap({ $0.after ?? [] }) where !ids.contains(earlier) {
            throw LineReject(
                .type, field: "after", detail: "no milestone of this plan has id \(earlier)")
        }
        guard JoinGraph.isSound(found) else {
            throw LineReject(
                .type, field: "after", detail: "some milestones wait for each other in a ring")
        }
        unknown += others.sorted()
        return found
    }

    private func milestone(
        _ slot: JSONSlot, _ others: inout Set<String>
    ) throws(LineReject) -> PlannedMilestone {
        guard slot.kind == .object else {
            throw LineReject(.type, field: "milestones", detail: "a milestone is an object")
        }
        var inner = Fields(bytes: fields.bytes, limits: fields.limits)
        var afterSlot = JSONSlot()
        var scanner = JSONScanner(fields.bytes, slot.range)
        try scanner.object(depth: 2) { (key, value) throws(LineReject) in
            if !key.escaped, let name = FeedKey.named(fields.bytes, key.range) {
                try inner.set(name, value)
            } else if JSONText.decode(fields.bytes, key) == "after" {
                afterSlot = value
            } else {
                inner.unknownKeys.append(
                    String(JSONText.decode(fields.bytes, key).prefix(Fields.longestKey)))
            }
        }
        for key in inner.unknownKeys(besides: PlanReader.milestoneKeys) {
            others.insert("milestones.\(key)")
        }
        guard inner.has(.place) else {
            throw LineReject(.missing, field: "place", detail: "a milestone names its place")
        }
        let single = EventReader(inner)
        let event = try single.requiredCode()
        let time = try inner.time(.time, "time")
        var planned = PlannedMilestone(
            place: try inner.place(inner.slot(.place), "place"), event: event,
            time: time?.instant, id: try inner.text(.id, "id"))
        planned.isCivil = time != nil && time?.offsetMinutes == nil
        planned.isDay = time?.isDateOnly == true
        // About the middle of it; what else is of that day is seen to once the clocks are known.
        if planned.isDay { planned.time = planned.time?.advanced(minutes: 720) }
        planned.minutes = try minutes(inner, of: planned)
        if inner.has(.container) {
            planned.container = try inner.container(inner.slot(.container), "container")
        }
        if afterSlot.kind == .array {
            var list = JSONScanner(fields.bytes, afterSlot.range)
            var after: [String] = []
            try list.array { (value) throws(LineReject) in
                after.append(try inner.text(value, "after"))
            }
            planned.after = after
        } else if afterSlot.kind != .absent, afterSlot.kind != .null {
            throw LineReject(.type, field: "after", detail: "after is a list of milestone ids")
        }
        return planned
    }

    /// A log that was written before milestones had minutes may hold anything under that name.
    private func minutes(
        _ inner: Fields, of milestone: PlannedMilestone
    ) throws(LineReject) -> Int? {
        guard inner.has(.minutes) else { return nil }
        let stated = try? inner.integer(.minutes, "minutes")
        if let stated, (0...PlanReader.mostMinutes).contains(stated) { return Int(stated) }
        guard fields.limits.refusesNonsense else { return nil }
        throw LineReject(
            .type, field: "minutes",
            detail: "minutes of \(milestone.event.code) \(milestone.place) is how long that is "
                + "planned to take after what it waits for: a whole number from 0 to "
                + "\(PlanReader.mostMinutes)")
    }

    private func content(_ plan: ShipmentPlan) -> UInt64 {
        var hash = StableHasher()
        for container in plan.containers { hash.combine(container.packed) }
        hash.combine(plan.origin)
        hash.combine(plan.destination)
        hash.combine(UInt64(plan.mode.rawValue))
        for place in plan.via { hash.combine(place) }
        hash.combine(UInt64(bitPattern: plan.promised?.microseconds ?? -1))
        hash.combine(UInt64(bitPattern: plan.start?.microseconds ?? -1))
        for milestone in plan.milestones {
            hash.combine(milestone.place)
            hash.combine(UInt64(milestone.event.rawValue))
            hash.combine(UInt64(bitPattern: milestone.time?.microseconds ?? -1))
            if let minutes = milestone.minutes { hash.combine(UInt64(minutes) | 1 << 62) }
            hash.combine(milestone.id)
            hash.combine(milestone.container?.packed ?? 0)
            if let after = milestone.after {
                hash.combine(UInt64(after.count) + 1)
                for earlier in after { hash.combine(earlier) }
            }
        }
        return hash.identity().low
    }
}

extension EventReader {
    func requiredCode() throws(LineReject) -> EventCode {
        guard let code = try eventCode(optional: false) else {
            throw fields.missing("event")
        }
        return code
    }
}

extension EventCode {
    /// `GTIN (GATED_IN)`
    var prompt: String { "\(code) (\(word))" }
}
