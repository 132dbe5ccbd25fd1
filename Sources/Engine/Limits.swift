import Tracking

/// What is more than is kept of one thing. What is known already stays what it was: a duplicate.
extension Engine {
    func excess(_ event: TrackingEvent, _ slot: Int) -> Verdict? {
        guard records[slot].history.count >= rules.maxEvents,
            !records[slot].history.recognises(event)
        else { return nil }
        return tooMany("container", "\(rules.maxEvents) events of \(event.container)")
    }

    func excess(_ plan: ShipmentPlan) -> Verdict? {
        let symbol = symbols.known(plan.shipment)
        for container in plan.containers {
            guard let slot = slots[container], records[slot].plans.count >= rules.maxPlans,
                symbol.map(records[slot].plans.contains) != true
            else { continue }
            return tooMany("containers", "\(rules.maxPlans) plans that name \(container)")
        }
        return nil
    }

    func excess(_ closure: Closure) -> Verdict? {
        guard closures.count >= rules.maxClosures, closures[closure.id] == nil else { return nil }
        return tooMany("closure", "\(rules.maxClosures) closures")
    }

    private func tooMany(_ field: String, _ what: String) -> Verdict {
        .refused(
            LineReject(.limit, field: field, detail: "\(what) are known, and no more are kept"))
    }
}
