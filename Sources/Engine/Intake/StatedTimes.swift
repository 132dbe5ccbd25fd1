import Log
import Tracking

/// A version of a plan or a closure, enough to know it again.
struct PlanVersion: Sendable, Equatable {
    var content: UInt64
    /// Which of its times came without an offset; nil: it was taken when that did not count.
    var civil: UInt16?
    /// `.unset`: it did not say.
    var updated: Instant
    /// Of what it means, however that is written; 0: not known.
    var meaning: UInt64 = 0

    init(content: UInt64, civil: UInt16?, updated: Instant) {
        self.content = content
        self.civil = civil
        self.updated = updated
    }

    /// `plan`: with its times on the right clocks.
    init(_ plan: ShipmentPlan, _ network: Network) {
        self.init(plan)
        var hash = StableHasher()
        for container in plan.containers { hash.combine(container.packed) }
        hash.combine(plan.origin.map(network.canonical))
        hash.combine(plan.destination.map(network.canonical))
        hash.combine(UInt64(plan.mode.rawValue))
        for place in plan.via { hash.combine(network.canonical(place)) }
        hash.combine(UInt64(bitPattern: plan.promised?.microseconds ?? -1))
        hash.combine(UInt64(bitPattern: plan.start?.microseconds ?? -1))
        for milestone in plan.milestones {
            hash.combine(network.canonical(milestone.place))
            hash.combine(UInt64(milestone.event.rawValue))
            hash.combine(UInt64(bitPattern: milestone.time?.microseconds ?? -1))
            if let minutes = milestone.minutes { hash.combine(UInt64(minutes) | 1 << 62) }
            hash.combine(milestone.id)
            hash.combine(milestone.container?.packed ?? 0)
            for earlier in milestone.after ?? ["\u{1F}"] { hash.combine(earlier) }
        }
        meaning = hash.identity().low | 1
    }

    init(_ plan: ShipmentPlan) {
        var hash = StableHasher()
        hash.combine(UInt64(plan.civil.rawValue))
        var any = !plan.civil.isEmpty
        for (index, milestone) in plan.milestones.enumerated() where milestone.isCivil {
            hash.combine(UInt64(index))
            any = true
        }
        self.init(
            content: plan.content,
            civil: any ? UInt16(truncatingIfNeeded: hash.identity().low) | 1 : 0,
            updated: plan.updated ?? .unset)
    }

    init(_ closure: Closure) {
        self.init(
            content: closure.content, civil: UInt16(closure.civil.rawValue),
            updated: closure.updated ?? .unset)
    }

    func isSame(as other: PlanVersion) -> Bool {
        guard updated == other.updated else { return false }
        if meaning != 0, meaning == other.meaning { return true }
        return content == other.content
            && (civil == nil || other.civil == nil || civil == other.civil)
    }
}

/// How a plan's or a closure's line was read, kept beside the line: on whose clock its times are was
/// decided when it came, and stands.
struct LineReading: Sendable, Equatable {
    /// Minutes east of UTC for each time that came without an offset, in the order of
    /// `StatedTimes`.
    var offsets: [Int16] = []
    var flags: EventFlags = []
    /// Taken when only content told versions apart.
    var isOld = false
    /// Versions before the one in force, the latest last.
    var earlier: [PlanVersion] = []
    /// Of a plan that was sent again with other times, beside its milestones.
    var restated: [Restated] = []
    /// What earlier versions stated.
    var versions: [StatedVersion] = []
    /// The line took the plan back, which led through these.
    var isRetraction = false
    var concerned: [String] = []
    /// Of a plan that was sent again with only what is still ahead: what is behind it, and its beginning.
    var kept: [StatedMilestone] = []
    var keptStart = Instant.unset

    func encoded() -> [UInt8] {
        var out = TaggedEncoder()
        out.list(1, offsets.map { Int64($0) })
        out.unsigned(2, flags.rawValue)
        out.flag(3, isOld)
        for version in earlier {
            out.message(4) { out in
                out.fixed(1, version.content)
                out.signed(2, version.civil.map { Int64($0) } ?? -1)
                out.instant(3, version.updated)
                out.fixed(4, version.meaning)
            }
        }
        for known in restated {
            out.message(5) { out in
                out.instant(1, known.statedAt)
                out.instant(2, known.claimedAt)
                out.double(3, known.minutes, default: .nan)
                guard let held = known.held else { return }
                out.instant(4, held.planned)
                out.double(5, held.minutes, default: .nan)
                out.instant(6, held.began)
            }
        }
        for milestone in kept { out.message(6) { LineReading.encode(milestone, &$0) } }
        out.instant(7, keptStart)
        for version in versions {
            out.message(8) { out in
                out.instant(1, version.at)
                out.instant(2, version.start)
                for milestone in version.milestones {
                    out.message(3) { LineReading.encode(milestone, &$0) }
                }
            }
        }
        out.flag(9, isRetraction)
        for place in concerned { out.text(10, place) }
        return [LineReading.format] + out.bytes
    }

