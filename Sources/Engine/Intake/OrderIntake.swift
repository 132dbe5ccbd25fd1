import Alerting
import Log
import Tracking
import Wire

/// What operators say of alerts.
extension Engine {
    /// Whoever is enrolled for it may; where nobody is enrolled at all, and in the name of nobody, whoever
    /// may speak of every place.
    private func authorizeOperating(_ chunk: FeedChunk) -> Verdict? {
        if chunk.isLogged { return nil }
        let post = chunk.origin.post
        let isTrusted = chunk.scope == nil && (post.isEmpty || intake.roster.isEmpty)
        if isTrusted || intake.roster[post]?.mayOperate == true { return nil }
        return .refused(
            LineReject(
                .forbidden,
                detail:
                    "post \(post) may not acknowledge or silence alerts; that right is given by "
                    + "caravan post enrol \(post) --operate"))
    }

    mutating func acknowledge(
        _ seen: AlertAcknowledgement, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) -> Verdict {
        if let refusal = authorizeOperating(chunk) { return refusal }
        guard let found = openAlert(seen.alert) else { return noSuchAlert(seen.alert) }
        var episode = found.episode
        if let scope = chunk.scope, !scope.contains(found.place) {
            return .refused(
                LineReject(
                    .forbidden, field: "acknowledge",
                    detail:
                        "post \(chunk.origin.post) is enrolled for other places than \(found.place)"
                ))
        }
        if let until = seen.until, until <= draft.now, episode.acknowledgement != seen.content,
            !chunk.isLogged
        {
            return .refused(LineReject(.time, field: "until", detail: "until has passed"))
        }
        switch AlertMachine(rules).acknowledge(&episode, seen) {
        case .again: return .duplicate
        case .notOpen: return noSuchAlert(seen.alert)
        case .notSaid(let rev):
            return .refused(
                LineReject(
                    .conflict, field: "rev",
                    detail: "the last line of \(seen.alert) is rev \(rev)"))
        case .worse(let rev):
            return .refused(
                LineReject(
                    .conflict, field: "rev",
                    detail: "\(seen.alert) has become worse since rev \(seen.rev): it is "
                        + "\(episode.severity.code) now, rev \(rev)"))
        case .taken(let state):
            _ = draft.blob.append(.line, chunk.origin, bytes)
            say(seen, state, episode, of: found.home, by: chunk.origin.post, &draft)
            tellKeys(seen.unknownKeys, .acknowledge, line.number, chunk, &reply, &draft)
            return .stored
        }
    }

    /// That somebody sees to an alert, of a box or of another subject.
    private mutating func say(
        _ seen: AlertAcknowledgement, _ state: AlertState, _ episode: AlertEpisode,
        of home: AlertHome, by: String, _ draft: inout Draft
    ) {
        func text(_ subject: String) -> String {
            "\(subject): \(by.isEmpty ? "somebody" : by) sees to it"
                + (seen.note.map { ": \($0)" } ?? "")
        }
        func complete(_ line: inout AlertEvent) {
            line.by = by.isEmpty ? nil : by
            line.note = seen.note
            line.until = seen.until
        }
        switch home {
        case .box(let slot, let journey, let at):
            register.records[slot].journeys[journey].publication.alerts[at] = episode
            register.dirtyRecords.insert(slot)
            let context = ReviewContext(
                record: register.records[slot], touch: nil, now: draft.now)
            say(
                register.records[slot].journeys[journey], episode, state,
                text("\(context.container)"), nil, context, &draft, besides: complete)
        case .incident(let key):
            guard var incident = alertBook.incidents[key], !incident.episodes.isEmpty else {
                return
            }
            incident.episodes[incident.episodes.count - 1] = episode
            alertBook.incidents[key] = incident
            alertsDirty = true
            let subject = incident.post.isEmpty ? name(incident.place) : incident.post
            say(incident, state, text(subject), &draft, besides: complete)
        }
    }

