/// What the fold needs to know of a plan that names the container.
public struct PlanView: Sendable {
    public var shipment: UInt32
    /// From when on events without a shipment belong to it.
    public var anchor: Instant
    public var chain: [Milestone]

    public init(shipment: UInt32, anchor: Instant, chain: [Milestone]) {
        self.shipment = shipment
        self.anchor = anchor
        self.chain = chain
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
    public static func journeys(_ history: EventHistory, plans: [PlanView]) -> [Journey] {
        if plans.count == 1, let only = plans.first, let progress = progress(history, only: only) {
            return [Journey(shipment: only.shipment, ordinal: 0, progress: progress)]
        }
        return general(history, plans: plans)
    }

    /// The usual case: how far the container has come under its only plan, where all of its events
    /// belong to that; nil where they do not.
    public static func progress(_ history: EventHistory, only plan: PlanView) -> Journey.Progress? {
        guard allBelong(history, to: plan) else { return nil }
        return progress(history.events, chain: plan.chain, history.events.indices)
    }

    /// No event says otherwise.
    private static func allBelong(_ history: EventHistory, to plan: PlanView) -> Bool {
        let reachBack = plan.anchor.microseconds &- leadMicroseconds
        for event in history.events where event.counts {
            if event.shipment == plan.shipment { continue }
            if event.shipment != 0 || event.time.microseconds < reachBack { return false }
            if event.code == .pick || event.code == .stuf { return false }
            if event.time.microseconds > plan.anchor.microseconds &+ 3 * leadMicroseconds {
                return false
            }
        }
        return true
    }

    private static func general(_ history: EventHistory, plans: [PlanView]) -> [Journey] {
        let owners = assign(history, plans: plans)
        var journeys: [Journey] = []
        // Each event is looked at once, however many journeys there are.
        var owned: [UInt64: [Int]] = [:]
        var order: [UInt64] = []
        for (index, owner) in owners.enumerated() where history.events[index].counts {
            if owned[owner]?.append(index) == nil {
                owned[owner] = [index]
                order.append(owner)
            }
        }
        let chains = Dictionary(
            plans.map { ($0.shipment, $0.chain) }, uniquingKeysWith: { first, _ in first })
        for owner in order {
            let shipment = UInt32(truncatingIfNeeded: owner >> 32)
            let ordinal = UInt32(truncatingIfNeeded: owner)
            var journey = Journey(shipment: shipment, ordinal: ordinal)
            journey.progress = progress(
                history.events, chain: chains[shipment] ?? [], owned[owner] ?? [])
            journeys.append(journey)
        }
        for plan in byAnchor(plans) where owned[UInt64(plan.shipment) << 32] == nil {
            var journey = Journey(shipment: plan.shipment, ordinal: 0)
            journey.progress = progress([], chain: plan.chain, [])
            journeys.append(journey)
        }
        return journeys
    }

    /// Symbols depend on the order of arrival, so they decide nothing here.
    private static func byAnchor(_ plans: [PlanView]) -> [PlanView] {
        plans.enumerated().sorted {
            ($0.element.anchor, $0.offset) < ($1.element.anchor, $1.offset)
        }.map(\.element)
    }

    /// For each event the journey that owns it: shipment symbol above, ordinal below.
    private static func assign(_ history: EventHistory, plans: [PlanView]) -> [UInt64] {
        let plans = byAnchor(plans)
        let positions = Dictionary(
            plans.enumerated().map { ($0.element.shipment, $0.offset) },
            uniquingKeysWith: { first, _ in first })
        var owners = [UInt64](repeating: 0, count: history.events.count)
        var current = -1
        var currentDone = false
        var ordinal: UInt32 = 0
        var unplannedOpen = false
        var unplannedMoved = false
        var lastTime: Instant = .unset
        for (index, event) in history.events.enumerated() where event.counts {
            let gap =
                lastTime != .unset
                && event.time.microseconds &- lastTime.microseconds > gapMicroseconds
            lastTime = event.time
            if event.shipment != 0 {
                owners[index] = UInt64(event.shipment) << 32
                if let planned = positions[event.shipment], planned >= current {
                    if planned > current { currentDone = false }
                    current = planned
                    currentDone = currentDone || ends(plans[planned].chain, event)
                }
                continue
            }
            while current + 1 < plans.count,
                takesOver(plans[current + 1], event, idle: current < 0 || currentDone)
            {
                current += 1
                currentDone = false
            }
            let begins = event.code == .pick || event.code == .stuf && unplannedMoved
            if current >= 0, !(currentDone && (gap || begins)) {
                owners[index] = UInt64(plans[current].shipment) << 32
                currentDone = currentDone || ends(plans[current].chain, event)
                continue
            }
            if current >= 0, !unplannedOpen { unplannedOpen = true }
            if unplannedMoved && (gap || begins) {
                ordinal += 1
                unplannedMoved = false
            }
            if event.code != .pick { unplannedMoved = true }
            owners[index] = UInt64(ordinal)
        }
        return owners
    }

    private static func takesOver(_ plan: PlanView, _ event: EventRecord, idle: Bool) -> Bool {
        if event.time >= plan.anchor { return true }
        guard idle else { return false }
        return plan.anchor.microseconds &- event.time.microseconds <= leadMicroseconds
    }

    private static func ends(_ chain: [Milestone], _ event: EventRecord) -> Bool {
        guard let last = chain.last(where: { $0.place != Milestone.elsewhere }) else {
            return false
        }
        return last.place == event.place && last.code == event.code
    }

    /// Which milestones of `chain` the events (those with the indices in `owned`) have reached.
    public static func progress(
        _ events: [EventRecord], chain: [Milestone], _ owned: some Sequence<Int>
    ) -> Journey.Progress {
        var progress = Journey.Progress()
        progress.reached = Array(repeating: .unset, count: chain.count)
        var loose: [Int] = []
        for index in owned where events[index].counts {
            let event = events[index]
            progress.eventCount += 1
            progress.lastTime = event.time
            progress.lastPlace = event.place
            progress.lastCode = event.code
            if event.mode != .unknown { progress.lastMode = event.mode }
            if let at = exact(event, chain, progress.reached) {
                progress.reached[at] = event.time
                progress.furthest = max(progress.furthest, at)
            } else {
                loose.append(index)
            }
        }
        // A post may say "gated in" where the plan says "arrived": the first such word counts
        // unless the exact one came.
        for index in loose {
            let event = events[index]
            for (at, milestone) in chain.enumerated()
            where milestone.place == event.place && progress.reached[at] == .unset
                && isKin(milestone.code, event.code)
            {
                progress.reached[at] = event.time
                progress.furthest = max(progress.furthest, at)
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

    private static func isKin(_ a: EventCode, _ b: EventCode) -> Bool {
        a.isArrival && b.isArrival && a != .disc && a != .drop
            || a.isDeparture && b.isDeparture && a != .gtot
    }
}
