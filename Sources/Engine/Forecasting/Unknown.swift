import Forecast
import Tracking

/// Why nothing can be said of a journey's end.
struct Unknown {
    /// Tells reasons apart; never 0.
    let kind: UInt64
    /// The place that cannot be said.
    let place: String
    let words: String
}

extension Engine {
    /// Nothing is known of a step ahead, or no way leads to where the plan ends.
    func unknownWay(_ journey: Journey, _ shipment: Shipment) -> Unknown {
        let chain = journey.way.milestones
        let plan = shipment.plan
        let goal =
            chain.last.map { register.symbols[$0.place] }
            ?? plan.destination.map { network.canonical($0) } ?? ""
        let next = max(0, journey.progress.furthest + 1)
        var from = plan.origin.map { network.canonical($0) } ?? ""
        if next < chain.count { from = register.symbols[chain[next].fromPlace] }
        // Boxes have gone from there, but nobody says when this one does.
        if next < chain.count, chain[next].kind == .departure, chain[next].planned == .unset,
            forecasting.partings.isTurning(at: chain[next].place)
        {
            return Unknown(
                kind: 4, place: goal, words: "when it leaves \(from) is neither known nor planned")
        }
        let stranger = [from, goal].first { network.place($0) == nil && !$0.isEmpty }
        var words = "no way from \(from) to \(goal) is known"
        if plan.origin == nil, from == goal { words = "no way to \(goal) is known" }
        if chain.isEmpty, plan.destination == nil {
            words = "the plan names no place to go to"
        } else if let stranger {
            words += ": \(stranger) is no place of the network"
        }
        return Unknown(kind: 1, place: goal, words: words)
    }

    /// Where the box was stripped though its plan knows nothing of that: its cargo goes on without it. nil: it was not,
    /// or is stuffed again.
    func stripped(
        _ journey: borrowing Journey, _ shipment: Shipment, _ history: borrowing EventHistory
    ) -> UInt32? {
        let progress = journey.progress
        guard shipment.graph == nil, progress.lastTime != .unset,
            let first = progress.reached.first(where: { $0 != .unset })
        else { return nil }
        var last: (place: UInt32, time: Instant)?
        for event in history.events where event.code == .strp || event.code == .stuf {
            guard event.isEvidence, event.time >= first, event.time <= progress.lastTime,
                event.shipment == 0 || event.shipment == journey.shipment
            else { continue }
            last = event.code == .strp ? (event.place, event.time) : nil
        }
        guard let last, !progress.isComplete,
            !(journey.way.milestones + shipment.chain).contains(where: { $0.code == .strp })
        else { return nil }
        // What goes on by its way all the same was not done.
        let goesOn = zip(journey.way.milestones, progress.reached).contains {
            $1 != .unset && $1 > last.time && $0.place != last.place
        }
        return goesOn ? nil : last.place
    }

    func unknownStripped(_ place: UInt32, _ goal: UInt32) -> Unknown {
        Unknown(
            kind: 5, place: register.symbols[goal],
            words: "it was stripped at \(placeName(place)): nothing more is expected of it at "
                + placeName(goal))
    }

    /// The box has been silent for longer than anything seen.
    func unknownSilence(_ journey: Journey, _ now: Instant, _ goal: String) -> Unknown {
        let last = journey.progress.lastTime
        guard last != .unset else {
            return Unknown(
                kind: 2, place: goal, words: "never heard of, long after its plan begins")
        }
        let days = Int(now.minutes(since: last) / 1_440)
        let place = register.symbols[journey.progress.lastPlace]
        return Unknown(
            kind: 2, place: goal,
            words: "not heard of for \(days) days, since \(name(place)): longer than anything seen")
    }

    /// A box without a plan, at a place from which nobody knows what comes next.
    func unknownPlan(_ journey: Journey) -> Unknown {
        let place = register.symbols[journey.progress.lastPlace]
        let mode = journey.progress.lastMode
        let by = mode == .unknown ? "" : " by \(mode.code)"
        let words =
            (network.place(place) == nil
                ? "no plan names it, \(place) is no place of the network"
                : "no plan names it, the network has no way on from \(place)\(by) but back")
            + ", and too few boxes went on from there to one place"
        return Unknown(kind: 3, place: place, words: words)
    }
}
