/// Which of a container's plans are about one trip: the house bill and the master bill, two systems that
/// plan the same. They share its events, whichever of them a report names.
struct Trips {
    /// For each plan the first plan of its trip.
    let of: [Int]
    /// For the first plan of each trip all of its plans.
    let members: [[Int]]
    /// For each plan until when what happened was another trip.
    let after: [Instant]

    /// Two who plan the beginning of one trip do so within this, and its end within half of it.
    private static let togetherMinutes = 360.0

    /// Plans that one is compared with: those that begin next before it.
    private static let neighbours = 16

    /// `plans` in the order of their anchors.
    init(_ plans: [PlanView]) {
        var of = Array(plans.indices)
        for at in plans.indices {
            for earlier in (max(0, at - Trips.neighbours)..<at).reversed()
            where of[earlier] != of[at]
                && Trips.mayBeOne(plans[earlier], plans[at])
                && Trips.areOne(plans[earlier], plans[at])
            {
                let (a, b) = (min(of[earlier], of[at]), max(of[earlier], of[at]))
                for each in of.indices where of[each] == b { of[each] = a }
            }
        }
        self.of = of
        var members = Array(repeating: [Int](), count: plans.count)
        for (plan, trip) in of.enumerated() { members[trip].append(plan) }
        self.members = members
        // Where one of them was spoken of before, it was this trip.
        after = Trips.after(plans, of)
    }

    private static func after(_ plans: [PlanView], _ of: [Int]) -> [Instant] {
        guard plans.contains(where: { $0.after != .unset }) else {
            return Array(repeating: .unset, count: plans.count)
        }
        var stated = Array(repeating: Instant.never, count: plans.count)
        for (plan, trip) in zip(plans, of) { stated[trip] = min(stated[trip], plan.firstStatedAt) }
        var found = Array(repeating: Instant.unset, count: plans.count)
        for (plan, trip) in zip(plans, of) where plan.endedAt < stated[trip] {
            found[trip] = max(found[trip], plan.after)
        }
        return of.map { found[$0] }
    }

    /// What lies behind one and not behind the other tells them apart, where both end at one place and not
    /// together.
    private static func mayBeOne(_ a: PlanView, _ b: PlanView) -> Bool {
        if a.after == b.after || a.promisedBy == .unset || b.promisedBy == .unset { return true }
        if a.chain.last?.place != b.chain.last?.place { return true }
        return abs(a.promisedBy.minutes(since: b.promisedBy)) < min(a.usualMinutes, b.usualMinutes)
    }

    /// Their times overlap, by half of the shorter at the least (the next run of a shuttle begins when
    /// the one before ends), and they come to two places in the same order.
    static func areOne(_ a: PlanView, _ b: PlanView) -> Bool {
        let overlap = min(a.ends, b.ends).minutes(since: max(a.anchor, b.anchor))
        let shorter = min(
            a.ends.minutes(since: a.anchor), b.ends.minutes(since: b.anchor))
        guard overlap >= 0, overlap * 2 >= shorter else { return false }
        // No box begins two trips at one place at one time.
        if a.begins != .unset, b.begins != .unset, let from = a.chain.first,
            let same = b.chain.first,
            from.place == same.place, from.place != Milestone.elsewhere,
            abs(a.begins.minutes(since: b.begins)) <= Trips.togetherMinutes,
            abs(a.ends.minutes(since: b.ends)) * 2 <= shorter
        {
            return true
        }
        var first: [UInt32: Int] = [:]
        for (index, milestone) in a.chain.enumerated()
        where milestone.place != Milestone.elsewhere && first[milestone.place] == nil {
            first[milestone.place] = index
        }
        var before: Int?
        for milestone in b.chain {
            guard let at = first[milestone.place] else { continue }
            if let before, at > before { return true }
            before = min(before ?? at, at)
        }
        return false
    }
}

/// Gives each event to the trip that it is evidence of.
struct EventAssignment {
    /// For each read event the journey that owns it: the plan's symbol above, or 0 and the ordinal of an
    /// unplanned one. Of a trip it stands for all of its plans.
    private(set) var owners: [UInt64] = []
    /// By trip what the box was doing next when that was over though nobody had reported its end.
    private(set) var ended: [Int: ReadEvent] = [:]

    /// When each shipment was named last.
    private var lastNamed: [UInt32: Instant] = [:]

