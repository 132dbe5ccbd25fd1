import Log
import Tracking
import Wire

/// What an event means once its place, its zone and its sender are known.
struct ReadLine {
    var event: TrackingEvent
    /// Canonical id; "" where a retraction names none.
    var place: String
    /// Its index in the network.
    var known: Int?
    var flags: EventFlags
    /// Its version time, where that came without an offset.
    var updated: [AssumedTime] = []
}

/// A time that came without an offset: on whose clock it is read.
struct AssumedClock {
    var zone: ZoneRule
    /// Whose clock that is, for people.
    var whose: String
    /// Nobody knows the zone: UTC stands in for it.
    var isUnknown = false

    /// The instant at which that clock shows a civil time (which came as if it were UTC).
    func instant(_ civil: Instant) -> (instant: Instant, flags: EventFlags) {
        let (instant, showing) = zone.reading(CivilTime(civil))
        var flags: EventFlags = isUnknown ? [.offsetAssumed, .zoneUnknown] : .offsetAssumed
        switch showing {
        case .once: break
        case .twice: flags.insert(.repeatedHour)
        case .never: flags.insert(.missingHour)
        }
        return (instant, flags)
    }
}

/// What lines leave open is assumed, in one way for all of them.
extension Engine {
    /// The clock of the post where it has one, else of the place.
    func clock(of post: String, at place: String?) -> AssumedClock {
        if let zone = intake.roster[post]?.zone {
            return AssumedClock(zone: zone, whose: "post \(post)")
        }
        if let place, let known = network.place(meant: place) {
            return AssumedClock(
                zone: network.places[known].zone, whose: network.places[known].name)
        }
        return AssumedClock(zone: .utc, whose: place ?? "", isUnknown: true)
    }

    /// An event with its place found and its times on the right clock.
    mutating func read(_ event: TrackingEvent, _ chunk: FeedChunk) -> ReadLine {
        var event = event
        var flags = event.flags
        let known = event.place.isEmpty ? nil : network.place(meant: event.place)
        let place: String
        if let known {
            place = network.places[known].id
        } else {
            place = event.place.isEmpty ? "" : PlaceSpelling.code(event.place)
            if !event.place.isEmpty, chunk.meaning >= .meant {
                flags.insert(.placeUnknown)
                if !nearPlaces(event.place).isEmpty { flags.insert(.placeNear) }
            }
        }
        if event.offsetMinutes == nil, event.time != .unset {
            let clock = clock(of: event.place.isEmpty ? "" : chunk.origin.post, at: event.place)
            if chunk.meaning >= .meant || !clock.isUnknown {
                let (instant, assumed) = clock.instant(event.time)
                event.time = instant
                if chunk.meaning >= .meant { flags.formUnion(assumed) }
            }
        }
        var read = ReadLine(event: event, place: place, known: known, flags: flags)
        if event.isUpdatedCivil, let updated = event.updated, chunk.meaning >= .meant {
            // A retraction need not say where; the event that it takes back does.
            let place = event.place.isEmpty ? spokenOf(read, chunk) : event.place
            let clock = clock(of: chunk.origin.post, at: place)
            let (instant, assumed) = clock.instant(updated)
            read.event.updated = instant
            read.updated = [
                AssumedTime(field: "updated", clock: clock, instant: instant, flags: assumed)
            ]
        }
        return read
    }

    /// The place of the event that a line without one speaks of.
    private func spokenOf(_ read: ReadLine, _ chunk: FeedChunk) -> String? {
        guard let slot = register.slots[read.event.container] else { return nil }
        let named = identity(of: read, chunk)
        let known = register.records[slot].history.events.first {
            $0.place != 0
                && ($0.identity == named.identity
                    || named.isWhole && $0.flags.contains(.shared)
                        && $0.identity.high == named.identity.high)
        }
        return known.map { register.symbols[$0.place] }
    }

