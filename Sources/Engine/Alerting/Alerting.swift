import Alerting
import Forecast
import Log
import Tracking

/// Which conditions hold of a journey, and what is said of them. What is found goes through one machine
/// for all types (`AlertMachine`); what a type means stands in its policy.
extension Engine {
    // MARK: Late

    mutating func judgeLate(
        _ journey: inout Journey, _ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft
    ) {
        guard let promised = outlook.promised, let delay = outlook.delayMinutes,
            let probability = outlook.lateProbability
        else {
            return endLate(&journey, "its plan promises nothing any more", outlook, context, &draft)
        }
        var facts = LatePolicy.Facts(
            now: context.now, promised: promised, delayMinutes: delay, probability: probability,
            margin: forecasting.intervals.tallies[outlook.horizon].margin,
            horizon: outlook.horizon, isComplete: outlook.isComplete,
            isCorrected: context.touch?.corrected == true,
            isPlanChanged: context.touch?.planChanged == true)
        facts.isOnlySilent = isOnlySilent(journey, context)
        let moment = Moment(
            now: context.now, holdUntil: journey.publication.holdUntil,
            isEvidence: context.touch?.eventID != nil || context.touch?.newest ?? .unset != .unset)
        let known = journey.publication.alerts.firstIndex {
            $0.type == .late && $0.phase != .closed
        }
        let isOpen = known.map { journey.publication.alerts[$0].phase != .pending } ?? false
        if facts.isOnlySilent, let known, isOpen,
            delay < Double(journey.publication.alerts[known].toldMinutes)
        {
            return
        }
        var finding = LatePolicy.find(facts, rules, isOpen: isOpen)
        // It may have left long ago: that nobody said so proves nothing.
        if context.touch == nil, isEndUnheard(outlook) {
            if known == nil { return }
            finding = .over(.cleared, nil)
        }
        // What a post that is silent would tell is not known: silence alone proves nothing then.
        if context.touch == nil, finding.begins, let next = outlook.expected.next, !isOpen,
            let silent = silentPost(of: outlook.chain[next])
        {
            return holdBack(context.container, silent, &draft)
        }
        let key = AlertKey(.late, outlook.chain.count - 1, of: outlook.chain)
        guard let at = known ?? begin(key, finding, since: outlook.seenFrom, &journey, moment)
        else {
            return
        }
        let causes = lateCauses(outlook, journey, context, minutes: Int(delay))
        look(&journey, at, finding, moment, outlook, because: causes, context, &draft) {
            engine, state in
            engine.lateText(state, journey: facts, outlook, causes.first, context)
        }
    }

    /// Nothing has come, and somebody is told that something should have.
    func isOnlySilent(_ journey: Journey, _ context: ReviewContext) -> Bool {
        context.touch == nil
            && journey.publication.alerts.contains {
                $0.type.isSilence && $0.phase != .closed && $0.phase != .pending
            }
    }

    /// There is no promise any more that could be broken, or nobody who could say so.
    mutating func endLate(
        _ journey: inout Journey, _ reason: String, _ outlook: Outlook?, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        journey.publication.alerts.removeAll { $0.type == .late && $0.phase == .pending }
        for at in journey.publication.alerts.indices
        where journey.publication.alerts[at].type == .late {
            look(
                &journey, at, .over(.withdrawn, nil), Moment(now: context.now), outlook, context,
                &draft
            ) { _, _ in "\(context.container): \(reason)" }
        }
    }

    // MARK: The machine

    /// Begins an episode where its condition holds; returns its index.
    func begin(
        _ key: AlertKey, _ finding: Finding, since: Instant, _ journey: inout Journey,
        _ moment: Moment
    ) -> Int? {
        guard case .holds = finding else { return nil }
        let number = nextEpisode(&journey, key)
        guard let episode = AlertMachine(rules).begin(key, number, finding, since: since, moment)
        else { return nil }
        journey.publication.alerts.append(episode)
        return journey.publication.alerts.count - 1
    }

    /// Shows an episode what was found, and says what comes of it.
    mutating func look(
        _ journey: inout Journey, _ at: Int, _ finding: Finding, _ moment: Moment,
        _ outlook: Outlook?, because causes: [Cause]? = nil, _ context: ReviewContext,
        _ draft: inout Draft, words: (Engine, AlertState) -> String
    ) {
        let state = AlertMachine(rules).advance(&journey.publication.alerts[at], finding, moment)
        if state == .raised {
            joinConvoy(&journey, at, context)
            noteParent(&journey, at, outlook, causes ?? [], context, draft)
            noteFlapping(&journey, at, context.now)
        } else if state != nil, let convoy = journey.publication.alerts[at].convoy,
            let count = alertBook.count(of: convoy.id)
        {
            journey.publication.alerts[at].convoy?.count = count
        }
        let episode = journey.publication.alerts[at]
        if let state {
            if episode.phase == .closed, let convoy = episode.convoy, convoy.isLead {
                alertBook.dissolve(convoy.id)
                alertsDirty = true
            }
            return say(
                journey, episode, state, words(self, state), outlook, because: causes, context,
                &draft)
        }
        if episode.phase == .closed, episode.rev == 0, !episode.isShadow {
            journey.publication.alerts.remove(at: at)
        }
    }

