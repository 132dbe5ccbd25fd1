/// Small numbers for strings that recur; 0 stands for none. Numbers depend on the order of
/// arrival, so whatever leaves the process carries the strings.
public struct Symbols: Sendable {
    @usableFromInline var numbers: [String: UInt32] = [:]
    /// By number; of those that were released "".
    public private(set) var texts: [String] = [""]
    private var free: [UInt32] = []

    public init() {}

    public mutating func number(_ text: String) -> UInt32 {
        if let known = numbers[text] { return known }
        if let number = free.popLast() {
            numbers[text] = number
            texts[Int(number)] = text
            return number
        }
        let number = UInt32(texts.count)
        numbers[text] = number
        texts.append(text)
        return number
    }

    /// Forgets texts to which nobody refers; their numbers will stand for others.
    public mutating func release(_ released: [UInt32]) {
        for number in released where number > 0 && numbers[texts[Int(number)]] == number {
            numbers[texts[Int(number)]] = nil
            texts[Int(number)] = ""
            free.append(number)
        }
    }

    @inlinable public func known(_ text: String) -> UInt32? { numbers[text] }

    public subscript(number: UInt32) -> String { texts[Int(number)] }
}

/// How the time between two milestones comes about.
public enum StepKind: UInt8, CaseIterable, Sendable {
    /// Ends in DEPA, CROS or LOAD: it may be held to a timetable.
    case departure
    /// From one place to another.
    case transit
    /// Everything else: handling, border, customs, gauge change, handover.
    case dwell
}

/// One milestone of a journey with the step that leads to it.
/// Small, because a million plans have a dozen each.
public struct Milestone: Sendable, Equatable {
    /// By the plan; `.unset` where it does not say.
    public var planned: Instant
    public var place: UInt32
    /// Where the step began, and with what.
    public var fromPlace: UInt32
    private var plannedFloat: Float
    private var p50: Float
    private var p90: Float
    public var fromCode: EventCode
    public var code: EventCode
    public var kind: StepKind
    public var mode: TransportMode
    public var direction: StepDirection = .straight
    /// Behind a join or a handover.
    public var isOnward = false
    /// By the plan; NaN where it does not say.
    public var plannedMinutes: Double {
        get { Double(plannedFloat) }
        set { plannedFloat = Float(newValue) }
    }
    /// By the network; NaN where it does not know.
    public var priorMinutesP50: Double { Double(p50) }
    public var priorMinutesP90: Double { Double(p90) }

    public init(
        place: UInt32, code: EventCode, planned: Instant = .unset, kind: StepKind,
        fromPlace: UInt32, fromCode: EventCode, mode: TransportMode,
        plannedMinutes: Double = .nan, priorMinutesP50: Double = .nan,
        priorMinutesP90: Double = .nan
    ) {
        self.place = place
        self.code = code
        self.planned = planned
        self.kind = kind
        self.fromPlace = fromPlace
        self.fromCode = fromCode
        self.mode = mode
        plannedFloat = Float(plannedMinutes)
        p50 = Float(priorMinutesP50)
        p90 = Float(priorMinutesP90)
    }

    /// The place of milestones that another container passes: no event of this one matches it.
    public static let elsewhere = UInt32.max

    /// The same milestone reached from somewhere else: whose step it ends is another one, of which only
    /// this much is known beforehand (minutes; NaN: nothing).
    public func reached(
        from place: UInt32, _ code: EventCode, priorMinutesP50: Double = .nan,
        priorMinutesP90: Double = .nan
    ) -> Milestone {
        var made = Milestone(
            place: self.place, code: self.code, planned: planned,
            kind: Milestone.kind(from: (place, code), to: (self.place, self.code)),
            fromPlace: place, fromCode: code, mode: mode, priorMinutesP50: priorMinutesP50,
            priorMinutesP90: priorMinutesP90)
        made.direction = direction
        made.isOnward = isOnward
        return made
    }

    public static func kind(from: (UInt32, EventCode)?, to: (UInt32, EventCode)) -> StepKind {
        switch to.1 {
        case .depa, .cros, .load: return .departure
        default: break
        }
        if let from, from.0 != to.0 { return .transit }
        return .dwell
    }
}

/// Turns plans into chains of milestones: the plan's own list, else the plan's route through the
/// network, else the network's quickest way to the plan's destination.
public struct ChainBuilder: Sendable {
    public let network: Network

    public init(network: Network) { self.network = network }

