import Tracking

/// A plan in force, with its chains of milestones.
struct Shipment: Sendable {
    var plan: ShipmentPlan
    /// When the line came (the engine's time).
    var received: Instant
    /// The line's own bytes: the snapshot.
    var line: [UInt8]
    /// The chain of containers that no milestone names.
    var chain: [Milestone]
    /// Chains of those that one does.
    var ownChains: [ContainerNumber: [Milestone]]

    init(
        plan: ShipmentPlan, received: Instant, line: [UInt8], _ builder: ChainBuilder,
        _ symbols: inout Symbols
    ) {
        self.plan = plan
        self.received = received
        self.line = line
        ownChains = [:]
        chain = []
        build(builder, &symbols)
    }

    /// Makes the chains anew, as when another network comes into force.
    mutating func build(_ builder: ChainBuilder, _ symbols: inout Symbols) {
        ownChains = [:]
        guard let first = plan.containers.first else { return }
        if plan.milestones.contains(where: { $0.container != nil }) {
            for container in plan.containers {
                ownChains[container] = builder.chain(plan, container: container, &symbols)
            }
        } else {
            chain = builder.chain(plan, container: first, &symbols)
        }
    }

    func chain(for container: ContainerNumber) -> [Milestone] {
        ownChains.isEmpty ? chain : ownChains[container] ?? chain
    }

    /// When the first step begins.
    var startedAt: Instant { plan.start ?? plan.updated ?? received }

    /// From when on events without a shipment belong to this one.
    var anchor: Instant {
        plan.start ?? plan.milestones.first?.time ?? plan.updated ?? received
    }

    func view(_ symbol: UInt32, for container: ContainerNumber) -> PlanView {
        PlanView(shipment: symbol, anchor: anchor, chain: chain(for: container))
    }
}
