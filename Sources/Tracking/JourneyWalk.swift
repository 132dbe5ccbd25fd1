/// What a report of a journey was taken for.
public enum ReportRole: Sendable, Equatable {
    /// It reached a milestone of the way, by its index.
    case milestone(Int)
    /// It says nothing new of where the box is.
    case stay
    /// Of a place that is behind, within the time by which clocks disagree: the plan's order holds.
    case behind
    /// A paper of a place that is still ahead.
    case paper
    /// Before the plan begins, or after its end.
    case early, over
    /// The box cannot have come there from where the others have it: no evidence.
    case contradiction
}

/// Goes through the reports of one journey in the order in which they read: which milestones they reach,
/// and where they leave the way.
struct JourneyWalk: ~Copyable {
    let plan: PlanView
    private let book: WayBook
    private(set) var way: Way
    private(set) var progress = Journey.Progress()
    /// What each report was taken for, by its index; kept only for those who ask.
    var roles: [Int: ReportRole]?
    /// Where the box stands: the place that was reported, and that of the way which it counts as.
    private(set) var seat = Seat()
    /// Milestones that were reached in other words than theirs; their own word counts before that.
    private var softly: [Int] = []
    private var lastStay = LastStay()
    /// Papers of places ahead, until the box comes there.
    private var papers: [(read: ReadEvent, event: EventRecord, place: UInt32)] = []

    /// How often the way was left.
    private var turns = 0
    /// A box leaves its way so often at the most, where it has one plan; several share that, down to
    /// `leastTurns` each: each time makes the way longer, and what is looked up for it is read again from the
    /// beginning.
    static let mostTurns = 256
    static let leastTurns = 4

    struct Seat {
        var reported: UInt32 = 0
        var place: UInt32 = 0
        var hasLeft = false
        /// When it was unloaded there, and the hash of what had brought it; unset, 0: nobody has said so.
        var unloaded = Instant.unset
        var vehicle: UInt32 = 0
    }

    private enum Spot {
        /// At a place of the way, where the box stands or ahead.
        case on(UInt32)
        case behind(UInt32)
        case off
    }

    init(_ plan: PlanView, _ book: WayBook) {
        self.plan = plan
        self.book = book
        way = plan.way
        progress.reached = Array(repeating: .unset, count: way.milestones.count)
    }

    /// What has been reached, and on which way.
    consuming func finished() -> (progress: Journey.Progress, way: Way) { (progress, way) }

    mutating func step(_ read: ReadEvent, _ event: EventRecord) throws(MissingFact) {
        progress.eventCount += 1
        // What comes after the end, such as the empty box's return, is another stay.
        if lastStay.isBehind(event, way, book.geography) { return note(read, .over) }
        var spot = spot(event.place)
        if isEarly(read, spot) { return note(read, .early) }
        if try isUnloadedHere(read, event, spot) { spot = .on(seat.place) }
        if returns(read, event, spot) || isOff(event, spot) {
            guard try turn(after: progress.furthest, at: event.place) else {
                stand(read, event, seat.place)
                return note(read, .stay)
            }
            spot = self.spot(event.place)
        }
        switch spot {
        case .on(let place)
        where !Evidence.isSign(event.code) && (!isNear(place) || isTooSoon(read, place)):
            papers.append((read, event, place))
            note(read, .paper)
        case .on(let place): try reach(place, read, event)
        case .behind(let place):
            let isLater = read.time.minutes(since: progress.lastTime) > Geography.slackMinutes
            if !isLater || !isToldAgain(read, event, place) { progress.lastTime = read.time }
            if let at = open(event, place, through: progress.furthest) { fill(at, read, event) }
            note(read, .behind)
        case .off:
            stand(read, event, seat.place)
            note(read, .stay)
        }
    }

    // MARK: Where

    private func spot(_ place: UInt32) -> Spot {
        if place == seat.reported { return .on(seat.place) }
        let chain = way.milestones
        var at = progress.furthest + 1
        while at < chain.count {
            if chain[at].place == place { return .on(entry(at)) }
            at += 1
        }
        let geography = book.geography
        if seat.place != 0, geography.areOne(place, seat.place) { return .on(seat.place) }
        at = progress.furthest + 1
        while at < chain.count {
            if geography.areOne(place, chain[at].place) { return .on(chain[at].place) }
            at += 1
        }
        at = progress.furthest
        while at >= 0 {
            if geography.areOne(place, chain[at].place) { return .behind(chain[at].place) }
            at -= 1
        }
        return .off
    }

