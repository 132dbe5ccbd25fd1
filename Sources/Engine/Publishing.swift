import Forecast
import Tracking

/// When an `eta` line is due, and what it says.
extension Engine {
    /// Publishes the expectation where it differs enough from what was last said; what the
    /// shortest interval holds back stays owed.
    mutating func publish(
        _ journey: inout Journey, _ outlook: Outlook, _ scene: Scene, _ draft: inout Draft
    ) {
        let said = journey.publication
        journey.publication.owedAt = .never
        let stage = outlook.partial ? journey.progress.eventCount : journey.progress.furthest
        let p50 = outlook.p50
        let late = (outlook.lateProbability ?? 0) > 0.5
        let first = said.p50 == .unset
        let advanced = stage != said.furthest
        if !first, !advanced, late == said.lateVerdict, !hasMoved(p50, said, outlook) { return }
        let next =
            said.publishedAt == .unset
            ? scene.now : said.publishedAt.advanced(minutes: rules.publishIntervalSeconds / 60)
        if !first, scene.now < next {
            journey.publication.owedAt = next
            return
        }
        draft.notices.append(.eta(notice(journey, outlook, scene, first: first)))
        journey.publication.p10 = outlook.expected.quantile(0.1)
        journey.publication.p50 = p50
        journey.publication.p90 = outlook.expected.quantile(0.9)
        journey.publication.publishedAt = scene.now
        journey.publication.lateVerdict = late
        journey.publication.furthest = stage
    }

    private func hasMoved(
        _ p50: Instant, _ said: Journey.Publication, _ outlook: Outlook
    ) -> Bool {
        let remaining = max(0, p50.minutes(since: outlook.seenFrom))
        let threshold = max(rules.publishMinutes, rules.publishShare * remaining)
        return abs(p50.minutes(since: said.p50)) > threshold
    }

    private func notice(
        _ journey: Journey, _ outlook: Outlook, _ scene: Scene, first: Bool
    ) -> EtaNotice {
        let last = outlook.chain[outlook.chain.count - 1]
        let said = journey.publication
        let comparable = !first && !outlook.partial
        let change = comparable ? Int(outlook.p50.minutes(since: said.p50).rounded()) : nil
        return EtaNotice(
            time: scene.now, container: scene.container, shipment: name(of: journey),
            place: symbols[last.place], p10: Engine.whole(outlook.expected.quantile(0.1)),
            p50: Engine.whole(outlook.p50), p90: Engine.whole(outlook.expected.quantile(0.9)),
            promised: outlook.promised,
            lateProbability: outlook.lateProbability, changeMinutes: change,
            because: change.map { causes(outlook, scene, minutes: $0) } ?? [],
            event: scene.touch?.eventID, partial: outlook.partial)
    }

    /// To the second: a forecast says no more than that.
    private static func whole(_ instant: Instant) -> Instant {
        Instant(microseconds: instant.microseconds / 1_000_000 * 1_000_000)
    }

    func name(of journey: Journey) -> String? {
        journey.shipment == 0 ? nil : symbols[journey.shipment]
    }

    /// The step that moved the forecast: the one just finished, or the one that still lasts.
    func causes(_ outlook: Outlook, _ scene: Scene, minutes: Int) -> [Cause] {
        guard minutes != 0 else { return [] }
        guard let at = outlook.blamed, at >= 0, at < outlook.chain.count else { return [] }
        let step = outlook.chain[at]
        let kind: Cause.Kind
        if scene.touch?.closed == true {
            kind = .closure
        } else if scene.touch?.planChanged == true {
            kind = .plan
        } else if scene.touch?.corrected == true {
            kind = .correction
        } else {
            switch step.kind {
            case .departure: kind = .departure
            case .transit: kind = .transit
            case .dwell: kind = .dwell
            }
        }
        let place = step.kind == .transit ? step.place : step.fromPlace
        return [
            Cause(
                place: symbols[place], minutes: minutes, kind: kind, reason: scene.touch?.reason)
        ]
    }
}
