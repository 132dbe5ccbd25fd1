import Forecast
import Tracking

/// Where a box without a plan is expected next.
struct NextPlace {
    /// The step there, or where it has not left the two.
    let chain: [Milestone]
    /// When the first of them began.
    let start: Instant
    /// How long boxes took for all of it; nil: the network tells of each.
    var lasting: Curve?
    /// Where boxes went on to from there, the most first; empty: nobody knows, or they all did the same.
    var others: [LikelyWay] = []
    /// So many boxes went on from there of late; 0: it is what the network has next.
    var wentOn = 0
}

/// Journeys without a plan.
extension Engine {
    /// Without a plan only the next place can be forecast, and the line says so.
    mutating func attendUnplanned(
        _ journey: inout Journey, _ history: EventHistory, _ context: inout ReviewContext,
        _ draft: inout Draft
    ) {
        let due = min(journey.publication.owedAt, journey.publication.reviewAt)
        guard context.touch != nil || due <= context.now else {
            return
        }
        (journey.publication.owedAt, journey.publication.reviewAt) = (.never, .never)
        guard journey.progress.lastTime != .unset else { return }
        forecasting.learnMoves(
            from: journey.publication.taughtStays, to: journey.progress.stays)
        journey.publication.taughtStays = journey.progress.stays
        if let newest = context.touch?.newest, newest != .unset,
            context.now.minutes(since: newest) > rules.backlogMinutes
        {
            journey.publication.holdUntil = context.now.advanced(minutes: rules.settleMinutes)
        }
        let held = journey.publication.holdUntil > context.now
        guard let next = nextPlace(journey, history) else {
            // Others may show where boxes go on to; after as long as this it is another journey.
            let end = journey.progress.lastTime.advanced(
                minutes: Double(JourneyFold.gapMicroseconds) / 60e6)
            let again = lookAgainAt(journey, nil, context.now)
            if again < end { journey.publication.reviewAt = again }
            return say(
                unknown: unknownPlan(journey), &journey, promised: nil, isHistory: held, context,
                &draft)
        }
        guard let expected = expect(next, now: context.now) else { return }
        let place = next.chain[next.chain.count - 1].place
        if expected.isBeyondAll {
            // Another journey of the box was heard of: that is no silence.
            if context.touch != nil, context.isOneOfSeveral { return }
            return say(
                unknown: unknownSilence(journey, context.now, register.symbols[place]), &journey,
                promised: nil, isHistory: held, context, &draft)
        }
        var outlook = Outlook(
            expected: expected, chain: next.chain, promised: nil, seenFrom: context.now,
            held: held, partial: true, horizon: 0, p10: expected.quantile(0.1),
            p50: expected.quantile(0.5), p90: expected.quantile(0.9))
        outlook.isHistory = held
        outlook.nextPlaces = next.others
        outlook.wentOn = next.wentOn
        publish(&journey, outlook, context, &draft)
    }

    mutating func expect(_ next: NextPlace, now: Instant) -> Expectation? {
        let closures = closureBook.windows(along: next.chain, now: now)
        // What is shut where it stands holds it there.
        if let lasting = next.lasting, let step = next.chain.first {
            return forecasting.composer.expect(
                step, lasting: lasting, closures, start: next.start, now: now)
        }
        var open = Journey.Progress()
        open.reached = Array(repeating: .unset, count: next.chain.count)
        return forecasting.composer.expect(
            Composer.Steps(next.chain, &forecasting.pools, closures: closures), open,
            start: next.start, now: now, &forecasting.pools)
    }

    /// Where boxes went on to from where it stands, or as long as few have, where the network leads next; nil:
    /// nobody knows.
    mutating func nextPlace(_ journey: Journey, _ history: EventHistory) -> NextPlace? {
        guard journey.progress.lastPlace != 0 else { return nil }
        return onward(journey) ?? nearest(journey, history)
    }

    private func onward(_ journey: Journey) -> NextPlace? {
        let stays = journey.progress.stays
        guard let here = stays.last else { return nil }
        let before = stays.count > 1 ? stays[stays.count - 2].place : 0
        let symbols = register.symbols
        let turns = forecasting.onward.onward(from: here.place, before: before)
            .sorted { ($1.share, symbols[$0.to]) < ($0.share, symbols[$1.to]) }
        guard let to = turns.first?.to else { return nil }
        for isGone in here.left == .unset ? [false] : [true, false] {
            let start = isGone ? here.left : here.came
            guard start != .unset,
                let lasting = forecasting.pools.onward(from: here.place, to: to, isGone: isGone)
            else { continue }
            let mode = journey.progress.lastMode
            let leaving = Milestone(
                place: here.place, code: .depa, kind: .departure, fromPlace: here.place,
                fromCode: .arri, mode: mode)
            let going = Milestone(
                place: to, code: .arri, kind: .transit, fromPlace: here.place, fromCode: .depa,
                mode: mode)
            let likely = turns.filter { $0.share >= Engine.leastOnwardShare }.map {
                LikelyWay(via: register.symbols[$0.to], share: $0.share, isOwn: $0.to == to)
            }
            return NextPlace(
                chain: here.left == .unset ? [leaving, going] : [going], start: start,
                lasting: lasting, others: likely.count < 2 ? [] : likely,
                wentOn: Int(turns.reduce(0) { $0 + $1.boxes }.rounded()))
        }
        return nil
    }

    /// Places to which fewer went on are not named.
    private static let leastOnwardShare = 0.05

    /// The step (or two) to the nearest onward place by the mode last seen; nil where the network
    /// does not know the place, or has nothing there but ways back.
    private mutating func nearest(_ journey: Journey, _ history: EventHistory) -> NextPlace? {
        let progress = journey.progress
        guard let here = network.place(register.symbols[progress.lastPlace]) else { return nil }
        let before = history.events.last {
            $0.isEvidence && $0.place != progress.lastPlace && $0.time <= progress.lastTime
        }
        let came = before.flatMap { network.place(register.symbols[$0.place]) }
        var best: Leg?
        for index in network.outgoing[here] {
            let leg = network.legs[index]
            if leg.to == came { continue }
            if progress.lastMode != .unknown {
                if leg.mode != progress.lastMode { continue }
            } else if let came, ways.leadsBack(from: came, over: leg) {
                continue
            }
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
        return NextPlace(chain: chain, start: progress.lastTime)
    }
}
