/// What the fold needs to know of a plan that names the container.
public struct PlanView: Sendable {
    public var shipment: UInt32
    /// From when on events without a shipment belong to it.
    public var anchor: Instant
    /// Until when it may last, as far as it says.
    public var ends: Instant
    /// When it begins, where it says that; else unset.
    public var begins: Instant
    /// Its own way, before any evidence.
    public var way: Way
    /// The milestones of that as this container passes them.
    public var chain: [Milestone]
    /// Its milestones come one after the other, so that the last of them is its end.
    public var isChain: Bool
    /// No other plan names the container.
    public var isOnly = false
    /// Plans that name the container, this one among them.
    public var companions = 1
    /// When its times were said.
    public var statedAt: Instant
    /// What begins it may have happened so long before its anchor (microseconds).
    public var lead: Int64
    /// When any version of it was made first, until when it may last by what it says, and how long its way
    /// usually takes (minutes).
    public var firstStatedAt = Instant.unset
    public var promisedBy = Instant.unset
    public var usualMinutes = 0.0
    /// When it was seen at its end on another trip, and until when all that happened was that; `.unset`: never.
    public var endedAt = Instant.unset
    public var after = Instant.unset

    public init(
        shipment: UInt32, anchor: Instant, ends: Instant = .never, begins: Instant = .unset,
        way: Way, chain: [Milestone]? = nil, isChain: Bool = true, statedAt: Instant = .unset,
        lead: Int64 = JourneyFold.leadMicroseconds
    ) {
        self.lead = lead
        self.statedAt = statedAt
        self.shipment = shipment
        self.anchor = anchor
        self.ends = ends
        self.begins = begins
        self.way = way
        self.chain = chain ?? way.milestones
        self.isChain = isChain
    }
}

extension PlanView {
    /// Whether a report tells of an earlier trip: of the place where this one ends, before anybody spoke of this
    /// one and before it begins by its own word, and so long before it is to end there that the whole way could
    /// be gone in between.
    private func isOfAnother(_ event: EventRecord) -> Bool {
        event.isEvidence && event.shipment != shipment && event.time < firstStatedAt
            && (begins == .unset || event.time < begins)
            && event.place == chain.last?.place && Evidence.isSign(event.code)
            && promisedBy.minutes(since: event.time) > usualMinutes
    }

    fileprivate func isBehind(_ events: [EventRecord]) -> Bool {
        promisedBy != .unset && events.contains(where: isOfAnother)
    }

    /// The same plan, as seen by what came before it: of that only what can be counts, and what the box does
    /// there until it has left belongs to it.
    fileprivate func behind(
        _ events: [EventRecord], _ order: [ReadEvent], _ geography: Geography
    ) throws(MissingFact) -> PlanView {
        guard isBehind(events) else { return self }
        for read in order where !geography.knows(events[read.index].place) {
            throw .place(events[read.index].place)
        }
        var view = self
        var isThere = false
        var hasLeft = false
        for (read, counts) in zip(order, Evidence.longest(order, events, self, geography)) {
            let event = events[read.index]
            guard counts, Evidence.isSign(event.code) else { continue }
            let isHere = event.place == chain.last?.place && event.shipment != shipment
            // Where it has left, or a whole way lies in between, it comes again.
            let isNew =
                hasLeft && event.code.isArrival
                || read.time.minutes(since: view.after) > usualMinutes
            isThere = isHere && (isThere && !isNew || isOfAnother(event))
            hasLeft = isThere && (event.code == .depa || event.code == .gtot)
            if isThere { view.after = max(view.after, read.time) }
            if isThere, isOfAnother(event) { view.endedAt = max(view.endedAt, read.time) }
        }
        return view
    }
}

/// Cuts a container's history into journeys. A pure function of the set of events and the set of
/// plans, run anew at each change: the order in which news came cannot show in what it returns.
public enum JourneyFold {
    /// Events up to this long before a plan's anchor may still belong to it.
    public static let leadMicroseconds: Int64 = 30 * 86_400_000_000
    /// A silence this long ends a journey that no plan holds together.
    public static let gapMicroseconds: Int64 = 30 * 86_400_000_000

