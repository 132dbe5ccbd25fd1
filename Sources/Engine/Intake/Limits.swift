import Log
import Tracking

/// What is more than is kept of one thing. What is known already stays what it was: a duplicate.
extension Engine {
    func exceedsLimit(_ event: TrackingEvent, _ identity: Identity) -> Verdict? {
        if let was = event.was, let left = register.slots[was],
            register.records[left].history.count >= rules.maxEvents,
            !register.records[left].history.knows(identity)
        {
            return tooMany("was", "\(rules.maxEvents) events of \(was)")
        }
        guard let slot = register.slots[event.container],
            register.records[slot].history.count >= rules.maxEvents,
            !register.records[slot].history.recognises(
                identity, content: event.content, updated: event.updated ?? .unset)
        else { return nil }
        return tooMany("container", "\(rules.maxEvents) events of \(event.container)")
    }

    func exceedsLimit(_ plan: ShipmentPlan) -> Verdict? {
        let symbol = register.symbols.known(plan.shipment)
        for container in plan.containers {
            guard let slot = register.slots[container],
                register.records[slot].plans.count >= rules.maxPlans,
                symbol.map(register.records[slot].plans.contains) != true
            else { continue }
            return tooMany("containers", "\(rules.maxPlans) plans that name \(container)")
        }
        return costsTooMuch(plan, symbol)
    }

    /// An event is looked at in all plans of its container, and where they join containers in those
    /// of its companions too: together that is bounded, not only each by itself.
    private func costsTooMuch(_ plan: ShipmentPlan, _ symbol: UInt32?) -> Verdict? {
        guard rules.maxWork < .max else { return nil }
        let isJoined = plan.milestones.contains { $0.container != nil || $0.after != nil }
        let milestones = plan.estimatedMilestones
        let own = isJoined ? Shipment.work(plan, milestones: milestones) : milestones
        for container in plan.containers {
            guard let slot = register.slots[container] else { continue }
            var work = own
            for known in register.records[slot].plans where known != symbol {
                work += register.shipments[known]?.work ?? 0
            }
            if work > rules.maxWork {
                return .refused(
                    LineReject(
                        .limit, field: "containers",
                        detail: "the plans of \(container) have \(work) milestones to look at with "
                            + "each event of it, their containers together, and at most "
                            + "\(rules.maxWork) are (feed.max-plan-work)"))
            }
        }
        return nil
    }

    /// Of all closures so many may be of one place: each is looked at for every box that comes by.
    private var closuresOfPlace: Int { max(100, rules.maxClosures / 50) }

    func exceedsLimit(_ closure: Closure, _ chunk: FeedChunk, _ now: Instant) -> Verdict? {
        let isNew = closureBook.closures[closure.id]?.closure.place != closure.place
        if chunk.meaning >= .aboard, isNew, !closure.place.isEmpty,
            closureBook.count(at: closure.place) >= closuresOfPlace,
            closureBook.closures.values.count(where: {
                $0.closure.place == closure.place && !isLongOver($0, now)
            }) >= closuresOfPlace
        {
            return tooMany("closure", "\(closuresOfPlace) closures of \(closure.place)")
        }
        guard closureBook.closures.count >= rules.maxClosures,
            closureBook.closures[closure.id] == nil,
            closureBook.closures.values.count(where: { !isLongOver($0, now) }) >= rules.maxClosures
        else { return nil }
        return tooMany("closure", "\(rules.maxClosures) closures")
    }

    private func tooMany(_ field: String, _ what: String) -> Verdict {
        .refused(
            LineReject(.limit, field: field, detail: "\(what) are known, and no more are kept"))
    }
}
