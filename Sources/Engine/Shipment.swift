import Forecast
import Tracking

/// A plan in force, with its chains of milestones.
struct Shipment: Sendable {
    var plan: ShipmentPlan
    /// When the line came (the engine's time).
    var received: Instant
    /// The line's own bytes: the snapshot.
    var line: [UInt8]
    /// Its milestones: one chain, or what their graph says.
    private(set) var made = Chains.Made()
    /// Where there is a graph: for each container the milestones with those of others blanked out.
    private var masked: [ContainerNumber: [Milestone]] = [:]

    init(
        plan: ShipmentPlan, received: Instant, line: [UInt8], _ chains: inout Chains,
        _ symbols: inout Symbols, _ pools: inout Pools
    ) {
        self.plan = plan
        self.received = received
        self.line = line
        build(&chains, &symbols, &pools)
    }

    var chain: [Milestone] { made.milestones }
    var graph: JoinGraph? { made.graph }

    /// What a composition needs of it.
    func steps(_ closures: [ClosureWindow]) -> Composer.Steps {
        Composer.Steps(made.milestones, made.ids, closures: closures)
    }

    /// Makes the chains anew, as when another network comes into force.
    mutating func build(
        _ chains: inout Chains, _ symbols: inout Symbols, _ pools: inout Pools
    ) {
        made = chains.make(plan, &symbols, &pools)
        masked = [:]
        guard let graph = made.graph else { return }
        for container in plan.containers {
            var own = made.milestones
            for (index, owner) in graph.owners.enumerated()
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

    /// What a finished step taught, or would teach: when it began and ended.
    func lesson(_ index: Int, _ reached: [Instant]) -> Flow.Passage? {
        guard index < reached.count, reached[index] != .unset,
            let began = began(index, reached), began <= reached[index]
        else { return nil }
        return Flow.Passage(start: began, end: reached[index])
    }

    /// The step that a container waits in, as far as its own reports tell: its index and when it
    /// began.
    func waiting(
        _ container: ContainerNumber, _ progress: Journey.Progress
    ) -> (index: Int, since: Instant)? {
        guard let graph else {
            let next = progress.furthest + 1
            guard next < chain.count, progress.reached.count == chain.count else { return nil }
            return began(next, progress.reached).map { (next, $0) }
        }
        for index in chain.indices
        where graph.owners[index] == container && progress.reached[index] == .unset
            && !graph.before[index].isEmpty
        {
            return began(index, progress.reached).map { (index, $0) }
        }
        return nil
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
