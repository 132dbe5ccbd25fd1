/// What settles the order of events that their times leave open.
public struct PlaceGuide {
    /// The milestones that the container's plans name, plan by plan.
    public var chains: [[Milestone]]
    /// Whether the network leads from one place to another in one leg.
    public var leads: (UInt32, UInt32) -> Bool
    /// The place's name: numbers depend on the order of arrival.
    public var name: (UInt32) -> String

    public init(
        chains: [[Milestone]] = [], leads: @escaping (UInt32, UInt32) -> Bool = { _, _ in false },
        name: @escaping (UInt32) -> String = { String($0) }
    ) {
        self.chains = chains
        self.leads = leads
        self.name = name
    }

    /// Whether a plan comes to `b` after `a`; nil where none names both.
    func passes(_ a: UInt32, before b: UInt32) -> Bool? {
        for chain in chains {
            guard let first = chain.firstIndex(where: { $0.place == a }),
                let second = chain.firstIndex(where: { $0.place == b })
            else { continue }
            return first < second
        }
        return nil
    }

    /// Where the first plan that names it has a place; behind all others where none does.
    func position(_ place: UInt32) -> Int {
        for chain in chains {
            if let at = chain.firstIndex(where: { $0.place == place }) { return at }
        }
        return .max
    }

    /// The order in which a plan has two codes at one place; nil where none says.
    func order(_ a: EventCode, before b: EventCode, at place: UInt32) -> Bool? {
        for chain in chains {
            guard let first = chain.firstIndex(where: { $0.place == place && $0.code == a }),
                let second = chain.firstIndex(where: { $0.place == place && $0.code == b })
            else { continue }
            return first < second
        }
        return nil
    }
}

/// One event in the order in which a history reads.
public struct ReadEvent: Sendable, Equatable {
    /// Its index in the history.
    public var index: Int
    /// When it happened; of an event of which only the day is known, the earliest time of that day that
    /// fits what stands before it.
    public var time: Instant

    public init(index: Int, time: Instant) {
        self.index = index
        self.time = time
    }
}

/// The order in which a container's events make sense. By time; events of the same instant by what
/// they mean: leaving the place where the box is comes before arriving at the next. Events of which only
/// the day is known are put in after the others, at the first place of their day where they fit.
public enum ReadingOrder {
    /// Whether the order of the list is not already the one that makes sense.
    @inlinable public static func isOpen(_ events: [EventRecord]) -> Bool {
        var last = Instant.unset
        for event in events where event.isEvidence {
            if event.time == last || event.flags.contains(.dateOnly) { return true }
            last = event.time
        }
        return false
    }

    /// The events that count, each fact once.
    public static func read(_ events: [EventRecord], by guide: PlaceGuide) -> [ReadEvent] {
        var order: [ReadEvent] = []
        var days: [Int] = []
        var here: UInt32 = 0
        var at = 0
        var facts: Set<Fact> = []
        while at < events.count {
            var tied: [Int] = []
            let time = events[at].time
            facts.removeAll(keepingCapacity: true)
            while at < events.count, events[at].time == time {
                if events[at].isEvidence, facts.insert(Fact(events[at])).inserted {
                    if events[at].flags.contains(.dateOnly) {
                        days.append(at)
                    } else {
                        tied.append(at)
                    }
                }
                at += 1
            }
            if tied.count > 1 { tied = sort(tied, events, from: here, guide) }
            for index in tied {
                order.append(ReadEvent(index: index, time: time))
                here = events[index].place
            }
        }
        let inserts = sort(days, events)
        if inserts.count > fittedDays { return merge(inserts, events, into: order) }
        for index in inserts { insert(index, events, into: &order, guide) }
        return order
    }

    /// What makes two events of one instant one fact.
    private struct Fact: Hashable {
        let place: UInt32
        let code: EventCode
        let isDay: Bool

        init(_ event: EventRecord) {
            place = event.place
            code = event.code
            isDay = event.flags.contains(.dateOnly)
        }
    }

    /// Events of a day alone that are fitted in one by one; more of them stand at the beginning of theirs.
    private static let fittedDays = 64
    /// Places of one instant among which legs are looked for; more are sorted by plan and name.
    private static let comparedPlaces = 16

    private static func merge(
        _ days: [Int], _ events: [EventRecord], into order: [ReadEvent]
    ) -> [ReadEvent] {
        var merged: [ReadEvent] = []
        merged.reserveCapacity(order.count + days.count)
        var left = days[...]
        for read in order {
            while let next = left.first, events[next].time <= read.time {
                merged.append(ReadEvent(index: left.removeFirst(), time: events[next].time))
            }
            merged.append(read)
        }
        for index in left { merged.append(ReadEvent(index: index, time: events[index].time)) }
        return merged
    }

