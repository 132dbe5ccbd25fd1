import Forecast
import Tracking

/// The second half of a step: what a touched container's journeys look like now, what is expected
/// of them, and what subscribers should hear of it.
extension Engine {
    /// Looks at one container again, because of news or because its time has come.
    mutating func review(_ slot: Int, _ draft: inout Draft) {
        let touch = draft.touched[slot]
        // Taken out and put back, so that its arrays are changed in place.
        var record = ContainerRecord(number: register.records[slot].number)
        swap(&record, &register.records[slot])
        draft.claims.removeAll(keepingCapacity: true)
        for index in record.journeys.indices {
            var context = ReviewContext(record: record, touch: touch, now: draft.now)
            context.isOneOfSeveral = record.journeys.count > 1
            context.isOverdueTold =
                context.isOneOfSeveral && Engine.isOverdueTold(record.journeys, besides: index)
            let shipment = register.plan(of: record.journeys[index], record.plans)
            var journey = Journey(shipment: 0, ordinal: 0)
            swap(&journey, &record.journeys[index])
            context.isUnloaded = journey.progress.lastCode == .disc
            if let shipment {
                context.strippedAt = stripped(journey, shipment, record.history)
                attend(&journey, shipment, &context, &draft)
            } else {
                leave(&journey, context, &draft)
                attendUnplanned(&journey, record.history, &context, &draft)
            }
            if isGivenUp(journey, shipment, context.now) {
                withdrawAll(
                    &journey, "nothing was heard of it for a year, and it is no longer waited for",
                    context, &draft)
            } else {
                judgeReports(
                    &journey, of: record.journeys, record.history, shipment, context, &draft)
                giveUpLater(&journey, shipment)
            }
            journey.publication.lookLater(than: draft.now)
            swap(&journey, &record.journeys[index])
        }
        let dueAt = record.dueAt
        noteWait(slot, record, dueAt: dueAt, isNews: touch != nil)
        swap(&record, &register.records[slot])
        register.dirtyRecords.insert(slot)
        register.schedule(slot, dueAt: dueAt)
    }

    /// What needs a plan ends where there is none, or none any more.
    private mutating func leave(
        _ journey: inout Journey, _ context: ReviewContext, _ draft: inout Draft
    ) {
        let left =
            draft.leftPlans[journey.shipment] == nil ? nil : planIsGone(journey, draft)
        withdrawAll(
            &journey, left ?? "no plan names it any more", of: \.needsPlan, context, &draft)
        if left != nil { endForecast(of: &journey, context, &draft) }
    }

    /// Tells the pools in which step a container waits now, and since when: a function of its
    /// record, so that a restart leads to the same.
    mutating func noteWait(
        _ slot: Int, _ record: borrowing ContainerRecord, dueAt: Instant, isNews: Bool
    ) {
        var now = OpenStep()
        // Of one that is quiet nothing is expected.
        if dueAt != .never {
            for index in record.journeys.indices.reversed() {
                guard
                    let shipment = register.plan(of: record.journeys[index], record.plans),
                    let (at, since) = shipment.waiting(
                        record.number, record.journeys[index].progress)
                else { continue }
                let way = record.journeys[index].way
                if Pools.queues(way.milestones[at]) {
                    now = OpenStep(step: way.ids[at], since: since)
                }
                break
            }
        }
        forecasting.wait(slot, in: now, isNews: isNews)
    }

    /// Whether another journey of the same trip waits aloud for a report.
    private static func isOverdueTold(_ journeys: [Journey], besides index: Int) -> Bool {
        journeys.indices.contains { other in
            other != index && journeys[other].trip == journeys[index].trip
                && journeys[other].publication.alerts.contains {
                    $0.type.isSilence && $0.phase != .closed
                }
        }
    }

    // MARK: Planned journeys

