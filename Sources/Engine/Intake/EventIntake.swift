import Log
import Tracking
import Wire

/// Events, on their way into the records of their containers.
extension Engine {
    mutating func record(
        _ event: TrackingEvent, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) -> Verdict {
        let read = read(event, chunk)
        let event = read.event
        // By a clock that is known to be wrong nothing is judged.
        let time = corrected(event, chunk)
        if let refusal = untimely(event, at: time, draft.now)
            ?? ahead(event.updated, chunk, draft.now) ?? foreign(event, chunk)
        {
            return refusal
        }
        let named = identity(of: read, chunk)
        if let refusal = authorize(read, named.identity, chunk) { return refusal }
        if let refusal = exceedsLimit(event, named.identity) { return refusal }
        let slot = register.slot(of: event.container)
        let record = record(of: read, named, from: chunk.origin.post, at: draft.now)
        let isFirst = !register.records[slot].history.knows(named.identity)
        let outcome = register.records[slot].history.fold(record)
        switch outcome {
        case .duplicate: return .duplicate
        case .conflict:
            return .refused(
                LineReject(
                    .conflict, field: "id",
                    detail: "\(event.id ?? "this event") is known with other content; "
                        + "a correction carries a later updated"))
        case .added, .replaced, .superseded, .unknownID: break
        }
        let index = draft.blob.append(.line, chunk.origin, bytes)
        register.dirtyRecords.insert(slot)
        if outcome == .unknownID {
            return .refused(
                LineReject(
                    .unknownID, field: "id",
                    detail: unknownID(event, named, slot)))
        }
        var row = event
        row.identity = named.identity
        draft.events.append(
            EventRow(
                event: row, place: read.place, line: index, post: chunk.origin.post,
                source: chunk.source, number: line.number))
        if outcome == .superseded {
            reply.idle.append(line.number)
            tellEarlier(event, slot, named.identity, line.number, chunk, &reply, &draft)
        }
        if outcome != .superseded, !isEcho(record, slot, outcome) {
            draft.touch(slot) {
                $0.eventID = event.id ?? $0.eventID
                $0.reason = event.reason ?? $0.reason
                // Who expects something else than before corrects nothing.
                $0.corrected =
                    $0.corrected || outcome == .replaced && event.eventClass == .act
                // Of what is taken back nothing more is to come.
                if event.eventClass == .act, !event.retract { $0.newest = max($0.newest, time) }
                $0.isEstimate = event.eventClass == .est
            }
        }
        noteReport(record, of: slot, isNew: isFirst, &draft)
        if draft.now.minutes(since: time) > rules.backlogMinutes { draft.history += 1 }
        if event.was != nil { move(read, index, line, chunk, &draft) }
        tellAssumptions(read, line.number, chunk, &reply, &draft)
        return .stored
    }

    /// Of a retraction that says no more than an id; one that names place and event means one of several.
    private func unknownID(_ event: TrackingEvent, _ named: NamedEvent, _ slot: Int) -> String {
        let id = event.id ?? ""
        let later = register.records[slot].history.events.first {
            named.isWhole && !$0.retracted && $0.flags.contains(.shared)
                && $0.identity.high == named.identity.high
                && event.updated.map { [updated = $0.updated] in $0 < updated } ?? false
        }
        if later != nil {
            return
                "event \(id) of \(event.container) was stated again later, and stands: send a later updated"
        }
        return
            "no event \(id) of \(event.container) is known; should it come, it counts as retracted"
    }

    private mutating func record(
        of read: ReadLine, _ named: NamedEvent, from post: String, at now: Instant
    ) -> EventRecord {
        let event = read.event
        var record = EventRecord(
            identity: named.identity, content: event.content, time: event.time,
            updated: event.updated ?? .unset,
            place: read.place.isEmpty ? 0 : register.symbols.number(read.place),
            shipment: event.shipment.map { register.symbols.number($0) } ?? 0, code: event.code,
            eventClass: event.eventClass, mode: event.mode, retracted: event.retract,
            flags: read.flags)
        record.seals = event.seals
        record.vehicle = event.vehicle
        if !post.isEmpty { record.post = register.symbols.number(post) }
        // Who says what has happened matters to people; who says what will, to the forecast.
        if event.eventClass != .act, let source = event.source {
            record.source = register.speaker(source)
        }
        if event.time != .unset {
            // Down, so that what is said now was not said later.
            let seconds = (now.minutes(since: event.time) * 60).rounded(.down)
            record.delaySeconds = Int32(clamping: Int(seconds))
        }
        if intake.roster.hasCorrections {
            let roster = intake.roster
            _ = record.align { _, stated in roster.correction(post, of: stated) }
        }
        if named.isShared {
            record.flags.insert(.shared)
            if named.isWhole { record.place = 0 }
        }
        return record
    }

    // MARK: Whose it is

    /// An id is its sender's own: of a post, of a source that is granted to it, or of nobody in
    /// particular. What was taken before that was so has no owner, and is still known to anyone.
    func identity(of read: ReadLine, _ chunk: FeedChunk) -> NamedEvent {
        let event = read.event
        guard event.id != nil, chunk.meaning >= .meant else {
            return NamedEvent(identity: event.identity)
        }
        let own = ownIdentity(of: read, chunk)
        guard intake.knowsUnowned, let slot = register.slots[event.container] else { return own }
        let unowned = event.identity
        let updated = event.updated ?? .unset
        if register.records[slot].history.recognises(
            unowned, content: event.content, updated: updated)
        {
            return NamedEvent(identity: unowned)
        }
        let isLater = event.updated != nil || event.retract
        guard isLater, register.records[slot].history.knows(unowned),
            !register.records[slot].history.knows(own.identity)
        else { return own }
        return NamedEvent(identity: unowned)
    }