    /// The journeys in order of their first event (plans without events by anchor). `plans` come in
    /// the order of their names, which settles equal anchors.
    public static func journeys(
        _ history: EventHistory, plans: [PlanView], _ book: WayBook,
        by guide: @autoclosure () -> PlaceGuide
    ) throws(MissingFact) -> [Journey] {
        if plans.count == 1, let only = plans.first,
            let (progress, way) = try progress(history, only: only, book, by: guide())
        {
            var journey = Journey(shipment: only.shipment, ordinal: 0, progress: progress)
            journey.way = way
            return [journey]
        }
        return try general(history, plans: plans, book, guide())
    }

    /// The usual case: how far the container has come under its only plan, where all of its events
    /// belong to that; nil where they do not.
    public static func progress(
        _ history: EventHistory, only plan: PlanView, _ book: WayBook,
        by guide: @autoclosure () -> PlaceGuide
    ) throws(MissingFact) -> (progress: Journey.Progress, way: Way)? {
        guard allBelong(history, to: plan) else { return nil }
        var plan = plan
        plan.isOnly = true
        if ReadingOrder.isOpen(history.events) {
            return try heard(
                history, plan, book,
                progress(
                    history.events, plan, book, ReadingOrder.read(history.events, by: guide())))
        }
        return try heard(
            history, plan, book,
            progress(
                history.events, plan, book,
                history.events.indices.lazy.filter { history.events[$0].isEvidence }
                    .map { ReadEvent(index: $0, time: history.events[$0].time) }))
    }

    /// What was found, with what others say of what lies ahead.
    private static func heard(
        _ history: EventHistory, _ plan: PlanView, _ book: WayBook,
        _ found: (progress: Journey.Progress, way: Way)
    ) throws(MissingFact) -> (progress: Journey.Progress, way: Way) {
        var found = found
        // As this container passes them.
        let chain = plan.isChain ? found.way.milestones : plan.chain
        found.progress.words = history.statements(
            plan, on: chain, found.progress, book.geography)
        // Where ways join, all boxes of a shipment go by one timetable.
        guard plan.isChain else { return found }
        let times = history.plannedAnew(plan, on: chain, found.progress, book.geography)
        guard !times.isEmpty else { return found }
        let retiming = Retiming(way: found.way, times: times)
        guard let way = book.way(retiming) else { throw .retiming(retiming) }
        found.way = way
        return found
    }

    /// No event says otherwise.
    private static func allBelong(_ history: EventHistory, to plan: PlanView) -> Bool {
        if plan.isBehind(history.events) { return false }
        let reachBack = plan.anchor.microseconds &- leadMicroseconds
        for event in history.events where event.isEvidence {
            if event.shipment == plan.shipment { continue }
            if event.shipment != 0 || event.time.microseconds < reachBack { return false }
            if event.code == .pick || event.code == .stuf { return false }
            if event.time.microseconds > plan.anchor.microseconds &+ 3 * leadMicroseconds {
                return false
            }
        }
        return true
    }

    private static func general(
        _ history: EventHistory, plans: [PlanView], _ book: WayBook, _ guide: PlaceGuide
    ) throws(MissingFact) -> [Journey] {
        let order = ReadingOrder.read(history.events, by: guide)
        let plans = try byAnchor(plans, history.events, order, book.geography)
        let trips = Trips(plans)
        var assignment = EventAssignment(plans, trips)
        assignment.assign(history.events, order)
        // Each event is looked at once, however many journeys there are.
        var owned: [UInt64: [ReadEvent]] = [:]
        var owners: [UInt64] = []
        for (read, owner) in zip(order, assignment.owners) {
            if owned[owner]?.append(read) == nil {
                owned[owner] = [read]
                owners.append(owner)
            }
        }
        var journeys: [Journey] = []
        func add(_ plan: PlanView, trip: Int, _ events: [ReadEvent]) throws(MissingFact) {
            var plan = plan
            plan.after = trips.after[trip]
            plan.companions = plans.count
            var journey = Journey(shipment: plan.shipment, ordinal: 0)
            journey.trip = plans[trip].shipment
            (journey.progress, journey.way) = try heard(
                history, plan, book,
                progress(history.events, plan, book, events, endedBy: assignment.ended[trip]))
            journeys.append(journey)
        }
        for owner in owners {
            let shipment = UInt32(truncatingIfNeeded: owner >> 32)
            let events = owned[owner] ?? []
            guard let trip = plans.firstIndex(where: { $0.shipment == shipment }), shipment != 0
            else {
                var journey = Journey(
                    shipment: shipment, ordinal: UInt32(truncatingIfNeeded: owner))
                let none = PlanView(shipment: shipment, anchor: .unset, way: .none)
                (journey.progress, _) = try progress(history.events, none, book, events)
                journeys.append(journey)
                continue
            }
            for at in plans.indices where trips.of[at] == trip {
                try add(plans[at], trip: trip, events)
            }
        }
        for (at, plan) in plans.enumerated()
        where owned[UInt64(plans[trips.of[at]].shipment) << 32] == nil {
            try add(plan, trip: trips.of[at], [])
        }
        return journeys
    }