    /// Open alerts of a journey that is gone end, with the reason; those of some types alone where it is
    /// only that these cannot be told any more.
    mutating func withdrawAll(
        _ journey: inout Journey, _ reason: String, of isMeant: (AlertType) -> Bool = { _ in true },
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        // What was not told yet goes without a word: nobody would look at it any more.
        journey.publication.alerts.removeAll { $0.phase == .pending && isMeant($0.type) }
        for at in journey.publication.alerts.indices
        where isMeant(journey.publication.alerts[at].type) {
            look(
                &journey, at, .over(.withdrawn, nil), Moment(now: context.now), nil, context, &draft
            ) { _, _ in "\(context.container): \(reason)" }
        }
    }

    /// Episodes of one milestone and type that a journey remembers: a plan that is sent for ever, now
    /// so and now so, must not make its record grow for ever.
    private static let episodesKept = 16

    /// The number of the episode that begins; the oldest of the same key is forgotten where there are
    /// many, never the latest, after which the count goes on.
    private func nextEpisode(_ journey: inout Journey, _ key: AlertKey) -> UInt32 {
        let known = journey.publication.alerts.indices.filter {
            journey.publication.alerts[$0].isAbout(key)
        }
        var next = known.map { journey.publication.alerts[$0].episode }.max() ?? 0
        next = max(next, journey.publication.episodesBefore)
        next.countOn()
        if known.count >= Engine.episodesKept,
            let oldest = known.first(where: { journey.publication.alerts[$0].phase == .closed })
        {
            journey.publication.alerts.remove(at: oldest)
        }
        return next
    }

    mutating func say(
        _ journey: Journey, _ episode: AlertEpisode, _ state: AlertState, _ text: String,
        _ outlook: Outlook?, because causes: [Cause]? = nil, _ context: ReviewContext,
        _ draft: inout Draft,
        besides: (inout AlertEvent) -> Void = { _ in }
    ) {
        let place = register.symbols[episode.place]
        let because =
            state == .raised || state == .updated
            ? outlook.flatMap {
                // What its way usually takes is no one step's fault.
                $0.isFirst
                    ? nil
                    : causes ?? self.causes($0, context, minutes: Int(episode.delayMinutes))
            } ?? [] : []
        var line = AlertEvent(
            time: context.now, alert: identity(of: episode, journey, context.container),
            rev: Int(episode.rev), state: state, type: episode.type,
            severity: episode.severity, container: context.container,
            shipment: register.name(of: journey), place: place,
            delayMinutes: Int(episode.delayMinutes),
            probability: episode.type == .late ? Double(episode.probability) : nil,
            because: because, text: text, event: context.touch?.eventID)
        line.convoy = episode.convoy
        line.incident = episode.parent.isEmpty ? nil : episode.parent
        line.isFlapping = episode.isFlapping && state == .raised
        besides(&line)
        line.silenced = alertBook.silence(of: line, at: context.now)
        openAlerts[line.alert] =
            episode.phase == .closed ? nil : register.slots[context.container].map { .box($0) }
        draft.notices.append(.alert(line))
    }

    func identity(
        of episode: AlertEpisode, _ journey: Journey, _ container: ContainerNumber
    ) -> String {
        AlertEpisode.identity(
            container: container,
            journey: register.name(of: journey) ?? "#\(journey.ordinal)",
            milestone: episode.milestoneName(register.symbols[episode.place]),
            type: episode.type, episode: episode.episode)
    }

    /// What a closure delays names it, from its raise to its end.
    private func noteParent(
        _ journey: inout Journey, _ at: Int, _ outlook: Outlook?, _ causes: [Cause],
        _ context: ReviewContext, _ draft: Draft
    ) {
        guard journey.publication.alerts[at].type == .late, let outlook else { return }
        let causes = outlook.isFirst ? [] : causes
        journey.publication.alerts[at].parent =
            closureIncident(causes, outlook, context.container, draft) ?? ""
    }

    /// What comes and goes says so once, and stays open until it has been calm for long.
    private func noteFlapping(_ journey: inout Journey, _ at: Int, _ now: Instant) {
        let raised = journey.publication.alerts[at]
        let earlier = journey.publication.alerts.enumerated().filter { index, other in
            index != at && other.rev > 0 && other.type == raised.type
                && other.place == raised.place && other.code == raised.code
                && other.occurrence == raised.occurrence
        }
        journey.publication.alerts[at].isFlapping = AlertMachine(rules).flaps(
            earlier.map(\.element), at: now)
    }

    /// Boxes of one train have an alert each, and know of each other.
    private mutating func joinConvoy(
        _ journey: inout Journey, _ at: Int, _ context: ReviewContext
    ) {
        let episode = journey.publication.alerts[at]
        // What cannot be is said of one box.
        guard episode.type.isOfTrains else { return }
        // Boxes that nobody has seen yet are no train, but for those of one shipment.
        let isSeen = journey.progress.lastTime != .unset
        let place = isSeen ? journey.progress.lastPlace : journey.shipment
        guard place != 0 else { return }
        let ahead = journey.way.milestones.dropFirst(journey.progress.furthest + 1)
        var hash = StableHasher()
        hash.combine(identity(of: episode, journey, context.container))
        alertsDirty = true
        journey.publication.alerts[at].convoy = alertBook.join(
            AlertBook.PartyKey(
                type: episode.type, place: episode.place, code: episode.code,
                seenAt: place, mode: ahead.first { $0.kind == .transit }?.mode ?? .unknown),
            seen: isSeen ? journey.progress.lastTime : context.now, now: context.now,
            id: hash.identity().low)
    }
}
