import Forecast
import Tracking

/// A turn from the quickest way that the times of the network make likely.
struct AssumedTurn: Sendable, Equatable {
    /// The last place that both ways have.
    let place: UInt32
    let to: UInt32
    let share: Double

    var places: [UInt32] { [place, to] }
}

extension ChainBuilder {
    /// A way that takes longer by a tenth is taken by so many times fewer: 2.7. Those that take longer by
    /// more than this share of the quickest are not thought of.
    private static let scale = 0.1
    private static let mostLonger = 0.2

    /// Where other ways part from the quickest, by another border or port each. `named`: places through which
    /// the plan leads, in order; `stated`: all that it names.
    func turns(
        from route: Route, _ mode: TransportMode, through named: [Int], _ stated: Set<Int>,
        _ symbols: inout Symbols
    ) -> [AssumedTurn] {
        let own = route.stops.map(\.place)
        guard let origin = own.first, let goal = own.last else { return [] }
        var found: [(place: Int, to: Int, odds: Double)] = []
        for place in own.dropFirst().dropLast()
        where isGate(place) && !stated.contains(place)
            && !stated.contains(where: { areOne($0, place) })
        {
            guard
                let other = self.route(
                    only: mode, through: [origin] + named + [goal], avoiding: [place]),
                other.hoursP50 <= route.hoursP50 * (1 + ChainBuilder.mostLonger)
            else { continue }
            let places = other.stops.map(\.place)
            // A way that comes back is none.
            guard stated.isSubset(of: places), Set(places).count == places.count,
                let parted = zip(own, places).enumerated().first(where: { $1.0 != $1.1 })?.offset,
                parted > 0
            else { continue }
            let beyond = places.dropFirst(parted)
            let to =
                beyond.first { isGate($0) && !own.contains($0) }
                ?? beyond.first { !own.contains($0) }
            guard let to else { continue }
            let odds = PortableMath.exp(
                -(other.hoursP50 / route.hoursP50 - 1) / ChainBuilder.scale)
            if let known = found.firstIndex(where: { $0.place == own[parted - 1] && $0.to == to }) {
                found[known].odds = max(found[known].odds, odds)
            } else {
                found.append((own[parted - 1], to, odds))
            }
        }
        return found.map { turn in
            let all = found.reduce(1) { $1.place == turn.place ? $0 + $1.odds : $0 }
            return AssumedTurn(
                place: symbols.number(network.places[turn.place].id),
                to: symbols.number(network.places[turn.to].id), share: turn.odds / all)
        }
    }

    private func areOne(_ a: Int, _ b: Int) -> Bool {
        a == b || network.area(of: a) != 0 && network.area(of: a) == network.area(of: b)
    }

    /// By it ways are told apart.
    func isGate(_ place: Int) -> Bool {
        switch network.places[place].kind {
        case .border, .checkpoint, .seaport: true
        case .terminal, .station, .zone, .waypoint: false
        }
    }
}
