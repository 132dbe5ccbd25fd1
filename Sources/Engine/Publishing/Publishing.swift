import Forecast
import Tracking
import Wire

/// When an `eta` line is due, and what it says.
extension Engine {
    /// Publishes the expectation where it differs enough from what was last said; what the
    /// shortest interval holds back stays owed. While history is handed in nothing is said: what it
    /// comes to is, once it is in.
    mutating func publish(
        _ journey: inout Journey, _ outlook: Outlook, _ context: ReviewContext, _ draft: inout Draft
    ) {
        // What was said last is not copied: most of the time there is nothing to say.
        let isOwed = journey.publication.owedAt <= context.now
        journey.publication.owedAt = .never
        let stage = outlook.partial ? journey.progress.eventCount : journey.progress.furthest
        let p50 = outlook.p50
        let late = isLate(outlook, before: journey.publication.lateVerdict)
        let first = journey.publication.p50 == .unset
        let isNews =
            first || outlook.turn != nil || journey.publication.unknown != 0
            || late != journey.publication.lateVerdict
            || !outlook.isComplete && (hasOtherTerms(journey, context) || outlook.reason == .terms)
            || stage != journey.publication.furthest && (outlook.isComplete || outlook.partial)
            || hasMoved(
                outlook, from: journey.publication, isStage: isStage(outlook, journey),
                isNews: context.touch != nil)
        // Silence that should have been broken is no good news; nor is it any where nobody reports the end.
        let isGuess =
            !first && p50 < journey.publication.p50 && context.now < journey.publication.p10
            && isOnlySilent(journey, context)
            || !first && !isOwed && context.touch == nil && isEndUnheard(outlook)
        guard isNews, !isGuess else {
            journey.publication.owedFor = .events
            return
        }
        if outlook.isHistory, !isFreshArrival(outlook, context.now) {
            owe(&journey, at: journey.publication.holdUntil, context)
            return
        }
        let last = journey.publication.publishedAt
        let next =
            last == .unset
            ? context.now : last.advanced(minutes: rules.publishIntervalSeconds / 60)
        if !first, context.now < next, !isFreshArrival(outlook, context.now) {
            owe(&journey, at: next, context)
            return
        }
        draft.notices.append(.eta(notice(journey, outlook, context, first: first)))
        journey.publication.p10 = outlook.p10
        journey.publication.p50 = p50
        journey.publication.p90 = outlook.p90
        journey.publication.path = outlook.partial ? [] : path(outlook)
        journey.publication.publishedAt = context.now
        journey.publication.publishedWay = journey.way.signature
        journey.publication.unknown = 0
        journey.publication.owedFor = .events
        journey.publication.lateVerdict = late
        journey.publication.furthest = stage
    }

    /// A word has to wait, and so has what it is about.
    private func owe(_ journey: inout Journey, at instant: Instant, _ context: ReviewContext) {
        journey.publication.owedAt = instant
        if hasOtherTerms(journey, context) {
            journey.publication.owedFor = .terms
        } else if journey.publication.owedFor != .terms, let reason = context.touch?.reasonToSpeak {
            journey.publication.owedFor = reason
        }
    }

    /// Its own plan leads elsewhere now, or promises another time.
    private func hasOtherTerms(_ journey: Journey, _ context: ReviewContext) -> Bool {
        context.touch?.otherTerms.contains(journey.shipment) == true
    }

    /// Says in words what is not known, once until it is, or something else is not.
    mutating func say(
        unknown: Unknown, _ journey: inout Journey, promised: Instant?, isHistory: Bool,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        journey.publication.owedAt = .never
        guard journey.publication.unknown != unknown.kind else { return }
        if isHistory {
            journey.publication.owedAt = journey.publication.holdUntil
            return
        }
        var eta = EtaEvent(
            time: context.now, container: context.container, shipment: register.name(of: journey),
            place: unknown.place, p10: .unset, p50: .unset, p90: .unset, promised: promised,
            event: context.touch?.eventID, partial: journey.shipment == 0)
        eta.unknown = unknown.words
        draft.notices.append(.eta(eta))
        journey.publication.unknown = unknown.kind
        journey.publication.publishedAt = context.now
        journey.publication.publishedWay = journey.way.signature
    }

    /// An arrival is the last word and waits for nothing, unless it is history that is handed in.
    private func isFreshArrival(_ outlook: Outlook, _ now: Instant) -> Bool {
        outlook.isComplete && now.minutes(since: outlook.p50) < 1_440
    }

    /// The verdict on the promise; one that is given is taken back where it is clearly not so.
    private func isLate(_ outlook: Outlook, before verdict: Bool) -> Bool {
        guard let probability = outlook.lateProbability else { return false }
        return verdict
            ? probability > rules.clearProbability : probability >= rules.raiseProbability
    }