    static let format: UInt8 = 1

    /// nothing: a line of before there were readings.
    init(_ bytes: [UInt8]) throws(CodingFlaw) {
        guard let found = bytes.first else {
            isOld = true
            return
        }
        try FormatVersion.check(
            found, "the reading of a line", oldest: 1, newest: LineReading.format)
        var reader = TaggedReader(Array(bytes.dropFirst()))
        while let field = try reader.next() {
            switch field.number {
            case 1: offsets = try reader.list(field).map { Int16(clamping: $0) }
            case 2: flags = EventFlags(rawValue: try reader.clamped(field))
            case 3: isOld = try reader.flag(field)
            case 4: earlier.append(try LineReading.version(try reader.message(field)))
            case 6: kept.append(try LineReading.milestone(try reader.message(field)))
            case 7: keptStart = try reader.instant(field)
            case 8: versions.append(try LineReading.stated(try reader.message(field)))
            case 9: isRetraction = try reader.flag(field)
            case 10: concerned.append(try reader.text(field))
            case 5: restated.append(try LineReading.restated(try reader.message(field)))
            default: try reader.skip(field)
            }
        }
    }

    init() {}

    private static func encode(_ milestone: StatedMilestone, _ out: inout TaggedEncoder) {
        out.text(1, milestone.place)
        out.code(2, milestone.event)
        out.instant(3, milestone.time)
        out.signed(4, milestone.minutes, default: -1)
    }

    private static func milestone(_ fields: TaggedReader) throws(CodingFlaw) -> StatedMilestone {
        var reader = fields
        var milestone = StatedMilestone(place: "", event: .arri, time: .unset, minutes: -1)
        while let field = try reader.next() {
            switch field.number {
            case 1: milestone.place = try reader.text(field)
            case 2: milestone.event = try reader.code(field)
            case 3: milestone.time = try reader.instant(field)
            case 4: milestone.minutes = Int32(clamping: try reader.signed(field))
            default: try reader.skip(field)
            }
        }
        return milestone
    }

    private static func stated(_ fields: TaggedReader) throws(CodingFlaw) -> StatedVersion {
        var reader = fields
        var version = StatedVersion(at: .unset, start: .unset, milestones: [])
        while let field = try reader.next() {
            switch field.number {
            case 1: version.at = try reader.instant(field)
            case 2: version.start = try reader.instant(field)
            case 3: version.milestones.append(try milestone(try reader.message(field)))
            default: try reader.skip(field)
            }
        }
        return version
    }

    private static func restated(_ fields: TaggedReader) throws(CodingFlaw) -> Restated {
        var reader = fields
        var known = Restated()
        var held = Restated.Held(planned: .unset, minutes: .nan, began: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: known.statedAt = try reader.instant(field)
            case 2: known.claimedAt = try reader.instant(field)
            case 3: known.minutes = try reader.double(field)
            case 4: held.planned = try reader.instant(field)
            case 5: held.minutes = try reader.double(field)
            case 6: held.began = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        if held.planned != .unset { known.held = held }
        return known
    }

    private static func version(_ fields: TaggedReader) throws(CodingFlaw) -> PlanVersion {
        var reader = fields
        var version = PlanVersion(content: 0, civil: 0, updated: .unset)
        while let field = try reader.next() {
            switch field.number {
            case 1: version.content = try reader.fixed(field)
            case 2: version.civil = UInt16(exactly: try reader.signed(field))
            case 3: version.updated = try reader.instant(field)
            case 4: version.meaning = try reader.fixed(field)
            default: try reader.skip(field)
            }
        }
        return version
    }
}

/// Goes over the times of a plan or a closure that came without an offset, always in the same order.
enum StatedTimes {
    /// `at`: the place whose clock is meant, where the sender has none.
    typealias Visit = (_ civil: Instant, _ field: String, _ at: String?) -> Instant

    static func visit(_ plan: inout ShipmentPlan, _ visit: Visit) {
        let first = plan.origin ?? plan.milestones.first?.place
        let last = plan.destination ?? plan.milestones.last?.place
        if plan.civil.contains(.promised), let time = plan.promised {
            plan.promised = visit(time, "promised", last)
        }
        if plan.civil.contains(.start), let time = plan.start {
            plan.start = visit(time, "start", first)
        }
        if plan.civil.contains(.updated), let time = plan.updated {
            plan.updated = visit(time, "updated", first)
        }
        for at in plan.milestones.indices where plan.milestones[at].isCivil {
            if let time = plan.milestones[at].time {
                plan.milestones[at].time = visit(time, "milestones", plan.milestones[at].place)
            }
        }
    }

