import Alerting
import Forecast
import Tracking

/// Closures as parents of what they delay.
extension Engine {
    /// Notes which closures a journey will have to wait for, as it is expected now.
    func noteClosed(_ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft) {
        if outlook.held { return }
        for window in closuresAhead(outlook, isNotice: true) where window.until > context.now {
            draft.delayed[closureBook.windowIDs[window.index], default: []]
                .insert(context.container)
        }
    }

    /// The closure that a box is late by, as its alert names it.
    func closureIncident(
        _ causes: [Cause], _ outlook: Outlook, _ container: ContainerNumber, _ draft: Draft
    ) -> String? {
        // What was late by its way when it was first looked at has no cause of its own.
        guard causes.first.map({ $0.kind == .closure }) ?? true else { return nil }
        let own = draft.delayed.filter { entry in
            entry.value.contains(container)
                && closureBook.closures[entry.key].map {
                    !isTakenBack($0.closure) && mayExplain($0.closure.from, outlook)
                } ?? false
        }.keys.sorted()
        return own.first.map { id in
            let key = IncidentKey(.closure, id)
            return alertBook.incidents[key]?.identity ?? Incident.identity(key, 1)
        }
    }

    /// It is retracted, or said to have been none.
    private func isTakenBack(_ closure: Closure) -> Bool {
        closure.retract || closure.until.map { $0 <= closure.from } ?? false
    }

    mutating func judgeClosure(_ key: IncidentKey, _ draft: inout Draft) {
        let standing = closureBook.closures[key.subject]
        let closure = standing?.closure
        guard
            var incident = alertBook.incidents[key]
                ?? closure.map({
                    Incident(
                        key, place: network.canonical($0.place), since: $0.from)
                })
        else { return }
        if let closure {
            let place = network.canonical(closure.place)
            let before = incident.place
            if incident.isOpen, !closure.retract, network.canonical(before) != place {
                // Whoever follows that place hears that it is over there.
                look(&incident, IncidentPolicies.closure(.takenBack, rules), &draft) { engine, _ in
                    "\(engine.name(before)): the closure was taken back, it is said of "
                        + engine.name(place)
                }
                incident.children = []
                incident.lookAt = .never
            }
            incident.since = closure.from
            incident.until = closure.until ?? .never
            if !closure.retract { incident.place = place }
        }
        for box in (draft.delayed[key.subject] ?? []).sorted() { incident.add(box) }
        guard incident.isOpen || incident.count > 0 else {
            alertBook.incidents[key] = incident.episodes.isEmpty ? nil : incident
            return
        }
        let facts = closureFacts(standing, incident, draft.now)
        let isAmended = incident.isAmended || draft.otherClosures.contains(key.subject)
        if isAmended || !facts.isShut || draft.now >= incident.nextTelling {
            forgetPassed(
                &incident, but: draft.delayed[key.subject] ?? [],
                isNews: standing?.received == draft.now, draft.now)
        }
        let told = incident
        let isShutStill = alertBook.incidents.values.contains {
            $0.isOpen && $0.key.type == .closure && $0.key != key && $0.place == told.place
        }
        look(&incident, IncidentPolicies.closure(facts, rules), isAmended: isAmended, &draft) {
            engine, _ in
            engine.closureText(facts, told, closure, isShutStill: isShutStill)
        }
        if incident.isOpen {
            incident.lookAt = min(
                incident.until, incident.nextTelling,
                max(incident.since, draft.now).advanced(minutes: IncidentPolicies.giveUpMinutes))
        } else {
            incident.lookAt = .never
            incident.children = []
        }
        alertBook.incidents[key] = incident
    }

    private func closureFacts(
        _ standing: ClosureBook.StandingClosure?, _ incident: Incident, _ now: Instant
    ) -> IncidentPolicies.ClosureFacts {
        guard let standing else { return .forgotten }
        let closure = standing.closure
        if isTakenBack(closure) { return .takenBack }
        if incident.until <= now { return .over }
        let silence = now.minutes(since: max(incident.since, standing.received))
        if silence >= IncidentPolicies.giveUpMinutes { return .forgotten }
        // One without an end is expected to last as long as boxes are thought to wait for it.
        let window = ClosureWindow(
            place: 0, mode: closure.mode, from: closure.from, until: closure.end,
            isOpenEnded: closure.until == nil
        ).along([], now: now)
        return .shut(
            minutes: window.until.minutes(since: closure.from), isOpenEnded: closure.until == nil)
    }

    /// Boxes that have left the place behind, or go another way now, do not wait for it any more. Looked at when
    /// something is said of it only, and not of those that were just seen to.
    private func forgetPassed(
        _ incident: inout Incident, but seen: Set<ContainerNumber>, isNews: Bool, _ now: Instant
    ) {
        guard let index = closureBook.windowIDs.firstIndex(of: incident.key.subject) else { return }
        let window = closureBook.windows[index]
        let forks = forecasting.partings.forks(to: [window.place])
        incident.children = incident.children.filter { box in
            if seen.contains(box) { return true }
            // Whether it is in memory must not show.
            guard let slot = register.slots[box], register.isLive(register.records[slot], now)
            else { return false }
            let plans = register.records[slot].plans
            return register.records[slot].journeys.contains { journey in
                // By news of the closure itself all that may meet it have been seen to.
                isNews
                    ? journey.publication.holdUntil > now
                    : mayMeet(window, journey, plans, forks, now)
            }
        }
    }

    /// It is on what lies ahead of its way, or on another that it may still turn to.
    private func mayMeet(
        _ window: ClosureWindow, _ journey: Journey, _ plans: [UInt32], _ forks: Set<UInt32>,
        _ now: Instant
    ) -> Bool {
        let ahead = journey.way.milestones.dropFirst(journey.progress.furthest + 1)
        let made = register.made(journey.shipment, plans)
        // Without a plan it waits where it stands.
        if made == nil, journey.progress.lastPlace == window.place { return true }
        let window = window.along(ahead, now: now)
        let turns = made?.turns.filter { $0.to == window.place }.map(\.place) ?? []
        return ahead.contains {
            window.holds($0) || forks.contains($0.fromPlace) || turns.contains($0.fromPlace)
        }
    }
}