    /// The place by which the way comes into the area of a milestone ahead: a box that comes to the second
    /// of two neighbours has not been handled at the first.
    private func entry(_ at: Int) -> UInt32 {
        let chain = way.milestones
        let place = chain[at].place
        guard at > progress.furthest + 1, !book.geography.areOne(seat.place, place) else {
            return place
        }
        var first = at
        while first > progress.furthest + 1,
            book.geography.areOne(chain[first - 1].place, place)
        { first -= 1 }
        return chain[first].place
    }

    /// Long before the plan begins a box may be anywhere, at its end too.
    private func isEarly(_ read: ReadEvent, _ spot: Spot) -> Bool {
        guard progress.furthest < 0, plan.begins != .unset,
            read.time < plan.begins.advanced(minutes: -1_440)
        else { return false }
        if case .on(let place) = spot { return place != way.milestones.first?.place }
        return true
    }

    /// Where it has arrived and not left it is unloaded, by whatever name the terminal goes.
    private func isUnloadedHere(
        _ read: ReadEvent, _ event: EventRecord, _ spot: Spot
    ) throws(MissingFact) -> Bool {
        guard case .off = spot, event.code == .disc, seat.place != 0, progress.lastCode == .arri,
            read.time.minutes(since: progress.lastTime) < JourneyWalk.unloadedMinutes
        else { return false }
        let geography = book.geography
        for place in [event.place, seat.place] where !geography.knows(place) { throw .place(place) }
        return geography.place(seat.place) != nil && geography.isName(event.place)
    }

    /// What has arrived is unloaded within this.
    private static let unloadedMinutes = 2.0 * 1_440

    private func isOff(_ event: EventRecord, _ spot: Spot) -> Bool {
        guard case .off = spot, Evidence.isSign(event.code) else { return false }
        // Before it has begun a box may be anywhere; when that is, not every plan says.
        return progress.furthest >= 0 || plan.begins != .unset
            || book.geography.place(event.place) != nil
    }

    /// Whether the box has come back: to a place that is behind, or to the one that it had left.
    private func returns(_ read: ReadEvent, _ event: EventRecord, _ spot: Spot) -> Bool {
        guard Evidence.isSign(event.code), progress.lastTime != .unset,
            read.time.minutes(since: progress.lastTime) > Geography.slackMinutes
        else { return false }
        switch spot {
        case .behind(let place): return !isToldAgain(read, event, place)
        case .on(let place):
            // What is unloaded where it was loaded has not been away.
            let isUnloaded = progress.lastCode == .load && event.code == .disc
            return place == seat.place && seat.hasLeft && event.code.isArrival && !isUnloaded
                && !way.milestones.dropFirst(progress.furthest + 1).contains { $0.place == place }
        case .off: return false
        }
    }

    /// A second word of its having left a place that is behind, by another clock: who comes back arrives.
    private func isToldAgain(_ read: ReadEvent, _ event: EventRecord, _ place: UInt32) -> Bool {
        guard event.code.isDeparture else { return false }
        return (0...max(0, progress.furthest)).contains { at in
            way.milestones[at].place == place && way.milestones[at].code == event.code
                && progress.reached[at] != .unset
                && abs(read.time.minutes(since: progress.reached[at]))
                    <= JourneyWalk.toldAgainMinutes
        }
    }

    /// Two who tell of one departure do so within this.
    private static let toldAgainMinutes = 2.0 * 1_440

    /// Takes the way that leads on from a place where the way does not lead; false: there is no other.
    private mutating func turn(after: Int, at place: UInt32) throws(MissingFact) -> Bool {
        // A plan that names no place to go to has no way that could be left.
        guard turns < max(JourneyWalk.leastTurns, JourneyWalk.mostTurns / plan.companions),
            !way.milestones.isEmpty
        else { return false }
        let detour = Detour(way: way, after: after, place: place)
        guard let next = book.way(detour) else {
            throw .detour(detour, shipment: plan.shipment)
        }
        guard next !== way else { return false }
        turns += 1
        way = next
        progress.reached = Array(progress.reached.prefix(after + 1))
        progress.reached += repeatElement(
            .unset, count: way.milestones.count - progress.reached.count)
        seat = Seat()
        return true
    }

