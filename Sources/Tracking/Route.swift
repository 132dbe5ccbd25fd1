/// What a container does at one place of a route.
public struct RouteStop: Sendable, Equatable {
    public var place: Int
    /// The leg that brought it here; nil at the origin.
    public var arrivingBy: Int?
    /// The leg that it leaves by; nil at the destination.
    public var leavingBy: Int?
    /// What is done here, in order: border, gauge, transfer or terminal.
    public var dwells: [Dwell]
}

/// A way through a network with its typical times.
public struct Route: Sendable, Equatable {
    public var stops: [RouteStop]
    /// Sum of typical hours, dwells included.
    public var hoursP50: Double
    public var distanceKm: Double
    public var relativeCost: Double
}

/// What a search may use.
public struct RouteOptions: Sendable {
    /// Empty: every mode.
    public var modes: Set<TransportMode>
    /// Places that the route must not touch.
    public var avoiding: Set<Int>
    /// Only sea legs with this label, where it is set (such as "Cape").
    public var seaLabel: String?
    /// Empty: all alike. Legs of others count ten times as long: what goes by sea goes as far as there is one.
    public var preferred: Set<TransportMode>

    public init(
        modes: Set<TransportMode> = [], avoiding: Set<Int> = [], seaLabel: String? = nil,
        preferred: Set<TransportMode> = []
    ) {
        self.preferred = preferred
        self.modes = modes
        self.avoiding = avoiding
        self.seaLabel = seaLabel
    }
}

extension Network {
    /// The way of least typical time from the first place through the others in order; nil where
    /// there is none. Dijkstra over (place, leg that led there), because what a stop costs depends
    /// on the legs on both sides of it.
    public func route(through places: [Int], _ options: RouteOptions = RouteOptions()) -> Route? {
        guard let first = places.first, places.count >= 2 else { return nil }
        var legsTaken: [Int] = []
        var at = first
        for next in places.dropFirst() where next != at {
            guard let part = search(from: at, to: next, arrivedBy: legsTaken.last, options)
            else { return nil }
            legsTaken += part
            at = next
        }
        guard !legsTaken.isEmpty else { return nil }
        return assemble(legsTaken)
    }

    private func allows(_ leg: Leg, _ options: RouteOptions) -> Bool {
        if !options.modes.isEmpty, !options.modes.contains(leg.mode) { return false }
        if options.avoiding.contains(leg.to) { return false }
        if leg.mode == .sea, let label = options.seaLabel, !leg.label.isEmpty, leg.label != label {
            return false
        }
        return true
    }

    private func cost(_ leg: Leg, _ options: RouteOptions) -> Double {
        let isMeant = options.preferred.isEmpty || options.preferred.contains(leg.mode)
        return isMeant ? leg.hoursP50 : 10 * leg.hoursP50
    }

    private func search(
        from: Int, to: Int, arrivedBy: Int?, _ options: RouteOptions
    ) -> [Int]? {
        // One node for each leg ("just arrived by it"); the networks have a few hundred.
        var best = [Double](repeating: .infinity, count: legs.count)
        var previous = [Int](repeating: -1, count: legs.count)
        var done = [Bool](repeating: false, count: legs.count)
        for leg in outgoing[from] where allows(legs[leg], options) {
            best[leg] = cost(legs[leg], options) + hoursBetween(arrivedBy, leg, at: from)
        }
        while true {
            var current = -1
            for leg in legs.indices where !done[leg] && best[leg] < .infinity {
                if current < 0 || best[leg] < best[current] { current = leg }
            }
            guard current >= 0 else { return nil }
            done[current] = true
            let here = legs[current].to
            if here == to {
                var path = [current]
                while previous[path[0]] >= 0 { path.insert(previous[path[0]], at: 0) }
                return path
            }
            for next in outgoing[here] where !done[next] && allows(legs[next], options) {
                if legs[next].to == legs[current].from { continue }
                let cost =
                    best[current] + hoursBetween(current, next, at: here)
                    + cost(legs[next], options)
                if cost < best[next] {
                    best[next] = cost
                    previous[next] = current
                }
            }
        }
    }

    private func hoursBetween(_ incoming: Int?, _ outgoing: Int, at place: Int) -> Double {
        guard let incoming else { return 0 }
        return passing(legs[incoming], legs[outgoing], at: place)
            .reduce(0) { $0 + $1.hoursP50 }
    }

    /// What is done with a container that passes `place` between two legs.
    public func passing(_ incoming: Leg, _ outgoing: Leg, at place: Int) -> [Dwell] {
        var found: [Dwell] = []
        let country = places[place].country
        let comesFromAbroad = places[incoming.from].country != country
        let goesAbroad = places[outgoing.to].country != country
        let direction: Dwell.Direction = goesAbroad ? .out : comesFromAbroad ? .into : .any
        if goesAbroad || comesFromAbroad,
            let border = dwell(
                at: place, mode: incoming.mode, kind: .border, direction: direction)
        {
            found.append(border)
        }
        if incoming.gauge != 0, outgoing.gauge != 0, incoming.gauge != outgoing.gauge {
            let gauge = dwell(at: place, mode: .rail, kind: .gauge, direction: direction)
            found.append(
                gauge
                    ?? Dwell(
                        place: place, mode: .rail, kind: .gauge, hoursP50: 18, hoursP90: 48,
                        certainty: "E", source: "no figure for this place"))
        }
        if incoming.mode != outgoing.mode {
            let transfer = dwell(
                at: place, mode: outgoing.mode, kind: .transfer, direction: direction)
            found.append(
                transfer
                    ?? Dwell(
                        place: place, mode: outgoing.mode, kind: .transfer, hoursP50: 36,
                        hoursP90: 96, certainty: "E", source: "no figure for this place"))
        }
        return found
    }

    private func assemble(_ taken: [Int]) -> Route {
        var stops: [RouteStop] = []
        let first = legs[taken[0]]
        let origin = dwell(at: first.from, mode: first.mode, kind: .terminal, direction: .out)
        stops.append(
            RouteStop(
                place: first.from, arrivingBy: nil, leavingBy: taken[0],
                dwells: origin.map { [$0] } ?? []))
        for (leg, next) in zip(taken, taken.dropFirst()) {
            stops.append(
                RouteStop(
                    place: legs[leg].to, arrivingBy: leg, leavingBy: next,
                    dwells: passing(legs[leg], legs[next], at: legs[leg].to)))
        }
        let last = legs[taken[taken.count - 1]]
        let final = dwell(at: last.to, mode: last.mode, kind: .terminal, direction: .into)
        stops.append(
            RouteStop(
                place: last.to, arrivingBy: taken[taken.count - 1], leavingBy: nil,
                dwells: final.map { [$0] } ?? []))
        let legHours = taken.reduce(0) { $0 + legs[$1].hoursP50 }
        let dwellHours = stops.reduce(0) { $0 + $1.dwells.reduce(0) { $0 + $1.hoursP50 } }
        return Route(
            stops: stops, hoursP50: legHours + dwellHours,
            distanceKm: taken.reduce(0) { $0 + legs[$1].distanceKm },
            relativeCost: taken.reduce(0) { $0 + legs[$1].relativeCost })
    }
}
