import Alerting
import Forecast
import Tracking

/// Alerts that begin and end with what reports say.
extension Engine {
    private static let types: Set<AlertType> = [.offRoute, .impossible, .seal]

    /// Looks at a journey's reports because of news, or because what they say was held back.
    mutating func judgeReports(
        _ journey: inout Journey, of all: [Journey], _ history: EventHistory,
        _ shipment: Shipment?, _ context: ReviewContext, _ draft: inout Draft
    ) {
        let isOpen = journey.publication.alerts.contains {
            $0.phase != .closed && Engine.types.contains($0.type)
        }
        // As long as it is where its plan does not lead; behind that it is on the plan's way again.
        let seen = journey.progress.furthest
        let isOff =
            journey.way.turn >= 0 && seen >= 0 && journey.way.isExtra(seen)
            && shipment.map { !$0.plan.isWayAssumed && !isOnPlannedWay(journey, $0) } ?? false
            && !isWhereAnotherLeads(journey, all)
        let isMarked = journey.progress.contradiction != nil || isOff || isOpen
        let isSealed = context.touch != nil && history.events.contains { $0.seals != 0 }
        guard isMarked || isSealed else { return }
        let facts = ReportPolicies.Journey(
            isComplete: journey.progress.isComplete || context.strippedAt != nil,
            isCorrected: context.touch?.corrected == true || context.touch?.planChanged == true)
        func flapping(_ type: AlertType) -> ReportPolicies.Journey {
            var facts = facts
            facts.isFlapping = journey.publication.alerts.contains {
                $0.type == type && $0.phase != .closed && $0.isFlapping
            }
            return facts
        }
        judgeOffRoute(&journey, isOff: isOff, flapping(.offRoute), context, &draft)
        judgeImpossible(&journey, flapping(.impossible), context, &draft)
        judgeSeal(&journey, history, flapping(.seal), context, &draft)
    }

    /// Whether a box that stands where its plan names nothing is where that begins, or comes by on the way between
    /// two milestones of the plan.
    mutating func isOnPlannedWay(_ journey: Journey, _ shipment: Shipment) -> Bool {
        let (way, own, seen) = (journey.way, shipment.made.way, journey.progress.furthest)
        guard shipment.graph == nil, seen >= 0, way.isExtra(seen),
            ![.disc, .drop, .gtot, .strp, .pick].contains(journey.progress.lastCode),
            let next = way.planned.dropFirst(seen + 1).first(where: { $0 >= 0 }).map({ Int($0) }),
            next < own.milestones.count
        else { return false }
        let (here, goal) = (way.milestones[seen].place, own.milestones[next].place)
        let mode = shipment.plan.mode
        let origin = shipment.plan.origin.map { ways.builder.symbol($0, &register.symbols) }
        if here == origin, way.furthestPlanned(through: seen) < 0 { return true }
        guard
            let before = own.milestones[..<next].last(where: { $0.place != goal })?.place ?? origin,
            ways.isBetween(here, before, goal, mode)
        else { return false }
        // Nor does it come back.
        guard let was = way.milestones[..<seen].last(where: { $0.place != here })?.place else {
            return true
        }
        return ways.leadsOn(from: was, here, to: goal, mode)
    }

    /// Whether another plan of the trip leads where this one does not: the master bill goes by ports of which the
    /// house bill says nothing.
    private func isWhereAnotherLeads(_ journey: Journey, _ all: [Journey]) -> Bool {
        let here = journey.way.milestones[journey.progress.furthest].place
        return all.contains { other in
            other.trip == journey.trip && other.trip != 0 && other.shipment != journey.shipment
                && register.shipments[other.shipment]?.made.way.milestones.contains {
                    ways.book.geography.areOne($0.place, here)
                } == true
        }
    }

    private mutating func judgeOffRoute(
        _ journey: inout Journey, isOff: Bool, _ facts: ReportPolicies.Journey,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        // Where it left the plan's way: what is named does not move with the box.
        let at = max(0, min(journey.way.turn, journey.way.milestones.count - 1))
        var key: AlertKey? =
            isOff && !journey.way.milestones.isEmpty
            ? AlertKey(
                .offRoute, milestone: UInt32(at), place: journey.way.milestones[at].place,
                code: journey.way.milestones[at].code, occurrence: 1) : nil
        let standing = journey.publication.alerts.first {
            $0.type == .offRoute && $0.phase != .closed && $0.rev > 0
        }
        // From one such place it has come to the next: it has not been back.
        if key != nil, let standing, !facts.isCorrected { key = AlertKey(of: standing) }
        let last = journey.progress.lastPlace
        let stripped = context.strippedAt
        decide(
            &journey, .offRoute, key, ReportPolicies.offRoute(isOff: isOff, facts), context, &draft
        ) { engine, episode, state in
            let box = "\(context.container)"
            let place = engine.placeName(episode.place)
            switch state {
            case .raised, .updated, .acknowledged:
                return engine.offRouteWords(box, place)
            case .withdrawn:
                return "\(box): the report at \(place), or its plan, was corrected or taken back"
            case .cleared:
                if let stripped {
                    return
                        "\(box) was stripped at \(engine.placeName(stripped)): its trip has ended there"
                }
                return facts.isComplete
                    ? "\(box) has arrived, by another way than its plan says"
                    : "\(box) is where its plan leads again: \(engine.placeName(last))"
            }
        }
    }

