import Forecast
import Tracking

/// What a step has worked out of a shipment as a whole, for all of its containers: however many they
/// are, it is worked out once.
struct ShipmentScratch {
    /// What each milestone was reached at by the first that did, and the last news of any.
    var merged: Journey.Progress?
    /// Of joined shipments, by the instant that they are seen from.
    var joined: [(seenFrom: Instant, expected: JoinedExpectation?)] = []
    /// Of containers that have not begun, by the instant that they are seen from.
    var waiting: [(seenFrom: Instant, expected: Expected?)] = []
}

/// What is expected of a journey, the means of its milestones (`Composer.means`), and what was said of
/// them.
struct Expected {
    let of: Expectation
    let means: [Float]
    var heard: [Heard] = []
    /// Other ways that it may take, and how likely its own is, then each of them.
    var others: [OtherWay] = []
    var shares: [Double] = []
    var detourMinutes: Float = 0
    /// As `means`, of each of the others.
    var otherMeans: [[Float]] = []
}

/// For each milestone of a way the instants at which it may happen, as `Composer.timeline` has them.
struct Timeline {
    var way: Way
    var reached: [Instant]
    var points: [[Instant]?]
    var probablyPassed: Int?
    /// The ways that are likely, where there are several.
    var ways: [LikelyWay] = []
    /// The last milestone that it has in common with the journey's own way, where it is another.
    var parted: Int?
}

/// A joined shipment of which something changed.
struct JoinedNews {
    let shipment: UInt32
    /// The container that changed it first.
    let slot: Int
    /// The milestones that are not as before; nil: all may be.
    var changed: [Int]?
}

/// Shipments whose containers depend on each other, and what is expected of any journey.
extension Engine {
    /// What is expected of a journey with the companions' progress in it (`together`).
    mutating func expect(
        _ journey: Journey, _ shipment: Shipment, _ container: ContainerNumber, now: Instant,
        _ draft: inout Draft
    ) -> Expected? {
        let symbol = journey.shipment
        if shipment.graph != nil {
            let known = draft.shipments[symbol]?.joined.first { $0.seenFrom == now }
            let joined = known?.expected ?? join(shipment, journey.progress, now: now)
            if known == nil {
                draft.shipments[symbol, default: ShipmentScratch()].joined.append((now, joined))
            }
            return joined.map {
                Expected(of: $0.expectation(of: container), means: $0.means, heard: $0.heard)
            }
        }
        // Of a train that has yet to begin one box says what is expected of all.
        let isShared =
            journey.progress.furthest < 0 && shipment.plan.containers.count > 1
            && journey.way === shipment.made.way && journey.progress.words.isEmpty
        if isShared,
            let known = draft.shipments[symbol]?.waiting.first(where: { $0.seenFrom == now })
        {
            return known.expected
        }
        let others = others(journey, shipment, now: now)
        let expected = forecasting.composer.expect(
            steps(journey.way, journey.progress, now: now, others: others), journey.progress,
            start: shipment.startedAt,
            now: now, &forecasting.pools
        ).map {
            Expected(
                of: $0, means: forecasting.composer.means, heard: forecasting.composer.heard,
                others: others, shares: forecasting.composer.shares,
                detourMinutes: forecasting.composer.detourMinutes,
                otherMeans: forecasting.composer.otherMeans)
        }
        if isShared {
            draft.shipments[symbol, default: ShipmentScratch()].waiting.append((now, expected))
        }
        return expected
    }

    /// What a composition needs of a way.
    func steps(
        _ way: Way, _ progress: Journey.Progress, now: Instant, until: Instant? = nil,
        isAllReported: Bool = false, others: [OtherWay] = []
    ) -> Composer.Steps {
        Composer.Steps(
            way.milestones, way.ids,
            closures: closureBook.windows(
                along: way.milestones, after: progress.furthest, now: until ?? now),
            words: words(way.milestones, progress, now: now, until: until), restated: way.restated,
            habits: isAllReported ? nil : forecasting.habits, others: others)
    }

    private mutating func join(
        _ shipment: Shipment, _ progress: Journey.Progress, now: Instant
    ) -> JoinedExpectation? {
        guard let graph = shipment.graph else { return nil }
        return forecasting.composer.join(
            steps(shipment.made.way, progress, now: now), graph, reached: progress.reached,
            start: shipment.startedAt, now: now, &forecasting.pools)
    }

    /// The same for those who only look.
    mutating func look(
        _ journey: Journey, _ shipment: Shipment, _ container: ContainerNumber, now: Instant
    ) -> Expectation? {
        var draft = Draft(now: now)
        return expect(journey, shipment, container, now: now, &draft)?.of
    }

    /// For each milestone the instants at which it may happen, as `Composer.timeline` has them.
    mutating func timeline(
        _ journey: Journey, _ shipment: Shipment, now: Instant
    ) -> Timeline {
        let progress = journey.progress
        guard shipment.graph != nil else {
            let others = others(journey, shipment, now: now)
            let points = forecasting.composer.timeline(
                steps(journey.way, progress, now: now, others: others), progress,
                start: shipment.startedAt, now: now, &forecasting.pools)
            let own = Timeline(
                way: journey.way, reached: progress.reached, points: points,
                probablyPassed: forecasting.composer.probablyPassed)
            if others.isEmpty { return own }
            return likeliest(own, journey, shipment, others, forecasting.composer.shares, now)
        }
        let isKnown = join(shipment, progress, now: now) != nil
        let points = shipment.chain.indices.map { index -> [Instant]? in
            if progress.reached[index] != .unset { return [progress.reached[index]] }
            return isKnown ? forecasting.composer.points(of: index, now: now) : nil
        }
        return Timeline(way: journey.way, reached: progress.reached, points: points)
    }

