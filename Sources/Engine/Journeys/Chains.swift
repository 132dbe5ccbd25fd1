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
        /// When the plan begins, where its milestones count from there.
        var start: Instant?
        /// Milestones that the plan states; boxes of one train state the same.
        var stated: [PlannedMilestone] = []
    }

    /// What plans that say the same of their way have in common, held once for all of them.
    final class Made: Sendable {
        let via: [String]
        let stated: [PlannedMilestone]
        let milestones: [Milestone]
        let ids: [StepID]
        /// nil: a chain, which each of the containers passes.
        let graph: JoinGraph?

        init(_ plan: ShipmentPlan, _ milestones: [Milestone], _ ids: [StepID], _ graph: JoinGraph?)
        {
            via = plan.via
            stated = plan.milestones
            self.milestones = milestones
            self.ids = ids
            self.graph = graph
        }
    }

    /// Ways kept; beyond, the memory of them begins anew.
    private static let limit = 10_000

    let builder: ChainBuilder
    private var known: [Way: Made] = [:]
    private var routes: [Way: Route?] = [:]

    /// The symbols of the places of the ways that are kept.
    var places: [UInt32] {
        known.values.flatMap { $0.milestones.flatMap { [$0.place, $0.fromPlace] } }
    }

    init(network: Network) { builder = ChainBuilder(network: network) }

    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Made {
        guard let first = plan.containers.first else { return Made(plan, [], [], nil) }
        var way = Way(
            origin: plan.origin, destination: plan.destination, mode: plan.mode, via: plan.via)
        let bare = way
        way.stated = plan.milestones
        // Whose milestones are told apart by container has a chain of its own.
        let isShared = plan.milestones.allSatisfy { $0.container == nil }
        if isShared, let made = known[way] { return made }
        let anytime = way
        way.start = plan.start
        if isShared, way.start != nil, let made = known[way] { return made }
        let milestones: [Milestone]
        var graph: JoinGraph?
        if let joined = builder.graph(plan, &symbols) {
            milestones = joined.milestones
            graph = joined.graph
        } else {
            let chain = builder.chain(plan, container: first, &symbols) { route(plan, bare) }
            milestones = chain.milestones
            // Boxes of one train are booked one after the other, and pass the same milestones.
            if !chain.countsFromStart { way = anytime }
        }
        let made = Made(plan, milestones, milestones.map { pools.id($0) }, graph)
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
