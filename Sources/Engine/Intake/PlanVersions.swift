import Forecast
import Tracking

/// What is known of a plan besides what its version in force states: from all versions, in the order in
/// which they were made.
extension Engine {
    /// `reading.versions`: the earlier ones.
    mutating func restate(_ plan: ShipmentPlan, _ reading: inout LineReading, at statedAt: Instant)
    {
        if plan.retract { return }
        // Nearly all plans are sent once, and before anything of them is past.
        let isPast = plan.milestones.contains { $0.time.map { $0 <= statedAt } ?? false }
        guard isPast || !reading.versions.isEmpty else { return }
        // Of what waits for each other the rest is another plan.
        let isChain = plan.milestones.allSatisfy { $0.container == nil && $0.after == nil }
        var whole: [StatedMilestone] = []
        var start = Instant.unset
        var before: SharedChain?
        for version in reading.versions + [StatedVersion(plan, at: statedAt)] {
            let isCut = isChain && before.map { !$0.isRouted && $0.graph == nil } ?? false
            let kept = isCut ? version.dropped(from: whole, origin: plan.origin) : []
            if kept.isEmpty { start = version.start }
            whole = kept + version.milestones
            guard var milestones = version.milestones(of: plan) else { continue }
            milestones.insert(contentsOf: kept.map(\.planned), at: 0)
            var of = plan
            of.milestones = milestones
            of.start = start == .unset ? nil : start
            let made = ways.make(of, &register.symbols, &forecasting.pools)
            reading.kept = kept
            reading.keptStart = kept.isEmpty ? .unset : start
            reading.restated =
                before.map { before in
                    Restatement(
                        made.way.milestones, made.graph, after: before.way, start: start,
                        at: version.at
                    ).restated(before.graph)
                } ?? Restatement.first(made.way.milestones, at: version.at)
            before =
                reading.restated.isEmpty
                ? made : made.restated(reading.restated, &forecasting.pools)
        }
    }

    /// A version that is older than the one in force, and that came later, was stated all the same.
    mutating func recall(
        _ plan: ShipmentPlan, _ known: Shipment, _ symbol: UInt32, _ draft: inout Draft
    ) {
        guard !plan.retract, let updated = plan.updated, known.plan.updated != nil else { return }
        var reading = known.reading
        reading.versions = StatedVersion.adding(
            StatedVersion(plan, at: updated), to: reading.versions)
        guard reading.versions != known.reading.versions else { return }
        let inForce = known.own
        // Of a line that is kept only this is new.
        let line = register.unsavedPlans[symbol] ?? []
        put(inForce, reading, received: known.received, line: line, symbol)
        for container in inForce.containers {
            draft.touch(register.slot(of: container)) { $0.planChanged = true }
        }
    }
}
