import Forecast
import Tracking

/// Journeys without a plan.
extension Engine {
    /// Without a plan only the network's next place can be forecast, and the line says so.
    mutating func attendUnplanned(
        _ journey: inout Journey, _ history: EventHistory, _ context: inout ReviewContext,
        _ draft: inout Draft
    ) {
        journey.publication.reviewAt = .never
        guard context.touch != nil || journey.publication.owedAt <= context.now else {
            journey.publication.owedAt = .never
            return
        }
        guard journey.progress.lastTime != .unset else { return }
        let from = journey.progress.lastTime
        if let newest = context.touch?.newest, newest != .unset,
            context.now.minutes(since: newest) > rules.backlogMinutes
        {
            journey.publication.holdUntil = context.now.advanced(minutes: rules.settleMinutes)
        }
        let held = journey.publication.holdUntil > context.now
        guard let chain = nextPlaceChain(journey, history) else {
            return say(
                unknown: unknownPlan(journey), &journey, promised: nil, isHistory: held, context,
                &draft)
        }
        var open = Journey.Progress()
        open.reached = Array(repeating: .unset, count: chain.count)
        guard
            let expected = forecasting.composer.expect(
                Composer.Steps(
                    chain, &forecasting.pools, closures: closureBook.windows(along: chain)), open,
                start: from, now: context.now, &forecasting.pools)
        else { return }
        if expected.isBeyondAll {
            let next = register.symbols[chain[chain.count - 1].place]
            return say(
                unknown: unknownSilence(journey, context.now, next), &journey, promised: nil,
                isHistory: held, context, &draft)
        }
        var outlook = Outlook(
            expected: expected, chain: chain, promised: nil, seenFrom: context.now, held: held,
            partial: true, horizon: 0, p10: expected.quantile(0.1), p50: expected.quantile(0.5),
            p90: expected.quantile(0.9))
        outlook.isHistory = held
        publish(&journey, outlook, context, &draft)
    }

    /// The step (or two) to the nearest onward place by the mode last seen; nil where the network
    /// does not know the place.
    mutating func nextPlaceChain(
        _ journey: Journey, _ history: EventHistory
    ) -> [Milestone]? {
        let progress = journey.progress
        guard progress.lastPlace != 0,
            let here = network.place(register.symbols[progress.lastPlace])
        else { return nil }
        let before = history.events.last {
            $0.isEvidence && $0.place != progress.lastPlace && $0.time <= progress.lastTime
        }
        let came = before.flatMap { network.place(register.symbols[$0.place]) }
        var best: Leg?
        for index in network.outgoing[here] {
            let leg = network.legs[index]
            if leg.to == came { continue }
            if progress.lastMode != .unknown, leg.mode != progress.lastMode { continue }
            if best == nil || leg.hoursP50 < best?.hoursP50 ?? 0 { best = leg }
        }
        guard let leg = best else { return nil }
        let next = register.symbols.number(network.places[leg.to].id)
        var chain: [Milestone] = []
        if !progress.lastCode.isDeparture {
            chain.append(
                Milestone(
                    place: progress.lastPlace, code: .depa, kind: .departure,
                    fromPlace: progress.lastPlace, fromCode: .arri, mode: leg.mode,
                    priorMinutesP50: 6 * 60, priorMinutesP90: 36 * 60))
        }
        chain.append(
            Milestone(
                place: next, code: .arri, kind: .transit, fromPlace: progress.lastPlace,
                fromCode: .depa, mode: leg.mode, priorMinutesP50: leg.hoursP50 * 60,
                priorMinutesP90: leg.hoursP90 * 60))
        return chain
    }
}