    /// Symbols depend on the order of arrival, so they decide nothing here.
    private static func byAnchor(
        _ plans: [PlanView], _ events: [EventRecord], _ order: [ReadEvent], _ geography: Geography
    ) throws(MissingFact) -> [PlanView] {
        var ordered: [PlanView] = []
        for (_, plan) in plans.enumerated().sorted(by: {
            ($0.element.anchor, $0.offset) < ($1.element.anchor, $1.offset)
        }) { ordered.append(try plan.behind(events, order, geography)) }
        if plans.count == 1 { ordered[0].isOnly = true }
        return ordered
    }

    /// Which milestones the events that belong to a plan have reached, and on which way.
    static func progress(
        _ events: [EventRecord], _ plan: PlanView, _ book: WayBook,
        _ owned: some Sequence<ReadEvent>, endedBy: ReadEvent? = nil
    ) throws(MissingFact) -> (progress: Journey.Progress, way: Way) {
        guard plan.isChain else { return (joined(events, plan, owned), plan.way) }
        let before = try earlier(events, plan, book.geography, owned)
        var walk = JourneyWalk(plan, book)
        var last: ReadEvent?
        for read in owned.dropFirst(before) {
            guard book.geography.knows(events[read.index].place) else {
                throw .place(events[read.index].place)
            }
            if let last, !Evidence.follows(last, read, events, plan, book.geography) {
                return try contradicted(
                    events, plan, book, Array(owned.dropFirst(before)), endedBy: endedBy)
            }
            try walk.step(read, events[read.index])
            if Evidence.isPlaced(events[read.index], book.geography) { last = read }
        }
        if let endedBy { walk.end(endedBy) }
        return walk.finished()
    }

    /// How many reports are of a trip before: a plan that does not say when it begins begins where the box comes to
    /// its first place, if before that it was further on, as on the way out of what is sent back.
    private static func earlier(
        _ events: [EventRecord], _ plan: PlanView, _ geography: Geography,
        _ owned: some Sequence<ReadEvent>
    ) throws(MissingFact) -> Int {
        guard plan.begins == .unset, let first = plan.chain.first, first.kind != .transit else {
            return 0
        }
        // Where the way comes back there, or what was before was all of it, the box has come back.
        let away = plan.chain.drop { geography.areOne($0.place, first.place) }
        if away.isEmpty || away.contains(where: { geography.areOne($0.place, first.place) }) {
            return 0
        }
        let end = plan.chain[plan.chain.count - 1].place
        var last: ReadEvent?
        var isBeyond = false
        for (at, read) in owned.enumerated() {
            let event = events[read.index]
            guard geography.knows(event.place) else { throw .place(event.place) }
            // What names the plan is no other trip.
            if event.shipment == plan.shipment { return 0 }
            guard Evidence.isSign(event.code) else { continue }
            if geography.areOne(event.place, first.place) {
                // What cannot have come from there contradicts it.
                guard isBeyond, let last, Evidence.follows(last, read, events, plan, geography)
                else { return 0 }
                return at
            }
            if geography.areOne(event.place, end) { return 0 }
            last = read
            isBeyond = isBeyond || plan.chain.contains { $0.place == event.place }
        }
        return 0
    }

    /// As above, where not all that was reported can be.
    private static func contradicted(
        _ events: [EventRecord], _ plan: PlanView, _ book: WayBook, _ owned: [ReadEvent],
        endedBy: ReadEvent?
    ) throws(MissingFact) -> (progress: Journey.Progress, way: Way) {
        for read in owned where !book.geography.knows(events[read.index].place) {
            throw .place(events[read.index].place)
        }
        let isEvidence = Evidence.longest(owned, events, plan, book.geography)
        var walk = JourneyWalk(plan, book)
        for (read, counts) in zip(owned, isEvidence) where counts {
            try walk.step(read, events[read.index])
        }
        if let endedBy { walk.end(endedBy) }
        var found = walk.finished()
        if let at = isEvidence.lastIndex(of: false) {
            let read = owned[at]
            found.progress.contradiction = Journey.Progress.Contradiction(
                time: read.time, place: events[read.index].place, code: events[read.index].code)
        }
        return found
    }

