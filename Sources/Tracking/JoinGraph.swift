/// How a plan's milestones hang together where they are more than one chain: legs that join at a
/// hub, boxes of one shipment that go different ways.
public struct JoinGraph: Sendable, Equatable {
    /// For each milestone those that must have happened before it, all with smaller indices; none:
    /// it begins with the plan.
    public var before: [[Int]]
    /// Milestones after which nothing comes: the shipment is done with the last of them.
    public var ends: [Int]
    /// Whose each milestone is; nil: it is passed by whatever the shipment has become by then.
    public var owners: [ContainerNumber?]
    /// For each milestone the first of its leg: what comes after a join or a handover, up to the next; -1
    /// where its leg begins with the plan.
    public private(set) var legs: [Int] = []
    /// Several boxes belong to the plan: where the owner changes the goods go on in another one.
    private let isOfSeveral: Bool

    init(
        before: [[Int]] = [], ends: [Int] = [], owners: [ContainerNumber?] = [],
        isOfSeveral: Bool = true
    ) {
        self.isOfSeveral = isOfSeveral
        self.before = before
        self.ends = ends
        self.owners = owners
    }

    /// The plan's milestones in an order in which each comes after those it waits for, and what
    /// each waits for (as indices of the plan's list). nil where they wait for each other in a ring.
    ///
    /// Without `after` a milestone waits for the one before it of the same container or of none; one
    /// that is no container's own waits for everything that nothing has followed yet.
    static func order(
        _ milestones: [PlannedMilestone]
    ) -> (order: [Int], before: [[Int]])? {
        var byID: [String: Int] = [:]
        for (index, milestone) in milestones.enumerated() {
            if let id = milestone.id { byID[id] = index }
        }
        var before: [[Int]] = []
        var tips: [Int] = []
        for (index, milestone) in milestones.enumerated() {
            var waits: [Int]
            if let after = milestone.after {
                waits = after.compactMap { byID[$0] }
            } else if let container = milestone.container {
                let earlier = milestones[..<index].lastIndex {
                    $0.container == container || $0.container == nil
                }
                waits = earlier.map { [$0] } ?? []
            } else {
                waits = tips
            }
            waits = Array(Set(waits)).sorted()
            tips.removeAll { waits.contains($0) }
            tips.append(index)
            before.append(waits)
        }
        var order: [Int] = []
        var placed = [Bool](repeating: false, count: milestones.count)
        while order.count < milestones.count {
            guard
                let next = milestones.indices.first(where: { index in
                    !placed[index] && before[index].allSatisfy { placed[$0] }
                })
            else { return nil }
            placed[next] = true
            order.append(next)
        }
        return (order, before)
    }

    /// Two milestones of which the later is planned before the one that it waits for.
    public static func backwards(
        _ milestones: [PlannedMilestone]
    ) -> (earlier: Int, later: Int)? {
        guard let (order, before) = order(milestones) else { return nil }
        // The latest time that is stated at or before each of them.
        var latest: [Int?] = Array(repeating: nil, count: milestones.count)
        for index in order {
            for earlier in before[index] {
                guard let bound = latest[earlier], let time = milestones[bound].time else {
                    continue
                }
                if let own = milestones[index].time, own < time { return (bound, index) }
                if latest[index].flatMap({ milestones[$0].time }).map({ $0 < time }) ?? true {
                    latest[index] = bound
                }
            }
            if milestones[index].time != nil { latest[index] = index }
        }
        return nil
    }

    /// Whether a plan's milestones are good: nothing waits for itself.
    public static func isSound(_ milestones: [PlannedMilestone]) -> Bool {
        order(milestones) != nil
    }

    /// Whose next milestone is another one, or begins at another time, where these have changed; nil:
    /// everybody's.
    public func concerned(by changed: [Int]) -> Set<ContainerNumber>? {
        var found: Set<ContainerNumber> = []
        for milestone in changed {
            guard let owner = owners[milestone] else { return nil }
            found.insert(owner)
            for index in before.indices where before[index].contains(milestone) {
                guard let follower = owners[index] else { return nil }
                found.insert(follower)
            }
        }
        return found
    }

    /// Whether a leg begins with a milestone: several ways join before it, or the goods go on in another
    /// container, which is a handover like any other.
    private func parts(_ index: Int) -> Bool {
        before[index].count > 1
            || isOfSeveral && before[index].contains { owners[$0] != owners[index] }
    }

    mutating func findLegs() {
        legs = []
        for index in before.indices {
            legs.append(parts(index) ? index : before[index].first.map { legs[$0] } ?? -1)
        }
    }

    /// Milestones before a join or a handover are on the way in, those behind it on the way out.
    func directions() -> [StepDirection] {
        var isInbound = [Bool](repeating: false, count: before.count)
        var isJoined = [Bool](repeating: false, count: before.count)
        for index in before.indices.reversed() {
            if parts(index) || isInbound[index] {
                for earlier in before[index] { isInbound[earlier] = true }
            }
        }
        for index in before.indices {
            isJoined[index] =
                parts(index) || before[index].contains { isJoined[$0] }
        }
        return before.indices.map {
            isInbound[$0] ? .inbound : isJoined[$0] ? .outbound : .straight
        }
    }
}

/// On which side of a join a step lies.
public enum StepDirection: UInt8, CaseIterable, Sendable {
    case straight, inbound, outbound
}

extension ChainBuilder {
    /// The graph of a plan that is more than a chain, with its milestones in an order that fits;
    /// nil where the plan is a chain.
    public func graph(
        _ plan: ShipmentPlan, _ symbols: inout Symbols
    ) -> (milestones: [Milestone], graph: JoinGraph)? {
        let stated = plan.milestones
        guard stated.contains(where: { $0.container != nil || $0.after != nil }),
            let (order, waits) = JoinGraph.order(stated)
        else { return nil }
        let isChain = stated.indices.allSatisfy { index in
            stated[index].container == nil && waits[index] == (index == 0 ? [] : [index - 1])
        }
        if isChain { return nil }
        var position = [Int](repeating: 0, count: stated.count)
        for (at, index) in order.enumerated() { position[index] = at }
        var followed = [Bool](repeating: false, count: stated.count)
        var graph = JoinGraph(isOfSeveral: plan.containers.count > 1)
        var milestones: [Milestone] = []
        for index in order {
            let before = waits[index].map { position[$0] }.sorted()
            for earlier in before { followed[earlier] = true }
            // The step is told by the way in that is planned to end last.
            let lead = before.max { milestones[$0].planned < milestones[$1].planned }
            milestones.append(
                milestone(
                    stated[index], after: lead.map { milestones[$0] }, plan, &symbols))
            graph.before.append(before)
            graph.owners.append(stated[index].container)
        }
        graph.ends = milestones.indices.filter { !followed[$0] }
        graph.findLegs()
        for (index, direction) in graph.directions().enumerated() {
            milestones[index].direction = direction
            milestones[index].isOnward = graph.legs[index] >= 0
        }
        return (milestones, graph)
    }
}
