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
    private var routes: [Way: Route?] = [:]

    init(network: Network) { builder = ChainBuilder(network: network) }

    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Made {
        guard let first = plan.containers.first else { return Made() }
        let way = Way(
            origin: plan.origin, destination: plan.destination, mode: plan.mode, via: plan.via)
        let isWay = plan.milestones.isEmpty
        if isWay, let made = known[way] { return made }
        var made = Made()
        if let joined = builder.graph(plan, &symbols) {
            made.milestones = joined.milestones
            made.graph = joined.graph
        } else {
            made.milestones = builder.chain(plan, container: first, &symbols) {
                route(plan, way)
            }
        }
        made.ids = made.milestones.map { pools.id($0) }
        if isWay, known.count < Chains.limit { known[way] = made }
        return made
    }

    private mutating func route(_ plan: ShipmentPlan, _ way: Way) -> Route? {
        if let found = routes[way] { return found }
        let found = builder.route(plan)
        if routes.count < Chains.limit { routes[way] = .some(found) }
        return found
    }
}