    /// Places that are spelled nearly so. Each spelling is looked up once and kept while they are few:
    /// no state, it follows from the network.
    mutating func nearPlaces(_ text: String) -> [String] {
        if let known = intake.spellings[text] { return known }
        if intake.spellings.count >= Engine.spellingsKept { intake.spellings = [:] }
        let near = network.places(near: text)
        intake.spellings[text] = near
        return near
    }

    private static let spellingsKept = 10_000

    // MARK: Telling

    /// Tells the sender what was assumed of a stored line, once in a batch.
    private func tell(
        _ code: LineNote.Code, _ assumed: String, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft, _ note: () -> LineNote
    ) {
        draft.warned[code, default: 0] += 1
        // Words cost time, and a connection hears no more of them than that.
        guard !chunk.isLogged, reply.warnings.count < Engine.warningsTold,
            draft.told.insert(Told(source: chunk.source, code: code, assumed: assumed)).inserted
        else { return }
        var note = note()
        note.assumed = assumed
        reply.warnings.append(LineWarning(line: line, note: note))
    }

    private static let warningsTold = 100

    mutating func tellAssumptions(
        _ read: ReadLine, _ line: Int, _ chunk: FeedChunk, _ reply: inout SourceReply,
        _ draft: inout Draft
    ) {
        for updated in read.updated {
            tellClock(
                updated.clock, updated.field, updated.instant, updated.flags, line, chunk, &reply,
                &draft)
        }
        // Where the zone is not known, or the hour, neither is whether that lies ahead.
        let hasHappened =
            read.event.eventClass == .act && !read.event.retract && !read.flags.isVague
        tellAhead(hasHappened ? read.event.time : nil, "time", line, chunk, &reply, &draft)
        tellAhead(read.event.updated, "updated", line, chunk, &reply, &draft)
        if read.event.eventClass != .act, !read.event.retract {
            tellFar(
                [("time", read.event.time)], since: read.event.updated ?? draft.now, line, chunk,
                &reply, &draft)
        }
        tellPadded(read.event.shipment, "shipment", line, chunk, &reply, &draft)
        if read.flags.isEmpty { return }
        if read.flags.contains(.placeUnknown) {
            tellPlace(read.event.place, "place", line, chunk, &reply, &draft)
        }
        if read.flags.contains(.dateOnly) {
            tell(.dateOnly, read.place, line, chunk, &reply, &draft) {
                LineNote(
                    .dateOnly, field: "time", assumed: "",
                    detail: "a day without a time: kept as some time of that day at "
                        + "\(name(read.place)), and no duration is learned from it")
            }
        }
        let isPlainDay = read.flags.contains(.dateOnly) && !read.flags.contains(.zoneUnknown)
        if read.flags.contains(.offsetAssumed), !isPlainDay {
            tellClock(
                clock(of: chunk.origin.post, at: read.event.place), "time", read.event.time,
                read.flags, line, chunk, &reply, &draft)
        }
        tellKeys(read.event.unknownKeys, .event, line, chunk, &reply, &draft)
    }

    /// What has happened lies behind; a clock may be wrong by minutes. Nor was a version made hours from now: until
    /// then it shuts out all others.
    func tellAhead(
        _ time: Instant?, _ field: String, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        guard let time, time != .unset else { return }
        let minutes = corrected(time, chunk).minutes(since: draft.now)
        guard minutes > Engine.clockMinutes else { return }
        let far = minutes < 90 ? "\(Int(minutes)) min" : "\(Int((minutes / 60).rounded())) h"
        tell(.timeAhead, "\(field) \(chunk.origin.post)", line, chunk, &reply, &draft) {
            let lies = "\(TimeText.string(time)) lies \(far) ahead of this clock"
            return LineNote(
                .timeAhead, field: field, assumed: "",
                detail: field == "updated"
                    ? "updated \(lies): what is said without a later one does not count until then"
                    : "\(lies), and is said to have happened; is it a local time under another "
                        + "offset, or is class EST meant?")
        }
    }

