/// Ways of plans that name milestones of their own, where the network has to find the rest: to the first of
/// them, from the last, and between two of which nobody says how long it takes.
extension ChainBuilder {
    /// A route's milestones, and among them what the plan names that is not done on every way: a gate-in at its
    /// beginning, a loading.
    func put(
        _ own: [PlannedMilestone], into chain: [Milestone], _ plan: ShipmentPlan,
        _ symbols: inout Symbols
    ) -> [Milestone] {
        var chain = chain
        var last = -1
        for stated in own {
            let place = symbol(stated.place, &symbols)
            let isSame = { (milestone: Milestone) in
                milestone.place == place && milestone.code == stated.event
            }
            if let known = chain.indices.dropFirst(last + 1).first(where: { isSame(chain[$0]) }) {
                last = known
                continue
            }
            if chain.contains(where: isSame) { continue }
            guard
                let first = chain.indices.first(where: { chain[$0].place == place && $0 > last })
                    ?? chain.indices.first(where: { chain[$0].place == place })
            else { continue }
            // In its stay, behind what is usually done before it.
            var at = first
            while at < chain.count, chain[at].place == place,
                ReadingOrder.phase(chain[at].code) <= ReadingOrder.phase(stated.event)
            { at += 1 }
            let before = at > 0 ? chain[at - 1] : nil
            let prior = at < chain.count ? chain[at] : nil
            var made = milestone(stated, after: before, plan, &symbols)
            if made.kind == .transit, let prior, prior.place == place, prior.kind == .transit {
                made = made.withPrior(of: prior)
            }
            chain.insert(made, at: at)
            if at + 1 < chain.count { chain[at + 1].follow(made) }
            last = max(last + 1, at)
        }
        return chain
    }

    /// The plan's own milestones, with what the network knows before, between and behind them.
    func spliced(
        _ plan: ShipmentPlan, _ own: [PlannedMilestone], _ symbols: inout Symbols
    ) -> [Milestone] {
        var chain: [Milestone] = []
        let places = own.map { network.place(meant: $0.place) }
        let via = plan.via.compactMap { network.place(meant: $0) }.filter { !places.contains($0) }
        let origin = plan.origin.flatMap { network.place(meant: $0) }
        let goal = plan.destination.flatMap { network.place(meant: $0) }
        let isBehind = goal != nil && places.last != goal
        let isFirst =
            !isBehind
            || detour(origin, via, places.first ?? nil, plan.mode)
                < detour(places.last ?? nil, via, goal, plan.mode)
        var stretches = 0
        for (at, stated) in own.enumerated() {
            let from = at > 0 ? places[at - 1] : origin
            var arrival: Milestone?
            if let from, let to = places[at], from != to, isOpen(stated, after: chain.last),
                stretches < ChainBuilder.mostStretches
            {
                stretches += 1
                let through = at == 0 && isFirst ? via : []
                let beyond = at + 1 < own.count ? places[at + 1] : isBehind ? goal : nil
                chain += stretch(
                    [from] + through + [to], beyond, after: chain, plan, &symbols)
                arrival = trim(&chain, before: stated, &symbols)
            }
            var made = milestone(stated, after: chain.last, plan, &symbols)
            if made.kind == .transit, let arrival { made = made.withPrior(of: arrival) }
            if let place = places[at], made.kind != .transit, made.plannedMinutes.isNaN,
                made.planned == .unset
            {
                made = made.withPrior(usual(at: place, stated.event, plan.mode))
            }
            chain.append(made)
        }
        if isBehind, let goal, let last = places.last, let last {
            let through = isFirst && origin != nil && origin != places[0] ? [] : via
            chain += stretch([last] + through + [goal], nil, after: chain, plan, &symbols)
        }
        return chain
    }

    /// Between so many milestones of a plan the network is asked.
    private static let mostStretches = 16

    /// How many hours longer it is from one place to another through others.
    private func detour(
        _ from: Int?, _ through: [Int], _ to: Int?, _ mode: TransportMode
    ) -> Double {
        guard let from, let to, from != to, let straight = route(through: [from, to], mode),
            let bent = route(through: [from] + through + [to], mode)
        else { return .infinity }
        return bent.hoursP50 - straight.hoursP50
    }

