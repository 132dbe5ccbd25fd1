import Alerting
import Forecast
import Tracking

/// Whether a box that is not heard of is worth a person's attention.
extension Engine {
    mutating func judgeSilence(
        _ journey: inout Journey, _ shipment: Shipment, _ outlook: Outlook,
        _ context: ReviewContext, _ clock: Instant, _ draft: inout Draft
    ) {
        var stuckSince: Instant?
        var isHeard = false
        for at in journey.publication.alerts.indices {
            let episode = journey.publication.alerts[at]
            guard episode.type.isSilence, episode.phase != .closed else { continue }
            let facts = silenceFacts(episode, journey, shipment, outlook, context, clock)
            switch facts {
            case .waiting: journey.publication.overdueAt = .never
            case .othersLeft: stuckSince = episode.expected
            case .heard, .reached, .bypassed, .released, .undone: break
            }
            if case .heard = facts { isHeard = true }
            tell(facts, at, &journey, outlook, context, &draft)
        }
        guard let next = outlook.expected.next, !outlook.held, !isHeard else { return }
        if let stuckSince {
            return raise(.stuck, stuckSince, next, &journey, outlook, context, clock, &draft)
        }
        guard journey.publication.overdueAt <= context.now else { return }
        journey.publication.overdueAt = .never
        if context.isOverdueTold { return }
        if mayWait(journey, shipment, outlook, next) {
            journey.publication.overdueAt = context.now.advanced(minutes: 1_440)
            return
        }
        let silence = silence(journey, shipment, outlook, context, clock, next, &draft)
        guard let expected = silence.expected else {
            journey.publication.overdueAt = silence.lookAt
            return
        }
        if let silent = silentPost(of: outlook.chain[next]) {
            journey.publication.overdueAt = context.now.advanced(minutes: Engine.heldMinutes)
            return holdBack(context.container, silent, &draft)
        }
        if let wait = doubtedUntil(outlook.chain[next], context.now), wait > context.now {
            journey.publication.overdueAt = wait
            return
        }
        let type: AlertType =
            isHeldByCustoms(journey, outlook.chain[next])
            ? .customsHold : isStuck(journey, shipment, next, clock) ? .stuck : .overdue
        raise(type, expected, next, &journey, outlook, context, clock, &draft)
    }

    /// Nobody has said when it leaves, and its promise is kept if it leaves now.
    private func mayWait(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ next: Int
    ) -> Bool {
        journey.progress.eventCount == 0 && shipment.plan.start == nil && shipment.graph == nil
            && outlook.chain[next].planned == .unset && outlook.delayMinutes ?? 0 < 0
            && outlook.lateProbability ?? 1 < rules.clearProbability
    }

    /// `expected`: when the delivery was, before the silence.
    private mutating func raise(
        _ type: AlertType, _ expected: Instant, _ next: Int, _ journey: inout Journey,
        _ outlook: Outlook, _ context: ReviewContext, _ clock: Instant, _ draft: inout Draft
    ) {
        let facts = SilencePolicy.Facts.waiting(
            shiftMinutes: outlook.p50.minutes(since: expected),
            silentMinutes: silentMinutes(journey, context.now, clock))
        let key = AlertKey(type, next, of: outlook.chain)
        let finding = SilencePolicy.find(facts, rules, known: nil, isSafe: isSafe(outlook, type))
        let moment = Moment(now: context.now)
        guard let at = begin(key, finding, since: clock, &journey, moment) else { return }
        journey.publication.alerts[at].expected = expected
        tell(facts, at, &journey, outlook, context, &draft)
    }

    /// Whatever the silence means, what was promised will be kept; of what customs hold nobody knows.
    private func isSafe(_ outlook: Outlook, _ type: AlertType) -> Bool {
        type != .customsHold
            && outlook.lateProbability.map { $0 < SilencePolicy.safeProbability } ?? false
    }

    private mutating func tell(
        _ facts: SilencePolicy.Facts, _ at: Int, _ journey: inout Journey, _ outlook: Outlook,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        let episode = journey.publication.alerts[at]
        let progress = journey.progress
        let known = episode.phase == .pending ? nil : episode.severity
        look(
            &journey, at,
            SilencePolicy.find(facts, rules, known: known, isSafe: isSafe(outlook, episode.type)),
            Moment(now: context.now), outlook, context, &draft
        ) { engine, _ in engine.silenceText(facts, episode, progress, outlook, context) }
    }

