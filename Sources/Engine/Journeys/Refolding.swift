import Forecast
import Tracking

/// What a container has reached in a shipment that joins containers, and what was said of it.
private struct JoinedProgress: Equatable {
    let shipment: UInt32
    let reached: [Instant]
    let words: [Statement]
}

/// Which journeys a container's events are evidence of, and how far it has come on each.
extension Engine {
    /// Cuts a container's history into journeys anew, because of news.
    mutating func refold(_ slot: Int, _ draft: inout Draft) {
        var record = ContainerRecord(number: register.records[slot].number)
        swap(&record, &register.records[slot])
        let before = register.shipments.hasJoins ? joinedProgress(record) : []
        refold(&record, slot, draft.touched[slot], &draft)
        swap(&record, &register.records[slot])
        if register.shipments.hasJoins { noteJoinedNews(slot, before, &draft) }
    }

    /// What a container has reached in each of its shipments that join containers.
    private func joinedProgress(
        _ record: borrowing ContainerRecord
    ) -> [JoinedProgress] {
        var found: [JoinedProgress] = []
        for at in record.journeys.indices {
            let symbol = record.journeys[at].shipment
            guard register.shipments[symbol]?.graph != nil else { continue }
            found.append(
                JoinedProgress(
                    shipment: symbol, reached: record.journeys[at].progress.reached,
                    words: record.journeys[at].progress.words))
        }
        return found
    }

    /// Notes the joined shipments in which something is not as before.
    private func noteJoinedNews(
        _ slot: Int, _ before: [JoinedProgress], _ draft: inout Draft
    ) {
        let after = joinedProgress(register.records[slot])
        let touch = draft.touched[slot]
        let isAnyway = touch?.planChanged == true || touch?.closed == true
        for now in after {
            let known = before.first { $0.shipment == now.shipment }
            if isAnyway || known?.reached.count != now.reached.count {
                draft.join(now.shipment, slot, changed: nil)
            } else if let known, known != now {
                var changed = now.reached.indices.filter { now.reached[$0] != known.reached[$0] }
                if now.words != known.words {
                    changed += (now.words + known.words).map(\.milestone)
                }
                draft.join(now.shipment, slot, changed: changed)
            }
        }
        for gone in before where !after.contains(where: { $0.shipment == gone.shipment }) {
            draft.join(gone.shipment, slot, changed: nil)
        }
    }

    /// What settles the order of events that their times leave open.
    func guide(_ plans: [UInt32]) -> PlaceGuide {
        PlaceGuide(
            chains: plans.compactMap { register.shipments[$0]?.chain },
            leads: { [network, symbols = register.symbols] from, to in
                guard let here = network.place(symbols[from]) else { return false }
                return network.outgoing[here].contains {
                    network.places[network.legs[$0].to].id == symbols[to]
                }
            }, name: { [symbols = register.symbols] in symbols[$0] })
    }

    /// Cuts the history into journeys anew; each keeps what was said about it.
    private mutating func refold(
        _ record: inout ContainerRecord, _ slot: Int, _ touch: Change?, _ draft: inout Draft
    ) {
        if record.plans.count == 1, record.journeys.count == 1,
            record.journeys[0].shipment == record.plans[0],
            let shipment = register.shipments[record.plans[0]],
            let (progress, way) = readOnly(record, shipment)
        {
            let isRetimed = follow(
                &record.journeys[0], way, progress, shipment, record.number)
            if isRetimed, touch?.planChanged != true {
                draft.touch(slot) { $0.planMoved = true }
            }
            return
        }
        var folded = fold(record)
        var old: [Journey] = []
        swap(&old, &record.journeys)
        for index in folded.indices {
            let same = old.firstIndex {
                $0.shipment == folded[index].shipment && $0.ordinal == folded[index].ordinal
            }
            guard let same else {
                folded[index].publication.way = folded[index].way.signature
                folded[index].publication.episodesBefore = record.episodesGone
                continue
            }
            var journey = old.remove(at: same)
            let isRetimed = follow(
                &journey, folded[index].way, folded[index].progress,
                register.shipments[journey.shipment], record.number)
            if isRetimed, touch?.planChanged != true {
                draft.touch(slot) { $0.planMoved = true }
            }
            join(&journey, to: folded[index].trip)
            folded[index] = journey
        }
        for var gone in old {
            let context = ReviewContext(record: record, touch: touch, now: draft.now)
            if let shipment = register.shipments[gone.shipment] {
                forecasting.forgetLessons(&gone, shipment, record.number)
            }
            forecasting.learnMoves(from: gone.publication.taughtStays, to: [])
            withdrawAll(
                &gone, planIsGone(gone, draft) ?? "its reports belong to another journey", context,
                &draft)
            if folded.isEmpty || draft.leftPlans[gone.shipment] != nil {
                endForecast(of: &gone, context, &draft)
            }
            let used = gone.publication.alerts.map(\.episode).max() ?? 0
            record.episodesGone = max(record.episodesGone, used, gone.publication.episodesBefore)
        }
        record.journeys = folded
    }

