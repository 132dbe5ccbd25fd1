import Forecast
import Tracking

/// The second half of a step: what a touched container's journeys look like now, what is expected
/// of them, and what subscribers should hear of it.
extension Engine {
    /// Cuts a container's history into journeys anew, because of news.
    mutating func refold(_ slot: Int, _ draft: inout Draft) {
        var record = ContainerRecord(number: records[slot].number)
        swap(&record, &records[slot])
        let before = shipments.hasJoins ? joinedProgress(record) : []
        refold(&record, draft.touched[slot], &draft)
        records[slot] = record
        if shipments.hasJoins { noteJoinedNews(slot, before, &draft) }
    }

    /// What a container has reached in each of its shipments that join containers.
    private func joinedProgress(
        _ record: borrowing ContainerRecord
    ) -> [(shipment: UInt32, reached: [Instant])] {
        var found: [(shipment: UInt32, reached: [Instant])] = []
        for at in record.journeys.indices {
            let symbol = record.journeys[at].shipment
            guard shipments[symbol]?.graph != nil else { continue }
            found.append((symbol, record.journeys[at].progress.reached))
        }
        return found
    }

    /// Notes the joined shipments in which something is not as before.
    private func noteJoinedNews(
        _ slot: Int, _ before: [(shipment: UInt32, reached: [Instant])], _ draft: inout Draft
    ) {
        let after = joinedProgress(records[slot])
        let touch = draft.touched[slot]
        let isAnyway = touch?.planChanged == true || touch?.closed == true
        for (symbol, reached) in after {
            let known = before.first { $0.shipment == symbol }?.reached ?? []
            if isAnyway || known.count != reached.count {
                draft.join(symbol, slot, changed: nil)
            } else if known != reached {
                let changed = reached.indices.filter { reached[$0] != known[$0] }
                draft.join(symbol, slot, changed: changed)
            }
        }
        for (symbol, _) in before where !after.contains(where: { $0.shipment == symbol }) {
            draft.join(symbol, slot, changed: nil)
        }
    }