    /// Whether a place is that of the stay that the box is in, or of the one that comes next.
    private func isNear(_ place: UInt32) -> Bool {
        if place == seat.place { return true }
        let chain = way.milestones
        var next = progress.furthest + 1
        while next < chain.count, chain[next].place == seat.place { next += 1 }
        return next < chain.count && chain[next].place == place
    }

    /// Whether a box can hardly have come to a place already: much of the leg to it is still ahead.
    private func isTooSoon(_ read: ReadEvent, _ place: UInt32) -> Bool {
        let chain = way.milestones
        guard place != seat.place,
            let arrival = chain[(progress.furthest + 1)...].first(where: { $0.place == place }),
            arrival.kind == .transit
        else { return false }
        let stated = arrival.plannedMinutes
        let minutes = stated.isNaN ? arrival.priorMinutesP50 : stated
        // Over a border it is soon.
        if minutes < JourneyWalk.soonMinutes { return false }
        if progress.lastTime != .unset, !minutes.isNaN {
            let behind = read.time.minutes(since: progress.lastTime)
            return behind < minutes * (1 - JourneyWalk.aheadShare)
        }
        guard arrival.planned != .unset else { return false }
        let ahead = arrival.planned.minutes(since: read.time)
        return ahead > max(1_440, minutes.isNaN ? 0 : minutes * JourneyWalk.aheadShare)
    }

    private static let soonMinutes = 1_440.0
    private static let aheadShare = 0.15

    /// What was stamped before the box came counts from its coming.
    private mutating func applyPapers(_ place: UInt32, _ read: ReadEvent) {
        for (index, paper) in papers.enumerated().reversed() where paper.place == place {
            papers.remove(at: index)
            guard let at = next(paper.event, place, isStill: true) else { continue }
            let counted = ReadEvent(index: paper.read.index, time: max(paper.read.time, read.time))
            fill(at, counted, paper.event)
            if !progress.vague.contains(at) { progress.vague.append(at) }
            note(paper.read, .milestone(at))
        }
    }

    // MARK: What

    private mutating func reach(
        _ place: UInt32, _ read: ReadEvent, _ event: EventRecord
    ) throws(MissingFact) {
        let isStill = place == seat.place && !seat.hasLeft
        let hadBegun = progress.furthest >= 0
        let isCarriers = departsWithoutIt(event, place, isStill: isStill)
        // The ship leaves: the box is where it was.
        if isCarriers, isStill { return note(read, .stay) }
        if let missed = loadedAfterAll(read, event, place) { takeBack(from: missed) }
        var at = next(event, place, isStill: isStill)
        if let at {
            fill(at, read, event)
        } else if isTakenAway(event, isStill: isStill) || isLoadedAgain(event)
            || isFetched(event, place) || isShunted(event, place, isStill: isStill)
        {
            at = nil
        } else if !isCarriers,
            let kin = ahead(event, place, isStill: isStill)
                ?? open(event, place, through: progress.furthest)
        {
            at = kin
            fill(kin, read, event, isSoft: true)
        } else {
            at = try imply(place, read, event, isStill: isStill, hasLeft: !isCarriers)
        }
        stand(read, event, place, hasLeft: event.code.isDeparture && !isCarriers)
        note(read, at.map { .milestone($0) } ?? .stay)
        if !papers.isEmpty { applyPapers(place, read) }
        lastStay.note(
            event, place, at, isSoft: at.map(softly.contains) ?? true, way.milestones,
            furthest: progress.furthest, hadBegun: hadBegun)
    }

    /// The milestone that an event names: the next one ahead, of the stay that the box is in or comes to
    /// next; else the first that is open.
    private func next(_ event: EventRecord, _ place: UInt32, isStill: Bool) -> Int? {
        let chain = way.milestones
        var isInStay = isStill
        var at = progress.furthest + 1
        while at < chain.count {
            if chain[at].place == place {
                isInStay = true
                if chain[at].code == event.code, progress.reached[at] == .unset { return at }
            } else if isInStay {
                // What the plan does there later is another stay.
                break
            }
            at += 1
        }
        at = 0
        while at <= progress.furthest {
            if chain[at].place == place, chain[at].code == event.code, isOpen(at) { return at }
            at += 1
        }
        return nil
    }

    private func isOpen(_ at: Int) -> Bool {
        progress.reached[at] == .unset || softly.contains(at)
    }