    /// Whether what has been reached since the last word is a moment for one: the first sign, a border
    /// that lies behind.
    private func isStage(_ outlook: Outlook, _ journey: Journey) -> Bool {
        let before = journey.publication.furthest
        let now = journey.progress.furthest
        guard now > before, now < outlook.chain.count else { return false }
        return before < 0 || (before + 1...now).contains { isBorder($0, outlook.chain) }
    }

    /// With this milestone the box leaves one country for the next.
    private func isBorder(_ at: Int, _ chain: [Milestone]) -> Bool {
        guard at + 1 < chain.count, chain[at].place != chain[at + 1].place,
            let here = network.place(register.symbols[chain[at].place]),
            let there = network.place(register.symbols[chain[at + 1].place])
        else { return false }
        return network.places[here].country != network.places[there].country
    }

    /// Whether the picture has moved against its own uncertainty: by so much that whoever holds on to what
    /// was said loses by it.
    private func hasMoved(
        _ outlook: Outlook, from said: Journey.Publication, isStage: Bool, isNews: Bool
    ) -> Bool {
        let moved = abs(outlook.p50.minutes(since: said.p50))
        let remaining = max(0, outlook.p50.minutes(since: outlook.seenFrom))
        // Where it is known to minutes, those count.
        let width = outlook.p90.minutes(since: outlook.p10)
        let floor = isNews ? min(rules.publishMinutes, max(5, width / 8)) : rules.publishMinutes
        let least = max(floor, rules.publishShare * remaining)
        guard let calibrated = outlook.calibrated, !rules.publishEvery else { return moved > least }
        if rules.publishMilestones, outlook.expected.next ?? 0 > said.furthest + 1 { return true }
        let edges = max(
            abs(outlook.p10.minutes(since: said.p10)), abs(outlook.p90.minutes(since: said.p90)))
        guard max(moved, edges) > least else { return false }
        let loss = calibrated.excessLoss(p10: said.p10, p50: said.p50, p90: said.p90)
        return loss > (isStage ? rules.publishBorderWorth : rules.publishWorth)
            || hasChangedLevel(outlook, said)
    }

    /// The delay has another level, and lies clearly beyond the threshold between them.
    private func hasChangedLevel(
        _ outlook: Outlook, _ said: Journey.Publication
    ) -> Bool {
        guard let promised = outlook.promised else { return false }
        let (before, now) = (
            said.p50.minutes(since: promised), outlook.p50.minutes(since: promised)
        )
        let margin = outlook.p90.minutes(since: outlook.p10) / 5
        return rules.levelMinutes.contains { level in
            (before < level) != (now < level) && abs(now - level) > margin
        }
    }

    private func notice(
        _ journey: Journey, _ outlook: Outlook, _ context: ReviewContext, first: Bool
    ) -> EtaEvent {
        let last = outlook.chain[outlook.chain.count - 1]
        let said = journey.publication.p50
        let comparable = !first && !outlook.partial
        let change = comparable ? Int(outlook.p50.minutes(since: said).rounded()) : nil
        var eta = EtaEvent(
            time: context.now, container: context.container, shipment: register.name(of: journey),
            place: register.symbols[last.place], p10: Engine.whole(outlook.p10),
            p50: Engine.whole(outlook.p50), p90: Engine.whole(outlook.p90),
            promised: outlook.promised,
            lateProbability: outlook.lateProbability, changeMinutes: change,
            because: change.map { split($0, journey, outlook, context) }
                ?? turned(outlook, context),
            event: context.touch?.eventID, partial: outlook.partial)
        if !outlook.told.isEmpty {
            let counts = estimates(journey, journey.progress, now: outlook.seenFrom)
                .filter { $0.weight >= Engine.leastWeight }
            eta.estimates = Array(counts.prefix(Engine.estimatesInLine))
        }
        if !outlook.isComplete {
            eta.ways =
                outlook.partial
                ? outlook.nextPlaces : named(outlook.shares, outlook.others, journey.way)
        }
        if outlook.partial { eta.wentOn = outlook.wentOn }
        if outlook.isComplete {
            let actual = Engine.whole(outlook.p50)
            eta.actual = actual
            let due = outlook.promised ?? (last.planned == .unset ? nil : last.planned)
            if journey.progress.vague.contains(outlook.chain.count - 1) {
                let zone = network.place(register.symbols[last.place]).map {
                    network.places[$0].zone
                }
                eta.actualDay = DayText.of(actual, zone ?? .utc)
            } else {
                eta.deviationMinutes = due.map { Int(actual.minutes(since: $0).rounded()) }
            }
        }
        return eta
    }

    /// What others say is in a line where it makes at least this share of the forecast, of so many at most.
    private static let leastWeight = 0.01
    private static let estimatesInLine = 5

    /// To the second: a forecast says no more than that.
    private static func whole(_ instant: Instant) -> Instant {
        Instant(microseconds: instant.microseconds / 1_000_000 * 1_000_000)
    }
}