    /// The place's number, aliases resolved by the network.
    public func symbol(_ place: String, _ symbols: inout Symbols) -> UInt32 {
        symbols.number(network.canonical(place))
    }

    /// The milestones that `container` passes under `plan`, in order.
    public func chain(
        _ plan: ShipmentPlan, container: ContainerNumber, _ symbols: inout Symbols
    ) -> [Milestone] {
        chain(plan, container: container, &symbols) { route(plan) }.milestones
    }

    /// As above, where somebody else looks the plan's route up. `countsFromStart`: whether the
    /// plan's `start` is in it, as the beginning of its first step.
    public func chain(
        _ plan: ShipmentPlan, container: ContainerNumber, _ symbols: inout Symbols,
        route: () -> Route?
    ) -> (milestones: [Milestone], countsFromStart: Bool) {
        let own = plan.milestones.filter { $0.container == nil || $0.container == container }
        let lastPlace = own.last.map { symbol($0.place, &symbols) }
        let goal = plan.destination.map { symbol($0, &symbols) }
        let isWhole = !own.isEmpty && (goal == nil || goal == lastPlace)
        if !isWhole, let route = route() {
            let chain = routeChain(route.stops[...], &symbols)
            let places = Set(chain.map(\.place))
            if own.allSatisfy({ places.contains(symbol($0.place, &symbols)) }) {
                return (overlay(own, on: put(own, into: chain, plan, &symbols), &symbols), false)
            }
        }
        if own.isEmpty { return (ownChain(plan, ends(plan), &symbols), true) }
        return (spliced(plan, own, &symbols), true)
    }

    /// Where nobody knows a way, its ends are all that is known of it.
    private func ends(_ plan: ShipmentPlan) -> [PlannedMilestone] {
        var ends: [PlannedMilestone] = []
        if let origin = plan.origin, plan.destination != nil {
            ends.append(PlannedMilestone(place: origin, event: .depa, time: plan.start))
        }
        ends += plan.via.map { PlannedMilestone(place: $0, event: .arri) }
        if let destination = plan.destination {
            ends.append(PlannedMilestone(place: destination, event: .arri))
        }
        return ends
    }

    /// The plan's way through the network: by its `via`, else the quickest.
    public func route(_ plan: ShipmentPlan) -> Route? {
        guard let from = plan.origin.flatMap({ network.place(meant: $0) }),
            let to = plan.destination.flatMap({ network.place(meant: $0) })
        else { return nil }
        let via = plan.via.compactMap { network.place(meant: $0) }
        return route(through: [from] + via + [to], plan.mode)
            ?? route(through: [from, to], plan.mode)
    }

    /// The quickest way by a mode, else as far by that as may be.
    public func route(through places: [Int], _ mode: TransportMode) -> Route? {
        route(only: mode, through: places)
            ?? network.route(
                through: places, RouteOptions(preferred: ChainBuilder.modes(mode)))
    }

    /// The way on for a box that is somewhere: as far by a mode as may be, and not round the world for its sake, where
    /// another leads there in a tenth of the time.
    public func onward(through places: [Int], _ mode: TransportMode) -> Route? {
        network.route(through: places, RouteOptions(preferred: ChainBuilder.modes(mode)))
    }

    /// The quickest way by a mode and no other.
    public func route(
        only mode: TransportMode, through places: [Int], avoiding: Set<Int> = []
    ) -> Route? {
        network.route(
            through: places,
            RouteOptions(modes: ChainBuilder.modes(mode), avoiding: avoiding))
    }

    /// What goes by rail may take a ferry.
    private static func modes(_ mode: TransportMode) -> Set<TransportMode> {
        mode == .unknown ? [] : mode == .rail ? [.rail, .sea] : [mode]
    }

    private func ownChain(
        _ plan: ShipmentPlan, _ own: [PlannedMilestone], _ symbols: inout Symbols
    ) -> [Milestone] {
        var chain: [Milestone] = []
        for planned in own { chain.append(milestone(planned, after: chain.last, plan, &symbols)) }
        return chain
    }

