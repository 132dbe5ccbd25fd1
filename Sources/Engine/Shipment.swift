import Tracking

/// A plan in force, with its chains of milestones.
struct Shipment: Sendable {
    var plan: ShipmentPlan
    /// When the line came (the engine's time).
    var received: Instant
    /// The line's own bytes: the snapshot.
    var line: [UInt8]
    /// Its milestones: one chain, or what `graph` says.
    var chain: [Milestone]
    /// nil: a chain, which each of the containers passes.
    var graph: JoinGraph?
    /// Where there is a graph: for each container the milestones with those of others blanked out.
    private var masked: [ContainerNumber: [Milestone]]

    init(
        plan: ShipmentPlan, received: Instant, line: [UInt8], _ builder: ChainBuilder,
        _ symbols: inout Symbols
    ) {
        self.plan = plan
        self.received = received
        self.line = line
        masked = [:]
        chain = []
        build(builder, &symbols)
    }

    /// Makes the chains anew, as when another network comes into force.
    mutating func build(_ builder: ChainBuilder, _ symbols: inout Symbols) {
        masked = [:]
        graph = nil
        guard let first = plan.containers.first else { return }
        guard let made = builder.graph(plan, &symbols) else {
            chain = builder.chain(plan, container: first, &symbols)
            return
        }
        chain = made.milestones
        graph = made.graph
        for container in plan.containers {
            var own = chain
            for (index, owner) in made.graph.owners.enumerated()
            where owner != nil && owner != container {
                own[index].place = Milestone.elsewhere
            }
            masked[container] = own
        }
    }

    /// Whether a milestone's step is taught by this container's journey: its own, and of those that
    /// are nobody's the first container's.
    func teaches(_ container: ContainerNumber, _ index: Int) -> Bool {
        guard let graph else { return true }
        return graph.owners[index].map { $0 == container } ?? (plan.containers.first == container)
    }

    /// Whether this container's journey says what is expected of the whole shipment: where boxes
    /// join one of them does, the one with which it ends.
    func speaks(_ container: ContainerNumber) -> Bool {
        guard let graph else { return true }
        return (graph.ends.last.flatMap { graph.owners[$0] } ?? plan.containers.first) == container
    }

    /// When the step to a milestone began, by what was reached; nil where that is not known.
    func began(_ index: Int, _ reached: [Instant]) -> Instant? {
        guard let graph else {
            let began = index > 0 ? reached[index - 1] : plan.start ?? .unset
            return began == .unset ? nil : began
        }
        if graph.before[index].isEmpty { return plan.start }
        var latest = Instant.unset
        for earlier in graph.before[index] {
            guard reached[earlier] != .unset else { return nil }
            latest = max(latest, reached[earlier])
        }
        return latest
    }

    /// When the first step begins.
    var startedAt: Instant { plan.start ?? plan.updated ?? received }

    /// From when on events without a shipment belong to this one.
    var anchor: Instant {
        plan.start ?? plan.milestones.first?.time ?? plan.updated ?? received
    }

    func view(_ symbol: UInt32, for container: ContainerNumber) -> PlanView {
        PlanView(shipment: symbol, anchor: anchor, chain: masked[container] ?? chain)
    }
}