    /// Why a journey goes with its plan; nil where it had none.
    func planIsGone(_ journey: Journey, _ draft: Draft) -> String? {
        guard let plan = register.name(of: journey) else { return nil }
        return draft.leftPlans[journey.shipment] == true
            ? "plan \(plan) was taken back" : "plan \(plan) does not name it any more"
    }

    /// What was forecast of a box of which nothing is left, or no plan.
    mutating func endForecast(
        of gone: inout Journey, _ context: ReviewContext, _ draft: inout Draft
    ) {
        guard gone.publication.p50 != .unset, gone.publication.unknown == 0 else { return }
        let words = planIsGone(gone, draft) ?? "all that was reported of it was taken back"
        // What was forecast was its end.
        let last = gone.way.milestones.last { $0.place != Milestone.elsewhere }?.place
        let place = register.symbols[last ?? gone.progress.lastPlace]
        say(
            unknown: Unknown(kind: 6, place: place, words: words), &gone, promised: nil,
            isHistory: false, context, &draft)
    }

    /// Of several plans of one trip the first tells which way boxes take.
    private mutating func join(_ journey: inout Journey, to trip: UInt32) {
        guard journey.trip != trip else { return }
        let taught = journey.publication.taught
        let shipment = register.shipments[journey.shipment]
        if let shipment { forecasting.learnWays(journey, shipment, from: taught, to: []) }
        journey.trip = trip
        if let shipment { forecasting.learnWays(journey, shipment, from: [], to: taught) }
    }

    /// The journeys of a record. What the reading lacks is looked up, and it is read again: each time one
    /// more place or way is known.
    mutating func fold(_ record: borrowing ContainerRecord) -> [Journey] {
        let plans = register.planViews(record.plans, record.number)
        ways.makeRoom()
        while true {
            do {
                return try JourneyFold.journeys(
                    record.history, plans: plans, ways.book, by: guide(record.plans))
            } catch { supply(error) }
        }
    }

    /// The usual case: one plan, to which all belongs; nil where that is not so.
    private mutating func readOnly(
        _ record: borrowing ContainerRecord, _ shipment: Shipment
    ) -> (progress: Journey.Progress, way: Way)? {
        let view = shipment.view(record.plans[0], for: record.number)
        ways.makeRoom()
        while true {
            do {
                return try JourneyFold.progress(
                    record.history, only: view, ways.book, by: guide(record.plans))
            } catch { supply(error) }
        }
    }

    mutating func supply(_ missing: MissingFact) {
        switch missing {
        case .place(let symbol): ways.note(symbol, register.symbols)
        case .detour(let detour, let symbol):
            guard let shipment = register.shipments[symbol] else {
                return ways.know(detour, leadsOn: detour.way)
            }
            ways.find(detour, shipment, &register.symbols, &forecasting.pools)
        case .retiming(let retiming): ways.find(retiming, &forecasting.pools)
        }
    }

    /// Sets a journey on the way that its reports say. What was learned and said of another one is taken
    /// back or laid on this. True where it is the same way, planned for other times.
    private mutating func follow(
        _ journey: inout Journey, _ way: Way, _ progress: Journey.Progress, _ shipment: Shipment?,
        _ container: ContainerNumber
    ) -> Bool {
        var isRetimed = false
        if journey.way !== way, journey.way.milestones != way.milestones {
            isRetimed = way.leadsAs(journey.way)
            if let shipment { forecasting.forgetLessons(&journey, shipment, container) }
            let heard = journey.publication.heard
            journey.publication.moved(to: way)
            if isRetimed { journey.publication.heard = heard }
        } else if journey.way !== way, journey.way.restated != way.restated, let shipment {
            // Its steps are measured otherwise.
            forecasting.forgetLessons(&journey, shipment, container)
        }
        journey.way = way
        journey.publication.way = way.signature
        journey.progress = progress
        return isRetimed
    }
}

extension Journey.Publication {
    /// What was said of milestones is said of those of another way from now on.
    mutating func moved(to way: Way) {
        self.way = way.signature
        taught = []
        taughtElsewhere = []
        path = []
        next = nil
        heard = []
        furthest = min(furthest, way.milestones.count - 1)
        for index in alerts.indices where alerts[index].phase != .closed {
            if alerts[index].type == .late {
                alerts[index].at = UInt32(max(0, way.milestones.count - 1))
                continue
            }
            let at = alerts[index].index(in: way.milestones)
            alerts[index].at = at.map { UInt32($0) } ?? AlertEpisode.nowhere
        }
    }
}