    private static let clockMinutes = 10.0

    /// Times that nobody plans for: mostly a slip in the year.
    func tellFar(
        _ times: [(field: String, time: Instant?)], since: Instant, _ line: Int,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        for (field, time) in times {
            guard let time, time != .unset else { continue }
            let days = time.minutes(since: since) / 1_440
            guard abs(days) > Engine.farDays else { continue }
            tell(
                .timeFar, "\(field) \(TimeText.string(time).prefix(10))", line, chunk, &reply,
                &draft
            ) {
                LineNote(
                    .timeFar, field: field, assumed: "",
                    detail: "\(TimeText.string(time)) lies \(Int(abs(days))) days "
                        + "\(days < 0 ? "back" : "ahead"); is the year right?")
            }
        }
    }

    private static let farDays = 400.0

    /// Names that a sheet has filled up with spaces are others than those without.
    func tellPadded(
        _ name: String?, _ field: String, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        guard let name, name.first?.isWhitespace == true || name.last?.isWhitespace == true else {
            return
        }
        tell(.namePadded, field, line, chunk, &reply, &draft) {
            LineNote(
                .namePadded, field: field, assumed: "",
                detail: "“\(Printable.text(name))” begins or ends with a space, and is another "
                    + "\(field) than without it")
        }
    }

    /// A version of an event that is older than the one that stands.
    func tellEarlier(
        _ event: TrackingEvent, _ slot: Int, _ identity: Identity, _ line: Int,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        guard
            let standing = register.records[slot].history.events.first(where: {
                $0.identity == identity
            })
        else { return }
        let id = event.id ?? "this event"
        tell(.eventEarlier, chunk.origin.post, line, chunk, &reply, &draft) {
            var detail = "\(id) was stated again meanwhile: a correction carries a later updated"
            if standing.retracted {
                detail =
                    standing.updated == .unset
                    ? "\(id) was taken back for good, without an updated: send what happened under "
                        + "another id"
                    : "\(id) was taken back: send a later updated"
            }
            return LineNote(.eventEarlier, field: "updated", assumed: "", detail: detail)
        }
    }

    /// Milestones of boxes that the plan does not name.
    func tellUnlisted(
        _ plan: ShipmentPlan, _ line: Int, _ chunk: FeedChunk, _ reply: inout SourceReply,
        _ draft: inout Draft
    ) {
        let own = plan.milestones.compactMap(\.container)
        if own.isEmpty { return }
        let named = Set(plan.containers)
        for container in Set(own).subtracting(named).sorted() {
            tell(.containerUnlisted, "\(container)", line, chunk, &reply, &draft) {
                LineNote(
                    .containerUnlisted, field: "milestones", assumed: "",
                    detail: "milestones name \(container), and containers do not: nothing is "
                        + "expected of that box")
            }
        }
    }

    func tellKeys(
        _ keys: [String], _ kind: KeyNotes.Kind, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        for key in keys {
            tell(.keyUnknown, key, line, chunk, &reply, &draft) { KeyNotes.note(key, on: kind) }
        }
    }

    mutating func tellPlace(
        _ place: String, _ field: String, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        guard network.place(meant: place) == nil else { return }
        let near = nearPlaces(place)
        if near.isEmpty {
            tell(.placeUnknown, place, line, chunk, &reply, &draft) {
                LineNote(
                    .placeUnknown, field: field, assumed: "",
                    detail: "\(PlaceSpelling.code(place)) is no place of the network; it is kept "
                        + "as it is")
            }
        } else {
            let names = near.map { id in name(id) == id ? id : "\(id) (\(name(id)))" }
            let why = LookAlike.words(about: place).map { ": \($0)" } ?? ""
            tell(.placeNear, place, line, chunk, &reply, &draft) {
                LineNote(
                    .placeNear, field: field, assumed: "",
                    detail: "\(PlaceSpelling.code(place)) is no place of the network\(why); is "
                        + "\(names.joined(separator: " or ")) meant? It is kept as it is",
                    suggest: near)
            }
        }
    }