    private mutating func silenceFacts(
        _ episode: AlertEpisode, _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook,
        _ context: ReviewContext, _ clock: Instant
    ) -> SilencePolicy.Facts {
        let waited = Int(episode.at)
        if outlook.expected.next == waited {
            // Whichever of its releases it was: the way may have the first behind it.
            if episode.type == .customsHold, journey.progress.lastCode == .cusr { return .released }
            let silent = silentMinutes(journey, context.now, clock)
            if episode.type == .overdue, isStuck(journey, shipment, waited, clock) {
                return .othersLeft
            }
            guard let spoken = beforeSilence(journey, shipment, outlook, context.now, clock) else {
                let expected = episode.expected == .unset ? outlook.p50 : episode.expected
                return .waiting(
                    shiftMinutes: outlook.p50.minutes(since: expected), silentMinutes: silent)
            }
            let isHeard = context.touch?.newest == journey.progress.lastTime
            if episode.type == .overdue, isHeard, context.now < spoken.limit { return .heard }
            // What else has moved the delivery meanwhile, a closure or another plan, is no matter of silence.
            let expected = spoken.expected
            return .waiting(
                shiftMinutes: outlook.p50.minutes(since: expected), silentMinutes: silent)
        }
        if episode.at == AlertEpisode.nowhere { return .bypassed }
        return waited <= journey.progress.furthest ? .reached : .undone
    }

    /// What would be expected had the next report come in its time: when the delivery, until when nobody would
    /// wonder, and when nine in ten have come; nil where ways join, and where nothing is known.
    private mutating func beforeSilence(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ now: Instant,
        _ clock: Instant
    ) -> (expected: Instant, limit: Instant, p90: Instant)? {
        guard shipment.graph == nil, let next = outlook.expected.next else { return nil }
        // Boxes that are held must not make it usual to be held.
        forecasting.composer.ignoresPace = isHeldByCustoms(journey, outlook.chain[next])
        defer { forecasting.composer.ignoresPace = false }
        guard
            let before = forecasting.composer.expect(
                steps(
                    journey.way, journey.progress, now: clock, until: now, isAllReported: true),
                journey.progress, start: shipment.startedAt, now: clock, &forecasting.pools)
        else { return nil }
        let quantiles = forecasting.intervals.next(
            before, place: outlook.chain[next].place, now: clock)
        let isLast = next == outlook.chain.count - 1
        return (
            forecasting.intervals.calibrated(before, now: clock, isLastStep: isLast).quantile(0.5),
            SilencePolicy.limit(began: clock, usual: quantiles.p50, longest: quantiles.p99),
            quantiles.p90
        )
    }

    /// Since the last report, which may have come before its plan did.
    private func silentMinutes(_ journey: Journey, _ now: Instant, _ clock: Instant) -> Double {
        let last = journey.progress.lastTime
        return now.minutes(since: last == .unset ? clock : last)
    }

    /// The last that was heard is that customs look at it, and what is waited for is that it may go on.
    private func isHeldByCustoms(_ journey: Journey, _ next: Milestone) -> Bool {
        journey.progress.lastCode == .cusi && next.kind != .transit
            && next.place == journey.progress.lastPlace
    }

    /// When nine in ten that customs look at have been released, where that is not what is waited for: they look at
    /// it again, after a release.
    private mutating func customsLimit(
        _ outlook: Outlook, _ clock: Instant, _ next: Int
    ) -> Instant? {
        let place = outlook.chain[next].place
        guard outlook.chain[next].code != .cusr,
            let release = outlook.chain.prefix(next).last(where: {
                $0.code == .cusr && $0.place == place && $0.kind == .dwell
            }), let curve = forecasting.pools.curve(release, start: clock)
        else { return nil }
        return clock.advanced(minutes: max(0, curve.quantile(0.9)))
    }