    /// A post may say "gated in" where the plan says "arrived": a milestone of the same sense ahead, in
    /// the stay that the box is in or comes to next.
    private func ahead(_ event: EventRecord, _ place: UInt32, isStill: Bool) -> Int? {
        let chain = way.milestones
        var isInStay = isStill
        var at = progress.furthest + 1
        while at < chain.count {
            if chain[at].place == place {
                isInStay = true
                if JourneyFold.isKin(chain[at].code, event.code) { return at }
            } else if isInStay {
                return nil
            }
            at += 1
        }
        return nil
    }

    /// The same behind, among those that nobody has reported.
    private func open(_ event: EventRecord, _ place: UInt32, through last: Int) -> Int? {
        let chain = way.milestones
        var kin: Int?
        var at = 0
        while at <= last {
            if chain[at].place == place, progress.reached[at] == .unset {
                if chain[at].code == event.code { return at }
                if kin == nil, JourneyFold.isKin(chain[at].code, event.code),
                    isInTime(event.time, at, place)
                {
                    kin = at
                }
            }
            at += 1
        }
        return kin
    }

    /// On a way that comes to a place twice: whether nothing before the milestone happened later.
    private func isInTime(_ time: Instant, _ at: Int, _ place: UInt32) -> Bool {
        let chain = way.milestones
        guard let first = chain.firstIndex(where: { $0.place == place }),
            chain[first..<at].contains(where: { $0.place != place })
        else { return true }
        return progress.reached.prefix(at).allSatisfy { $0 == .unset || $0 <= time }
    }

    /// Any sign of the box at a place says that it got there, one that it left that all is done there.
    private mutating func imply(
        _ place: UInt32, _ read: ReadEvent, _ event: EventRecord, isStill: Bool, hasLeft: Bool
    ) throws(MissingFact) -> Int? {
        var first = progress.furthest + 1
        if !isStill {
            while first < way.milestones.count, way.milestones[first].place != place { first += 1 }
        }
        guard first < way.milestones.count, way.milestones[first].place == place else {
            return nil
        }
        var at: Int?
        if !isStill {
            if way.milestones[first].code.isArrival {
                at = first
            } else if first > progress.furthest + 1 {
                guard try turn(after: first - 1, at: event.place) else { return nil }
                at = first
            }
        }
        if event.code == .depa && hasLeft || event.code == .gtot || event.code.endsStay && isStill {
            var last = first
            while last + 1 < way.milestones.count, way.milestones[last + 1].place == place {
                last += 1
            }
            // Before its way's end a box is picked up or stripped where it stays.
            if !event.code.endsStay || last == way.milestones.count - 1 { at = last }
        }
        if let at {
            fill(at, read, event, isSoft: true)
            progress.implied.append(at)
            if !progress.vague.contains(at) { progress.vague.append(at) }
        }
        return at
    }

    /// It was unloaded before it left, and goes out by the gate: not as its plan has it leave, by train, ship or plane.
    private func isTakenAway(_ event: EventRecord, isStill: Bool) -> Bool {
        guard event.code == .gtot, isStill, progress.lastCode == .disc else { return false }
        let ahead = way.milestones.dropFirst(progress.furthest + 1)
        guard ahead.first?.code == .depa, progress.furthest >= 0,
            way.milestones[progress.furthest].code == .load
        else { return false }
        return isByRailOrWater(ahead)
    }

    /// Nothing has been heard of it, and it goes out by the gate where its plan has it leave by train, ship or plane:
    /// it is fetched empty, to be brought back full.
    private func isFetched(_ event: EventRecord, _ place: UInt32) -> Bool {
        guard event.code == .gtot, progress.furthest < 0,
            event.mode == .unknown || event.mode == .road,
            way.milestones.first?.place == place, way.milestones.last?.place != place
        else { return false }
        let stay = way.milestones.prefix { $0.place == place }
        guard !stay.contains(where: { $0.code == .gtot }), isByRailOrWater(way.milestones[...])
        else { return false }
        // About when it is to leave by train, that may be what is meant.
        let planned = stay.last?.planned ?? .unset
        if planned != .unset { return planned.minutes(since: event.time) > 1_440 }
        return way.milestones.first { $0.kind == .transit }?.mode == .sea
    }

    private func isByRailOrWater(_ ahead: ArraySlice<Milestone>) -> Bool {
        let mode = ahead.first { $0.kind == .transit }?.mode ?? .unknown
        return mode != .road && mode != .unknown
    }

