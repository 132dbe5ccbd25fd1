import Forecast
import Log
import Tracking

/// When alerts are raised, updated, cleared and withdrawn. Raising and clearing have different
/// thresholds, and nothing clears by silence.
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
        let milestone = UInt32(outlook.chain.count - 1)
        let at = journey.publication.alerts.firstIndex {
            $0.type == .late && $0.phase != .closed
        }
        let level = rules.severity(delayMinutes: delay)
        if outlook.isComplete { judgeAlerts(journey, cameTrue: delay > 0) }
        // Where too few alerts came true, more certainty is asked for.
        let bar = rules.raiseProbability + forecasting.intervals.tallies[outlook.horizon].margin
        let holds = probability >= bar && level != nil && !outlook.isComplete
        guard let at else {
            guard holds else { return }
            var episode = AlertEpisode(
                type: .late, milestone: milestone, place: outlook.chain[Int(milestone)].place,
                code: outlook.chain[Int(milestone)].code,
                episode: nextEpisode(&journey, .late, milestone), since: outlook.seenFrom)
            episode.confirmAt = context.now.advanced(minutes: rules.confirmMinutes)
            journey.publication.alerts.append(episode)
            confirm(
                &journey, journey.publication.alerts.count - 1, outlook, promised, context, &draft)
            return
        }
        var episode = journey.publication.alerts[at]
        episode.delayMinutes = Engine.clamped(delay)
        episode.probability = Float(probability)
        journey.publication.alerts[at] = episode
        if episode.phase == .pending {
            if holds {
                confirm(&journey, at, outlook, promised, context, &draft)
            } else if episode.isShadow {
                journey.publication.alerts[at].phase = .closed
                journey.publication.alerts[at].confirmAt = .never
            } else {
                journey.publication.alerts.remove(at: at)
            }
            return
        }
        followLate(&journey, at, outlook, level, context, &draft)
    }

    /// A pending episode becomes an alert by a second event, by time, or at once where it is far
    /// over or the promise has passed; never while a backlog is coming in.
    private mutating func confirm(
        _ journey: inout Journey, _ at: Int, _ outlook: Outlook, _ promised: Instant,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        var episode = journey.publication.alerts[at]
        let delay = outlook.delayMinutes ?? 0
        if context.touch?.eventID != nil || context.touch?.newest ?? .unset != .unset {
            episode.evidence.countOn()
        }
        let obvious = delay >= rules.levelMinutes[2] || context.now > promised
        let confirmed =
            obvious || Int(episode.evidence) >= rules.confirmEvents
            || context.now >= episode.confirmAt
        guard confirmed, !outlook.held else {
            if outlook.held { episode.confirmAt = journey.publication.holdUntil }
            if confirmed, !episode.isShadow {
                episode.isShadow = true
                episode.horizon = UInt8(outlook.horizon)
            }
            journey.publication.alerts[at] = episode
            return
        }
        episode.phase = .open
        episode.horizon = UInt8(outlook.horizon)
        episode.confirmAt = .never
        episode.severity = rules.severity(delayMinutes: delay) ?? .info
        episode.delayMinutes = Engine.clamped(delay)
        episode.probability = Float(outlook.lateProbability ?? 1)
        journey.publication.alerts[at] = episode
        say(&journey, at, .raised, lateText(journey, outlook, context), outlook, context, &draft)
    }

    /// There is no promise any more that could be broken, or nobody who could say so.
    mutating func endLate(
        _ journey: inout Journey, _ reason: String, _ outlook: Outlook?, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        journey.publication.alerts.removeAll { $0.type == .late && $0.phase == .pending }
        for at in journey.publication.alerts.indices
        where journey.publication.alerts[at].type == .late
            && journey.publication.alerts[at].phase != .closed
        {
            say(
                &journey, at, .withdrawn, "\(context.container): \(reason)", outlook, context,
                &draft)
        }
    }

    /// Now that it has arrived, every `late` alert of the journey has come true, or has not.
    private mutating func judgeAlerts(_ journey: Journey, cameTrue: Bool) {
        for episode in journey.publication.alerts
        where episode.type == .late && (episode.rev > 0 || episode.isShadow)
            && !journey.publication.forecasts.isEmpty
        {
            forecasting.intervals.learn(alert: Int(episode.horizon), cameTrue: cameTrue)
            forecasting.intervalsDirty = true
        }
    }

    private mutating func followLate(
        _ journey: inout Journey, _ at: Int, _ outlook: Outlook, _ level: Severity?,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        let delay = outlook.delayMinutes ?? 0
        let probability = outlook.lateProbability ?? 0
        if outlook.isComplete {
            let text =
                "\(context.container) reached \(placeName(outlook)) "
                + (delay.rounded() > 0 ? "\(spoken(delay)) late" : "in time")
            say(&journey, at, .cleared, text, outlook, context, &draft)
            return
        }
        let low = rules.levelMinutes[0] * rules.clearShare
        if probability <= rules.clearProbability || (delay <= low && probability < 0.5) {
            if context.touch?.corrected == true || context.touch?.planChanged == true {
                let plan = context.touch?.planChanged == true
                let text =
                    plan
                    ? "\(context.container): the plan was changed"
                    : "\(context.container): the report that made it late was corrected"
                say(&journey, at, plan ? .cleared : .withdrawn, text, outlook, context, &draft)
            } else if journey.publication.alerts[at].phase == .open {
                journey.publication.alerts[at].phase = .clearing
                journey.publication.alerts[at].since = context.now
                journey.publication.alerts[at].confirmAt = context.now.advanced(
                    minutes: rules.calmMinutes)
            } else if context.now >= journey.publication.alerts[at].confirmAt {
                let text = "\(context.container) is expected at \(placeName(outlook)) in time again"
                say(&journey, at, .cleared, text, outlook, context, &draft)
            }
            return
        }
        journey.publication.alerts[at].phase = .open
        journey.publication.alerts[at].confirmAt = .never
        let known = journey.publication.alerts[at].severity
        guard let level, level != known, !outlook.held else { return }
        // A lower level has to be clear of its threshold, so that it does not flap.
        let floor = rules.levelMinutes[Int(known.rawValue)] * rules.clearShare
        guard level > known || delay < floor else { return }
        journey.publication.alerts[at].severity = level
        say(&journey, at, .updated, lateText(journey, outlook, context), outlook, context, &draft)
    }

    // MARK: Overdue

    mutating func judgeOverdue(
        _ journey: inout Journey, _ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft
    ) {
        for at in journey.publication.alerts.indices {
            let episode = journey.publication.alerts[at]
            guard episode.type == .overdue, episode.phase != .closed else { continue }
            let waited = Int(episode.at)
            guard outlook.expected.next == waited else {
                closeOverdue(&journey, at, outlook, context, &draft)
                continue
            }
            journey.publication.overdueAt = .never
            growOverdue(&journey, at, outlook, context, &draft)
        }
        guard let next = outlook.expected.next, !outlook.held,
            journey.publication.overdueAt <= context.now
        else { return }
        if context.isOverdueTold {
            journey.publication.overdueAt = .never
            return
        }
        var episode = AlertEpisode(
            type: .overdue, milestone: UInt32(next), place: outlook.chain[next].place,
            code: outlook.chain[next].code,
            episode: nextEpisode(&journey, .overdue, UInt32(next)),
            since: journey.publication.overdueAt)
        episode.phase = .open
        episode.severity = .info
        episode.delayMinutes = Engine.clamped(context.now.minutes(since: episode.since))
        journey.publication.overdueAt = .never
        journey.publication.alerts.append(episode)
        let at = journey.publication.alerts.count - 1
        say(&journey, at, .raised, overdueText(outlook, next, context), outlook, context, &draft)
    }

    private mutating func closeOverdue(
        _ journey: inout Journey, _ at: Int, _ outlook: Outlook, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        let waited = Int(journey.publication.alerts[at].at)
        let reached = waited <= journey.progress.furthest
        journey.publication.alerts[at].delayMinutes = Engine.clamped(
            journey.progress.lastTime.minutes(since: journey.publication.alerts[at].since))
        let (code, symbol) = (
            journey.publication.alerts[at].code, journey.publication.alerts[at].place
        )
        let place = placeName(symbol)
        if journey.publication.alerts[at].at == AlertEpisode.nowhere {
            let text = "\(context.container) goes another way: \(place) does not lie on it"
            return say(&journey, at, .cleared, text, outlook, context, &draft)
        }
        let isReported =
            reached && waited < journey.progress.reached.count
            && journey.progress.reached[waited] != .unset
            && !journey.progress.implied.contains(waited)
        let text: String
        if isReported {
            text = "\(context.container) was reported: \(code.prose) \(place)"
        } else if reached {
            text =
                "\(context.container) was seen at \(placeName(journey.progress.lastPlace)); "
                + "“\(code.prose) \(place)” was not reported"
        } else {
            text = "\(context.container): the reports before \(place) were corrected"
        }
        say(&journey, at, reached ? .cleared : .withdrawn, text, outlook, context, &draft)
    }

    private mutating func growOverdue(
        _ journey: inout Journey, _ at: Int, _ outlook: Outlook, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        let since = journey.publication.alerts[at].since
        let minutes = context.now.minutes(since: since)
        journey.publication.alerts[at].delayMinutes = Engine.clamped(minutes)
        guard let level = rules.severity(delayMinutes: minutes),
            level > journey.publication.alerts[at].severity
        else { return }
        journey.publication.alerts[at].severity = level
        let waited = Int(journey.publication.alerts[at].at)
        say(
            &journey, at, .updated, overdueText(outlook, waited, context), outlook, context, &draft)
    }

    // MARK: Saying it

    /// Every open alert of a journey that is gone ends, with the reason.
    mutating func withdrawAll(
        _ journey: inout Journey, _ reason: String, _ context: ReviewContext, _ draft: inout Draft
    ) {
        for at in journey.publication.alerts.indices
        where journey.publication.alerts[at].phase == .open
            || journey.publication.alerts[at].phase == .clearing
        {
            say(
                &journey, at, .withdrawn, "\(context.container): \(reason)", nil, context, &draft)
        }
    }

    /// Episodes of one milestone and type that a journey remembers: a plan that is sent for ever, now
    /// so and now so, must not make its record grow for ever.
    private static let episodesKept = 16

    /// The number of the episode that begins; the oldest of the same key is forgotten where there are
    /// many, never the latest, after which the count goes on.
    private func nextEpisode(
        _ journey: inout Journey, _ type: AlertType, _ milestone: UInt32
    ) -> UInt32 {
        let known = journey.publication.alerts.indices.filter {
            journey.publication.alerts[$0].type == type
                && journey.publication.alerts[$0].milestone == milestone
        }
        var next = known.map { journey.publication.alerts[$0].episode }.max() ?? 0
        next.countOn()
        if known.count >= Engine.episodesKept,
            let oldest = known.first(where: { journey.publication.alerts[$0].phase == .closed })
        {
            journey.publication.alerts.remove(at: oldest)
        }
        return next
    }

    private mutating func say(
        _ journey: inout Journey, _ at: Int, _ state: AlertState, _ text: String,
        _ outlook: Outlook?, _ context: ReviewContext, _ draft: inout Draft
    ) {
        journey.publication.alerts[at].rev.countOn()
        if state == .cleared || state == .withdrawn {
            journey.publication.alerts[at].phase = .closed
            journey.publication.alerts[at].confirmAt = .never
        }
        let episode = journey.publication.alerts[at]
        let place = register.symbols[episode.place]
        let key = "\(place)/\(episode.code.code)/\(episode.milestone)"
        let because =
            state == .raised || state == .updated
            ? outlook.map {
                causes($0, context, minutes: Int(episode.delayMinutes))
            } ?? [] : []
        draft.notices.append(
            .alert(
                AlertEvent(
                    time: context.now,
                    alert: AlertEpisode.identity(
                        container: context.container,
                        journey: register.name(of: journey) ?? "#\(journey.ordinal)",
                        milestone: key,
                        type: episode.type, episode: episode.episode),
                    rev: Int(episode.rev), state: state, type: episode.type,
                    severity: episode.severity, container: context.container,
                    shipment: register.name(of: journey), place: place,
                    delayMinutes: Int(episode.delayMinutes),
                    probability: episode.type == .late ? Double(episode.probability) : nil,
                    because: because, text: text, event: context.touch?.eventID)))
    }

    static func clamped(_ minutes: Double) -> Int32 {
        Int32(max(-10_000_000, min(10_000_000, minutes.rounded())))
    }

    func placeName(_ symbol: UInt32) -> String { name(register.symbols[symbol]) }

    private func placeName(_ outlook: Outlook) -> String {
        placeName(outlook.chain[outlook.chain.count - 1].place)
    }

    /// Minutes as people say them.
    private func spoken(_ minutes: Double) -> String {
        let whole = Int(minutes.rounded())
        if whole < 90 { return "\(whole) min" }
        if whole < 48 * 60 { return "\((whole + 30) / 60) h" }
        return "\((whole + 720) / 1_440) days"
    }

    private func lateText(_ journey: Journey, _ outlook: Outlook, _ context: ReviewContext)
        -> String
    {
        let delay = outlook.delayMinutes ?? 0
        var text =
            "\(context.container) is likely to reach \(placeName(outlook)) "
            + "\(spoken(delay)) late"
        if outlook.isFirst {
            text += ": its way usually takes longer than was promised"
        } else if let cause = causes(outlook, context, minutes: Int(delay)).first {
            let place = register.symbols.known(cause.place).map { placeName($0) } ?? cause.place
            switch cause.kind {
            case .dwell, .departure: text += ": held at \(place)"
            case .transit: text += ": slow on the way to \(place)"
            case .closure: text += ": \(place) is closed"
            case .correction: text += ": a report about \(place) was corrected"
            case .plan: text += ": by its changed plan"
            case .congestion: text += ": \(place) is congested"
            case .queue: text += ": waiting at \(place)"
            case .route: text += ": it goes another way, by \(place)"
            }
        }
        return text
    }

    private func overdueText(_ outlook: Outlook, _ next: Int, _ context: ReviewContext) -> String {
        let milestone = outlook.chain[next]
        return "\(context.container) should have been reported by now: "
            + "\(milestone.code.prose) \(placeName(milestone.place))"
    }
}
