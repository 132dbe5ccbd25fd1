import Forecast
import Tracking

/// Shipments whose containers depend on each other, and what is expected of any journey.
extension Engine {
    /// What is expected of a journey with the companions' progress in it (`together`).
    mutating func expect(
        _ journey: Journey, _ shipment: Shipment, _ container: ContainerNumber, now: Instant
    ) -> Expectation? {
        guard let graph = shipment.graph else {
            return composer.expect(
                shipment.steps(windows), journey.progress, start: shipment.startedAt, now: now,
                &pools)
        }
        return composer.expect(
            shipment.steps(windows), graph, reached: journey.progress.reached, owner: container,
            start: shipment.startedAt, now: now, &pools)
    }

    /// For each milestone the instants at which it may happen, as `Composer.timeline` has them.
    mutating func timeline(
        _ shipment: Shipment, _ progress: Journey.Progress, _ container: ContainerNumber,
        now: Instant
    ) -> [[Instant]?] {
        guard let graph = shipment.graph else {
            return composer.timeline(
                shipment.steps(windows), progress, start: shipment.startedAt, now: now, &pools)
        }
        let isKnown =
            composer.expect(
                shipment.steps(windows), graph, reached: progress.reached, owner: container,
                start: shipment.startedAt, now: now, &pools) != nil
        return shipment.chain.indices.map { index in
            if progress.reached[index] != .unset { return [progress.reached[index]] }
            return isKnown ? composer.points(of: index, now: now) : nil
        }
    }

    /// A journey's progress with what its companions under the same plan have reached.
    func together(
        _ own: Journey.Progress, _ shipment: Shipment, _ container: ContainerNumber,
        _ symbol: UInt32
    ) -> Journey.Progress {
        guard let graph = shipment.graph else { return own }
        var all = own
        for companion in shipment.plan.containers where companion != container {
            guard let slot = slots[companion],
                let journey = records[slot].journeys.first(where: { $0.shipment == symbol }),
                journey.progress.reached.count == all.reached.count
            else { continue }
            for index in all.reached.indices {
                let theirs = journey.progress.reached[index]
                guard theirs != .unset else { continue }
                // A milestone that is nobody's own counts from the first report on.
                let known = all.reached[index]
                all.reached[index] = known == .unset ? theirs : min(known, theirs)
            }
            all.lastTime = max(all.lastTime, journey.progress.lastTime)
        }
        // The one that happened last, in the graph's order where several did at once.
        var furthest = -1
        for (index, instant) in all.reached.enumerated() where instant != .unset {
            if furthest < 0 || instant >= all.reached[furthest] { furthest = index }
        }
        let happened = Composer.happened(graph, all.reached)
        let isDone = graph.ends.allSatisfy { happened[$0] != .unset }
        all.furthest = isDone ? all.reached.count - 1 : min(furthest, all.reached.count - 2)
        return all
    }

    /// News of one container is news for those that wait for it.
    mutating func touchCompanions(_ draft: inout Draft) {
        guard shipments.hasJoins else { return }
        var at = 0
        while at < draft.order.count {
            let slot = draft.order[at]
            at += 1
            for symbol in records[slot].plans {
                guard let shipment = shipments[symbol], shipment.graph != nil else { continue }
                let news = draft.touched[slot]
                for companion in shipment.plan.containers {
                    guard let other = slots[companion], draft.touched[other] == nil else {
                        continue
                    }
                    draft.touch(other) {
                        // What moved the shipment's forecast was this event, whoever reported it.
                        $0.newest = news?.newest ?? .unset
                        $0.eventID = news?.eventID
                        $0.reason = news?.reason
                    }
                }
            }
        }
    }

    /// Intervals of one class of horizon that one journey keeps.
    private static let forecastsPerHorizon = 1

    /// Keeps the first few intervals of each horizon, and judges them all when the arrival is known.
    mutating func keepScore(
        _ journey: inout Journey, _ outlook: Outlook, _ draft: inout Draft
    ) {
        if outlook.isComplete {
            guard !journey.publication.forecasts.isEmpty else { return }
            sayScore(&draft)
            intervals.learn(
                journey.publication.forecasts, arrival: outlook.expected.origin,
                place: outlook.chain[outlook.chain.count - 1].place)
            intervalsDirty = true
            journey.publication.forecasts = []
            return
        }
        let horizon = UInt8(outlook.horizon)
        let known = journey.publication.forecasts.count { $0.horizon == horizon }
        guard known < Engine.forecastsPerHorizon else { return }
        journey.publication.forecasts.append(
            Forecasted(horizon: horizon, p10: outlook.p10, p50: outlook.p50, p90: outlook.p90))
    }

    /// Once a day, before the first arrival of another day is judged: how good the forecasts have
    /// been so far.
    private mutating func sayScore(_ draft: inout Draft) {
        let day = draft.now.microseconds / 86_400_000_000
        defer { intervals.scoredDay = max(intervals.scoredDay, day) }
        guard intervals.scoredDay != 0, day > intervals.scoredDay else { return }
        let horizons = intervals.byHorizon.enumerated().filter { $0.element.count > 0 }
        guard !horizons.isEmpty else { return }
        func row(_ tally: IntervalGuard.Tally, upTo minutes: Int?) -> ScoreNotice.Row {
            ScoreNotice.Row(
                uptoMinutes: minutes, arrivals: tally.count, coverage: tally.coverage,
                widthMinutes: tally.meanWidthMinutes, errorMinutes: tally.meanErrorMinutes)
        }
        func most(
            _ scores: [(place: String, tally: IntervalGuard.Tally)]
        ) -> [(place: String, row: ScoreNotice.Row)] {
            scores.sorted { ($1.tally.count, $0.place) < ($0.tally.count, $1.place) }
                .prefix(Engine.placesInScore).map { ($0.place, row($0.tally, upTo: nil)) }
        }
        draft.notices.append(
            .score(
                ScoreNotice(
                    time: draft.now,
                    horizons: horizons.map { index, tally in
                        row(
                            tally,
                            upTo: index < IntervalGuard.horizons.count
                                ? Int(IntervalGuard.horizons[index]) : nil)
                    }, places: most(placeScores), steps: most(stepScores))))
    }

    /// Places that a daily score names at most, of deliveries and of milestones each.
    private static let placesInScore = 40
}