    static func visit(_ closure: inout Closure, _ visit: Visit) {
        if closure.civil.contains(.from), closure.from != .unset {
            closure.from = visit(closure.from, "from", closure.place)
        }
        if closure.civil.contains(.until), let time = closure.until {
            closure.until = visit(time, "until", closure.place)
        }
        if closure.civil.contains(.updated), let time = closure.updated {
            closure.updated = visit(time, "updated", closure.place)
        }
    }
}

extension StatedTimes {
    /// A day alone, which is read as its noon, is not after what follows on that day, nor before what comes before it;
    /// that may be of the same day on another clock.
    static func settleDays(_ plan: inout ShipmentPlan) {
        guard plan.milestones.contains(where: \.isDay) else { return }
        var next: Instant?
        for at in plan.milestones.indices.reversed() {
            guard let noon = plan.milestones[at].time else { continue }
            if !plan.milestones[at].isDay {
                next = noon
            } else if let next, next < noon, noon.minutes(since: next) <= 720 {
                plan.milestones[at].time = next
            }
        }
        // What waits for something else than the one before it has its own order.
        let isChain = plan.milestones.allSatisfy { $0.container == nil && $0.after == nil }
        var before: Instant?
        for at in plan.milestones.indices {
            guard let time = plan.milestones[at].time else { continue }
            if plan.milestones[at].isDay, isChain, let before, time < before,
                before.minutes(since: time) < 2_160
            {
                plan.milestones[at].time = before
            }
            before = plan.milestones[at].time
        }
    }
}

/// One time that was read on an assumed clock.
struct AssumedTime {
    var field: String
    var clock: AssumedClock
    var instant: Instant
    var flags: EventFlags
}

extension Engine {
    /// A plan with its times on the right clocks, how it was read, and what was assumed.
    func timed(
        _ plan: ShipmentPlan, _ chunk: FeedChunk
    ) -> (plan: ShipmentPlan, reading: LineReading, assumed: [AssumedTime]) {
        var plan = plan
        var (reading, assumed) = (LineReading(), [AssumedTime]())
        reading.isOld = chunk.meaning < .meant
        StatedTimes.visit(&plan) { read($0, $1, $2, chunk, &reading, &assumed) }
        StatedTimes.settleDays(&plan)
        plan.flags = reading.flags
        // Until then it was a key that nobody knew.
        reading.isRetraction = plan.retract && chunk.meaning >= .retractable
        retract(&plan, reading)
        return (plan, reading, assumed)
    }

    func timed(
        _ closure: Closure, _ chunk: FeedChunk
    ) -> (closure: Closure, reading: LineReading, assumed: [AssumedTime]) {
        var closure = closure
        var (reading, assumed) = (LineReading(), [AssumedTime]())
        reading.isOld = chunk.meaning < .meant
        // One that is taken back need not say where.
        if chunk.meaning >= .retractable, closure.place.isEmpty,
            let known = closureBook.closures[closure.id]?.closure.place, !known.isEmpty
        {
            closure.place = known
            reading.concerned = [known]
        }
        StatedTimes.visit(&closure) { read($0, $1, $2, chunk, &reading, &assumed) }
        return (closure, reading, assumed)
    }

    private func read(
        _ civil: Instant, _ field: String, _ place: String?, _ chunk: FeedChunk,
        _ reading: inout LineReading, _ assumed: inout [AssumedTime]
    ) -> Instant {
        let clock = clock(of: chunk.origin.post, at: place)
        let (instant, flags) = clock.instant(civil)
        reading.offsets.append(Int16(clamping: Int(civil.minutes(since: instant).rounded())))
        reading.flags.formUnion(flags)
        assumed.append(AssumedTime(field: field, clock: clock, instant: instant, flags: flags))
        return instant
    }

    /// A plan as it was read when it came. One of before that was kept is read as one would be now.
    func reread(_ plan: ShipmentPlan, _ reading: LineReading) -> ShipmentPlan {
        var plan = plan
        var left = reading.offsets[...]
        StatedTimes.visit(&plan) { civil, _, place in
            if let offset = left.popFirst() { return civil.advanced(minutes: -Double(offset)) }
            return clock(of: "", at: place).instant(civil).instant
        }
        StatedTimes.settleDays(&plan)
        plan.flags = reading.flags
        retract(&plan, reading)
        return plan
    }

    /// A plan that is taken back concerns no container and expects nothing.
    private func retract(_ plan: inout ShipmentPlan, _ reading: LineReading) {
        plan.retract = reading.isRetraction
        guard plan.retract else { return }
        plan.containers = []
        plan.milestones = []
        var hash = StableHasher()
        hash.combine(plan.content)
        hash.combine(1)
        plan.content = hash.identity().low
    }

    func reread(_ closure: Closure, _ reading: LineReading) -> Closure {
        var closure = closure
        if closure.place.isEmpty { closure.place = reading.concerned.first ?? "" }
        var left = reading.offsets[...]
        StatedTimes.visit(&closure) { civil, _, place in
            if let offset = left.popFirst() { return civil.advanced(minutes: -Double(offset)) }
            return clock(of: "", at: place).instant(civil).instant
        }
        return closure
    }
}
