import Alerting
import Tracking

/// Alerts about posts and places: parents of what is told of boxes.
extension Engine {
    /// Looks at all that is not about one box: at what news has changed, and at what has become due.
    mutating func judgeIncidents(_ draft: inout Draft) {
        judgePosts(&draft)
        if alertBook.nextLook <= draft.now {
            draft.timersFired = true
            draft.incidents += alertBook.incidents.values
                .filter { $0.isOpen && $0.lookAt <= draft.now }.map(\.key)
        }
        var judged: Set<IncidentKey> = []
        while true {
            // What one of them lets go may concern another.
            let closures = draft.delayed.keys.map { IncidentKey(.closure, $0) }
            let next = Set(closures + draft.incidents).subtracting(judged).sorted()
            if next.isEmpty { break }
            draft.incidents = []
            for key in next {
                judged.insert(key)
                judge(key, &draft)
            }
        }
        guard !judged.isEmpty else { return }
        if alertBook.incidents.count > Engine.incidentsKept {
            alertBook.forgetIncidents(before: draft.now.advanced(minutes: -366 * 1_440))
        }
        alertBook.noteLooks()
    }

    /// Beyond so many those that ended more than a year ago are forgotten.
    private static let incidentsKept = 1_000

    private mutating func judge(_ key: IncidentKey, _ draft: inout Draft) {
        switch key.type {
        case .closure: judgeClosure(key, &draft)
        case .postSilent: judgeSilentPost(key, &draft)
        case .postClock: judgeClock(key, &draft)
        default: break
        }
    }

    /// Shows an incident what was found, and says what comes of it. An open one that has grown says so.
    /// `isAmended`: what it is about has changed so much that it is said at once.
    mutating func look(
        _ incident: inout Incident, _ finding: Finding, isAmended: Bool = false,
        _ draft: inout Draft,
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
            incident.begin(begun)
        }
        let last = incident.episodes.count - 1
        var state = machine.advance(&incident.episodes[last], finding, moment)
        alertsDirty = true
        if state == .raised {
            incident.episodes[last].isFlapping = machine.flaps(
                incident.episodes.dropLast(), at: draft.now)
        } else if state == nil, wasOpen, incident.isOpen,
            isAmended || incident.isGrown && draft.now >= incident.nextTelling
        {
            state = machine.grow(&incident.episodes[last])
        }
        guard let state else { return }
        say(incident, state, words(self, state), &draft)
        incident.noteTold(draft.now)
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
        if incident.key.type == .closure {
            line.closure = incident.key.subject
            line.reason = closureBook.closures[incident.key.subject]?.closure.reason
        }
        line.isFlapping = episode.isFlapping && state == .raised
        besides(&line)
        line.silenced = alertBook.silence(of: line, at: draft.now)
        openAlerts[line.alert] = episode.phase == .closed ? nil : .incident(incident.key)
        // A parent comes before its children.
        draft.notices.insert(.alert(line), at: state == .raised ? 0 : draft.notices.count)
    }

    /// Boxes whose alerts were held back are looked at, each by itself, a thousand a second.
    mutating func release(_ children: Set<ContainerNumber>, _ draft: inout Draft) {
        for (index, child) in children.sorted().enumerated() {
            guard let slot = register.slots[child] else { continue }
            let at = draft.now.advanced(minutes: Double(index / Engine.releasedAtOnce) / 60)
            for journey in register.records[slot].journeys.indices {
                if register.records[slot].journeys[journey].publication.overdueAt != .never {
                    register.records[slot].journeys[journey].publication.overdueAt = at
                }
                if register.records[slot].journeys[journey].publication.reviewAt != .never {
                    register.records[slot].journeys[journey].publication.reviewAt = min(
                        register.records[slot].journeys[journey].publication.reviewAt, at)
                }
            }
            register.dirtyRecords.insert(slot)
            register.schedule(slot, dueAt: register.records[slot].dueAt)
        }
    }

    private static let releasedAtOnce = 1_000
}