    /// It was loaded before, and unloaded: it has not left by that.
    private func isLoadedAgain(_ event: EventRecord) -> Bool {
        event.code == .load && progress.lastCode == .disc && progress.lastPlace == event.place
            && progress.furthest >= 0 && way.milestones[progress.furthest].code == .load
            && way.milestones[progress.furthest].place == seat.place
    }

    private mutating func fill(
        _ at: Int, _ read: ReadEvent, _ event: EventRecord, isSoft: Bool = false
    ) {
        if !softly.isEmpty, softly.contains(at) {
            softly.removeAll { $0 == at }
            progress.implied.removeAll { $0 == at }
            progress.vague.removeAll { $0 == at }
        }
        progress.reached[at] = read.time
        progress.furthest = max(progress.furthest, at)
        if event.flags.isVague { progress.vague.append(at) }
        if isSoft { softly.append(at) }
    }

    /// What was taken for its having left a stay was not: it is still in it.
    private mutating func takeBack(from first: Int) {
        for at in first...progress.furthest {
            progress.reached[at] = .unset
            softly.removeAll { $0 == at }
            progress.implied.removeAll { $0 == at }
            progress.vague.removeAll { $0 == at }
        }
        progress.furthest = first - 1
        seat.hasLeft = false
    }

    /// The box has begun another trip: it was done with the stay in which this way ends, whatever was
    /// not reported of that.
    mutating func end(_ read: ReadEvent) {
        let last = way.milestones.count - 1
        guard last >= 0, progress.furthest < last,
            progress.furthest >= way.milestones.endingStay
        else { return }
        progress.reached[last] = read.time
        progress.furthest = last
        progress.implied.append(last)
        progress.vague.append(last)
    }

    private mutating func stand(
        _ read: ReadEvent, _ event: EventRecord, _ place: UInt32, hasLeft: Bool? = nil
    ) {
        let before = seat
        seat = Seat(
            reported: event.place, place: place, hasLeft: hasLeft ?? event.code.isDeparture)
        if before.place == place {
            (seat.unloaded, seat.vehicle) = (before.unloaded, before.vehicle)
        }
        if event.code == .load { seat.unloaded = .unset }
        if event.code == .disc { seat.unloaded = read.time }
        if event.vehicle != 0, event.code.isArrival { seat.vehicle = event.vehicle }
        progress.lastTime = read.time
        progress.lastPlace = event.place
        progress.lastCode = event.code
        if event.mode != .unknown { progress.lastMode = event.mode }
        guard way.milestones.isEmpty, Evidence.isSign(event.code) else { return }
        let time = event.flags.isVague ? Instant.unset : read.time
        // Whatever it is that is reported first, it is there by then.
        Stay.note(event.code, at: event.place, time, isThere: true, in: &progress.stays)
    }

    private mutating func note(_ read: ReadEvent, _ role: ReportRole) {
        roles?[read.index] = role
    }
}

/// Tells when a box has left the place where its plan ends, or has done there what ends it.
private struct LastStay {
    private var isOver = false
    /// It was reported there in other words than the plan's: the stay goes on until it leaves.
    private var hasCome = false

    @inline(__always)
    mutating func isBehind(_ event: EventRecord, _ way: Way, _ geography: Geography) -> Bool {
        if isOver { return true }
        if hasCome, let last = way.milestones.last, !geography.areOne(event.place, last.place) {
            isOver = true
            return true
        }
        return false
    }

    /// Whether the stay with which the way ends is the one that the box is in: where it comes to that
    /// place before, too, all up to it has to be behind.
    private func isLast(_ chain: [Milestone], _ last: Milestone, furthest: Int) -> Bool {
        let begins = chain.endingStay
        guard chain.prefix(begins).contains(where: { $0.place == last.place }) else { return true }
        return furthest >= begins - 1
    }

    /// `at`: the milestone that the event has reached; `isSoft`: not by its own word. `hadBegun`: it was not the
    /// first.
    @inline(__always)
    mutating func note(
        _ event: EventRecord, _ place: UInt32, _ at: Int?, isSoft: Bool, _ chain: [Milestone],
        furthest: Int, hadBegun: Bool
    ) {
        guard let last = chain.last, place == last.place else { return }
        let isEnd = at == chain.count - 1
        if isEnd, !isSoft || event.code.endsStay {
            isOver = true
        } else if isSoft, isEnd && hadBegun || JourneyFold.isKin(last.code, event.code),
            isLast(chain, last, furthest: furthest)
        {
            hasCome = true
        } else if hasCome, event.code.isDeparture {
            isOver = true
        }
    }
}
