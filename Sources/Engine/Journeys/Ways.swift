import Forecast
import Tracking

/// Which ways there are: those of plans, and those that boxes were seen to take instead.
struct Ways: Sendable {
    let network: Network
    private var chains: Chains
    private(set) var book = WayBook()
    /// Ways that are only thought of: never do they push out those that boxes are on.
    private var imagined = WayBook()
    /// Typical hours between two places of the network by a mode; nil: no way leads there.
    private var hours: [Hop: Double?] = [:]
    private var routes: [Course: Route?] = [:]

    private struct Hop: Hashable {
        let from: Int
        let to: Int
        let mode: TransportMode
    }

    /// What was looked up last: places in order, by a mode.
    private struct Course: Hashable {
        let places: [Int]
        let mode: TransportMode
    }

    private static let coursesKept = 10_000

    init(network: Network) {
        self.network = network
        chains = Chains(network: network)
    }

    var builder: ChainBuilder { chains.builder }

    /// The symbols of all places of which it knows.
    var places: [UInt32] { chains.places + book.places + imagined.places }

    /// The own way of a plan.
    mutating func make(
        _ plan: ShipmentPlan, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> SharedChain {
        let made = chains.make(plan, &symbols, &pools)
        note(made.way, symbols)
        return made
    }

    private mutating func note(_ way: Way, _ symbols: Symbols) {
        // Nearly always all are known: plans share their ways.
        for milestone in way.milestones where !book.geography.knows(milestone.place) {
            note(milestone.place, symbols)
        }
    }

    mutating func note(_ place: UInt32, _ symbols: Symbols) {
        book.geography.note(place, symbols[place], network)
    }

    /// Symbols that will stand for other texts.
    mutating func forget(_ symbols: [UInt32]) { book.geography.forget(symbols) }

    /// Before a history is read.
    mutating func makeRoom() { book.makeRoom() }

    mutating func know(_ detour: Detour, leadsOn way: Way) { book.note(detour, way) }

    mutating func find(_ retiming: Retiming, _ pools: inout Pools) {
        let (way, milestones) = (retiming.way, retiming.milestones)
        book.note(
            retiming,
            Way(
                milestones, milestones.map { pools.id($0) }, planned: way.planned, turn: way.turn,
                signature: way.signature, restated: retiming.restated))
    }

    // MARK: Detours

    /// Finds the way that leads on from where a box was seen, off its way.
    mutating func find(
        _ detour: Detour, _ shipment: Shipment, _ symbols: inout Symbols, _ pools: inout Pools
    ) {
        let way = lead(detour, shipment, &symbols, &pools)
        note(way, symbols)
        book.note(detour, way)
    }

    /// The way that would lead on, if the box were seen there.
    mutating func imagine(
        _ detour: Detour, _ shipment: Shipment, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Way {
        if let known = book.way(detour) ?? imagined.way(detour) { return known }
        let way = lead(detour, shipment, &symbols, &pools)
        note(way, symbols)
        imagined.makeRoom()
        imagined.note(detour, way)
        return way
    }

    private mutating func route(_ places: [Int], _ mode: TransportMode) -> Route? {
        let course = Course(places: places, mode: mode)
        if let known = routes[course] { return known }
        let found = builder.onward(through: places, mode)
        if routes.count >= Ways.coursesKept { routes = [:] }
        routes[course] = .some(found)
        return found
    }

    /// What lies ahead, with the index of each milestone in the plan's own way (-1: none of it).
    private struct Ahead {
        var milestones: [Milestone] = []
        var planned: [Int32] = []

        init(_ milestones: [Milestone] = [], _ planned: [Int32]? = nil) {
            self.milestones = milestones
            self.planned = planned ?? Array(repeating: -1, count: milestones.count)
        }
    }

    private mutating func lead(
        _ detour: Detour, _ shipment: Shipment, _ symbols: inout Symbols, _ pools: inout Pools
    ) -> Way {
        let way = detour.way
        var end = passed(detour)
        let known = book.geography.place(detour.place)
        // It has come to where its way ends, and was not unloaded there.
        let isUnfinished =
            end > detour.after + 1 && end == way.milestones.count && detour.after >= 0
            && (way.milestones[detour.after].code == .arri
                || way.milestones[detour.after].code == .gtin)
        // At a place that nobody knows it may be there still.
        if isUnfinished, known == nil { return way }
        var ahead: Ahead
        if isUnfinished, let known, detour.after >= 0 {
            end = detour.after + 1
            let stood = book.geography.place(way.milestones[detour.after].place)
            ahead = reached(
                way, Array(end..<way.milestones.count), from: detour.place,
                hours: stood.flatMap { hours(known, $0, shipment.plan.mode) })
        } else if let again = rejoined(detour, shipment.made.way, from: end) {
            ahead = again
        } else if let known, shipment.made.isRouted {
            ahead = routed(detour, shipment, known, &symbols)
        } else if let known {
            ahead = stated(detour, shipment, known, from: end)
        } else {
            ahead = beyond(detour, from: end)
        }
        let last = end > 0 ? way.milestones[end - 1] : nil
        arrive(&ahead, detour.place, after: last, shipment.plan.mode)
        let milestones = Array(way.milestones.prefix(end)) + ahead.milestones
        var hash = StableHasher()
        hash.combine(way.signature)
        hash.combine(UInt64(detour.after + 1))
        hash.combine(symbols[detour.place])
        let planned =
            (0..<end).map { way.planned.isEmpty ? Int32($0) : way.planned[$0] } + ahead.planned
        let own = shipment.made.way
        return Way(
            milestones, way.ids.prefix(end) + ahead.milestones.map { pools.id($0) },
            planned: planned, turn: end, signature: hash.identity().low | 1,
            restated: restated(milestones, planned, own))
    }

    /// What is known of the plan's milestones on another way: what was planned for a step that begins
    /// elsewhere was planned for another one.
    private func restated(_ milestones: [Milestone], _ planned: [Int32], _ own: Way) -> [Restated] {
        if own.restated.isEmpty { return [] }
        return zip(milestones, planned).map { milestone, at in
            guard at >= 0 else { return Restated() }
            var known = own.restated(Int(at))
            let same = own.milestones[Int(at)]
            if milestone.fromPlace != same.fromPlace || milestone.fromCode != same.fromCode {
                (known.held, known.minutes) = (nil, .nan)
            }
            return known
        }
    }

    /// How many milestones are behind a box that was seen elsewhere: what was left to do where it stood
    /// is passed.
    private func passed(_ detour: Detour) -> Int {
        let chain = detour.way.milestones
        var end = detour.after + 1
        guard detour.after >= 0 else { return end }
        let stood = chain[detour.after].place
        while end < chain.count, chain[end].place == stood,
            !book.geography.areOne(stood, detour.place)
        { end += 1 }
        return end
    }

    /// The box is at a place of this way ahead, or of the plan's own: that leads on from there. What the
    /// plan said of milestones that were behind already it did not say of the second time.
    private func rejoined(_ detour: Detour, _ own: Way, from end: Int) -> Ahead? {
        let way = detour.way
        let geography = book.geography
        if let at = way.milestones[end...].firstIndex(where: {
            geography.areOne($0.place, detour.place)
        }) {
            let planned =
                way.planned.isEmpty ? (0..<way.milestones.count).map { Int32($0) } : way.planned
            return Ahead(Array(way.milestones[at...]), Array(planned[at...]))
        }
        let furthest = way.furthestPlanned(through: detour.after)
        let chain = own.milestones
        let stays = chain.indices.filter { at in
            geography.areOne(chain[at].place, detour.place)
                && (at == 0 || !geography.areOne(chain[at - 1].place, detour.place))
        }
        guard let begin = stays.first(where: { $0 > furthest }) ?? stays.last else { return nil }
        var ahead = Ahead()
        var isFirstStay = true
        for at in chain.indices.dropFirst(begin) {
            isFirstStay = isFirstStay && geography.areOne(chain[at].place, detour.place)
            guard at <= furthest else {
                ahead.milestones.append(chain[at])
                ahead.planned.append(Int32(at))
                continue
            }
            // What was done there once is not done again, but for leaving.
            if isFirstStay, chain[at].kind == .dwell, at > begin { continue }
            ahead.milestones.append(Ways.again(chain[at]))
            ahead.planned.append(Int32(at))
        }
        return ahead
    }

    private static func again(_ milestone: Milestone) -> Milestone {
        let isKnown = milestone.priorMinutesP50 == milestone.priorMinutesP50
        var minutes = milestone.plannedMinutes
        // Of a stay that nobody has planned that long.
        if minutes.isNaN, milestone.kind != .transit { minutes = Ways.stayMinutes }
        var again = milestone.reached(
            from: milestone.fromPlace, milestone.fromCode,
            priorMinutesP50: isKnown ? milestone.priorMinutesP50 : minutes,
            priorMinutesP90: isKnown ? milestone.priorMinutesP90 : minutes * 2)
        again.planned = .unset
        return again
    }

    /// From here through what the plan names and that still makes sense, by its mode, else by any.
    private mutating func routed(
        _ detour: Detour, _ shipment: Shipment, _ here: Int, _ symbols: inout Symbols
    ) -> Ahead {
        let plan = shipment.plan
        let own = shipment.made.way
        guard let goal = plan.destination.flatMap({ network.place(meant: $0) }) else {
            return unknown(detour, shipment, &symbols)
        }
        let furthest = detour.way.furthestPlanned(through: detour.after)
        var goals = plan.via.compactMap { network.place(meant: $0) }.filter { via in
            let at = own.milestones.lastIndex { book.geography.place($0.place) == via }
            return at.map { $0 > furthest } ?? true
        }
        if detour.after < 0, let origin = plan.origin.flatMap({ network.place(meant: $0) }) {
            goals.insert(origin, at: 0)
        }
        let was =
            detour.after < 0
            ? nil : book.geography.place(detour.way.milestones[detour.after].place)
        goals = sensible(goals + [goal], from: here, was, plan.mode)
        // Seen first under way, it has come from where the plan begins.
        let origin = plan.origin.flatMap { network.place(meant: $0) }
        let came = was ?? origin.flatMap { goals.contains($0) ? nil : $0 }
        var stops: ArraySlice<RouteStop>?
        if let came, came != here,
            let route = route([came, here] + goals, plan.mode)
        {
            let at = route.stops.dropFirst().firstIndex { $0.place == here } ?? 0
            stops = route.stops[at...]
        }
        guard
            let stops = stops
                ?? route([here] + goals, plan.mode)?.stops[...]
        else { return unknown(detour, shipment, &symbols) }
        let last = detour.after < 0 ? nil : detour.way.milestones[detour.after]
        let chain = builder.overlay(
            plan.milestones, on: builder.routeChain(stops, after: last, &symbols), &symbols)
        let planned = chain.map { milestone in
            Int32(
                own.milestones.firstIndex {
                    $0.place == milestone.place && $0.code == milestone.code
                } ?? -1)
        }
        return Ahead(chain, planned)
    }

    /// Nobody knows how to come from here to where the plan ends.
    private func unknown(
        _ detour: Detour, _ shipment: Shipment, _ symbols: inout Symbols
    ) -> Ahead {
        let own = shipment.made.way.milestones
        let goal =
            own.last?.place
            ?? builder.symbol(shipment.plan.destination ?? "", &symbols)
        let end = Milestone(
            place: goal, code: own.last?.code ?? .arri, kind: .transit, fromPlace: detour.place,
            fromCode: .arri, mode: shipment.plan.mode)
        return Ahead([end], [Int32(own.count - 1)])
    }

    /// A plan that brings its own milestones goes on with the next that still makes sense.
    private mutating func stated(
        _ detour: Detour, _ shipment: Shipment, _ here: Int, from end: Int
    ) -> Ahead {
        var way = detour.way
        var rest = Array(way.milestones.indices.dropFirst(end))
        if !way.isPlans {
            // What an earlier detour let go may make sense again.
            let own = shipment.made.way
            var first = way.furthestPlanned(through: detour.after) + 1
            while first > 0, first < own.milestones.count,
                own.milestones[first].place == own.milestones[first - 1].place
            { first += 1 }
            (way, rest) = (own, Array(own.milestones.indices.dropFirst(first)))
        }
        guard !rest.isEmpty else { return Ahead() }
        // What was let go is judged by where the box is, not by where it was then.
        let was =
            detour.after < 0 || !detour.way.isPlans
            ? nil : book.geography.place(detour.way.milestones[detour.after].place)
        var first = 0
        // Places that nobody knows may lie anywhere.
        let places = rest.map { book.geography.place(way.milestones[$0].place) }
        while first + 1 < rest.count, let place = places[first] {
            guard let next = rest.indices.dropFirst(first).first(where: { places[$0] != place }),
                let after = places[next],
                sensible([place, after], from: here, was, shipment.plan.mode).count == 1
            else { break }
            first = next
        }
        let place = places[first]
        let leg = place.flatMap { hours(here, $0, shipment.plan.mode) }
        return reached(way, Array(rest[first...]), from: detour.place, hours: leg)
    }

    /// Behind an extra stay comes what came next: by its timetable, where it has one; else half of the way may be
    /// behind it.
    private func beyond(_ detour: Detour, from end: Int) -> Ahead {
        let way = detour.way
        let rest = Array(way.milestones.indices.dropFirst(end))
        var hours: Double?
        if let first = rest.first, way.milestones[first].kind == .transit,
            way.milestones[first].planned == .unset
        {
            let minutes = StepValue.transitMinutes(way.milestones[first])
            if minutes > 0 { hours = minutes / 120 }
        }
        return reached(way, rest, from: detour.place, hours: hours)
    }

    /// Milestones of a way, the first of them reached from somewhere else. `hours`: how long that usually
    /// takes.
    private func reached(
        _ way: Way, _ rest: [Int], from place: UInt32, hours: Double?
    ) -> Ahead {
        var ahead = Ahead(
            rest.map { way.milestones[$0] },
            rest.map { way.planned.isEmpty ? Int32($0) : way.planned[$0] })
        if !ahead.milestones.isEmpty {
            let first = ahead.milestones[0]
            let kind = Milestone.kind(from: (place, .arri), to: (first.place, first.code))
            let leg = kind == .transit ? hours.map { max($0, 0.5) } : nil
            // What holds a departure holds it wherever the box comes from.
            let isSame = kind == first.kind && kind != .transit
            ahead.milestones[0] = first.reached(
                from: place, .arri,
                priorMinutesP50: isSame ? first.priorMinutesP50 : leg.map { $0 * 60 } ?? .nan,
                priorMinutesP90: isSame ? first.priorMinutesP90 : leg.map { $0 * 120 } ?? .nan)
        }
        return ahead
    }

    /// The stay at the place where the box was seen comes first.
    private mutating func arrive(
        _ ahead: inout Ahead, _ place: UInt32, after last: Milestone?, _ mode: TransportMode
    ) {
        let from = last.map { ($0.place, $0.code) } ?? (place, .stuf)
        var leg: Double?
        if let here = book.geography.place(place), let was = book.geography.place(from.0) {
            leg = hours(was, here, mode)
        }
        let isThere = ahead.milestones.first.map {
            $0.code.isArrival && book.geography.areOne($0.place, place)
        }
        if isThere == true {
            let isPlans = ahead.milestones[0].fromPlace == from.0
            if !isPlans {
                ahead.milestones[0] = ahead.milestones[0].reached(
                    from: from.0, from.1, priorMinutesP50: leg.map { $0 * 60 } ?? .nan,
                    priorMinutesP90: leg.map { $0 * 90 } ?? .nan)
            }
            return
        }
        let way = ahead.milestones.first
        let seen = way.map { book.geography.areOne($0.place, place) ? $0.place : place } ?? place
        ahead.milestones.insert(
            Milestone(
                place: seen, code: .arri, kind: from.0 == seen ? .dwell : .transit,
                fromPlace: from.0, fromCode: from.1, mode: way?.mode ?? mode,
                priorMinutesP50: leg.map { $0 * 60 } ?? .nan,
                priorMinutesP90: leg.map { $0 * 90 } ?? .nan), at: 0)
        ahead.planned.insert(-1, at: 0)
        if ahead.milestones.count > 1, ahead.milestones[1].place == seen {
            let next = ahead.milestones[1]
            ahead.milestones[1].fromPlace = seen
            ahead.milestones[1].fromCode = .arri
            ahead.milestones[1].kind = Milestone.kind(
                from: (seen, .arri), to: (next.place, next.code))
        }
    }

    // MARK: What makes sense

    /// Goals make no sense any more where the box has moved so that they are out of the way to what comes
    /// after them: the fewest of the first ones are let go.
    private mutating func sensible(
        _ goals: [Int], from here: Int, _ was: Int?, _ mode: TransportMode
    ) -> [Int] {
        let goals = beyondBorder(goals, here, was)
        for first in goals.indices.dropLast() {
            var makesSense = true
            for last in goals.indices where last > first && makesSense {
                makesSense = isOnTheWay(goals[first...last], from: here, was, mode)
            }
            if makesSense { return Array(goals[first...]) }
        }
        return Array(goals.suffix(1))
    }

    /// A box at the border is about to cross it: what lies on this side of it is behind.
    private func beyondBorder(_ goals: [Int], _ here: Int, _ was: Int?) -> [Int] {
        let place = network.places[here]
        guard place.kind == .border || place.kind == .checkpoint, let last = goals.last,
            network.places[last].country != place.country,
            was.map({ network.places[$0].country == place.country }) ?? false
        else { return goals }
        return goals.filter { network.places[$0].country != place.country }
    }

    /// Whether it is not much longer to come to the last of some places by the others before it than it
    /// was from where the box had been.
    private mutating func isOnTheWay(
        _ goals: ArraySlice<Int>, from here: Int, _ was: Int?, _ mode: TransportMode
    ) -> Bool {
        guard let last = goals.last, let extra = extraHours(here, goals, mode) else { return false }
        if let was, let before = extraHours(was, goals, mode) {
            return extra <= before + Ways.strayHours
        }
        return extra <= Ways.strayShare * (hours(here, last, mode) ?? 0)
    }

    /// So many hours more than before are out of the way; of a box that had no place before, so large a
    /// share of the straight way.
    private static let strayHours = 2.0
    private static let strayShare = 0.2
    private static let betweenShare = 1.05
    private static let stayMinutes = 2.0 * 1_440

    /// By how many hours it is longer to come to the last of some places by the others than straight on;
    /// nil where no way leads there.
    private mutating func extraHours(
        _ from: Int, _ goals: ArraySlice<Int>, _ mode: TransportMode
    ) -> Double? {
        guard let last = goals.last, let straight = hours(from, last, mode) else { return nil }
        var sum = 0.0
        var at = from
        for goal in goals {
            guard let leg = hours(at, goal, mode) else { return nil }
            sum += leg
            at = goal
        }
        return sum - straight
    }

    /// Whether a place lies between two others, as the ways through the network go.
    mutating func isBetween(
        _ here: UInt32, _ before: UInt32, _ after: UInt32, _ mode: TransportMode
    ) -> Bool {
        let places = [before, here, after].map { book.geography.place($0) }
        guard let before = places[0], let here = places[1], let after = places[2],
            let straight = route([before, after], mode),
            let through = route([before, here, after], mode)
        else { return false }
        return through.hoursP50 <= straight.hoursP50 * Ways.betweenShare + Ways.strayHours
    }

    /// Whether a box is no further from its goal than it was.
    mutating func leadsOn(
        from before: UInt32, _ here: UInt32, to goal: UInt32, _ mode: TransportMode
    ) -> Bool {
        let places = [before, here, goal].map { book.geography.place($0) }
        guard let before = places[0], let here = places[1], let goal = places[2],
            let was = hours(before, goal, mode), let left = hours(here, goal, mode)
        else { return true }
        return left <= was + Ways.strayHours
    }

    /// Whether a leg leads to where a box could have gone sooner, or as soon, from the place before.
    mutating func leadsBack(from before: Int, over leg: Leg) -> Bool {
        guard let straight = hours(before, leg.to, .unknown) else { return false }
        return straight <= leg.hoursP50
    }

    private mutating func hours(_ from: Int, _ to: Int, _ mode: TransportMode) -> Double? {
        if from == to { return 0 }
        let hop = Hop(from: from, to: to, mode: mode)
        if let known = hours[hop] { return known }
        let found = builder.onward(through: [from, to], mode)?.hoursP50
        if hours.count >= Ways.coursesKept { hours = [:] }
        hours[hop] = .some(found)
        return found
    }
}
