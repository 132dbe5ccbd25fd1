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
            let isNew = { (milestone: Milestone) in
                milestone.place == place && milestone.code == stated.event
            }
            if let known = chain.indices.dropFirst(last + 1).first(where: { isNew(chain[$0]) }) {
                last = known
                continue
            }
            if chain.contains(where: isNew) { continue }
            guard
                let first = chain.indices.first(where: { chain[$0].place == place && $0 > last })
                    ?? chain.indices.first(where: { chain[$0].place == place })
            else { continue }
            var at = max(first, last + 1)
            while at < chain.count, chain[at].place == place,
                ReadingOrder.phase(chain[at].code) <= ReadingOrder.phase(stated.event)
            { at += 1 }
            guard at > last, at == chain.count || at > 0 || chain[0].place == place else {
                continue
            }
            let before = at > 0 ? chain[at - 1] : nil
            let prior = at < chain.count ? chain[at] : nil
            var made = milestone(stated, after: before, plan, &symbols)
            if made.kind == .transit, let prior, prior.place == place, prior.kind == .transit {
                made = made.withPrior(of: prior)
            }
            chain.insert(made, at: at)
            if at + 1 < chain.count { chain[at + 1].follow(made) }
            last = at
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
        for (at, stated) in own.enumerated() {
            let from = at > 0 ? places[at - 1] : origin
            var arrival: Milestone?
            if let from, let to = places[at], from != to, isOpen(stated, after: chain.last) {
                // What the plan leads through lies behind what it names, where there is more to come.
                let through = at == 0 && !isBehind ? via : []
                chain += stretch([from] + through + [to], after: chain, plan, &symbols)
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
            chain += stretch([last] + via + [goal], after: chain, plan, &symbols)
        }
        return chain
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
    private func stretch(
        _ places: [Int], after chain: [Milestone], _ plan: ShipmentPlan, _ symbols: inout Symbols
    ) -> [Milestone] {
        guard let route = route(through: places, plan.mode) else { return [] }
        var found = routeChain(route.stops[...], after: chain.last, &symbols)
        guard let last = chain.last else { return found }
        // What was done where it begins is not done again, and nothing where it has left.
        let stay = chain.reversed().prefix { $0.place == last.place }.map(\.code)
        let begins = found.prefix { $0.place == last.place }.count
        let kept = found.prefix(begins).filter {
            !last.code.isDeparture && !stay.contains($0.code)
                && ReadingOrder.phase($0.code) > ReadingOrder.phase(last.code)
        }
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
        var arrival: Milestone?
        while let last = chain.last, last.place == place {
            if last.kind == .transit, !stated.event.isArrival { break }
            arrival = last
            chain.removeLast()
        }
        return arrival
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
