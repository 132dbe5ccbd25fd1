/// What the fold needs to know of a plan that names the container.
public struct PlanView: Sendable {
    public var shipment: UInt32
    /// From when on events without a shipment belong to it.
    public var anchor: Instant
    /// Until when it may last, as far as it says.
    public var ends: Instant
    public var chain: [Milestone]
    /// Its milestones come one after the other, so that the last of them is its end.
    public var isChain: Bool

    public init(
        shipment: UInt32, anchor: Instant, ends: Instant = .never, chain: [Milestone],
        isChain: Bool = true
    ) {
        self.shipment = shipment
        self.anchor = anchor
        self.ends = ends
        self.chain = chain
        self.isChain = isChain
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
        _ history: EventHistory, plans: [PlanView], by guide: @autoclosure () -> PlaceGuide
    ) -> [Journey] {
        if plans.count == 1, let only = plans.first,
            let progress = progress(history, only: only, by: guide())
        {
            return [Journey(shipment: only.shipment, ordinal: 0, progress: progress)]
        }
        return general(history, plans: plans, guide())
    }

    /// The usual case: how far the container has come under its only plan, where all of its events
    /// belong to that; nil where they do not.
    public static func progress(
        _ history: EventHistory, only plan: PlanView, by guide: @autoclosure () -> PlaceGuide
    ) -> Journey.Progress? {
        guard allBelong(history, to: plan) else { return nil }
        if ReadingOrder.isOpen(history.events) {
            return progress(history.events, plan, ReadingOrder.read(history.events, by: guide()))
        }
        return progress(
            history.events, plan,
            history.events.indices.lazy.filter { history.events[$0].isEvidence }
                .map { ReadEvent(index: $0, time: history.events[$0].time) })
    }

    /// No event says otherwise.
    private static func allBelong(_ history: EventHistory, to plan: PlanView) -> Bool {
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
        _ history: EventHistory, plans: [PlanView], _ guide: PlaceGuide
    ) -> [Journey] {
        let plans = byAnchor(plans)
        let trips = Trips(plans)
        let order = ReadingOrder.read(history.events, by: guide)
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
        func add(_ plan: PlanView, trip: Int, _ events: [ReadEvent]) {
            var journey = Journey(shipment: plan.shipment, ordinal: 0)
            journey.trip = plans[trip].shipment
            journey.progress = progress(history.events, plan, events)
            journeys.append(journey)
        }
        for owner in owners {
            let shipment = UInt32(truncatingIfNeeded: owner >> 32)
            let events = owned[owner] ?? []
            guard let trip = plans.firstIndex(where: { $0.shipment == shipment }), shipment != 0
            else {
                var journey = Journey(
                    shipment: shipment, ordinal: UInt32(truncatingIfNeeded: owner))
                let none = PlanView(shipment: shipment, anchor: .unset, chain: [])
                journey.progress = progress(history.events, none, events)
                journeys.append(journey)
                continue
            }
            for at in plans.indices where trips.of[at] == trip {
                add(plans[at], trip: trip, events)
            }
        }
        for (at, plan) in plans.enumerated()
        where owned[UInt64(plans[trips.of[at]].shipment) << 32] == nil {
            add(plan, trip: trips.of[at], [])
        }
        return journeys
    }

    /// Symbols depend on the order of arrival, so they decide nothing here.
    private static func byAnchor(_ plans: [PlanView]) -> [PlanView] {
        plans.enumerated().sorted {
            ($0.element.anchor, $0.offset) < ($1.element.anchor, $1.offset)
        }.map(\.element)
    }