    private mutating func attend(
        _ journey: inout Journey, _ shipment: Shipment, _ context: inout ReviewContext,
        _ draft: inout Draft
    ) {
        let chain = journey.way.milestones
        guard !chain.isEmpty else {
            if context.touch != nil { settle(&journey, shipment, context) }
            journey.publication.reviewAt = .never
            let held = journey.publication.holdUntil > context.now
            withdrawAll(
                &journey, "nothing is known of its way any more",
                of: { $0 == .late || $0.isSilence }, context, &draft)
            return say(
                unknown: unknownWay(journey, shipment), &journey,
                promised: shipment.plan.promised,
                isHistory: isHistory(journey, shipment, held: held, context.now), context, &draft)
        }
        // What its companions have reached counts too; the journey itself keeps its own.
        let own = shipment.graph == nil ? nil : journey.progress
        if let own {
            journey.progress = together(
                own, shipment, context.container, journey.shipment, &draft)
        }
        defer { if let own { journey.progress = own } }
        if context.touch != nil {
            // It had no plan before.
            forecasting.learnMoves(from: journey.publication.taughtStays, to: [])
            journey.publication.taughtStays = []
            forecasting.learn(&journey, shipment, context, &draft.claims)
            forecasting.judgeNext(&journey)
            judgeWords(&journey, shipment)
            settle(&journey, shipment, context)
        } else if !isDue(journey, context.now) {
            return
        }
        let held = journey.publication.holdUntil > context.now
        if let place = context.strippedAt {
            let words = unknownStripped(place, chain[chain.count - 1].place)
            return expectNothing(&journey, shipment, held, context, &draft, words)
        }
        let clock = max(journey.progress.lastTime, shipment.startedAt)
        let seenFrom = seenFrom(clock, held: held, context.now)
        guard
            let found = expect(journey, shipment, context.container, now: seenFrom, &draft)
        else { return expectNothing(&journey, shipment, held, context, &draft) }
        let expected = found.of
        note(found.heard, of: own?.words ?? journey.progress.words, &journey)
        let outlook = outlook(journey, shipment, found, seenFrom, held, context)
        // What lies on the way is no other way.
        if outlook.turn == nil { journey.publication.publishedWay = journey.way.signature }
        setTimers(&journey, shipment, outlook, context, clock)
        noteClosed(outlook, context, &draft)
        if expected.isBeyondAll, !held {
            sayLost(&journey, shipment, context, &draft)
        } else if shipment.speaks(context.container) {
            publish(&journey, outlook, context, &draft)
            if context.touch != nil { learnFromAlerts(journey, outlook) }
            judgeLate(&journey, outlook, context, &draft)
            if context.touch != nil { keepScore(&journey, outlook, &draft) }
        } else {
            journey.publication.owedAt = .never
            endLate(&journey, "another box of the shipment speaks for it", outlook, context, &draft)
        }
        guard held || context.now.minutes(since: clock) < Engine.giveUpMinutes else { return }
        judgeSilence(&journey, shipment, outlook, context, clock, &draft)
    }

    /// It has been silent for longer than anything seen.
    private mutating func sayLost(
        _ journey: inout Journey, _ shipment: Shipment, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        // What was not confirmed yet is judged by nobody any more.
        journey.publication.alerts.removeAll { $0.type == .late && $0.phase == .pending }
        if context.touch?.corrected == true, journey.progress.eventCount == 0 {
            withdrawAll(
                &journey, "all that was reported of it was taken back", of: { $0 == .late },
                context, &draft)
        }
        let goal = journey.way.milestones.last.map { register.symbols[$0.place] } ?? ""
        say(
            unknown: unknownSilence(journey, context.now, goal), &journey,
            promised: shipment.plan.promised, isHistory: false, context, &draft)
    }

    /// It has come to the place where its way ends, and the last is not reported: that may be usual there, and what
    /// passed on the way in silence is known as it is of one that has ended. Where the last comes after all that
    /// counts as well.
    mutating func learnSilentEnd(
        _ journey: Journey, _ next: Int, _ outlook: Outlook, _ context: ReviewContext
    ) {
        // By time alone: what is said again meanwhile counts no box twice.
        guard context.touch == nil, next == outlook.chain.count - 1, isAtItsEnd(outlook) else {
            return
        }
        let progress = journey.progress
        for (at, milestone) in outlook.chain.enumerated() {
            forecasting.habits.learn(
                ReportingHabits.Key(place: milestone.place, code: milestone.code),
                isReported: progress.reached[at] != .unset && !progress.implied.contains(at))
        }
        alertsDirty = true
    }

    /// Whether all that is awaited of a box that has come to its end is mostly not reported there.
    func isEndUnheard(_ outlook: Outlook) -> Bool {
        guard isAtItsEnd(outlook), let next = outlook.expected.next else { return false }
        return outlook.chain[next...].allSatisfy {
            forecasting.habits.silentShare($0) >= Engine.mostlySilent
        }
    }

    private static let mostlySilent = 0.5