    private let plans: [PlanView]
    private let trips: Trips
    /// The first milestone at the furthest place that each plan's events have come to; -1: none yet.
    private var stands: [Int]
    private var isDone: [Bool]
    /// Index of the trip that is under way.
    private var current = -1
    /// Names that no plan of the box has, and the trip of which they were found to speak.
    private var adopted: [UInt32: Int] = [:]
    /// Others that came up after a long silence, when the trip should have been over.
    private var strangers: Set<UInt32> = []

    init(_ plans: [PlanView], _ trips: Trips) {
        self.plans = plans
        self.trips = trips
        stands = Array(repeating: -1, count: plans.count)
        isDone = Array(repeating: false, count: plans.count)
    }

    mutating func assign(_ events: [EventRecord], _ order: [ReadEvent]) {
        let positions = Dictionary(
            plans.enumerated().map { ($0.element.shipment, $0.offset) },
            uniquingKeysWith: { first, _ in first })
        var ordinal: UInt32 = 0
        var hasMoved = false
        var lastTime: Instant = .unset
        owners.reserveCapacity(order.count)
        if plans.count > 1 {
            for read in order where events[read.index].shipment != 0 {
                lastNamed[events[read.index].shipment] = read.time
            }
        }
        for read in order {
            let event = events[read.index]
            let gap =
                lastTime != .unset
                && read.time.microseconds &- lastTime.microseconds > JourneyFold.gapMicroseconds
            lastTime = read.time
            if event.shipment != 0 {
                guard let planned = positions[event.shipment] else {
                    if gap, isPast(event) { strangers.insert(event.shipment) }
                    if let trip = adopting(event) {
                        owners.append(UInt64(plans[trip].shipment) << 32)
                        advance(trip, event)
                    } else {
                        owners.append(UInt64(event.shipment) << 32)
                    }
                    continue
                }
                let trip = trips.of[planned]
                owners.append(UInt64(plans[trip].shipment) << 32)
                if trip > current { end(current, read, event) }
                advance(trip, event)
                if trip >= current { current = trip }
                continue
            }
            let before = current
            takeOver(event)
            if current != before { end(before, read, event) }
            let begins = event.code == .pick || event.code == .stuf && hasMoved
            if current >= 0, !(isOver(current) && (gap || begins)) {
                owners.append(UInt64(plans[current].shipment) << 32)
                advance(current, event)
                continue
            }
            if hasMoved && (gap || begins) {
                ordinal += 1
                hasMoved = false
            }
            if event.code != .pick { hasMoved = true }
            owners.append(UInt64(ordinal))
        }
    }

    /// The box begins another trip where the one before was to end: it was done with that, though nobody said so.
    private mutating func end(_ trip: Int, _ read: ReadEvent, _ event: EventRecord) {
        let begins = [.gtin, .load, .depa, .pick, .stuf].contains(event.code)
        guard trip >= 0, begins, !isOver(trip),
            // Whoever still speaks of it knows better.
            !members(trip).contains(where: { (lastNamed[plans[$0].shipment] ?? .unset) > read.time }
            ),
            members(trip).allSatisfy({ plan in
                let chain = plans[plan].chain
                return stands[plan] >= chain.endingStay && chain.last?.place == event.place
            })
        else { return }
        ended[trip] = read
        for plan in members(trip) { isDone[plan] = true }
    }

    /// A name that is new, long after the trip under way was to end.
    private func isPast(_ event: EventRecord) -> Bool {
        adopted[event.shipment] == nil && current >= 0
            && members(current).allSatisfy { event.time > plans[$0].ends }
    }

    /// The trip under way of which a report is evidence that names another: a booking that nobody has planned,
    /// or a slip of the pen, is where the box is all the same. Once it has come to a place of the trip, so is
    /// all that follows under that name.
    private mutating func adopting(_ event: EventRecord) -> Int? {
        if strangers.contains(event.shipment) { return nil }
        let before = current
        takeOver(event)
        guard current >= 0, !isOver(current), adopted[event.shipment] == current || fits(event)
        else {
            current = before
            return nil
        }
        adopted[event.shipment] = current
        return current
    }

    /// So long before its trip begins a box is brought to where that does.
    private static let broughtMinutes = 7.0 * 1_440