    private mutating func judgeImpossible(
        _ journey: inout Journey, _ facts: ReportPolicies.Journey, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        let found = journey.progress.contradiction
        // Where the box is stands open as long as that is the newest that was heard.
        let isOpen = found.map { $0.time >= journey.progress.lastTime } ?? false
        let key = found.map {
            AlertKey(.impossible, milestone: 0, place: $0.place, code: $0.code, occurrence: 1)
        }
        let last = journey.progress.lastPlace
        decide(
            &journey, .impossible, isOpen ? key : nil,
            ReportPolicies.impossible(isOpen: isOpen, facts), context, &draft
        ) { engine, episode, state in
            let box = "\(context.container)"
            let place = engine.placeName(episode.place)
            switch state {
            case .raised, .updated, .acknowledged:
                return engine.impossibleWords(box, place, after: engine.placeName(last))
            case .withdrawn: return "\(box): the report at \(place) was corrected or taken back"
            case .cleared:
                return "\(box): later reports tell where it is: \(engine.placeName(last))"
            }
        }
    }

    private mutating func judgeSeal(
        _ journey: inout Journey, _ history: EventHistory, _ facts: ReportPolicies.Journey,
        _ context: ReviewContext, _ draft: inout Draft
    ) {
        let last = journey.progress.lastTime
        // Of a box without a plan the journey begins where it was picked up or stuffed.
        let first =
            journey.progress.reached.first { $0 != .unset }.map {
                SealTrail.begin(history.events, before: $0)
            }
            ?? history.events.last {
                ($0.code == .pick || $0.code == .stuf) && $0.isEvidence && $0.time <= last
            }?.time ?? .unset
        let trail = SealTrail(
            history.events.lazy.filter { $0.isEvidence && $0.time >= first && $0.time <= last })
        let key = trail.changedAt.map {
            AlertKey(.seal, milestone: 0, place: $0.place, code: .rsea, occurrence: 1)
        }
        let stripped = context.strippedAt
        let finding = ReportPolicies.seal(
            isUnexplained: trail.changedAt != nil, isExplained: trail.isExplained || trail.isBack,
            facts)
        decide(&journey, .seal, key, finding, context, &draft) { engine, episode, state in
            let box = "\(context.container)"
            let place = engine.placeName(episode.place)
            switch state {
            case .raised, .updated, .acknowledged:
                let before = trail.before.map { engine.placeName($0.place) } ?? place
                let than = before == place ? "before" : "at \(before)"
                return engine.sealWords(box, place, than)
            case .withdrawn:
                return "\(box): the report of its seals at \(place) was corrected or taken back"
            case .cleared:
                if trail.isBack { return "\(box) has the seals again that it had before" }
                if let stripped, !trail.isExplained {
                    return "\(box) was stripped at \(engine.placeName(stripped))"
                }
                return trail.isExplained
                    ? "\(box): its new seal was told of"
                    : "\(box) has arrived; its seals are to be looked at there"
            }
        }
    }

    /// Shows what was found to the open alert about it, or begins one; what is open about something else of
    /// that type ends, unless that stands beside it.
    private mutating func decide(
        _ journey: inout Journey, _ type: AlertType, _ key: AlertKey?, _ finding: Finding,
        _ context: ReviewContext, _ draft: inout Draft,
        words: (Engine, AlertEpisode, AlertState) -> String
    ) {
        let moment = Moment(now: context.now, holdUntil: journey.publication.holdUntil)
        func show(_ at: Int, _ finding: Finding, _ engine: inout Engine) {
            let episode = journey.publication.alerts[at]
            engine.look(&journey, at, finding, moment, nil, context, &draft) { engine, state in
                words(engine, episode, state)
            }
        }
        func isOpen(_ at: Int) -> Bool {
            at < journey.publication.alerts.count
                && journey.publication.alerts[at].type == type
                && journey.publication.alerts[at].phase != .closed
        }
        let isCorrected =
            context.touch?.corrected == true || context.touch?.planChanged == true
        for at in journey.publication.alerts.indices.reversed() where isOpen(at) {
            guard let key, !finding.isOver else {
                show(at, finding, &self)
                continue
            }
            if type == .seal, journey.publication.alerts[at].phase == .clearing,
                !journey.publication.alerts[at].isAbout(key)
            {
                show(at, .ceases(Condition(severity: .critical)), &self)
            }
            if type != .seal, !journey.publication.alerts[at].isAbout(key) {
                show(at, .over(isCorrected ? .withdrawn : .cleared, nil), &self)
            }
        }
        guard let key, !finding.isOver else { return }
        let known = journey.publication.alerts.indices.first {
            isOpen($0) && journey.publication.alerts[$0].isAbout(key)
        }
        let at = known ?? begin(key, finding, since: context.now, &journey, moment)
        if let at { show(at, finding, &self) }
    }
}