    /// Nothing can be said of its way any more.
    private mutating func expectNothing(
        _ journey: inout Journey, _ shipment: Shipment, _ held: Bool, _ context: ReviewContext,
        _ draft: inout Draft, _ end: Unknown? = nil
    ) {
        journey.publication.reviewAt =
            end == nil ? lookAgainAt(journey, shipment, context.now) : .never
        journey.publication.overdueAt = .never
        let reason = end?.words ?? "nothing is known of its way any more"
        endLate(&journey, reason, nil, context, &draft)
        withdrawAll(&journey, reason, of: \.isSilence, context, &draft)
        say(
            unknown: end ?? unknownWay(journey, shipment), &journey,
            promised: shipment.plan.promised,
            isHistory: isHistory(journey, shipment, held: held, context.now), context, &draft)
    }

    private mutating func outlook(
        _ journey: Journey, _ shipment: Shipment, _ found: Expected, _ seenFrom: Instant,
        _ held: Bool, _ context: ReviewContext
    ) -> Outlook {
        let expected = found.of
        let chain = journey.way.milestones
        let calibrated = forecasting.intervals.calibrated(
            expected, now: seenFrom, isLastStep: expected.next == chain.count - 1)
        var outlook = Outlook(
            expected: expected, chain: chain, promised: shipment.plan.promised,
            seenFrom: seenFrom, held: held, horizon: calibrated.horizon,
            p10: calibrated.quantile(0.1),
            p50: calibrated.quantile(0.5), p90: calibrated.quantile(0.9))
        // What ended with this report; silence, a closure or others move what lasts.
        let finished =
            context.touch?.newest ?? .unset != .unset
            && journey.progress.furthest > journey.publication.furthest
        outlook.blamed = finished ? journey.progress.furthest : expected.next
        outlook.means = found.means
        (outlook.others, outlook.shares) = (found.others, found.shares)
        outlook.detourMinutes = found.detourMinutes
        (outlook.ownWay, outlook.otherMeans) = (journey.way, found.otherMeans)
        // The mean, near enough, of what these three leave of it (Swanson).
        for heard in found.heard {
            outlook.told[heard.statement.milestone] = heard.statement.time.advanced(
                minutes: Double(0.3 * heard.p10 + 0.4 * heard.p50 + 0.3 * heard.p90))
        }
        outlook.isHistory = isHistory(journey, shipment, held: held, context.now)
        outlook.calibrated = calibrated
        outlook.graph = shipment.graph
        outlook.isFirst = journey.publication.p50 == .unset
        outlook.reason = journey.publication.owedFor
        if outlook.isFirst { outlook.blamed = expected.next }
        if journey.way.signature != journey.publication.publishedWay,
            outlook.isFirst || !isOnPlannedWay(journey, shipment)
        {
            let furthest = max(0, journey.progress.furthest)
            outlook.turn = journey.way.isPlans ? furthest : min(journey.way.turn, furthest)
        }
        outlook.lateProbability = shipment.plan.promised.map { calibrated.probability(after: $0) }
        return outlook
    }

    private func isDue(_ journey: Journey, _ now: Instant) -> Bool {
        journey.publication.dueAt <= now
    }

    /// A backlog is seen from the journey's own time; where only a new plan holds alerts back, now is now.
    func seenFrom(_ clock: Instant, held: Bool, _ now: Instant) -> Instant {
        held && now.minutes(since: clock) > rules.backlogMinutes ? clock : now
    }

    /// News that was old when it came is backlog: alerts wait until it has all come.
    private func settle(_ journey: inout Journey, _ shipment: Shipment, _ context: ReviewContext) {
        guard let touch = context.touch else { return }
        // A plan that comes while the box is under way: its events are coming, too.
        if touch.planIsNew, journey.progress.eventCount == 0, isUnderWay(shipment, context.now) {
            journey.publication.holdUntil = context.now.advanced(minutes: rules.settleMinutes)
            return
        }
        guard touch.newest != .unset else { return }
        // Fresh news does not end a hold: what was held back for may still be coming.
        guard context.now.minutes(since: touch.newest) > rules.backlogMinutes else { return }
        journey.publication.holdUntil = context.now.advanced(minutes: rules.settleMinutes)
    }

    /// By its plan something should have happened so many minutes ago.
    private func isUnderWay(_ shipment: Shipment, _ now: Instant, for minutes: Double = 0) -> Bool {
        let before = now.advanced(minutes: -minutes)
        if let start = shipment.plan.start, start < before { return true }
        return shipment.chain.contains { $0.planned != .unset && $0.planned < before }
    }