    /// What is done at a place, in the order in which it is usually done.
    static func phase(_ code: EventCode) -> Int {
        switch code {
        case .arri: 0
        case .disc: 1
        case .gtin: 2
        case .drop: 3
        case .load: 20
        case .pick: 21
        case .gtot: 22
        case .depa: 23
        default: 4 + Int(code.rawValue % 16)
        }
    }

    private static func precedes(
        _ a: EventRecord, _ b: EventRecord, _ guide: PlaceGuide
    ) -> Bool {
        if a.code == b.code { return a.identity < b.identity }
        return guide.order(a.code, before: b.code, at: a.place) ?? (phase(a.code) < phase(b.code))
    }

    /// Events of one instant: place by place, from where the box is.
    private static func sort(
        _ tied: [Int], _ events: [EventRecord], from here: UInt32, _ guide: PlaceGuide
    ) -> [Int] {
        var groups = Dictionary(grouping: tied) { events[$0].place }
        var order: [Int] = []
        func append(_ place: UInt32) {
            let group = groups.removeValue(forKey: place) ?? []
            order += group.sorted { precedes(events[$0], events[$1], guide) }
        }
        if groups[here] != nil { append(here) }
        var here = here
        if groups.count > comparedPlaces {
            let ranked = groups.keys.map { place in
                (guide.position(place), guide.name(place), place)
            }
            for (_, _, place) in ranked.sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) {
                append(place)
            }
            return order
        }
        while let next = groups.keys.min(by: { comesFirst($0, $1, after: here, guide) }) {
            append(next)
            here = next
        }
        return order
    }

    private static func comesFirst(
        _ a: UInt32, _ b: UInt32, after here: UInt32, _ guide: PlaceGuide
    ) -> Bool {
        if let planned = guide.passes(a, before: b) { return planned }
        let (fromHere, alsoFromHere) = (guide.leads(here, a), guide.leads(here, b))
        if fromHere != alsoFromHere { return fromHere }
        let (onward, back) = (guide.leads(a, b), guide.leads(b, a))
        if onward != back { return onward }
        return guide.name(a) < guide.name(b)
    }

    // MARK: Of a day alone

    private static func sort(_ days: [Int], _ events: [EventRecord]) -> [Int] {
        // Arrivals before departures of the same day, so that the later has something to fit behind.
        days.sorted {
            (events[$0].time, phase(events[$0].code), events[$0].identity)
                < (events[$1].time, phase(events[$1].code), events[$1].identity)
        }
    }

    private static let dayMinutes = 1_440.0

    private static func insert(
        _ index: Int, _ events: [EventRecord], into order: inout [ReadEvent], _ guide: PlaceGuide
    ) {
        let event = events[index]
        let end = event.time.advanced(minutes: dayMinutes)
        let first = order.firstIndex { $0.time >= event.time } ?? order.count
        let last = order.firstIndex { $0.time >= end } ?? order.count
        // Where somebody knows the time of the same thing, that is what is known.
        let isKnown = order[first..<last].contains {
            events[$0.index].place == event.place && events[$0.index].code == event.code
        }
        if isKnown { return }
        func gap(_ fits: (EventRecord?, EventRecord?) -> Bool) -> Int? {
            (first...last).first { gap in
                fits(
                    gap > 0 ? events[order[gap - 1].index] : nil,
                    gap < order.count ? events[order[gap].index] : nil)
            }
        }
        // With what else happened there; else on the way between two other places.
        let at =
            gap { joins(event, between: $0, and: $1, guide) }
            ?? gap { fits(event, between: $0, and: $1, guide) } ?? last
        let earliest = at > 0 ? max(event.time, order[at - 1].time) : event.time
        order.insert(ReadEvent(index: index, time: earliest), at: at)
    }

    /// Whether it belongs to the same stay as one of its neighbours.
    private static func joins(
        _ event: EventRecord, between before: EventRecord?, and behind: EventRecord?,
        _ guide: PlaceGuide
    ) -> Bool {
        if let behind, behind.place == event.place, !precedes(event, behind, guide) {
            return false
        }
        if let before, before.place == event.place { return precedes(before, event, guide) }
        return behind?.place == event.place
    }

    /// Whether the box may have been there then, as far as its neighbours tell.
    private static func fits(
        _ event: EventRecord, between before: EventRecord?, and behind: EventRecord?,
        _ guide: PlaceGuide
    ) -> Bool {
        if before?.place == event.place || behind?.place == event.place { return false }
        if let behind, let isAhead = guide.passes(event.place, before: behind.place), !isAhead {
            return false
        }
        if let before {
            if let isBehind = guide.passes(before.place, before: event.place) { return isBehind }
            return guide.leads(before.place, event.place)
        }
        if let behind { return guide.leads(event.place, behind.place) }
        return true
    }
}
