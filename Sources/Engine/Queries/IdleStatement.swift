import Tracking

/// Why what somebody expects or plans changes nothing.
public enum IdleStatement: String, Sendable {
    /// No milestone of a plan of the box is meant, or nobody plans so far ahead.
    case noMilestone = "no-milestone"
    /// No plan names the box.
    case noPlan = "no-plan"
    /// Something that was said later stands, or it has come to pass otherwise.
    case outdated
}

extension Engine {
    /// nil: it counts, or it is no statement.
    func idle(_ event: EventRecord, _ record: ContainerRecord) -> IdleStatement? {
        guard event.eventClass != .act, !event.retracted, !event.flags.contains(.setAside) else {
            return nil
        }
        if record.plans.isEmpty { return .noPlan }
        var found = IdleStatement.noMilestone
        guard event.isStatement(event.eventClass) else { return found }
        for journey in record.journeys {
            guard let shipment = register.plan(of: journey, record.plans) else { continue }
            var view = shipment.view(journey.shipment, for: record.number)
            view.isOnly = record.plans.count == 1
            let chain = shipment.graph == nil ? journey.way.milestones : view.chain
            guard let at = event.milestone(on: chain, view, ways.book.geography, after: -1) else {
                continue
            }
            found = .outdated
            let counts =
                event.eventClass == .pln
                ? shipment.graph == nil && chain[at].planned == event.statedTime
                : journey.progress.words.contains {
                    $0.source == event.speaker && $0.time == event.statedTime
                        && $0.saidAt == event.saidAt
                }
            if counts { return nil }
        }
        return found
    }
}
