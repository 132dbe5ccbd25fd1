import Forecast
import Tracking

/// Makes the chains of milestones of plans. Plans that say the same of their way share one chain
/// and its numbers in the pools.
struct Chains: Sendable {
    private struct Key: Hashable {
        var origin: String?
        var destination: String?
        var mode: TransportMode
        var via: [String]
        /// When the plan begins, where its milestones count from there.
        var start: Instant?
        /// Milestones that the plan states; boxes of one train state the same.
        var stated: [PlannedMilestone] = []
    }

    /// Of a plan that leaves its way open: what it says of it all the same.
    private struct OpenKey: Hashable {
        var ends: Key
        var through: Set<Int>
    }

    /// Ways kept; beyond, the memory of them begins anew.
    private static let limit = 10_000

    let builder: ChainBuilder
    private var known: [Key: SharedChain] = [:]
    private var routes: [Key: Route?] = [:]
    /// Turns that the times of the network make likely on them.
    private var turns: [OpenKey: [AssumedTurn]] = [:]

    /// The symbols of the places of the ways that are kept.
    var places: [UInt32] {
        known.values.flatMap { $0.places } + turns.values.flatMap { $0.flatMap(\.places) }
    }

    init(network: Network) { builder = ChainBuilder(network: network) }

    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> SharedChain {
        guard let first = plan.containers.first else { return SharedChain(plan, .none, nil) }
        var key = Key(
            origin: plan.origin, destination: plan.destination, mode: plan.mode, via: plan.via)
        let bare = key
        key.stated = plan.milestones
        // Whose milestones are told apart by container has a chain of its own.
        let isShared = plan.milestones.allSatisfy { $0.container == nil }
        if isShared, let made = known[key], made.isRouted || plan.start == nil { return made }
        let anytime = key
        key.start = plan.start
        if isShared, key.start != nil, let made = known[key] { return made }
        let milestones: [Milestone]
        var graph: JoinGraph?
        var isRouted = false
        if let joined = builder.graph(plan, &symbols) {
            milestones = joined.milestones
            graph = joined.graph
        } else {
            let chain = builder.chain(plan, container: first, &symbols) { route(plan, bare) }
            milestones = chain.milestones
            // Boxes of one train are booked one after the other, and pass the same milestones.
            isRouted = !chain.countsFromStart
            if isRouted { key = anytime }
        }
        let way = Way(milestones, milestones.map { pools.id($0) })
        var turns: [AssumedTurn] = []
        if isRouted, let found = route(plan, bare) {
            turns = assumedTurns(plan, found, bare, &symbols)
        }
        let made = SharedChain(
            plan, way, graph, isRouted: isRouted, turns: turns,
            kind: isShared && graph == nil ? kind(plan, way, symbols) : 0)
        if isShared {
            if known.count >= Chains.limit { known = [:] }
            known[key] = made
        }
        return made
    }

    private mutating func route(_ plan: ShipmentPlan, _ key: Key) -> Route? {
        if let found = routes[key] { return found }
        let found = builder.route(plan)
        if routes.count >= Chains.limit { routes = [:] }
        routes[key] = .some(found)
        return found
    }

    private mutating func assumedTurns(
        _ plan: ShipmentPlan, _ route: Route, _ key: Key, _ symbols: inout Symbols
    ) -> [AssumedTurn] {
        // What else the plan names is on the way, whichever that is.
        let named = plan.via.compactMap { builder.network.place(meant: $0) }
        let stated = Set(
            plan.milestones.compactMap { builder.network.place(meant: $0.place) } + named)
        let open = OpenKey(ends: key, through: stated)
        if let known = turns[open] { return known }
        let found = builder.turns(from: route, plan.mode, through: named, stated, &symbols)
        if turns.count >= Chains.limit { turns = [:] }
        turns[open] = found
        return found
    }

    /// Tells kinds of plans apart by the places of their way and how they go there, the same in every
    /// process.
    private func kind(_ plan: ShipmentPlan, _ way: Way, _ symbols: Symbols) -> UInt64 {
        var hash = StableHasher()
        hash.combine(UInt64(plan.mode.rawValue))
        hash.combine(UInt64(plan.via.count))
        var last: UInt32 = 0
        for milestone in way.milestones where milestone.place != last {
            hash.combine(symbols[milestone.place])
            last = milestone.place
        }
        return max(hash.identity().low, Partings.Key.firstKind)
    }
}

/// What plans that say the same of their way have in common, held once for all of them.
final class SharedChain: Sendable {
    let via: [String]
    let stated: [PlannedMilestone]
    /// The plan's own way, before any evidence.
    let way: Way
    /// nil: a chain, which each of the containers passes.
    let graph: JoinGraph?
    /// The network led from its origin to its destination; else it brought its own milestones.
    let isRouted: Bool
    /// Turns that are likely, before anything is known, where the plan leaves its way open.
    let turns: [AssumedTurn]
    /// Of `Partings.Key`; 0: what its boxes do says nothing of others.
    let kind: UInt64

    init(
        _ plan: ShipmentPlan, _ way: Way, _ graph: JoinGraph?, isRouted: Bool = false,
        turns: [AssumedTurn] = [], kind: UInt64 = 0
    ) {
        via = plan.via
        stated = plan.milestones
        self.way = way
        self.graph = graph
        self.isRouted = isRouted
        self.turns = turns
        self.kind = kind
    }

    private init(_ other: SharedChain, _ way: Way) {
        (via, stated, graph, isRouted) = (other.via, other.stated, other.graph, other.isRouted)
        (turns, kind) = (other.turns, other.kind)
        self.way = way
    }

    /// The symbols of the places of its way, and of those where it may turn.
    var places: [UInt32] {
        way.milestones.flatMap { [$0.place, $0.fromPlace] } + turns.flatMap(\.places)
    }

    /// What the plan says of the way on from a place.
    func said(at place: UInt32) -> Partings.Said {
        if !isRouted, stated.isEmpty { return .nothing }
        return turns.contains { $0.place == place } ? .open : .stated
    }

    /// The same of a plan that was sent again with other times.
    func restated(_ restated: [Restated], _ pools: inout Pools) -> SharedChain {
        // The network may lead another way since.
        guard restated.count == way.milestones.count else { return self }
        var (milestones, ids) = (way.milestones, way.ids)
        for (at, known) in restated.enumerated() where known.minutes == known.minutes {
            milestones[at].plannedMinutes = known.minutes
            ids[at] = pools.id(milestones[at])
        }
        return SharedChain(self, Way(milestones, ids, restated: restated))
    }
}
