import Alerting
import Forecast
import Tracking

/// Closures as parents of what they delay.
extension Engine {
    /// Notes which closures a journey will have to wait for, as it is expected now.
    func noteClosed(_ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft) {
        if outlook.held { return }
        for window in closuresAhead(outlook) where window.until > context.now {
            draft.delayed[closureBook.windowIDs[window.index], default: []]
                .insert(context.container)
        }
    }

    /// The closure that a box is late by, as its alert names it.
    func closureIncident(_ causes: [Cause], _ container: ContainerNumber, _ draft: Draft) -> String?
    {
        // What was late by its way when it was first looked at has no cause of its own.
        guard causes.first.map({ $0.kind == .closure }) ?? true else { return nil }
        let own = draft.delayed.filter { entry in
            entry.value.contains(container)
                && closureBook.closures[entry.key].map { !isTakenBack($0.closure) } ?? false
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
            incident.since = closure.from
            incident.until = closure.until ?? .never
            incident.place = network.canonical(closure.place)
        }
        for box in (draft.delayed[key.subject] ?? []).sorted() { incident.add(box) }
        guard incident.isOpen || incident.count > 0 else { return }
        // Of one without an end it is known how long it lasts already.
        let end = closure?.until ?? max(draft.now, closure?.from ?? draft.now)
        let minutes = end.minutes(since: closure?.from ?? draft.now)
        let facts: IncidentPolicies.ClosureFacts =
            closure == nil
            ? .forgotten
            : closure.map(isTakenBack) == true
                ? .takenBack
                : incident.until <= draft.now
                    ? .over
                    : draft.now.minutes(since: max(incident.since, standing?.received ?? .unset))
                        >= IncidentPolicies.giveUpMinutes
                        ? .forgotten
                        : .shut(minutes: minutes, isOpenEnded: closure?.until == nil)
        let told = incident
        let isShutStill = alertBook.incidents.values.contains {
            $0.isOpen && $0.key.type == .closure && $0.key != key && $0.place == told.place
        }
        look(&incident, IncidentPolicies.closure(facts, rules), &draft) { engine, state in
            engine.closureText(facts, told, closure, isShutStill: isShutStill)
        } besides: {
            $0.closure = key.subject
            $0.reason = closure?.reason
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
}