    /// A milestone of the plan's own list, with the step that leads to it from the one before.
    func milestone(
        _ stated: PlannedMilestone, after last: Milestone?, _ plan: ShipmentPlan,
        _ symbols: inout Symbols
    ) -> Milestone {
        let place = symbol(stated.place, &symbols)
        // What arrives first has come from somewhere, whether or not the plan says from where.
        let isArrival = last == nil && (stated.event == .arri || stated.event == .disc)
        let origin = isArrival ? plan.origin.map { symbol($0, &symbols) } ?? place : place
        let kind =
            isArrival
            ? .transit
            : Milestone.kind(from: last.map { ($0.place, $0.code) }, to: (place, stated.event))
        let began = last.map(\.planned) ?? plan.start ?? .unset
        var minutes = Double.nan
        if began != .unset, let time = stated.time { minutes = time.minutes(since: began) }
        if let own = stated.minutes { minutes = Double(own) }
        let prior = priorMinutes(kind, from: last?.place ?? place, to: place, plan.mode, symbols)
        return Milestone(
            place: place, code: stated.event, planned: stated.time ?? .unset, kind: kind,
            fromPlace: last?.place ?? origin, fromCode: last?.code ?? (isArrival ? .depa : .stuf),
            mode: plan.mode, plannedMinutes: minutes, priorMinutesP50: prior.0,
            priorMinutesP90: prior.1)
    }

    /// What the network knows of a direct leg, for a plan that brings its own milestones.
    private func priorMinutes(
        _ kind: StepKind, from: UInt32, to: UInt32, _ mode: TransportMode, _ symbols: Symbols
    ) -> (Double, Double) {
        guard kind == .transit, let a = network.place(symbols[from]),
            let b = network.place(symbols[to])
        else { return (.nan, .nan) }
        for leg in network.outgoing[a] {
            let leg = network.legs[leg]
            if leg.to == b, mode == .unknown || leg.mode == mode {
                return (leg.hoursP50 * 60, leg.hoursP90 * 60)
            }
        }
        return (.nan, .nan)
    }

    /// What is done at the stops of a way, after a milestone where one was before them.
    public func routeChain(
        _ stops: ArraySlice<RouteStop>, after last: Milestone? = nil, _ symbols: inout Symbols
    ) -> [Milestone] {
        var chain: [Milestone] = []
        var before: (UInt32, EventCode) = last.map { ($0.place, $0.code) } ?? (0, .stuf)
        func add(
            _ place: UInt32, _ code: EventCode, _ kind: StepKind, _ mode: TransportMode,
            _ hoursP50: Double, _ hoursP90: Double
        ) {
            chain.append(
                Milestone(
                    place: place, code: code, kind: kind,
                    fromPlace: before.0 == 0 ? place : before.0, fromCode: before.1, mode: mode,
                    priorMinutesP50: hoursP50 * 60, priorMinutesP90: hoursP90 * 60))
            before = (place, code)
        }
        for stop in stops {
            let place = symbols.number(network.places[stop.place].id)
            if let arriving = stop.arrivingBy {
                let leg = network.legs[arriving]
                add(place, .arri, .transit, leg.mode, leg.hoursP50, leg.hoursP90)
            }
            var terminal: Dwell?
            for dwell in stop.dwells {
                switch dwell.kind {
                case .border: add(place, .cusr, .dwell, dwell.mode, dwell.hoursP50, dwell.hoursP90)
                case .gauge, .transfer:
                    add(place, .disc, .dwell, dwell.mode, dwell.hoursP50, dwell.hoursP90)
                case .terminal: terminal = dwell
                }
            }
            if let leaving = stop.leavingBy {
                // A waypoint where nothing is done is one milestone, not two.
                if stop.arrivingBy != nil, stop.dwells.isEmpty { continue }
                let mode = network.legs[leaving].mode
                add(
                    place, .depa, .departure, mode, terminal?.hoursP50 ?? 3,
                    terminal?.hoursP90 ?? 12)
            } else if let terminal {
                add(place, .gtot, .dwell, terminal.mode, terminal.hoursP50, terminal.hoursP90)
            }
        }
        return chain
    }

    /// Sets the plan's own times on the route's milestones.
    public func overlay(
        _ own: [PlannedMilestone], on chain: [Milestone], _ symbols: inout Symbols
    ) -> [Milestone] {
        var chain = chain
        var last = -1
        for planned in own {
            let place = symbol(planned.place, &symbols)
            if let at = chain.firstIndex(where: { $0.place == place && $0.code == planned.event }) {
                if let time = planned.time { chain[at].planned = time }
                // Between two that the plan names there may be more on the way: its minutes are not those of
                // the last of these.
                if let minutes = planned.minutes, at == last + 1 {
                    chain[at].plannedMinutes = Double(minutes)
                }
                last = at
            }
        }
        return chain
    }
}