    private func ownIdentity(of read: ReadLine, _ chunk: FeedChunk) -> NamedEvent {
        let event = read.event
        let post = chunk.origin.post
        var source = event.source
        switch intake.roster.speaker(post: post, source: source) {
        case .granted(let shared):
            return NamedEvent(identity: .owned(event.identity, post: "", source: "+" + shared))
        case .own(let stated): source = stated
        case .foreign: break
        }
        guard post.isEmpty else {
            return NamedEvent(identity: .owned(event.identity, post: post, source: source))
        }
        // A retraction that does not name what it means concerns all of its id.
        let isWhole = event.retract && (!event.hasCode || read.place.isEmpty)
        return NamedEvent(
            identity: .shared(
                event.identity, source: source, code: isWhole ? nil : event.code,
                place: isWhole ? "" : read.place), isShared: true, isWhole: isWhole)
    }

    /// Nobody speaks in the name of a source that is somebody else's.
    func foreign(_ event: TrackingEvent, _ chunk: FeedChunk) -> Verdict? {
        guard event.source != nil, !chunk.isLogged,
            case .foreign(let source) = intake.roster.speaker(
                post: chunk.origin.post, source: event.source)
        else { return nil }
        let who =
            chunk.origin.post.isEmpty ? "a sender without a name" : "post \(chunk.origin.post)"
        return .refused(
            LineReject(
                .forbidden, field: "source",
                detail:
                    "\(who) may not speak as \(source); such a source is granted when a post is "
                    + "enrolled"))
    }

    /// Says nothing new: somebody else has reported the same already.
    private func isEcho(
        _ record: EventRecord, _ slot: Int, _ outcome: EventHistory.Outcome
    ) -> Bool {
        guard case .added = outcome, record.isEvidence else { return false }
        return register.records[slot].history.events.contains { known in
            known.identity != record.identity && known.isEvidence && known.isSameFact(as: record)
                && (record.shipment == 0 || record.shipment == known.shipment)
                && (record.mode == .unknown || record.mode == known.mode)
        }
    }

    /// The event is no longer of the container that an earlier version named.
    private mutating func move(
        _ read: ReadLine, _ index: Int, _ line: ParsedLine, _ chunk: FeedChunk,
        _ draft: inout Draft
    ) {
        guard let was = read.event.was else { return }
        var left = read
        left.event.container = was
        left.event.retract = true
        left.event.hasCode = false
        left.event.time = .unset
        left.event.was = nil
        left.place = ""
        left.flags = []
        let slot = register.slot(of: was)
        let named = identity(of: left, chunk)
        left.event.identity = named.identity
        let outcome = register.records[slot].history.fold(
            record(of: left, named, from: chunk.origin.post, at: draft.now))
        register.dirtyRecords.insert(slot)
        switch outcome {
        case .duplicate, .conflict, .superseded: return
        case .added, .replaced, .unknownID: break
        }
        draft.events.append(
            EventRow(
                event: left.event, place: "", line: index, post: chunk.origin.post,
                source: chunk.source, number: line.number))
        draft.touch(slot) { $0.corrected = true }
    }

    // MARK: When it was

    /// When it happened, where its post's clock was wrong and is corrected.
    func corrected(_ event: TrackingEvent, _ chunk: FeedChunk) -> Instant {
        guard intake.roster.hasCorrections, event.eventClass == .act, event.time != .unset else {
            return event.time
        }
        return corrected(event.time, chunk)
    }

    func corrected(_ time: Instant, _ chunk: FeedChunk) -> Instant {
        guard intake.roster.hasCorrections else { return time }
        let minutes = intake.roster.correction(chunk.origin.post, of: time)
        return time.advanced(minutes: Double(minutes))
    }

    /// An actual event of the future or of long ago: a clock that is wrong.
    func untimely(_ event: TrackingEvent, at time: Instant, _ now: Instant) -> Verdict? {
        guard event.eventClass == .act, event.time != .unset, !event.retract else { return nil }
        if time > now.advanced(minutes: rules.futureHours * 60) {
            return .refused(
                LineReject(
                    .future, field: "time",
                    detail: "\(TimeText.string(event.time)) lies more than "
                        + "\(Int(rules.futureHours)) h ahead; is the clock right?"))
        }
        if rules.pastDays > 0, time < now.advanced(minutes: -rules.pastDays * 1_440) {
            let days = Int(now.minutes(since: event.time) / 1_440)
            return .refused(
                LineReject(
                    .past, field: "time",
                    detail: "\(TimeText.string(event.time)) lies \(days) days back, and at most "
                        + "\(Int(rules.pastDays)) are taken (events.past-days); is the clock right?"
                ))
        }
        return nil
    }

    /// A version from days ahead would shut out all that is said until then.
    func ahead(_ updated: Instant?, _ chunk: FeedChunk, _ now: Instant) -> Verdict? {
        guard let updated, chunk.meaning >= .retractable,
            corrected(updated, chunk) > now.advanced(minutes: rules.futureHours * 60)
        else { return nil }
        return .refused(
            LineReject(
                .future, field: "updated",
                detail: "updated, \(TimeText.string(updated)), lies more than "
                    + "\(Int(rules.futureHours)) h ahead; is the clock right?"))
    }
}

/// Which event a line speaks of.
struct NamedEvent {
    var identity: Identity
    /// Nobody in particular named it, and others may have used the same id.
    var isShared = false
    /// All events of that id are meant.
    var isWhole = false
}
