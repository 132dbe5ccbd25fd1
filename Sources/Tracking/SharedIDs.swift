/// Identity by sender: an `id` is its sender's own.
extension Identity {
    /// Of an event that a sender named: the same `id` of another sender is another event.
    /// `named`: of the `id` alone.
    public static func owned(_ named: Identity, post: String, source: String?) -> Identity {
        var hash = StableHasher()
        hash.combine(named.high)
        hash.combine(named.low)
        hash.combine(post)
        hash.combine(source)
        return hash.identity()
    }

    /// Of an event that nobody in particular named. Several such senders may count from 1, so what
    /// happened and where belongs to the identity; what they share is its upper half.
    /// `code` nil: all events of that `id`, in a retraction that names none of them.
    public static func shared(
        _ named: Identity, source: String?, code: EventCode?, place: String
    ) -> Identity {
        let group = source == nil ? named : owned(named, post: "", source: source)
        var hash = StableHasher()
        hash.combine(group.low)
        hash.combine(UInt64(code?.rawValue ?? 0xFF))
        hash.combine(place)
        return Identity(high: group.high, low: hash.identity().low)
    }
}

/// Events under one `id` of nobody in particular.
extension EventHistory {
    /// Decides anew which of the events that share the upper half of their identity stand: a
    /// retraction that names none of them concerns all before it, and a correction to another place
    /// or code takes the place of one. A function of their set: the order of arrival does not show.
    mutating func settle(
        sharing high: UInt64, _ new: EventRecord, _ outcome: Outcome
    ) -> Outcome {
        let members = events.indices.filter {
            events[$0].flags.contains(.shared) && events[$0].identity.high == high
        }
        guard members.count > 1 else { return outcome }
        let order = members.sorted {
            (events[$0].rank, events[$0].identity) < (events[$1].rank, events[$1].identity)
        }
        var standing: [Int] = []
        var aside: Set<Int> = []
        for at in order {
            let event = events[at]
            if event.retracted, event.place == 0 {
                aside.formUnion(standing)
                standing = []
                continue
            }
            // A first version takes nobody's place, nor does one whose own first version is known.
            let isMoved = event.updated != .unset && !hasFirstVersion(event.identity)
            if isMoved, let left = moved(event, among: standing) {
                aside.insert(left)
                standing.removeAll { $0 == left }
            }
            standing.append(at)
        }
        var changed = false
        for at in members {
            let isAside = aside.contains(at)
            guard isAside != events[at].flags.contains(.setAside) else { continue }
            if isAside {
                events[at].flags.insert(.setAside)
            } else {
                events[at].flags.remove(.setAside)
            }
            if events[at].identity != new.identity || outcome == .superseded { changed = true }
        }
        let isAside = events.first { $0.identity == new.identity }?.flags.contains(.setAside)
        // Also where what took an event's place does not stand itself.
        if changed || outcome == .replaced { return .replaced }
        return isAside == true ? .superseded : outcome
    }

    /// Whether a retraction that names none of them has taken an event back.
    public func isTakenBack(_ event: EventRecord) -> Bool {
        guard event.flags.contains(.setAside) else { return false }
        return events.contains {
            $0.flags.contains(.shared) && $0.identity.high == event.identity.high && $0.retracted
                && $0.place == 0 && event.rank <= $0.rank
        }
    }

    private func hasFirstVersion(_ identity: Identity) -> Bool {
        superseded.contains { $0.identity == identity && $0.updated == .unset }
    }

    /// The event that a correction means: of the same code, else at the same place, else the latest.
    private func moved(_ event: EventRecord, among standing: [Int]) -> Int? {
        let earlier = standing.filter { !events[$0].retracted && events[$0].rank < event.rank }
        func last(_ fits: (EventRecord) -> Bool) -> Int? { earlier.last { fits(events[$0]) } }
        return last { $0.code == event.code } ?? last { $0.place == event.place } ?? earlier.last
    }
}
