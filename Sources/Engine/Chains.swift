import Forecast
import Tracking

/// Makes the chains of milestones of plans. Plans that say the same of their way share one chain
/// and its numbers in the pools.
struct Chains: Sendable {
    private struct Way: Hashable {
        var origin: String?
        var destination: String?
        var mode: TransportMode
        var via: [String]
    }

    struct Made: Sendable {
        var milestones: [Milestone] = []
        var ids: [StepID] = []
        /// nil: a chain, which each of the containers passes.
        var graph: JoinGraph?
    }

    /// Ways kept; a plan beyond them gets a chain of its own.
    private static let limit = 20_000

    let builder: ChainBuilder
    private var known: [Way: Made] = [:]

    init(network: Network) { builder = ChainBuilder(network: network) }

    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Made {
        guard let first = plan.containers.first else { return Made() }
        let way =
            plan.milestones.isEmpty
            ? Way(
                origin: plan.origin, destination: plan.destination, mode: plan.mode, via: plan.via)
            : nil
        if let way, let made = known[way] { return made }
        var made = Made()
        if let joined = builder.graph(plan, &symbols) {
            made.milestones = joined.milestones
            made.graph = joined.graph
        } else {
            made.milestones = builder.chain(plan, container: first, &symbols)
        }
        made.ids = made.milestones.map { pools.id($0) }
        if let way, known.count < Chains.limit { known[way] = made }
        return made
    }
}