    /// A journey's progress with what its companions under the same plan have reached, worked out
    /// once a step. Its own record may be taken out while that is done.
    func together(
        _ own: Journey.Progress, _ shipment: Shipment, _ container: ContainerNumber,
        _ symbol: UInt32, _ draft: inout Draft
    ) -> Journey.Progress {
        let merged: Journey.Progress
        if let known = draft.shipments[symbol]?.merged, known.reached.count == own.reached.count {
            merged = known
        } else {
            merged = together(own, shipment, container, symbol)
            draft.shipments[symbol, default: ShipmentScratch()].merged = merged
        }
        var all = own
        all.reached = merged.reached
        all.furthest = merged.furthest
        all.lastTime = merged.lastTime
        all.words = merged.words
        return all
    }

    /// The same, worked out now.
    func together(
        _ own: Journey.Progress, _ shipment: Shipment, _ container: ContainerNumber,
        _ symbol: UInt32
    ) -> Journey.Progress {
        guard let graph = shipment.graph else { return own }
        var all = own
        for companion in shipment.plan.containers where companion != container {
            guard let slot = register.slots[companion],
                let at = register.records[slot].journeys.firstIndex(where: { $0.shipment == symbol }
                ),
                register.records[slot].journeys[at].progress.reached.count == all.reached.count
            else { continue }
            all.lastTime = max(all.lastTime, register.records[slot].journeys[at].progress.lastTime)
            all.words += register.records[slot].journeys[at].progress.words
            // Nothing has happened to most of those that wait.
            if register.records[slot].journeys[at].progress.furthest < 0 { continue }
            for index in all.reached.indices {
                let theirs = register.records[slot].journeys[at].progress.reached[index]
                guard theirs != .unset else { continue }
                // A milestone that is nobody's own counts from the first report on.
                let known = all.reached[index]
                all.reached[index] = known == .unset ? theirs : min(known, theirs)
            }
        }
        all.words = Statement.standing(all.words, all.reached)
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

    /// News of one container is news for those that wait for it, in each shipment of which it changed
    /// something: for whoever speaks for the shipment, and for those whose milestones come next after
    /// what has changed. The others wait for what they waited for.
    func touchCompanions(_ draft: inout Draft) {
        for news in draft.joinedNews {
            guard let shipment = register.shipments[news.shipment], let graph = shipment.graph
            else {
                continue
            }
            let concerned = news.changed.flatMap { graph.concerned(by: $0) }
            let touch = draft.touched[news.slot]
            for companion in shipment.plan.containers {
                guard let other = register.slots[companion], draft.touched[other] == nil,
                    concerned?.contains(companion) ?? true || shipment.speaks(companion)
                else { continue }
                draft.touch(other) {
                    // What moved the shipment's forecast was this event, whoever reported it.
                    $0.newest = touch?.newest ?? .unset
                    $0.eventID = touch?.eventID
                    $0.reason = touch?.reason
                    $0.isEstimate = touch?.isEstimate ?? false
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
            defer { journey.publication.forecasts = [] }
            // Which day it was says little about an interval of hours.
            guard
                journey.progress.vague.isEmpty
                    || !journey.progress.vague.contains(
                        journey.progress.furthest)
            else { return }
            sayScore(&draft)
            forecasting.intervals.learn(
                journey.publication.forecasts, arrival: outlook.expected.origin,
                place: outlook.chain[outlook.chain.count - 1].place)
            forecasting.intervalsDirty = true
            return
        }
        let horizon = UInt8(outlook.horizon)
        let known = journey.publication.forecasts.count { $0.horizon == horizon }
        guard known < Engine.forecastsPerHorizon else { return }
        journey.publication.forecasts.append(
            IssuedInterval(horizon: horizon, p10: outlook.p10, p50: outlook.p50, p90: outlook.p90))
    }

    /// Once a day, before the first arrival of another day is judged: how good the forecasts have
    /// been so far.
    private mutating func sayScore(_ draft: inout Draft) {
        let day = draft.now.microseconds / 86_400_000_000
        defer { forecasting.intervals.scoredDay = max(forecasting.intervals.scoredDay, day) }
        guard forecasting.intervals.scoredDay != 0, day > forecasting.intervals.scoredDay else {
            return
        }
        let horizons = forecasting.intervals.byHorizon.enumerated().filter { $0.element.count > 0 }
        guard !horizons.isEmpty else { return }
        func row(_ tally: IntervalCalibrator.Tally, upTo minutes: Int?) -> ScoreEvent.Row {
            ScoreEvent.Row(
                uptoMinutes: minutes, arrivals: tally.count, coverage: tally.coverage,
                widthMinutes: tally.meanWidthMinutes, errorMinutes: tally.meanErrorMinutes)
        }
        func most(
            _ scores: [(place: String, tally: IntervalCalibrator.Tally)]
        ) -> [(place: String, row: ScoreEvent.Row)] {
            scores.sorted { ($1.tally.count, $0.place) < ($0.tally.count, $1.place) }
                .prefix(Engine.placesInScore).map { ($0.place, row($0.tally, upTo: nil)) }
        }
        draft.notices.append(
            .score(
                ScoreEvent(
                    time: draft.now,
                    horizons: horizons.map { index, tally in
                        row(
                            tally,
                            upTo: index < IntervalCalibrator.horizons.count
                                ? Int(IntervalCalibrator.horizons[index]) : nil)
                    }, places: most(placeScores), steps: most(stepScores))))
    }

    /// Places that a daily score names at most, of deliveries and of milestones each.
    private static let placesInScore = 40
}