    private func noSuchAlert(_ id: String) -> Verdict {
        .refused(
            LineReject(
                .unknownID, field: "acknowledge",
                detail: "no alert \(id.prefix(64)) is open: it has ended, or its id is mistyped"))
    }

    /// Whoever is enrolled for some places silences those, and changes nobody else's silence.
    private func authorize(_ silence: AlertSilence, _ chunk: FeedChunk) -> Verdict? {
        guard let scope = chunk.scope, !chunk.isLogged else { return nil }
        let known = alertBook.silences[silence.id]
        let places =
            silence.retract && silence.places.isEmpty ? known?.places ?? [] : silence.places
        let isOwn = known.map { $0.author == silence.author } ?? true
        guard isOwn, !places.isEmpty, places.allSatisfy(scope.contains) else {
            return .refused(
                LineReject(
                    .forbidden, field: "places",
                    detail:
                        "post \(chunk.origin.post) silences alerts of its own places alone, and "
                        + "changes its own silences: \(scope.sorted().prefix(5).joined(separator: ", "))"
                ))
        }
        return nil
    }

    /// Whether an order says what is in force already, or what is over.
    func isKnown(_ seen: AlertAcknowledgement) -> Bool {
        openAlert(seen.alert).map { $0.episode.acknowledgement == seen.content } ?? true
    }

    func isKnown(_ silence: AlertSilence) -> Bool {
        guard let known = alertBook.silences[silence.id] else { return silence.retract }
        return known.content == silence.content
            || silence.updated ?? .unset < known.updated ?? .unset
    }

    /// An open alert by its id.
    private func openAlert(
        _ id: String
    ) -> (home: AlertHome, episode: AlertEpisode, place: String)? {
        switch openAlerts[id] {
        case nil: return nil
        case .incident(let key):
            guard let incident = alertBook.incidents[key], incident.isOpen,
                let episode = incident.episodes.last, incident.identity == id
            else { return nil }
            return (.incident(key), episode, incident.place)
        case .box(let slot):
            for journey in register.records[slot].journeys.indices {
                let alerts = register.records[slot].journeys[journey].publication.alerts
                for at in alerts.indices where alerts[at].rev > 0 && alerts[at].phase != .closed {
                    let name = identity(
                        of: alerts[at], register.records[slot].journeys[journey],
                        register.records[slot].number)
                    guard name == id else { continue }
                    return (
                        .box(slot, journey: journey, at: at), alerts[at],
                        register.symbols[alerts[at].place]
                    )
                }
            }
            return nil
        }
    }

    mutating func enact(
        _ stated: AlertSilence, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) -> Verdict {
        if let refusal = authorizeOperating(chunk) { return refusal }
        var silence = stated
        silence.author = chunk.origin.post
        silence.places = silence.places.map { network.canonical($0) }
        if let refusal = authorize(silence, chunk) { return refusal }
        switch alertBook.enact(silence, now: draft.now, limit: rules.maxClosures) {
        case .known: return .duplicate
        case .full:
            return .refused(
                LineReject(
                    .limit, field: "silence",
                    detail: "\(rules.maxClosures) silences are known, and no more are taken"))
        case .unknown:
            return .refused(
                LineReject(
                    .unknownID, field: "silence", detail: "no silence \(silence.id) is known"))
        case .older: break
        case .taken: alertsDirty = true
        }
        _ = draft.blob.append(.line, chunk.origin, bytes)
        for place in stated.places {
            tellPlace(place, "places", line.number, chunk, &reply, &draft)
        }
        tellKeys(silence.unknownKeys, .silence, line.number, chunk, &reply, &draft)
        return .stored
    }
}

/// Where an open alert is to be looked for.
enum OpenAlert: Sendable {
    case box(Int)
    case incident(IncidentKey)
}

/// Where it is.
enum AlertHome: Sendable {
    case box(Int, journey: Int, at: Int)
    case incident(IncidentKey)
}