    /// What each report was taken for, by its index in the history, as far as it belongs to a plan whose
    /// milestones are one chain. Of several plans of one trip the one says so for which it is a milestone.
    public static func roles(
        _ history: EventHistory, plans: [PlanView], _ book: WayBook, by guide: PlaceGuide
    ) throws(MissingFact) -> [Int: ReportRole] {
        let order = ReadingOrder.read(history.events, by: guide)
        let ordered = try byAnchor(plans, history.events, order, book.geography)
        let trips = Trips(ordered)
        var owned: [UInt64: [ReadEvent]] = [:]
        if plans.count == 1, allBelong(history, to: plans[0]) {
            owned[UInt64(plans[0].shipment) << 32] = order
        } else {
            var assignment = EventAssignment(ordered, trips)
            assignment.assign(history.events, order)
            for (read, owner) in zip(order, assignment.owners) {
                owned[owner, default: []].append(read)
            }
        }
        var found: [Int: ReportRole] = [:]
        for (at, var plan) in ordered.enumerated() where plan.isChain {
            plan.companions = ordered.count
            let reads = owned[UInt64(ordered[trips.of[at]].shipment) << 32] ?? []
            for (index, role) in try roles(history.events, plan, book, reads) {
                if case .milestone = found[index] { continue }
                found[index] = role
            }
        }
        return found
    }

    private static func roles(
        _ events: [EventRecord], _ plan: PlanView, _ book: WayBook, _ owned: [ReadEvent]
    ) throws(MissingFact) -> [Int: ReportRole] {
        let before = try earlier(events, plan, book.geography, owned)
        var walk = JourneyWalk(plan, book)
        walk.roles = [:]
        for read in owned.prefix(before) { walk.roles?[read.index] = .early }
        let owned = Array(owned.dropFirst(before))
        for (read, counts) in zip(owned, Evidence.longest(owned, events, plan, book.geography)) {
            if counts {
                try walk.step(read, events[read.index])
            } else {
                walk.roles?[read.index] = .contradiction
            }
        }
        return walk.roles ?? [:]
    }

    /// Where ways join, a milestone is reached by its own word at its own place, else by one of the same
    /// sense.
    private static func joined(
        _ events: [EventRecord], _ plan: PlanView, _ owned: some Sequence<ReadEvent>
    ) -> Journey.Progress {
        var progress = Journey.Progress()
        let chain = plan.chain
        progress.reached = Array(repeating: .unset, count: chain.count)
        var loose: [ReadEvent] = []
        for read in owned {
            let event = events[read.index]
            progress.eventCount += 1
            progress.lastTime = read.time
            progress.lastPlace = event.place
            progress.lastCode = event.code
            if event.mode != .unknown { progress.lastMode = event.mode }
            if let at = exact(event, chain, progress.reached) {
                progress.reach(at, read.time, event)
            } else {
                loose.append(read)
            }
        }
        for read in loose {
            let event = events[read.index]
            let at = chain.indices.first {
                chain[$0].place == event.place && progress.reached[$0] == .unset
                    && isKin(chain[$0].code, event.code)
            }
            if let at { progress.reach(at, read.time, event) }
        }
        return progress
    }

    @inline(__always)
    private static func exact(
        _ event: EventRecord, _ chain: [Milestone], _ reached: [Instant]
    ) -> Int? {
        for at in chain.indices
        where chain[at].place == event.place && chain[at].code == event.code
            && reached[at] == .unset
        {
            return at
        }
        return nil
    }

    static func isKin(_ a: EventCode, _ b: EventCode) -> Bool {
        a.isArrival && b.isArrival && a != .disc && a != .drop
            || a.isDeparture && b.isDeparture && a != .gtot
    }
}

extension Journey.Progress {
    fileprivate mutating func reach(_ at: Int, _ time: Instant, _ event: EventRecord) {
        reached[at] = time
        furthest = max(furthest, at)
        if event.flags.isVague { vague.append(at) }
    }
}

extension [Milestone] {
    /// The first milestone of the stay with which the way ends: of a box's own, where those of others are masked.
    var endingStay: Int {
        guard let last = last(where: { $0.place != Milestone.elsewhere }) else { return 0 }
        let before = lastIndex { $0.place != last.place && $0.place != Milestone.elsewhere }
        return (before ?? -1) + 1
    }
}