    /// Looks at one container again, because of news or because its time has come.
    mutating func review(_ slot: Int, _ draft: inout Draft) {
        let touch = draft.touched[slot]
        // Taken out and put back, so that its arrays are changed in place.
        var record = ContainerRecord(number: records[slot].number)
        swap(&record, &records[slot])
        draft.claims.removeAll(keepingCapacity: true)
        for index in record.journeys.indices {
            var context = ReviewContext(record: record, touch: touch, now: draft.now)
            context.isOneOfSeveral = record.journeys.count > 1
            context.isOverdueTold =
                context.isOneOfSeveral && Engine.isOverdueTold(record.journeys, besides: index)
            let shipment = plan(
                record.journeys[index].shipment, record.plans,
                milestones: record.journeys[index].progress.reached.count)
            var journey = Journey(shipment: 0, ordinal: 0)
            swap(&journey, &record.journeys[index])
            if let shipment {
                attend(&journey, shipment, &context, &draft)
            } else {
                withdrawAll(&journey, "no plan names it any more", context, &draft)
                attendUnplanned(&journey, record.history, &context, &draft)
            }
            journey.publication.lookLater(than: draft.now)
            swap(&journey, &record.journeys[index])
        }
        let dueAt = record.dueAt
        noteWait(slot, record, dueAt: dueAt, isNews: touch != nil)
        swap(&record, &records[slot])
        dirtyRecords.insert(slot)
        schedule(slot, dueAt: dueAt)
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
                    let shipment = plan(
                        record.journeys[index].shipment, record.plans,
                        milestones: record.journeys[index].progress.reached.count),
                    let (at, since) = shipment.waiting(
                        record.number, record.journeys[index].progress)
                else { continue }
                if Pools.queues(shipment.made.milestones[at]) {
                    now = OpenStep(step: shipment.made.ids[at], since: since)
                }
                break
            }
        }
        let before = waits[slot]
        if now == before { return }
        if let id = before.step { pools.leave(id, from: before.since) }
        if let id = now.step { pools.wait(id, from: now.since, isNews: isNews) }
        waits[slot] = now
    }

    /// The shipment that a journey belongs to, where its plan names the container: an event may
    /// state a shipment of which the container is no part.
    func plan(of journey: Journey, _ record: ContainerRecord) -> Shipment? {
        plan(journey.shipment, record.plans, milestones: journey.progress.reached.count)
    }

    /// The same from what it takes, so that no record need be copied for the question.
    @inline(__always)
    private func plan(_ symbol: UInt32, _ plans: [UInt32], milestones: Int) -> Shipment? {
        guard plans.contains(symbol), let shipment = shipments[symbol],
            shipment.made.milestones.count == milestones
        else { return nil }
        return shipment
    }

    /// The circumstances of a review.
    struct ReviewContext {
        let container: ContainerNumber
        let touch: Change?
        let now: Instant
        /// The container has other journeys.
        var isOneOfSeveral = false
        /// Another plan of the same trip has said that a report is overdue.
        var isOverdueTold = false

        init(record: ContainerRecord, touch: Change?, now: Instant) {
            container = record.number
            self.touch = touch
            self.now = now
        }
    }

    /// Whether another journey of the same trip waits aloud for a report.
    private static func isOverdueTold(_ journeys: [Journey], besides index: Int) -> Bool {
        journeys.indices.contains { other in
            other != index && journeys[other].trip == journeys[index].trip
                && journeys[other].publication.alerts.contains {
                    $0.type == .overdue && $0.phase != .closed
                }
        }
    }

    /// What settles the order of events that their times leave open.
    func guide(_ record: ContainerRecord) -> PlaceGuide {
        PlaceGuide(
            chains: record.plans.compactMap { shipments[$0]?.chain },
            leads: { [network, symbols] from, to in
                guard let here = network.place(symbols[from]) else { return false }
                return network.outgoing[here].contains {
                    network.places[network.legs[$0].to].id == symbols[to]
                }
            }, name: { [symbols] in symbols[$0] })
    }

    func planViews(_ record: ContainerRecord) -> [PlanView] {
        record.plans.compactMap { symbol in
            shipments[symbol]?.view(symbol, for: record.number)
        }
    }

    /// Cuts the history into journeys anew; each keeps what was said about it.
    private mutating func refold(
        _ record: inout ContainerRecord, _ touch: Change?, _ draft: inout Draft
    ) {
        if record.plans.count == 1, record.journeys.count == 1,
            record.journeys[0].shipment == record.plans[0],
            let view = shipments[record.plans[0]]?.view(record.plans[0], for: record.number),
            let progress = JourneyFold.progress(
                record.history, only: view, by: guide(record))
        {
            record.journeys[0].progress = progress
            return
        }
        var folded = JourneyFold.journeys(
            record.history, plans: planViews(record), by: guide(record))
        var old: [Journey] = []
        swap(&old, &record.journeys)
        for index in folded.indices {
            let same = old.firstIndex {
                $0.shipment == folded[index].shipment && $0.ordinal == folded[index].ordinal
            }
            guard let same else { continue }
            folded[index].publication = old.remove(at: same).publication
        }
        for var gone in old {
            let context = ReviewContext(record: record, touch: touch, now: draft.now)
            if let shipment = shipments[gone.shipment] {
                forgetLessons(&gone, shipment, record.number)
            }
            withdrawAll(&gone, "the journey is no longer known", context, &draft)
        }
        record.journeys = folded
    }

    // MARK: Planned journeys

    private mutating func attend(
        _ journey: inout Journey, _ shipment: Shipment, _ context: inout ReviewContext,
        _ draft: inout Draft
    ) {
        let chain = shipment.chain
        guard !chain.isEmpty else { return }
        // What its companions have reached counts too; the journey itself keeps its own.
        let own = shipment.graph == nil ? nil : journey.progress
        if let own {
            journey.progress = together(
                own, shipment, context.container, journey.shipment, &draft)
        }
        defer { if let own { journey.progress = own } }
        if context.touch != nil {
            learn(&journey, shipment, context, &draft)
            judgeNext(&journey, shipment)
            settle(&journey, shipment, context)
        } else if !isDue(journey, context.now) {
            return
        }
        let held = journey.publication.holdUntil > context.now
        let clock = max(journey.progress.lastTime, shipment.startedAt)
        let seenFrom = seenFrom(clock, held: held, context.now)
        guard
            let (expected, means) = expect(
                journey, shipment, context.container, now: seenFrom, &draft)
        else {
            journey.publication.reviewAt = .never
            journey.publication.overdueAt = .never
            journey.publication.owedAt = .never
            endLate(&journey, "nothing is known of its way any more", nil, context, &draft)
            return
        }
        let calibrated = intervals.calibrated(
            expected, now: seenFrom, isLastStep: expected.next == chain.count - 1)
        var outlook = Outlook(
            expected: expected, chain: chain, promised: shipment.plan.promised,
            seenFrom: seenFrom, held: held, horizon: calibrated.horizon,
            p10: calibrated.quantile(0.1),
            p50: calibrated.quantile(0.5), p90: calibrated.quantile(0.9))
        let finished = journey.progress.furthest > journey.publication.furthest
        outlook.blamed = finished ? journey.progress.furthest : expected.next
        outlook.means = means
        outlook.graph = shipment.graph
        setTimers(&journey, outlook, context, clock)
        outlook.lateProbability = shipment.plan.promised.map { calibrated.probability(after: $0) }
        if shipment.speaks(context.container) {
            publish(&journey, outlook, context, &draft)
            judgeLate(&journey, outlook, context, &draft)
            if context.touch != nil { keepScore(&journey, outlook, &draft) }
        } else {
            journey.publication.owedAt = .never
            endLate(&journey, "another box of the shipment speaks for it", outlook, context, &draft)
        }
        judgeOverdue(&journey, outlook, context, &draft)
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

    /// By its plan something should have happened already.
    private func isUnderWay(_ shipment: Shipment, _ now: Instant) -> Bool {
        if let start = shipment.plan.start, start < now { return true }
        return shipment.chain.contains { $0.planned != .unset && $0.planned < now }
    }

    /// What is expected of a journey at a review.
    struct Outlook {
        let expected: Expectation
        let chain: [Milestone]
        var graph: JoinGraph?
        let promised: Instant?
        /// The instant from which it is seen: now, or in a backlog the journey's own clock.
        let seenFrom: Instant
        let held: Bool
        var partial = false
        /// Class of the horizon.
        let horizon: Int
        /// For each milestone when it is expected, in minutes from `seenFrom`.
        var means: [Float] = []
        /// Held to their promise by experience.
        var p10: Instant
        var p50: Instant
        var p90: Instant
        /// Index of the milestone whose step moved the forecast: the one just finished, or the
        /// one that still lasts.
        var blamed: Int?

        var isComplete: Bool { expected.next == nil }
        var lateProbability: Double?
        var delayMinutes: Double? { promised.map { p50.minutes(since: $0) } }
    }

    /// A journey of which nothing has been heard for a year is no longer waited for.
    private static let giveUpMinutes = 365.0 * 1_440

    private func setTimers(
        _ journey: inout Journey, _ outlook: Outlook, _ context: ReviewContext, _ clock: Instant
    ) {
        var at = outlook.expected.reviewAt
        if outlook.held { at = at == .never ? .never : max(at, journey.publication.holdUntil) }
        if at != .never, at.minutes(since: clock) > Engine.giveUpMinutes { at = .never }
        journey.publication.reviewAt = at
        guard context.touch != nil else { return }
        journey.publication.overdueAt = .never
        journey.publication.next = nil
        guard let next = outlook.expected.next, !outlook.partial,
            outlook.expected.nextP90 != .never
        else { return }
        let interval = intervals.next(
            outlook.expected, place: outlook.chain[next].place, now: outlook.seenFrom)
        journey.publication.overdueAt = interval.p90
        journey.publication.next = AwaitedInterval(
            milestone: UInt32(next),
            IssuedInterval(horizon: 0, p10: interval.p10, p50: interval.p50, p90: interval.p90))
    }

    /// The milestone that was next has been reached: was it when it was expected?
    private mutating func judgeNext(_ journey: inout Journey, _ shipment: Shipment) {
        guard let next = journey.publication.next else { return }
        let index = Int(next.milestone)
        guard index < shipment.chain.count, journey.progress.reached[index] != .unset else {
            return
        }
        defer { journey.publication.next = nil }
        // Which day it was says little about an interval of hours.
        if journey.progress.vague.contains(index) { return }
        intervals.learn(
            next: next.interval, reached: journey.progress.reached[index],
            place: shipment.chain[index].place)
        intervalsDirty = true
    }

    // MARK: Unplanned journeys

    /// Without a plan only the network's next place can be forecast, and the line says so.
    private mutating func attendUnplanned(
        _ journey: inout Journey, _ history: EventHistory, _ context: inout ReviewContext,
        _ draft: inout Draft
    ) {
        journey.publication.reviewAt = .never
        guard context.touch != nil || journey.publication.owedAt <= context.now,
            let chain = nextPlaceChain(journey, history)
        else {
            journey.publication.owedAt = .never
            return
        }
        var open = Journey.Progress()
        open.reached = Array(repeating: .unset, count: chain.count)
        let from = journey.progress.lastTime
        let late = context.now.minutes(since: from) > rules.backlogMinutes
        let seenFrom = late ? from : context.now
        guard
            let expected = composer.expect(
                Composer.Steps(chain, &pools, closures: closures(along: chain)), open, start: from,
                now: seenFrom, &pools)
        else { return }
        let outlook = Outlook(
            expected: expected, chain: chain, promised: nil, seenFrom: seenFrom, held: false,
            partial: true, horizon: 0, p10: expected.quantile(0.1), p50: expected.quantile(0.5),
            p90: expected.quantile(0.9))
        publish(&journey, outlook, context, &draft)
    }

    /// The step (or two) to the nearest onward place by the mode last seen; nil where the network
    /// does not know the place.
    private mutating func nextPlaceChain(
        _ journey: Journey, _ history: EventHistory
    ) -> [Milestone]? {
        let progress = journey.progress
        guard progress.lastPlace != 0, let here = network.place(symbols[progress.lastPlace])
        else { return nil }
        let before = history.events.last {
            $0.isEvidence && $0.place != progress.lastPlace && $0.time <= progress.lastTime
        }
        let came = before.flatMap { network.place(symbols[$0.place]) }
        var best: Leg?
        for index in network.outgoing[here] {
            let leg = network.legs[index]
            if leg.to == came { continue }
            if progress.lastMode != .unknown, leg.mode != progress.lastMode { continue }
            if best == nil || leg.hoursP50 < best?.hoursP50 ?? 0 { best = leg }
        }
        guard let leg = best else { return nil }
        let next = symbols.number(network.places[leg.to].id)
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

/// The step that a container waits in, and since when.
struct OpenStep: Equatable, Sendable {
    var step: StepID?
    var since: Instant = .unset
}
