import Alerting
import Forecast
import Tracking

/// Closures as parents of what they delay.
extension Engine {
    /// Notes which closures a journey will have to wait for, as it is expected now.
    mutating func noteClosed(
        _ journey: Journey, _ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft
    ) {
        guard !closureBook.windows.isEmpty, !outlook.held, let next = outlook.expected.next,
            outlook.means.count == outlook.chain.count
        else { return }
        for at in next..<outlook.chain.count {
            let step = outlook.chain[at]
            guard step.kind != .transit else { continue }
            let near =
                (closureBook.windowsAt[step.place] ?? [])
                + (closureBook.windowsAt[step.fromPlace] ?? [])
            guard !near.isEmpty else { continue }
            let begins =
                at == next
                ? outlook.seenFrom
                : outlook.seenFrom.advanced(minutes: Double(outlook.means[at - 1]))
            let ends = outlook.seenFrom.advanced(minutes: Double(outlook.means[at]))
            for window in near where closureBook.windows[window].holds(step) {
                let (from, until) = (
                    closureBook.windows[window].from, closureBook.windows[window].until
                )
                guard until > context.now, begins < until, ends >= from else { continue }
                draft.delayed[closureBook.windowIDs[window], default: []].insert(context.container)
            }
        }
    }

    /// The closure that a box is late by, as its alert names it.
    func closureIncident(_ causes: [Cause], _ container: ContainerNumber, _ draft: Draft) -> String?
    {
        // What was late by its way when it was first looked at has no cause of its own.
        guard causes.first.map({ $0.kind == .closure }) ?? true else { return nil }
        let own = draft.delayed.filter { $0.value.contains(container) }.keys.sorted()
        return own.first.map { id in
            let key = IncidentKey(.closure, id)
            return alertBook.incidents[key]?.identity ?? Incident.identity(key, 1)
        }
    }

    mutating func judgeClosure(_ key: IncidentKey, _ draft: inout Draft) {
        let standing = closureBook.closures[key.subject]
        let closure = standing?.closure
        guard
            var incident = alertBook.incidents[key]
                ?? closure.map({
                    Incident(
                        key, post: "", place: network.canonical($0.place), since: $0.from)
                })
        else { return }
        if let closure {
            incident.since = closure.from
            incident.until = closure.until ?? .never
            incident.place = network.canonical(closure.place)
        }
        for box in draft.delayed[key.subject] ?? [] { incident.add(box) }
        guard incident.isOpen || incident.count > 0 else { return }
        let minutes = (closure?.end ?? draft.now).minutes(since: closure?.from ?? draft.now)
        let facts: IncidentPolicies.ClosureFacts =
            closure == nil
            ? .forgotten
            : closure?.retract == true
                ? .takenBack
                : incident.until <= draft.now
                    ? .over
                    : draft.now.minutes(since: max(incident.since, standing?.received ?? .unset))
                        >= IncidentPolicies.giveUpMinutes ? .forgotten : .shut(minutes: minutes)
        let told = incident
        look(&incident, IncidentPolicies.closure(facts, rules), &draft) { engine, state in
            engine.closureText(facts, told, closure)
        }
        if incident.isOpen {
            incident.lookAt = min(
                incident.until,
                max(incident.since, draft.now).advanced(minutes: IncidentPolicies.giveUpMinutes))
        } else {
            incident.lookAt = .never
            incident.children = []
        }
        alertBook.incidents[key] = incident
    }
}
