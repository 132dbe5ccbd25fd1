import Log
import Tracking
import Wire

/// Plans, on their way into force.
extension Engine {
    mutating func enact(
        _ stated: ShipmentPlan, _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) -> Verdict {
        var (plan, reading, assumed) = timed(stated, chunk)
        if let refusal = authorize(plan, chunk) ?? exceedsLimit(plan)
            ?? ahead(plan.updated, chunk, draft.now)
        {
            return refusal
        }
        if chunk.meaning >= .meant, let refusal = backwards(plan) { return refusal }
        let known = register.lastVersion(of: plan.shipment)
        if known == nil, plan.retract {
            return retractUnknown(plan, reading, line, bytes, chunk, &draft)
        }
        let symbol = register.symbols.number(plan.shipment)
        if let known {
            switch compare(PlanVersion(plan, network), known, line, chunk) {
            case .same: return .duplicate
            case .earlier:
                tellEarlier(plan, known, line.number, chunk, &reply, &draft)
                return .duplicate
            case .older:
                // Kept in the log, without effect.
                _ = draft.blob.append(.line, chunk.origin, bytes)
                recall(plan, known, symbol, &draft)
                if known.plan.updated != nil,
                    plan.updated == nil || known.plan.retract || plan.retract
                {
                    tellEarlier(plan, known, line.number, chunk, &reply, &draft)
                }
                return .stored
            case .newer:
                reading.earlier = (known.earlier + [known.version]).suffix(Engine.versionsKept)
                reading.versions =
                    known.plan.retract
                    ? known.reading.versions
                    : StatedVersion.adding(
                        StatedVersion(known.own, at: known.plan.updated ?? known.received),
                        to: known.reading.versions)
                if plan.retract {
                    reading.concerned =
                        known.plan.retract ? known.reading.concerned : known.plan.places
                }
            }
        }
        _ = draft.blob.append(.line, chunk.origin, bytes)
        put(plan, reading, received: draft.now, line: Array(bytes), symbol)
        let named = Set(known?.plan.containers ?? [])
        let isOtherwise = known.map { hasOtherTerms($0, register.shipments[symbol]) } ?? false
        if !named.isSubset(of: plan.containers) { draft.leftPlans[symbol] = plan.retract }
        for container in plan.containers {
            draft.touch(register.slot(of: container)) {
                $0.planChanged = true
                $0.planIsNew = !named.contains(container)
                if isOtherwise, named.contains(container) { $0.otherTerms.insert(symbol) }
                $0.newest = max($0.newest, plan.updated ?? plan.start ?? .unset)
            }
        }
        for slot in register.unnamed { draft.touch(slot) { $0.planChanged = true } }
        register.unnamed = []
        tellAssumptions(stated, plan, assumed, line.number, chunk, &reply, &draft)
        return .stored
    }

    /// Where it goes, or what was promised, is not what subscribers were told.
    private func hasOtherTerms(_ before: Shipment, _ now: Shipment?) -> Bool {
        guard let now, !before.plan.retract else { return false }
        if before.chain.last?.place != now.chain.last?.place { return true }
        guard let old = before.plan.promised, let new = now.plan.promised else {
            return before.plan.promised != now.plan.promised
        }
        return abs(new.minutes(since: old)) >= rules.levelMinutes[0]
    }

    /// Nobody is left to believe that something was taken back of which nothing was known.
    private mutating func retractUnknown(
        _ plan: ShipmentPlan, _ reading: LineReading, _ line: ParsedLine,
        _ bytes: UnsafeBufferPointer<UInt8>, _ chunk: FeedChunk, _ draft: inout Draft
    ) -> Verdict {
        var detail = "no plan \(plan.shipment) is known"
        // Who speaks of some places only cannot know that this is one of them.
        if plan.updated != nil, chunk.scope == nil {
            _ = draft.blob.append(.line, chunk.origin, bytes)
            put(
                plan, reading, received: draft.now, line: Array(bytes),
                register.symbols.number(plan.shipment))
            detail += "; should one of before this updated come, it counts as taken back"
        }
        return .refused(LineReject(.unknownID, field: "plan", detail: detail))
    }

    /// Versions of a plan that are remembered, so that an old copy is not taken for news.
    static let versionsKept = 64

    private enum Comparison {
        case same, earlier, older, newer
    }

    private func compare(
        _ version: PlanVersion, _ known: Shipment, _ line: ParsedLine, _ chunk: FeedChunk
    ) -> Comparison {
        if known.version.isSame(as: version) { return .same }
        // In a session a new number is a new statement; and what the log holds was one.
        let isStatement = chunk.isLogged || !chunk.origin.stream.isEmpty && line.seq != nil
        if !isStatement, known.earlier.contains(where: { $0.isSame(as: version) }) {
            return version.updated == .unset ? .earlier : .same
        }
        return version.updated < known.version.updated ? .older : .newer
    }

