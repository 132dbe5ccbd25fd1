import Forecast
import Tracking

/// What people hear of the ways that are likely.
extension Engine {
    /// Ways that are told apart by a place: the shares of those that have it, the first of them first.
    private struct Group {
        var place: UInt32
        var share: Double
        /// 0: the own way, then each of the others.
        var members: [Int]
    }

    /// By which gates ways lead that are likely. Told apart are the own way and the likeliest of the others;
    /// what follows either of them there counts to it. Fewer than two: they are not told apart.
    private func groups(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> [Group] {
        guard shares.count == others.count + 1, let likeliest = others.first else { return [] }
        func places(_ way: Way, _ after: Int) -> [UInt32] {
            way.milestones.dropFirst(after + 1).map(\.place)
        }
        let geography = ways.book.geography
        func via(_ way: [UInt32], notOn other: [UInt32]) -> UInt32? {
            let new = way.filter { place in !other.contains { geography.areOne($0, place) } }
            return new.first { geography.place($0).map(ways.builder.isGate) ?? false } ?? new.first
        }
        let first = likeliest.after
        let (mine, theirs) = (places(own, first), places(likeliest.way, first))
        // Where nothing else tells them apart it is where the one would be seen first.
        let gates = [via(mine, notOn: theirs), via(theirs, notOn: mine)]
        guard let here = gates[0] ?? mine.first, let there = gates[1] ?? theirs.first,
            here != there
        else { return [] }
        var found = [
            Group(place: here, share: shares[0], members: [0]),
            Group(place: there, share: shares[1], members: [1]),
        ]
        for (at, other) in others.enumerated().dropFirst() {
            let on = places(other.way, -1)
            let told = gates.compactMap { $0 }.first { place in
                on.contains { geography.areOne($0, place) }
            }
            let beyond = places(other.way, other.after)
            let place = told ?? via(beyond, notOn: places(own, other.after)) ?? here
            if let known = found.firstIndex(where: { $0.place == place }) {
                found[known].share += shares[at + 1]
                found[known].members.append(at + 1)
            } else {
                found.append(Group(place: place, share: shares[at + 1], members: [at + 1]))
            }
        }
        return found
    }

    /// The ways that are likely, each with its share, the likeliest first.
    func named(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> [LikelyWay] {
        let named = groups(shares, others, own).filter { $0.share >= 0.01 }.map {
            LikelyWay(
                via: register.symbols[$0.place], share: $0.share, isOwn: $0.members.contains(0))
        }
        return named.count < 2 ? [] : named.sorted { ($1.share, $0.via) < ($0.share, $1.via) }
    }

    /// The likeliest of the ways by the gate that most take; nil: it is the own.
    func likeliest(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> Int? {
        let most = groups(shares, others, own).max {
            ($0.share, $1.members[0]) < ($1.share, $0.members[0])
        }
        guard let most, !most.members.contains(0) || shares[0] == 0 else { return nil }
        return most.members.max { shares[$0] < shares[$1] }.map { $0 - 1 }
    }

    /// The timeline of the way that is likeliest: of what lies on it alone as if it went there, and of what all
    /// ways have in common as it is expected by any.
    mutating func likeliest(
        _ own: Timeline, _ journey: Journey, _ shipment: Shipment, _ others: [OtherWay],
        _ shares: [Double], _ now: Instant
    ) -> Timeline {
        var shown = own
        shown.ways = named(shares, others, journey.way)
        guard let most = likeliest(shares, others, journey.way) else { return shown }
        let other = others[most]
        shown.way = other.way
        shown.parted = other.after
        shown.reached = Array(own.reached.prefix(other.after + 1))
        shown.reached += repeatElement(
            .unset, count: other.way.milestones.count - shown.reached.count)
        shown.points = forecasting.composer.timeline(
            other, journey.progress, start: shipment.startedAt, now: now, &forecasting.pools)
        for (mine, theirs) in other.places.enumerated()
        where theirs >= 0 && (mine <= other.after || theirs == shown.points.count - 1) {
            shown.points[theirs] = own.points[mine]
        }
        Composer.order(&shown.points)
        for at in shown.ways.indices { shown.ways[at].isOwn = false }
        let on = other.way.milestones.dropFirst(other.after + 1).map { register.symbols[$0.place] }
        let name = shown.ways.firstIndex { on.contains($0.via) }
        if let name { shown.ways[name].isOwn = true }
        if let passed = own.probablyPassed, passed > other.after {
            shown.probablyPassed = other.after
        }
        return shown
    }
}
