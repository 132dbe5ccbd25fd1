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
        let aside = setAside(members, sharing: high)
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

    /// One version of an event, by the event's index.
    private struct Version {
        let at: Int
        let rank: Instant
        /// Another is known that is later.
        let isOld: Bool
    }

    /// All versions of some events, in their order.
    private func versions(_ members: [Int], sharing high: UInt64) -> [Version] {
        let current = members.map { Version(at: $0, rank: events[$0].rank, isOld: false) }
        let old = superseded.filter { $0.identity.high == high }.compactMap { version in
            members.first { events[$0].identity == version.identity }.map {
                Version(at: $0, rank: version.updated, isOld: true)
            }
        }
        return (current + old).sorted {
            ($0.rank, events[$0.at].identity, $0.isOld ? 0 : 1)
                < ($1.rank, events[$1.at].identity, $1.isOld ? 0 : 1)
        }
    }

    /// Those of them that do not stand.
    private func setAside(_ members: [Int], sharing high: UInt64) -> Set<Int> {
        var standing: [Version] = []
        var aside: Set<Int> = []
        /// Of each that has lost its place, which has it.
        var takenBy: [Int: Int] = [:]
        for version in versions(members, sharing: high) {
            let (at, event) = (version.at, events[version.at])
            if event.retracted, event.place == 0 {
                if version.isOld { continue }
                aside.formUnion(standing.map(\.at))
                standing = []
                takenBy = [:]
                continue
            }
            let known = standing.firstIndex { $0.at == at }
            if let known {
                standing.remove(at: known)
            } else if var by = takenBy[at] {
                takenBy[at] = nil
                // It may have gone on to others meanwhile.
                var seen = Set([at])
                while let next = takenBy[by], seen.insert(by).inserted { by = next }
                // Corrected back; one that is taken back itself gives nothing back.
                if !event.retracted {
                    standing.removeAll { $0.at == by }
                    aside.insert(by)
                    takenBy[by] = at
                }
            } else if version.rank != .unset, version.rank != .never, !aside.contains(at),
                let left = moved(version, among: standing)
            {
                // A first version takes nobody's place.
                aside.insert(left)
                takenBy[left] = at
                standing.removeAll { $0.at == left }
            }
            aside.remove(at)
            standing.append(version)
        }
        return aside
    }

    /// The event that a correction means: of the same code, else at the same place, else the latest.
    private func moved(_ version: Version, among standing: [Version]) -> Int? {
        let event = events[version.at]
        let earlier = standing.filter { !events[$0.at].retracted && $0.rank < version.rank }
        func last(_ fits: (EventRecord) -> Bool) -> Int? {
            earlier.last { fits(events[$0.at]) }?.at
        }
        return last { $0.code == event.code } ?? last { $0.place == event.place }
            ?? earlier.last?.at
    }
}