    /// Of a box that stands: whether others that came later have left.
    private func isStuck(
        _ journey: Journey, _ shipment: Shipment, _ next: Int, _ clock: Instant
    ) -> Bool {
        let way = journey.way
        guard shipment.graph == nil, way.milestones[next].kind == .dwell else { return false }
        // Boxes of its own train came with it.
        return SilencePolicy.isStuck(
            forecasting.pools.later(way.ids[next], than: clock.advanced(minutes: 30)))
    }

    private static let leastAgainMinutes = 60.0

    /// Whether silence has become worth an alert: then when the delivery was expected before it; else
    /// when to look again.
    private mutating func silence(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ context: ReviewContext,
        _ clock: Instant, _ next: Int, _ draft: inout Draft
    ) -> (expected: Instant?, lookAt: Instant) {
        // Where ways join it was looked at with its limit, and against what was said.
        guard shipment.graph == nil else { return (journey.publication.p50, .never) }
        let isCustoms = isHeldByCustoms(journey, outlook.chain[next])
        guard
            let (expected, limit, p90) = beforeSilence(
                journey, shipment, outlook, context.now, clock)
        else { return (nil, .never) }
        let place = outlook.chain[next].place
        // That customs take longer than nine times in ten is enough to ask them.
        if isCustoms {
            let limit = customsLimit(outlook, clock, next) ?? p90
            return context.now >= limit ? (expected, .never) : (nil, limit)
        }
        // The first time that anybody would wonder; it is looked at again an hour later at the soonest.
        let beyond = context.now.minutes(since: limit)
        if beyond >= 0, beyond < Engine.leastAgainMinutes {
            learnSilentEnd(journey, next, outlook, context)
        }
        var again = context.now.advanced(
            minutes: max(Engine.leastAgainMinutes, context.now.minutes(since: clock) / 4))
        if beyond < 0 { again = min(again, limit) }
        // What is told sooner is not looked at then.
        func told(_ isTold: Bool) -> (expected: Instant?, lookAt: Instant) {
            if isTold, beyond < 0 { learnSilentEnd(journey, next, outlook, context) }
            return isTold ? (expected, .never) : (nil, again)
        }
        let isCritical = outlook.p50.minutes(since: expected) >= rules.levelMinutes[2]
        guard context.now >= limit || isCritical else { return (nil, limit) }
        let share = usualShare(journey, shipment, outlook, context.now, clock, next)
        guard share <= SilencePolicy.surprise || isCritical && share <= 0.05 else {
            return (nil, again)
        }
        let bar = SilencePolicy.realShare + forecasting.intervals.silenceMargin(place)
        let moved = moved(journey, shipment, outlook, context.now)?.probability(
            after: expected.advanced(minutes: rules.levelMinutes[0]))
        return told((moved ?? 1) >= bar)
    }

    /// What is expected of a box that is still before its next milestone: that it may have been passed
    /// without a word is judged beforehand, but for where the plan states that it has.
    private mutating func moved(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ now: Instant
    ) -> IntervalCalibrator.CalibratedForecast? {
        guard let next = outlook.expected.next, outlook.expected.isMixed,
            !journey.way.restated.dropFirst(next).contains(where: { $0.claimedAt != .unset }),
            let expected = forecasting.composer.expect(
                steps(journey.way, journey.progress, now: now, isAllReported: true),
                journey.progress, start: shipment.startedAt, now: now, &forecasting.pools)
        else { return outlook.calibrated }
        return forecasting.intervals.calibrated(
            expected, now: now, isLastStep: next == outlook.chain.count - 1)
    }

    /// Milestones that may pass without a word before the next report.
    private static let unreportedAhead = 4

