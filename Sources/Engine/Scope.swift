import Tracking

/// A sender that is enrolled for some places speaks of those only, and takes back or replaces only
/// what was said of them.
extension Engine {
    func trespass(_ event: TrackingEvent, _ place: String, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope else { return nil }
        if !place.isEmpty, !scope.contains(place) { return forbidden(place, chunk) }
        guard let slot = slots[event.container],
            let known = records[slot].history.events.first(where: { $0.identity == event.identity })
        else {
            return place.isEmpty ? forbidden("a place that is not named", chunk) : nil
        }
        let spokenOf = known.place == 0 ? "" : symbols[known.place]
        return scope.contains(spokenOf) ? nil : forbidden(spokenOf, chunk)
    }

    /// A plan concerns a post where it passes one of its places.
    func trespass(_ plan: ShipmentPlan, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope else { return nil }
        let known = symbols.known(plan.shipment).flatMap { shipments[$0]?.plan }
        for plan in [plan] + (known.map { [$0] } ?? []) {
            let places =
                [plan.origin, plan.destination].compactMap { $0 } + plan.via
                + plan.milestones.map(\.place)
            guard places.contains(where: { scope.contains(canonical($0)) }) else {
                return forbidden(
                    "shipment \(plan.shipment), which passes none of its places", chunk)
            }
        }
        return nil
    }

    func trespass(_ closure: Closure, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope else { return nil }
        let known = closures[closure.id]?.closure
        for place in [closure.place, known?.place].compactMap({ $0 })
        where !scope.contains(canonical(place)) { return forbidden(place, chunk) }
        return nil
    }

    private func canonical(_ place: String) -> String {
        network.place(place).map { network.places[$0].id } ?? place
    }

    private func forbidden(_ what: String, _ chunk: FeedChunk) -> Verdict {
        .refused(
            LineReject(
                .forbidden, field: "place",
                detail: "post \(chunk.origin.post) may not speak of \(what)"))
    }
}