    /// Whether a report by another name can be one of the trip at hand: at a place ahead. Where nothing else
    /// has been heard of the trip it begins with leaving: what comes to its first place may be bringing
    /// what another booking is about.
    private func fits(_ event: EventRecord) -> Bool {
        members(current).contains { plan in
            guard stands[plan] < 0 else { return match(plan, event, from: stands[plan]) > 0 }
            let isFirst = event.place == plans[plan].chain.first?.place
            let leaves = [.gtin, .load, .depa].contains(event.code)
            let ahead = plans[plan].anchor.minutes(since: event.time)
            let most =
                !isFirst || !leaves
                ? 0 : event.code == .gtin ? EventAssignment.broughtMinutes : 1_440
            guard ahead <= most else { return false }
            return (!isFirst || leaves) && match(plan, event, from: 0) > 0
        }
    }

    private func members(_ trip: Int) -> [Int] { trips.members[trip] }

    private func isOver(_ trip: Int) -> Bool { members(trip).allSatisfy { isDone[$0] } }

    private mutating func advance(_ trip: Int, _ event: EventRecord) {
        for plan in members(trip) {
            let chain = plans[plan].chain
            let hasBegun = stands[plan] >= 0
            if let at = chain.indices.first(where: {
                $0 >= stands[plan] && chain[$0].place == event.place
            }) {
                stands[plan] = at
            }
            let own = chain.filter { $0.place != Milestone.elsewhere }
            let isAtEnd = stands[plan] >= chain.endingStay
            guard let last = own.last, last.place == event.place else { continue }
            let isItsWord = last.code == event.code || JourneyFold.isKin(last.code, event.code)
            // From where its way ends it goes by road; what leaves by rail or water has brought it.
            let leg = chain.last { $0.kind == .transit }?.mode ?? .unknown
            let isByShip = leg == .sea || leg == .barge
            let isByRoad = event.mode == .road || event.mode == .unknown && !isByShip
            let isGone =
                hasBegun && (event.code == .gtot || event.code == .depa && isByRoad)
            if isItsWord && (isAtEnd || own.count < chain.count)
                || (event.code.endsStay || isGone) && isAtEnd
            {
                isDone[plan] = true
            }
        }
    }

    /// Whether the event begins a later trip than the one under way.
    private mutating func takeOver(_ event: EventRecord) {
        var best: (trip: Int, fit: Int)?
        for trip in plans.indices where trips.of[trip] == trip && trip > current {
            guard let fit = fit(trip, event) else { continue }
            // Of equals the later, where its time has come too.
            let isDue = plans[trip].anchor <= event.time
            if best.map({ fit > $0.fit || fit == $0.fit && isDue }) ?? true { best = (trip, fit) }
        }
        guard let best else { return }
        current = best.trip
    }

    /// How well an event begins a trip; nil where it does not.
    private func fit(_ trip: Int, _ event: EventRecord) -> Int? {
        let isIdle = current < 0 || isOver(current)
        var best: Int?
        for plan in members(trip) {
            let ahead = plans[plan].anchor.microseconds &- event.time.microseconds
            guard event.time > trips.after[plan],
                ahead <= 0 || (isIdle && ahead <= plans[plan].lead)
            else { continue }
            let fit = match(plan, event, from: 0)
            // Longer ago than any may have begun that are not known to take as long, only its beginning was.
            if ahead > JourneyFold.leadMicroseconds, fit < 3 { continue }
            // One that lies ahead still begins with what it names, unless there is nothing else.
            if ahead > 0, fit < 2, current >= 0 { continue }
            best = max(best ?? fit, fit)
        }
        guard let best, !isIdle else { return best }
        // The trip under way goes on as long as the event lies on its way.
        let own = members(current).map { match($0, event, from: max(stands[$0], 0)) }.max() ?? 0
        if own == 0 { return best > 0 ? best : nil }
        let isAt = members(current).contains { plan in
            stands[plan] >= 0 && plans[plan].chain[stands[plan]].place == event.place
        }
        if event.code.isArrival, !isAt { return nil }
        return best > own ? best : nil
    }

    /// 3: a milestone of just this, at the plan's beginning; 2: one further on; 1: a place of the plan;
    /// 0: nothing of it.
    private func match(_ plan: Int, _ event: EventRecord, from first: Int) -> Int {
        let chain = plans[plan].chain
        var best = 0
        for at in chain.indices where at >= first && chain[at].place == event.place {
            if chain[at].code == event.code || JourneyFold.isKin(chain[at].code, event.code) {
                return at == first || chain[at].place == chain[first].place ? 3 : 2
            }
            best = 1
        }
        return best
    }
}