    /// Which milestones of a plan the events that belong to it have reached.
    public static func progress(
        _ events: [EventRecord], _ plan: PlanView, _ owned: some Sequence<ReadEvent>
    ) -> Journey.Progress {
        var progress = Journey.Progress()
        let chain = plan.chain
        progress.reached = Array(repeating: .unset, count: chain.count)
        var loose: [ReadEvent] = []
        var stay = LastStay(plan)
        for read in owned {
            let event = events[read.index]
            progress.eventCount += 1
            // What comes after the end, such as the empty box's return, is another stay.
            if stay.isBehind(event) { continue }
            let isStill = event.place == progress.lastPlace && !progress.lastCode.isDeparture
            progress.lastTime = read.time
            progress.lastPlace = event.place
            progress.lastCode = event.code
            if event.mode != .unknown { progress.lastMode = event.mode }
            let at =
                plan.isChain
                ? next(event, chain, progress, isStill: isStill)
                : exact(event, chain, progress.reached)
            if let at {
                progress.reach(at, read.time, event)
            } else {
                loose.append(read)
            }
            stay.note(event, at, furthest: progress.furthest)
        }
        // A post may say "gated in" where the plan says "arrived": the first such word counts
        // unless the exact one came.
        for read in loose {
            let event = events[read.index]
            for (at, milestone) in chain.enumerated()
            where milestone.place == event.place && progress.reached[at] == .unset
                && isKin(milestone.code, event.code)
                && isInTime(read.time, at, event.place, chain, progress.reached)
            {
                progress.reach(at, read.time, event)
                break
            }
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

    /// The milestone of a chain that an event names: the next one ahead, of the stay that the box is in
    /// or comes to next; else the first that is open. `isStill`: the box has not left the place.
    @inline(__always)
    private static func next(
        _ event: EventRecord, _ chain: [Milestone], _ progress: borrowing Journey.Progress,
        isStill: Bool
    ) -> Int? {
        var isInStay = isStill
        var at = progress.furthest + 1
        while at < chain.count {
            if chain[at].place == event.place {
                isInStay = true
                if chain[at].code == event.code, progress.reached[at] == .unset { return at }
            } else if isInStay {
                // What the plan does there later is another stay.
                break
            }
            at += 1
        }
        for at in chain.indices.prefix(progress.furthest + 1)
        where chain[at].place == event.place && chain[at].code == event.code
            && progress.reached[at] == .unset
        {
            return at
        }
        return nil
    }

    /// On a way that comes to a place twice: whether nothing before the milestone happened later.
    private static func isInTime(
        _ time: Instant, _ at: Int, _ place: UInt32, _ chain: [Milestone], _ reached: [Instant]
    ) -> Bool {
        guard let first = chain.firstIndex(where: { $0.place == place }),
            chain[first..<at].contains(where: { $0.place != place })
        else { return true }
        return reached.prefix(at).allSatisfy { $0 == .unset || $0 <= time }
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

/// Tells when a box has left the place where its plan ends, or has done there what ends it.
private struct LastStay {
    private let chain: [Milestone]
    private let last: Milestone?
    private var isOver = false
    /// It was reported there in other words than the plan's: the stay goes on until it leaves.
    private var hasCome = false

    @inline(__always)
    init(_ plan: PlanView) {
        chain = plan.chain
        last = plan.isChain ? plan.chain.last : nil
    }

    /// Whether the stay with which the plan ends is the one that the box is in: where the plan comes to
    /// that place before, too, all up to it has to be behind.
    private func isLast(furthest: Int) -> Bool {
        let begins = chain.endingStay
        guard let last, chain.prefix(begins).contains(where: { $0.place == last.place }) else {
            return true
        }
        return furthest >= begins - 1
    }

    @inline(__always)
    mutating func isBehind(_ event: EventRecord) -> Bool {
        if isOver { return true }
        if hasCome, event.place != last?.place {
            isOver = true
            return true
        }
        return false
    }

    /// `at`: the milestone that the event has reached, by its own word.
    @inline(__always)
    mutating func note(_ event: EventRecord, _ at: Int?, furthest: Int) {
        guard let last, event.place == last.place else { return }
        if at == chain.count - 1 {
            isOver = true
        } else if at == nil, JourneyFold.isKin(last.code, event.code),
            isLast(furthest: furthest)
        {
            hasCome = true
        } else if hasCome, event.code.isDeparture {
            isOver = true
        }
    }
}

extension [Milestone] {
    /// The first milestone of the stay with which the way ends.
    var endingStay: Int {
        guard let last else { return 0 }
        return (lastIndex { $0.place != last.place } ?? -1) + 1
    }
}
