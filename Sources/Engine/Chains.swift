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
        /// When the plan begins, where its own times count from there.
        var start: Instant?
        /// Milestones that the plan states; boxes of one train state the same.
        var stated: [PlannedMilestone] = []
    }

    struct Made: Sendable {
        /// The plan's own lists, held once for all plans that say the same.
        var via: [String] = []
        var stated: [PlannedMilestone] = []
        var milestones: [Milestone] = []
        var ids: [StepID] = []
        /// nil: a chain, which each of the containers passes.
        var graph: JoinGraph?
    }

    /// Ways kept; beyond, the memory of them begins anew.
    private static let limit = 10_000

    let builder: ChainBuilder
    private var known: [Way: Made] = [:]
    private var routes: [Way: Route?] = [:]

    init(network: Network) { builder = ChainBuilder(network: network) }

    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Made {
        guard let first = plan.containers.first else { return Made() }
        var way = Way(
            origin: plan.origin, destination: plan.destination, mode: plan.mode, via: plan.via)
        let bare = way
        way.stated = plan.milestones
        way.start = plan.milestones.isEmpty ? nil : plan.start
        // Whose milestones are told apart by container has a chain of its own.
        let isShared = plan.milestones.allSatisfy { $0.container == nil }
        if isShared, let made = known[way] { return made }
        var made = Made()
        if let joined = builder.graph(plan, &symbols) {
            made.milestones = joined.milestones
            made.graph = joined.graph
        } else {
            made.milestones = builder.chain(plan, container: first, &symbols) {
                route(plan, bare)
            }
        }
        made.ids = made.milestones.map { pools.id($0) }
        made.via = plan.via
        made.stated = plan.milestones
        if isShared {
            if known.count >= Chains.limit { known = [:] }
            known[way] = made
        }
        return made
    }

    private mutating func route(_ plan: ShipmentPlan, _ way: Way) -> Route? {
        if let found = routes[way] { return found }
        let found = builder.route(plan)
        if routes.count >= Chains.limit { routes = [:] }
        routes[way] = .some(found)
        return found
    }
}
