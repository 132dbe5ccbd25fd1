import Alerting
import Forecast
import Log
import Tracking
import Wire

/// Closures, and the windows in which they hold traffic up.
extension Engine {
    mutating func enact(
        _ stated: Closure, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) -> Verdict {
        let (closure, reading, assumed) = timed(stated, chunk)
        if let refusal = authorize(closure, chunk) ?? exceedsLimit(closure, chunk, draft.now) {
            return refusal
        }
        if let refusal = ahead(closure.updated, chunk, draft.now) { return refusal }
        if let refusal = endsBeforeItBegins(closure, chunk) { return refusal }
        let version = PlanVersion(closure)
        let before = closureBook.closures[closure.id]?.closure
        if let known = closureBook.closures[closure.id]?.version {
            if known.isSame(as: version) { return .duplicate }
            if version.updated < known.updated {
                _ = draft.blob.append(.line, chunk.origin, bytes)
                tellEarlier(closure, known, line.number, chunk, &reply, &draft)
                return .stored
            }
        } else if closure.place.isEmpty {
            return .refused(
                LineReject(
                    .unknownID, field: "closure", detail: "no closure \(closure.id) is known"))
        }
        _ = draft.blob.append(.line, chunk.origin, bytes)
        closureBook.put(
            ClosureBook.StandingClosure(
                closure: closure, reading: reading, received: draft.now, line: Array(bytes)))
        closureBook.dirtyClosures.insert(closure.id)
        // What it was said of before is open again.
        for said in [closure, before].compactMap({ $0 }) where !said.place.isEmpty {
            draft.closedPlaces.insert(closurePlace(said))
        }
        if let before, before.mode != closure.mode { draft.otherClosures.insert(closure.id) }
        tellAhead(
            closure.updated, "updated", line.number, chunk, &reply, &draft)
        draft.incidents.append(IncidentKey(.closure, closure.id))
        for time in assumed {
            tellClock(
                time.clock, time.field, time.instant, time.flags, line.number, chunk, &reply,
                &draft)
        }
        for (day, field, part) in [
            (ShipmentPlan.CivilFields.from, "from", PartOfDay.beginning), (.until, "until", .end),
        ] where closure.days.contains(day) {
            tellDay(field, part, closure.place, line.number, chunk, &reply, &draft)
        }
        if !closure.place.isEmpty {
            tellPlace(closure.place, "place", line.number, chunk, &reply, &draft)
        }
        tellFar(
            [("from", closure.from), ("until", closure.until)],
            since: closure.updated ?? draft.now, line.number, chunk, &reply, &draft)
        tellKeys(closure.unknownKeys, .closure, line.number, chunk, &reply, &draft)
        return .stored
    }

    /// Each of its times may be of another clock: only once both are read they can be compared.
    func endsBeforeItBegins(_ closure: Closure, _ chunk: FeedChunk) -> Verdict? {
        guard let until = closure.until, until < closure.from, !closure.retract,
            chunk.meaning >= .aboard
        else { return nil }
        return .refused(LineReject(.time, field: "until", detail: "until lies before from"))
    }

    /// Looks once for all closures of a batch who has their places ahead.
    mutating func touchClosed(_ draft: inout Draft) {
        guard !draft.closedPlaces.isEmpty else { return }
        forgetClosures(draft.now)
        rebuildWindows()
        let forks = forecasting.partings.forks(to: draft.closedPlaces)
        let affected = register.slots.values.filter {
            waits(register.records[$0], at: draft.closedPlaces, forks)
        }
        for slot in affected.sorted(by: {
            register.records[$0].number < register.records[$1].number
        }) {
            draft.touch(slot) { $0.closed = true }
        }
    }

    /// A closure that holds nothing up any more is forgotten: so long after its end that no line about
    /// it is on its way still.
    mutating func forgetClosures(_ now: Instant) {
        for (id, standing) in closureBook.closures where isLongOver(standing, now) {
            closureBook.remove(id)
            closureBook.dirtyClosures.remove(id)
            register.forgotten.closures.append(id)
        }
        register.forgotten.closures.sort()
    }

    /// Nothing that is said of it now is news.
    func isLongOver(_ standing: ClosureBook.StandingClosure, _ now: Instant) -> Bool {
        let over = now.advanced(minutes: -2 * Engine.closureMemoryMinutes)
        // One without an end is waited for as long as its window is.
        let end =
            standing.closure.until
            ?? standing.closure.from.advanced(minutes: ClosureWindow.mostMinutes)
        return end < over && standing.received < over
    }

    /// Closures that ended before this hold nothing up.
    private var closuresOver: Instant {
        closureBook.closures.values.reduce(Instant.unset) { max($0, $1.received) }
            .advanced(minutes: -Engine.closureMemoryMinutes)
    }

    /// `forks`: from where boxes were seen to turn to them.
    func waits(
        _ record: borrowing ContainerRecord, at places: Set<UInt32>, _ forks: Set<UInt32>
    ) -> Bool {
        for at in record.journeys.indices {
            guard let made = register.made(record.journeys[at].shipment, record.plans) else {
                // Without a plan it waits where it stands.
                if places.contains(record.journeys[at].progress.lastPlace) { return true }
                continue
            }
            let chain = made.way.milestones
            // It may go there, though its own way does not.
            if made.turns.contains(where: { places.contains($0.to) }) { return true }
            for milestone in chain.dropFirst(record.journeys[at].progress.furthest + 1)
            where places.contains(milestone.fromPlace) || places.contains(milestone.place)
                || forks.contains(milestone.fromPlace)
            {
                return true
            }
        }
        return false
    }

    mutating func closurePlace(_ closure: Closure) -> UInt32 {
        ways.builder.symbol(closure.place, &register.symbols)
    }

    /// A closure that ended so long ago holds nothing up any more.
    private static let closureMemoryMinutes = 90.0 * 1_440

    mutating func rebuildWindows() {
        closureBook.windows = []
        closureBook.windowIDs = []
        closureBook.windowsAt = [:]
        // By what the closures themselves say of the time, so that a restart leads to the same.
        let over = closuresOver
        for id in closureBook.closures.keys.sorted() {
            guard let standing = closureBook.closures[id] else { continue }
            let closure = standing.closure
            guard !closure.retract, closure.until.map({ $0 > over }) ?? true
            else { continue }
            let place = closurePlace(closure)
            closureBook.windowsAt[place, default: []].append(closureBook.windows.count)
            closureBook.windowIDs.append(id)
            closureBook.windows.append(
                ClosureWindow(
                    place: place, mode: closure.mode, from: closure.from,
                    until: min(
                        closure.end,
                        max(closure.from, standing.received)
                            .advanced(minutes: 2 * ClosureWindow.mostMinutes)),
                    isOpenEnded: closure.until == nil, index: closureBook.windows.count))
        }
    }
}
