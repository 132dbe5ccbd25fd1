import Tracking

/// A sender that is enrolled for some places speaks of those only, and takes back or replaces only
/// what was said of them.
extension Engine {
    mutating func authorize(_ read: ReadLine, _ identity: Identity, _ chunk: FeedChunk) -> Verdict?
    {
        guard let scope = chunk.scope else { return nil }
        let place = read.place
        if !place.isEmpty, !scope.contains(place) {
            return forbidden(place, chunk, as: read.event.place)
        }
        guard let slot = register.slots[read.event.container],
            let known = register.records[slot].history.events.first(where: {
                $0.identity == identity
            })
        else {
            // An id is its sender's own: it takes nothing back that somebody else said.
            return nil
        }
        if known.place == 0 { return nil }
        let spokenOf = register.symbols[known.place]
        return scope.contains(spokenOf) ? nil : forbidden(spokenOf, chunk)
    }

    /// A plan concerns a post where it passes one of its places; one that was taken back whom it did.
    mutating func authorize(_ plan: ShipmentPlan, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope else { return nil }
        let known = register.lastVersion(of: plan.shipment)
        let before = known.map { $0.plan.retract ? $0.reading.concerned : $0.plan.places } ?? []
        // Who takes it back need not say where it went.
        let isBare = plan.retract && plan.places.isEmpty
        if isBare, known == nil { return nil }
        for places in [plan.places, before] {
            if places.isEmpty,
                isBare ? !before.isEmpty : known == nil || known?.plan.retract == true
            {
                continue
            }
            guard places.contains(where: { scope.contains(canonical($0)) }) else {
                return forbidden(
                    "shipment \(plan.shipment), which passes none of its places", chunk)
            }
        }
        return nil
    }

    mutating func authorize(_ closure: Closure, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope else { return nil }
        let known = closureBook.closures[closure.id]?.closure
        for place in [closure.place, known?.place].compactMap({ $0 })
        where !place.isEmpty && !scope.contains(canonical(place)) { return forbidden(place, chunk) }
        return nil
    }

    private func canonical(_ place: String) -> String { network.canonical(place) }

    /// `stated`: the place as the line has it.
    private mutating func forbidden(
        _ what: String, _ chunk: FeedChunk, as stated: String? = nil
    ) -> Verdict {
        var detail = "post \(chunk.origin.post) may not speak of \(what)"
        let name = name(what)
        if name != what { detail += " (\(name))" }
        let own = (chunk.scope ?? []).sorted()
        var suggest: [String] = []
        if let stated, network.place(meant: stated) == nil {
            suggest = nearPlaces(stated).filter(own.contains)
            if let meant = suggest.first { detail += "; is \(meant) (\(self.name(meant))) meant?" }
        }
        if suggest.isEmpty, !own.isEmpty {
            let shown = own.prefix(5).joined(separator: ", ") + (own.count > 5 ? ", …" : "")
            detail += "; it is enrolled for \(shown)"
        }
        return .refused(
            LineReject(.forbidden, field: "place", detail: detail, suggest: suggest))
    }
}