    /// How long what is done at a place usually takes, hours.
    private func usual(
        at place: Int, _ code: EventCode, _ mode: TransportMode
    ) -> (p50: Double, p90: Double) {
        let kind: Dwell.Kind =
            code == .cusr ? .border : code == .disc || code == .load ? .transfer : .terminal
        let known = network.dwell(at: place, mode: mode, kind: kind, direction: .any)
        return (known?.hoursP50 ?? 3, known?.hoursP90 ?? 12)
    }

    /// Nobody says how long it takes to come there.
    private func isOpen(_ stated: PlannedMilestone, after last: Milestone?) -> Bool {
        if stated.minutes != nil { return false }
        guard let last else { return true }
        return stated.time == nil || last.planned == .unset
    }

    /// What is done on the way between places of the network, from where a chain ends; nothing where no way leads.
    /// `beyond`: where it goes on to, for what is done where this stretch ends.
    private func stretch(
        _ places: [Int], _ beyond: Int?, after chain: [Milestone], _ plan: ShipmentPlan,
        _ symbols: inout Symbols
    ) -> [Milestone] {
        let end = places[places.count - 1]
        let onward = beyond.flatMap { $0 == end ? nil : route(through: places + [$0], plan.mode) }
        guard let route = onward ?? route(through: places, plan.mode),
            let last = route.stops.lastIndex(where: { $0.place == end })
        else { return [] }
        var found = routeChain(route.stops[...last], after: chain.last, &symbols)
        guard let last = chain.last else { return found }
        // What was done where it begins is not done again, and nothing where it has left.
        let stay = chain.reversed().prefix { $0.place == last.place }.map(\.code)
        let begins = found.prefix { $0.place == last.place }.count
        let same = found.prefix(begins).lastIndex { $0.code == last.code }
        let kept = found.indices.prefix(begins).filter { at in
            if last.code.isDeparture || stay.contains(found[at].code) { return false }
            if let same { return at > same }
            return ReadingOrder.phase(found[at].code) > ReadingOrder.phase(last.code)
        }.map { found[$0] }
        found.replaceSubrange(..<begins, with: kept)
        var before = last
        for at in found.indices.prefix(kept.count + 1) {
            found[at].follow(before)
            before = found[at]
        }
        return found
    }

    /// Leaves of the last stay what comes before a milestone of the plan there; returns the arrival that this is
    /// itself.
    private func trim(
        _ chain: inout [Milestone], before stated: PlannedMilestone, _ symbols: inout Symbols
    ) -> Milestone? {
        let place = symbol(stated.place, &symbols)
        let begins = (chain.lastIndex { $0.place != place } ?? -1) + 1
        guard begins < chain.count else { return nil }
        if stated.event.isArrival, chain[begins].kind == .transit {
            let arrival = chain[begins]
            chain.removeSubrange(begins...)
            return arrival
        }
        // Itself, and what is done behind it: the way does not end there.
        if let same = chain[begins...].firstIndex(where: { $0.code == stated.event }) {
            chain.removeSubrange(same...)
        }
        while chain.count > begins, let last = chain.last,
            last.code == .gtot
                || ReadingOrder.phase(last.code) > ReadingOrder.phase(stated.event)
        { chain.removeLast() }
        return nil
    }
}

extension Milestone {
    /// The same where another one comes before it.
    fileprivate mutating func follow(_ before: Milestone) {
        (fromPlace, fromCode) = (before.place, before.code)
        kind = Milestone.kind(from: (before.place, before.code), to: (place, code))
    }

    /// The same with what the network knows of the step of another one.
    fileprivate func withPrior(of other: Milestone) -> Milestone {
        var made = withPrior((other.priorMinutesP50 / 60, other.priorMinutesP90 / 60))
        made.mode = other.mode
        return made
    }

    /// The same with this many hours known of it beforehand.
    fileprivate func withPrior(_ hours: (p50: Double, p90: Double)) -> Milestone {
        var made = reached(
            from: fromPlace, fromCode, priorMinutesP50: hours.p50 * 60,
            priorMinutesP90: hours.p90 * 60)
        made.plannedMinutes = plannedMinutes
        return made
    }
}