    /// The share of boxes that go on as usual and of which nothing would have been heard by now either:
    /// because the step lasts, or because what ends it is not reported, and so on.
    private mutating func usualShare(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ now: Instant,
        _ clock: Instant, _ next: Int
    ) -> Double {
        var share = 0.0
        var unheard = 1.0
        let last = min(outlook.chain.count - 1, next + Engine.unreportedAhead)
        for at in next...last {
            let silent = forecasting.habits.silentShare(outlook.chain[at])
            guard
                let expected = forecasting.composer.expect(
                    steps(
                        journey.way, journey.progress, now: clock, until: now, isAllReported: true),
                    journey.progress,
                    start: shipment.startedAt, now: clock,
                    &forecasting.pools, upTo: at + 1)
            else { break }
            share += unheard * (1 - silent) * expected.probability(after: now)
            unheard *= silent
            // Of what has come to its end nothing more would be heard; on the way there silence is news.
            if at == outlook.chain.count - 1, isAtItsEnd(outlook) { share += unheard }
            if unheard < SilencePolicy.surprise / 4 { break }
        }
        if share > SilencePolicy.surprise { return share }
        return elsewhere(journey, shipment, share, now, clock)
    }

    /// The same where some boxes go another way, and may still be on it.
    private mutating func elsewhere(
        _ journey: Journey, _ shipment: Shipment, _ own: Double, _ now: Instant, _ clock: Instant
    ) -> Double {
        var share = own
        for other in others(journey, shipment, now: now)
        where other.after <= journey.progress.furthest {
            guard
                let expected = forecasting.composer.expect(
                    other, journey.progress, start: shipment.startedAt, now: clock,
                    &forecasting.pools)
            else { continue }
            share += other.share * (expected.probability(after: now) - own)
        }
        return share
    }

    /// When silence is to be looked at first.
    mutating func silenceAt(
        _ journey: Journey, _ shipment: Shipment, _ outlook: Outlook, _ clock: Instant, next: Int
    ) -> Instant {
        let milestone = outlook.chain[next]
        let quantiles = forecasting.intervals.next(
            outlook.expected, place: milestone.place, now: clock)
        if isHeldByCustoms(journey, milestone) {
            return customsLimit(outlook, clock, next) ?? quantiles.p90
        }
        guard shipment.graph != nil else { return quantiles.p95 }
        return SilencePolicy.limit(began: clock, usual: quantiles.p50, longest: quantiles.p99)
    }

    /// The journey has come to its end: what its alerts said, and what passed in silence, is known.
    mutating func learnFromAlerts(_ journey: Journey, _ outlook: Outlook) {
        guard outlook.isComplete, !journey.publication.forecasts.isEmpty else { return }
        let arrived = outlook.expected.origin
        for episode in journey.publication.alerts where episode.rev > 0 || episode.isShadow {
            switch episode.type {
            case .late:
                guard let promised = outlook.promised else { continue }
                forecasting.intervals.learn(
                    alert: Int(episode.horizon), cameTrue: arrived > promised)
            case .overdue, .stuck, .customsHold:
                guard episode.expected != .unset else { continue }
                let level = rules.levelMinutes[0]
                forecasting.intervals.learn(
                    silence: episode.place,
                    wasReal: arrived.minutes(since: episode.expected) >= level)
            case .offRoute, .impossible, .seal, .postSilent, .postClock, .closure: continue
            }
        }
        alertsDirty = true
        func isReported(_ at: Int) -> Bool {
            journey.progress.reached[at] != .unset && !journey.progress.implied.contains(at)
        }
        for (at, milestone) in outlook.chain.enumerated() {
            forecasting.habits.learn(
                ReportingHabits.Key(place: milestone.place, code: milestone.code),
                isReported: isReported(at))
            let claimedAt = journey.way.restated(at).claimedAt
            // What had been reported by then shows nothing, nor does what has something reported behind it.
            guard claimedAt != .unset, at < outlook.chain.count - 1,
                !isReported(at) || journey.progress.reached[at] > claimedAt,
                !outlook.chain.indices.dropFirst(at + 1).contains(where: {
                    isReported($0) && journey.progress.reached[$0] <= claimedAt
                })
            else { continue }
            forecasting.habits.learn(claim: milestone.code, wasTrue: !isReported(at))
        }
        forecasting.intervalsDirty = true
    }
}

extension AlertType {
    /// It is about a report that does not come.
    var isSilence: Bool { self == .overdue || self == .stuck || self == .customsHold }

    /// What befalls a train befalls each of its boxes.
    var isOfTrains: Bool {
        isSilence || self == .late || self == .offRoute || self == .seal
    }

    /// Without a plan there is none.
    var needsPlan: Bool { isSilence || self == .late || self == .offRoute }
}