    func tellClock(
        _ clock: AssumedClock, _ field: String, _ instant: Instant, _ flags: EventFlags,
        _ line: Int, _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        if clock.isUnknown {
            return tell(.zoneUnknown, clock.whose, line, chunk, &reply, &draft) {
                let place =
                    clock.whose.isEmpty
                    ? "no place is named" : "nobody knows the zone of \(clock.whose)"
                return LineNote(
                    .zoneUnknown, field: field, assumed: "",
                    detail: "no offset, and \(place): kept as if it were UTC, and no duration is "
                        + "learned from it; send the time with its offset, such as +05:00")
            }
        }
        let offset = clock.zone.offset(at: instant)
        let shown = Engine.offset(offset)
        var assumed = "\(clock.whose) \(shown)"
        var more = ""
        if flags.contains(.repeatedHour) {
            assumed += " twice"
            more = "; the clock showed that time twice, and the earlier is taken"
        }
        if flags.contains(.missingHour) {
            assumed += " never"
            more =
                "; the clock was put forward over that time, and it is taken as "
                + TimeText.string(instant, offsetMinutes: offset)
        }
        tell(.offsetAssumed, assumed, line, chunk, &reply, &draft) {
            LineNote(
                .offsetAssumed, field: field, assumed: "",
                detail: "no offset: read as the clock of \(clock.whose), \(shown)\(more)")
        }
    }

    /// A day that stands for a time of a plan or a closure.
    func tellDay(
        _ field: String, _ part: PartOfDay, _ place: String, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        tell(.dateOnly, "\(field) \(place)", line, chunk, &reply, &draft) {
            LineNote(
                .dateOnly, field: field, assumed: "",
                detail:
                    "\(field) is a day without a time: read as the \(part.rawValue) of that day at "
                    + name(place))
        }
    }

    /// What a day alone is read as.
    enum PartOfDay: String {
        case beginning, middle, end
    }

    /// A plan that is not what is in force, and changes nothing.
    func tellEarlier(
        _ plan: ShipmentPlan, _ known: Shipment, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        tell(.planEarlier, plan.shipment, line, chunk, &reply, &draft) {
            let name = "plan \(plan.shipment)"
            let asOf = known.plan.updated.map { " as of its updated, \(TimeText.string($0))" } ?? ""
            let detail =
                known.plan.retract
                ? "\(name) was taken back\(asOf): send a later updated to state it again"
                : (plan.updated == nil || plan.retract) && known.plan.updated != nil
                    ? "\(name) is in force\(asOf): send a later updated to replace it"
                    : "this is what \(name) said before, and another version is in force: send it with "
                        + "updated to return to it"
            return LineNote(.planEarlier, field: "plan", assumed: "", detail: detail)
        }
    }

    /// A closure that is not the last word of its id, and changes nothing.
    func tellEarlier(
        _ closure: Closure, _ known: PlanVersion, _ line: Int, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        tell(.closureEarlier, closure.id, line, chunk, &reply, &draft) {
            LineNote(
                .closureEarlier, field: "closure", assumed: "",
                detail: "closure \(closure.id) stands as of its updated, "
                    + "\(TimeText.string(known.updated)): send a later updated to change it")
        }
    }

    /// The name of a place that is given by its id.
    func name(_ place: String) -> String {
        network.place(meant: place).map { network.places[$0].name } ?? place
    }

    /// `+05:00`
    static func offset(_ minutes: Int) -> String {
        func two(_ value: Int) -> String { (value < 10 ? "0" : "") + String(value) }
        return (minutes < 0 ? "-" : "+") + two(abs(minutes) / 60) + ":" + two(abs(minutes) % 60)
    }
}