    /// What is handed in lies so far back that more of it is to be expected: nothing is said before that
    /// has come. Of a plan that has just begun something is said at once, though alerts wait.
    private func isHistory(
        _ journey: Journey, _ shipment: Shipment, held: Bool, _ now: Instant
    ) -> Bool {
        held
            && (journey.progress.eventCount > 0
                || isUnderWay(shipment, now, for: rules.backlogMinutes))
    }

    /// A journey of which nothing has been heard for a year is no longer waited for.
    private static let giveUpMinutes = 365.0 * 1_440

    /// The next moment at which what was said is shown to be wrong by the clock alone: the promise passes,
    /// or one of the levels behind it, or the time at which the arrival was expected.
    private func provableAt(
        _ journey: Journey, _ outlook: Outlook, _ now: Instant
    ) -> Instant? {
        if outlook.isComplete { return nil }
        var soonest = Instant.never
        func look(_ moment: Instant) { if moment > now { soonest = min(soonest, moment) } }
        if journey.publication.p50 != .unset { look(journey.publication.p50) }
        if let promised = outlook.promised {
            look(promised)
            for level in rules.levelMinutes { look(promised.advanced(minutes: level)) }
        }
        return soonest == .never ? nil : soonest.advanced(minutes: 0.001)
    }

    /// Nothing was heard of it for a year.
    private func isGivenUp(_ journey: Journey, _ shipment: Shipment?, _ now: Instant) -> Bool {
        guard let last = lastHeard(journey, shipment), journey.publication.holdUntil <= now else {
            return false
        }
        return now.minutes(since: last) >= Engine.giveUpMinutes
    }

    private func lastHeard(_ journey: Journey, _ shipment: Shipment?) -> Instant? {
        let last = max(journey.progress.lastTime, shipment?.startedAt ?? .unset)
        return last == .unset ? nil : last
    }

    /// Others may show a way meanwhile: looked for after as long again as nothing has been heard.
    func lookAgainAt(_ journey: Journey, _ shipment: Shipment?, _ now: Instant) -> Instant {
        guard let last = lastHeard(journey, shipment), now >= last,
            now.minutes(since: last) < Engine.giveUpMinutes
        else { return .never }
        return now.advanced(minutes: max(60, now.minutes(since: last)))
    }

    /// What is open ends one day, also where nothing else is expected.
    private func giveUpLater(_ journey: inout Journey, _ shipment: Shipment?) {
        guard journey.publication.dueAt == .never, journey.publication.hasOpenAlert,
            let last = lastHeard(journey, shipment)
        else { return }
        journey.publication.reviewAt = last.advanced(minutes: Engine.giveUpMinutes)
    }

    /// As a share of the interval of the end.
    private static let leastLook = 0.1

    private mutating func setTimers(
        _ journey: inout Journey, _ shipment: Shipment, _ outlook: Outlook,
        _ context: ReviewContext, _ clock: Instant
    ) {
        var at = outlook.expected.reviewAt
        if at != .never {
            // Sooner silence could not have moved the end by what anybody would act on.
            let width = outlook.p90.minutes(since: outlook.p10)
            at = max(at, outlook.seenFrom.advanced(minutes: width * Engine.leastLook))
        }
        if outlook.held { at = at == .never ? .never : max(at, journey.publication.holdUntil) }
        if let soon = provableAt(journey, outlook, context.now) { at = min(at, soon) }
        let last = clock.advanced(minutes: Engine.giveUpMinutes)
        if at != .never, at > last {
            let isOpen = journey.publication.alerts.contains { $0.phase != .closed }
            at = isOpen && context.now < last ? last : .never
        }
        journey.publication.reviewAt = at
        guard context.touch != nil else { return }
        journey.publication.overdueAt = .never
        journey.publication.next = nil
        guard let next = outlook.expected.next, !outlook.partial,
            outlook.expected.nextP90 != .never
        else { return }
        let interval = forecasting.intervals.next(
            outlook.expected, place: outlook.chain[next].place, now: outlook.seenFrom)
        // It may have been silent for long where what it was heard of is taken back.
        journey.publication.overdueAt =
            context.touch?.corrected == true
            ? context.now
            : silenceAt(journey, shipment, outlook, clock, next: next)
        journey.publication.next = AwaitedInterval(
            milestone: UInt32(next),
            IssuedInterval(horizon: 0, p10: interval.p10, p50: interval.p50, p90: interval.p90))
    }
}
