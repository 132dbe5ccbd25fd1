import Alerting
import Tracking

/// Alerts about posts and places: parents of what is told of boxes.
extension Engine {
    /// Looks at all that is not about one box: at what news has changed, and at what has become due.
    mutating func judgeIncidents(_ draft: inout Draft) {
        judgePosts(&draft)
        let closures = draft.delayed.keys.map { IncidentKey(.closure, $0) }
        let due = alertBook.incidents.values.filter { $0.isOpen && $0.lookAt <= draft.now }
            .map(\.key)
        if !due.isEmpty { draft.timersFired = true }
        for key in Set(closures + due + draft.incidents).sorted() {
            switch key.type {
            case .closure: judgeClosure(key, &draft)
            case .postSilent: judgeSilentPost(key, &draft)
            case .postClock: judgeClock(key, &draft)
            default: break
            }
        }
        alertBook.noteLooks()
    }

    /// Shows an incident what was found, and says what comes of it. An open one that has grown says so.
    mutating func look(
        _ incident: inout Incident, _ finding: Finding, _ draft: inout Draft,
        words: (Engine, AlertState) -> String
    ) {
        let machine = AlertMachine(rules)
        let moment = Moment(now: draft.now)
        let wasOpen = incident.isOpen
        if !wasOpen {
            let place = register.symbols.number(incident.place)
            let key = AlertKey(
                incident.key.type, milestone: 0, place: place, code: .arri, occurrence: 1)
            guard
                let begun = machine.begin(
                    key, incident.nextEpisode, finding, since: draft.now, moment)
            else { return }
            let children = incident.children
            incident.begin(begun)
            incident.children = children
        }
        let last = incident.episodes.count - 1
        let severity = incident.episodes[last].severity
        var state = machine.advance(&incident.episodes[last], finding, moment)
        alertsDirty = true
        if state == .raised {
            incident.episodes[last].isFlapping = machine.flaps(
                incident.episodes.dropLast(), at: draft.now)
        } else if state == nil, wasOpen, incident.isOpen, incident.isGrown {
            state = machine.grow(&incident.episodes[last])
        }
        _ = severity
        guard let state else { return }
        say(incident, state, words(self, state), &draft)
        incident.toldChildren = incident.count
    }

    /// Boxes that a line names; it counts them all.
    static let childrenNamed = 50

    mutating func say(
        _ incident: Incident, _ state: AlertState, _ text: String, _ draft: inout Draft,
        besides: (inout AlertEvent) -> Void = { _ in }
    ) {
        guard let episode = incident.episodes.last else { return }
        var line = AlertEvent(
            time: draft.now, alert: Incident.identity(incident.key, episode.episode),
            rev: Int(episode.rev), state: state, type: episode.type, severity: episode.severity,
            container: nil, shipment: nil, place: incident.place,
            delayMinutes: Int(episode.delayMinutes), text: text)
        line.post = incident.post.isEmpty ? nil : incident.post
        if incident.key.type != .postClock {
            line.children = incident.count
            line.containers = Array(incident.children.sorted().prefix(Engine.childrenNamed))
        }
        line.isFlapping = episode.isFlapping && state == .raised
        besides(&line)
        line.silenced = alertBook.silence(of: line, at: draft.now)
        openAlerts[line.alert] = episode.phase == .closed ? nil : .incident(incident.key)
        // A parent comes before its children.
        draft.notices.insert(.alert(line), at: state == .raised ? 0 : draft.notices.count)
    }

    /// Boxes whose alerts were held back are looked at, each by itself.
    mutating func release(_ children: Set<ContainerNumber>, _ draft: inout Draft) {
        for child in children.sorted() {
            guard let slot = register.slots[child] else { continue }
            for at in register.records[slot].journeys.indices
            where register.records[slot].journeys[at].publication.overdueAt != .never {
                register.records[slot].journeys[at].publication.overdueAt = draft.now
            }
            draft.touched[slot] = nil
            review(slot, &draft)
        }
    }
}