    private mutating func tellAssumptions(
        _ stated: ShipmentPlan, _ plan: ShipmentPlan, _ assumed: [AssumedTime], _ line: Int,
        _ chunk: FeedChunk, _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        for time in assumed {
            tellClock(
                time.clock, time.field, time.instant, time.flags, line, chunk, &reply, &draft)
        }
        let last = plan.destination ?? plan.milestones.last?.place ?? ""
        if plan.days.contains(.promised) {
            tellDay("promised", .end, last, line, chunk, &reply, &draft)
        }
        if plan.days.contains(.start) {
            let first = plan.origin ?? plan.milestones.first?.place ?? ""
            tellDay("start", .beginning, first, line, chunk, &reply, &draft)
        }
        for milestone in plan.milestones where milestone.isDay {
            tellDay("milestones", .middle, milestone.place, line, chunk, &reply, &draft)
        }
        let named: [(String, [String])] = [
            ("from", plan.origin.map { [$0] } ?? []), ("to", plan.destination.map { [$0] } ?? []),
            ("via", plan.via), ("milestones", plan.milestones.map(\.place)),
        ]
        for (field, places) in named {
            for place in places { tellPlace(place, field, line, chunk, &reply, &draft) }
        }
        tellAhead(plan.updated, "updated", line, chunk, &reply, &draft)
        tellUnlisted(plan, line, chunk, &reply, &draft)
        tellPadded(plan.shipment, "plan", line, chunk, &reply, &draft)
        tellFar(
            [("promised", plan.promised), ("start", plan.start)]
                + plan.milestones.map { ("milestones", $0.time) },
            since: plan.updated ?? draft.now, line, chunk, &reply, &draft)
        tellKeys(plan.unknownKeys, .plan, line, chunk, &reply, &draft)
    }

    /// A plan whose own times run back: no box can keep to it.
    func backwards(_ plan: ShipmentPlan) -> Verdict? {
        func refused(_ earlier: PlannedMilestone, _ later: PlannedMilestone) -> Verdict {
            func words(_ milestone: PlannedMilestone) -> String {
                let time = milestone.time.map { TimeText.string($0) } ?? ""
                return "\(milestone.event.code) \(milestone.place) at \(time)"
            }
            return .refused(
                LineReject(
                    .time, field: "milestones",
                    detail:
                        "\(words(later)) is planned before \(words(earlier)), and comes after it"))
        }
        let isGraph = plan.milestones.contains { $0.container != nil || $0.after != nil }
        guard !isGraph else {
            guard let pair = JoinGraph.backwards(plan.milestones) else { return nil }
            return refused(plan.milestones[pair.earlier], plan.milestones[pair.later])
        }
        var last: PlannedMilestone?
        for milestone in plan.milestones {
            guard let time = milestone.time else { continue }
            if let last, let before = last.time, time < before { return refused(last, milestone) }
            last = milestone
        }
        return nil
    }

    /// Puts a plan in force: the containers that it names know it, those that it left forget it.
    mutating func put(
        _ plan: ShipmentPlan, _ reading: LineReading, received: Instant, line: [UInt8],
        _ symbol: UInt32
    ) {
        let old = register.shipments[symbol]
        if let old {
            for container in old.plan.containers {
                guard let slot = register.slots[container] else { continue }
                forgetLessons(slot, shipment: symbol)
                if !plan.containers.contains(container) {
                    register.records[slot].plans.removeAll { $0 == symbol }
                    register.dirtyRecords.insert(slot)
                    register.unnamed.append(slot)
                }
            }
        }
        var reading = reading
        restate(plan, &reading, at: plan.updated ?? received)
        let shipment = Shipment(
            plan: plan, reading, received: received, &ways, &register.symbols, &forecasting.pools)
        register.shipments[symbol] = plan.retract ? nil : shipment
        register.retracted[symbol] = plan.retract ? shipment : nil
        register.unsavedPlans[symbol] = line
        for container in plan.containers {
            let slot = register.slot(of: container)
            if !register.records[slot].plans.contains(symbol) {
                let name = plan.shipment
                let at = register.records[slot].plans.firstIndex { register.symbols[$0] > name }
                register.records[slot].plans.insert(
                    symbol, at: at ?? register.records[slot].plans.count)
            }
            register.dirtyRecords.insert(slot)
        }
    }
}
