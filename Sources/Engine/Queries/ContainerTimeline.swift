import Forecast
import Tracking

/// A container as people look at it: its journeys, what happened and what is expected.
public struct ContainerTimeline: Sendable {
    public struct Stop: Sendable {
        public var place: String
        public var name: String
        public var zone: ZoneRule
        public var code: EventCode
        public var planned: Instant?
        public var reached: Instant?
        /// Of that only the day is known.
        public var isDayAlone = false
        /// Something else tells of it: the box was there, or behind it, by then.
        public var isImplied = false
        /// No milestone of the plan.
        public var isExtra = false
        /// Behind, by whatever way.
        public var isPassed = false
        /// Nobody has reported it or what is behind it, but silence, or a plan that was sent again, says that
        /// it has probably been passed.
        public var isProbablyPassed = false
        public var p10: Instant?
        public var p50: Instant?
        public var p90: Instant?
    }

    /// One of the ways that are likely, told by a place that lies on it alone.
    public struct WayView: Sendable {
        public var via: String
        public var name: String
        public var share: Double
        /// The stops are those of this one.
        public var isShown: Bool
    }

    public struct JourneyView: Sendable {
        public var shipment: String?
        public var promised: Instant?
        public var stops: [Stop]
        /// nil where it has happened, or nothing was promised.
        public var lateProbability: Double?
        /// When it arrived at its last place.
        public var arrived: Instant?
        /// Of that only the day is known.
        public var isDayAlone = false
        /// By how many minutes that was later than promised, else than planned.
        public var deviationMinutes: Int?
        /// Where it left the plan's way, and when it was seen there.
        public var leftAt: Stop?
        /// The plan itself said nothing of the way: that was assumed.
        public var isWayAssumed = false
        /// Places of the plan that do not lie on the way any more, by name.
        public var bypassed: [String] = []
        /// Why nothing can be said of its end.
        public var unknown: String?
        /// No plan says where it goes next.
        public var isGuess = false
        /// By so many boxes that went on from there of late; 0: by the network alone.
        public var wentOn = 0
        /// What was assumed of the plan's times.
        public var flags: EventFlags = []
        public var alerts: [OpenAlert]
        /// The ways that are likely, where there are several, the likeliest first.
        public var ways: [WayView] = []
        /// What others say of what lies ahead.
        public var estimates: [Estimate] = []
    }

    /// An alert that is open, as it was told last.
    public struct OpenAlert: Sendable {
        public var id: String
        public var rev: Int
        public var type: AlertType
        public var severity: Severity
        public var place: String
        public var delayMinutes: Int
        /// nil: by a version that did not keep it.
        public var raisedAt: Instant?
        /// Until when somebody sees to it; nil: nobody does; `.never`: as long as it is open.
        public var acknowledgedUntil: Instant?
        /// What it says, as of now.
        public var text: String
    }

    public struct Report: Sendable {
        public var time: Instant
        public var code: EventCode
        public var place: String
        public var name: String
        public var zone: ZoneRule
        public var shipment: String?
        public var mode: TransportMode
        public var retracted: Bool
        /// Another version of it, or a retraction of its id, took its place.
        public var isSetAside: Bool
        /// What it says of the journey; nil where it is no evidence, or belongs to no plan.
        public var role: ReportRole?
        public var eventClass: EventClass
        public var flags: EventFlags
        /// Of what is expected or planned: why that changes nothing; nil: it does.
        public var idle: IdleStatement?
        /// By which the line is known that said so.
        public var content: UInt64
        public var identity: Identity
        public var updated: Instant
        /// Where it stands among the others: events of one instant are in the order that makes sense.
        public var readAt: Instant
    }

    public var container: ContainerNumber
    public var journeys: [JourneyView]
    public var reports: [Report]
}

extension Engine {
    /// The containers of a shipment in force; nil: no such shipment.
    public func containers(of shipment: String) -> [ContainerNumber]? {
        register.symbols.known(shipment).flatMap { register.shipments[$0] }?.plan.containers
    }

    /// Everything about one container, seen at `now`; nil where nothing is known.
    public mutating func view(_ container: ContainerNumber, now: Instant) -> ContainerTimeline? {
        guard let slot = register.slots[container] else { return nil }
        let record = register.records[slot]
        var journeys: [ContainerTimeline.JourneyView] = []
        for journey in record.journeys {
            guard let shipment = register.plan(of: journey, record.plans) else {
                if let guess = unplanned(journey, record.history, container, now) {
                    journeys.append(guess)
                }
                continue
            }
            journeys.append(timeline(journey, shipment, record, now))
        }
        let roles = roles(record)
        let reports = inReadingOrder(record).map { index, readAt in
            let event = record.history.events[index]
            let (name, zone) = describe(event.place)
            return ContainerTimeline.Report(
                time: event.time, code: event.code, place: register.symbols[event.place],
                name: name,
                zone: zone, shipment: event.shipment == 0 ? nil : register.symbols[event.shipment],
                mode: event.mode,
                retracted: event.retracted || record.history.isTakenBack(event),
                isSetAside: event.flags.contains(.setAside), role: roles[index],
                eventClass: event.eventClass,
                flags: event.flags.subtracting([.shared, .setAside]),
                idle: idle(event, record), content: event.content,
                identity: event.identity, updated: event.updated, readAt: readAt)
        }
        return ContainerTimeline(container: container, journeys: journeys, reports: reports)
    }

    private mutating func timeline(
        _ journey: Journey, _ shipment: Shipment, _ record: ContainerRecord, _ now: Instant
    ) -> ContainerTimeline.JourneyView {
        let container = record.number
        var whole = journey
        whole.progress = together(journey.progress, shipment, container, journey.shipment)
        let progress = whole.progress
        let shown = timeline(whole, shipment, now: now)
        let (chain, points, reached) = (shown.way.milestones, shown.points, shown.reached)
        let probably = shown.probablyPassed ?? -1
        // Where ways join, what is behind follows from who waits for whom.
        let happened = shipment.graph.map { Composer.happened($0, progress.reached) }
        var view = ContainerTimeline.JourneyView(
            shipment: register.symbols[journey.shipment], promised: shipment.plan.promised,
            stops: [],
            lateProbability: nil, alerts: [])
        for (index, milestone) in chain.enumerated() {
            var stop = stop(milestone, reached[index], points[index])
            stop.isDayAlone =
                progress.vague.contains(index)
                && record.history.events.contains {
                    $0.flags.contains(.dateOnly) && $0.place == milestone.place && $0.isEvidence
                }
            stop.isImplied = progress.implied.contains(index)
            stop.isExtra = shown.way.isExtra(index) && index <= shown.parted ?? index
            stop.isPassed = happened.map { $0[index] != .unset } ?? (index <= progress.furthest)
            stop.isProbablyPassed = !stop.isPassed && index <= probably
            // When it has been is anybody's guess.
            if stop.isProbablyPassed { (stop.p10, stop.p50, stop.p90) = (nil, nil, nil) }
            view.stops.append(stop)
        }
        view.flags = shipment.plan.flags
        view.ways = shown.ways.map(self.view(_:))
        view.estimates = estimates(journey, journey.progress, now: now)
        let ends = shipment.graph?.ends ?? [chain.count - 1]
        let isDone = !chain.isEmpty && ends.allSatisfy { reached[$0] != .unset }
        if isDone {
            let arrived = ends.reduce(Instant.unset) { max($0, reached[$1]) }
            view.arrived = arrived
            let planned = ends.reduce(Instant.unset) { max($0, chain[$1].planned) }
            let due = shipment.plan.promised ?? (planned == .unset ? nil : planned)
            view.isDayAlone =
                !journey.progress.vague.isEmpty
                && ends.contains {
                    journey.progress.vague.contains($0)
                }
            if !view.isDayAlone {
                view.deviationMinutes = due.map { Int(arrived.minutes(since: $0).rounded()) }
            }
        } else if let last = points.last ?? nil, let promised = shipment.plan.promised {
            let later = last.filter { $0 > promised }.count
            view.lateProbability = Double(later) / Double(last.count)
        }
        view.alerts = openAlerts(of: journey, container, now)
        if let slot = register.slots[container] {
            note(journey, shipment, register.records[slot].history, &view, now)
        }
        return view
    }

    /// What each report was taken for.
    private mutating func roles(_ record: ContainerRecord) -> [Int: ReportRole] {
        let plans = register.planViews(record.plans, record.number)
        ways.makeRoom()
        while true {
            do {
                return try JourneyFold.roles(
                    record.history, plans: plans, ways.book, by: guide(record.plans))
            } catch { supply(error) }
        }
    }

    private func openAlerts(
        of journey: Journey, _ container: ContainerNumber, _ now: Instant
    ) -> [ContainerTimeline.OpenAlert] {
        journey.publication.alerts.filter { $0.rev > 0 && $0.phase != .closed }.map { alert in
            let until = alert.acknowledgedUntil
            return ContainerTimeline.OpenAlert(
                id: identity(of: alert, journey, container), rev: Int(alert.rev),
                type: alert.type, severity: alert.severity, place: register.symbols[alert.place],
                delayMinutes: Int(alert.delayMinutes),
                raisedAt: alert.raisedAt == .unset ? nil : alert.raisedAt,
                acknowledgedUntil: until == .unset || until <= now ? nil : until,
                text: standingWords(alert, journey, container, now))
        }
    }

    private func view(_ way: LikelyWay) -> ContainerTimeline.WayView {
        let name = network.place(way.via).map { network.places[$0].name } ?? way.via
        return ContainerTimeline.WayView(
            via: way.via, name: name, share: way.share, isShown: way.isOwn)
    }

    /// A journey without a plan: the guess that was said of it, or that none can be made.
    private mutating func unplanned(
        _ journey: Journey, _ history: EventHistory, _ container: ContainerNumber, _ now: Instant
    ) -> ContainerTimeline.JourneyView? {
        var view = ContainerTimeline.JourneyView(
            shipment: nil, promised: nil, stops: [], lateProbability: nil, alerts: [])
        view.alerts = openAlerts(of: journey, container, now)
        let said = journey.publication
        switch said.unknown {
        case 0:
            guard let next = nextPlace(journey, history) else {
                // It may not have been said yet; what is over for long is nobody's question.
                let minutes = now.minutes(since: journey.progress.lastTime)
                if journey.progress.lastPlace != 0,
                    minutes < Double(JourneyFold.gapMicroseconds) / 60e6
                {
                    view.unknown = unknownPlan(journey).words
                }
                return view.unknown == nil && view.alerts.isEmpty ? nil : view
            }
            guard let last = next.chain.last,
                let expected = expect(next, now: now), !expected.isBeyondAll
            else { return view.alerts.isEmpty ? nil : view }
            view.isGuess = true
            view.ways = next.others.map(self.view(_:))
            view.wentOn = next.wentOn
            var stop = stop(last, .unset, nil)
            stop.p10 = expected.quantile(0.1)
            stop.p50 = expected.quantile(0.5)
            stop.p90 = expected.quantile(0.9)
            view.stops = [stop]
        case 2: view.unknown = unknownSilence(journey, now, "").words
        default: view.unknown = unknownPlan(journey).words
        }
        return view
    }

    /// Where a journey left its plan, and what cannot be said of it.
    private func note(
        _ journey: Journey, _ shipment: Shipment, _ history: EventHistory,
        _ view: inout ContainerTimeline.JourneyView, _ now: Instant
    ) {
        let way = journey.way
        if !way.isPlans, way.turn < view.stops.count {
            let places = Set(way.milestones.map(\.place))
            view.leftAt = view.stops[way.turn]
            view.isWayAssumed = shipment.plan.isWayAssumed
            for milestone in shipment.chain where !places.contains(milestone.place) {
                let (name, _) = describe(milestone.place)
                if !view.bypassed.contains(name) { view.bypassed.append(name) }
            }
        }
        let isKnown = view.stops.last.map { $0.p50 != nil || $0.reached != nil } ?? false
        func withoutNumbers() {
            // A number would be an invention.
            view.lateProbability = nil
            for at in view.stops.indices {
                (view.stops[at].p10, view.stops[at].p50, view.stops[at].p90) = (nil, nil, nil)
            }
        }
        if let place = stripped(journey, shipment, history), let goal = way.milestones.last?.place {
            view.unknown = unknownStripped(place, goal).words
            return withoutNumbers()
        }
        switch journey.publication.unknown {
        case 0: view.unknown = isKnown ? nil : unknownWay(journey, shipment).words
        case 2:
            view.unknown = unknownSilence(journey, now, "").words
            withoutNumbers()
        default:
            // Others may have shown a way since it was said.
            view.unknown = isKnown ? nil : unknownWay(journey, shipment).words
        }
    }

    /// All events of a record, those that count in the order in which they read.
    private func inReadingOrder(
        _ record: ContainerRecord
    ) -> [(index: Int, readAt: Instant)] {
        let events = record.history.events
        let read = ReadingOrder.read(events, by: guide(record.plans))
        var places: [Int: Int] = [:]
        for (position, event) in read.enumerated() { places[event.index] = position }
        var found = read.map { (index: $0.index, readAt: $0.time) }
        found += events.indices.filter { places[$0] == nil }.map { ($0, events[$0].time) }
        func order(_ index: Int) -> (Int, Int, Identity) {
            (places[index] ?? .max, Int(events[index].code.rawValue), events[index].identity)
        }
        return found.sorted {
            $0.readAt != $1.readAt ? $0.readAt < $1.readAt : order($0.index) < order($1.index)
        }
    }

    private func describe(_ place: UInt32) -> (String, ZoneRule) {
        let id = register.symbols[place]
        guard let known = network.place(id) else { return (id, .utc) }
        return (network.places[known].name, network.places[known].zone)
    }

    private func stop(
        _ milestone: Milestone, _ reached: Instant, _ points: [Instant]?
    ) -> ContainerTimeline.Stop {
        let (name, zone) = describe(milestone.place)
        return ContainerTimeline.Stop(
            place: register.symbols[milestone.place], name: name, zone: zone, code: milestone.code,
            planned: milestone.planned == .unset ? nil : milestone.planned,
            reached: reached == .unset ? nil : reached,
            p10: points.map { Expectation.quantile($0, 0.1) },
            p50: points.map { Expectation.quantile($0, 0.5) },
            p90: points.map { Expectation.quantile($0, 0.9) })
    }

    /// What is expected of a shipment's last milestone now; nil where nothing can be said. For
    /// backtests, which ask after every event.
    public mutating func outlook(
        _ container: ContainerNumber, shipment: String, now: Instant
    ) -> ShipmentOutlook? {
        guard let slot = register.slots[container], let symbol = register.symbols.known(shipment),
            let journey = register.records[slot].journeys.first(where: { $0.shipment == symbol }),
            let plan = register.plan(of: journey, register.records[slot].plans)
        else { return nil }
        var seen = journey
        seen.progress = together(journey.progress, plan, container, symbol)
        // As the daemon sees it: news that was old when it came is seen from its own time.
        let held = journey.publication.holdUntil > now
        let clock = max(seen.progress.lastTime, plan.startedAt)
        let now = seenFrom(clock, held: held, now)
        guard let expected = look(seen, plan, container, now: now) else { return nil }
        let done = seen.progress.reached.count { $0 != .unset }
        let stage = Double(done) / Double(max(journey.way.milestones.count, 1))
        let calibrated = forecasting.intervals.calibrated(
            expected, now: now, isLastStep: expected.next == journey.way.milestones.count - 1)
        return ShipmentOutlook(
            expected: expected, promised: plan.plan.promised, stage: stage,
            lateProbability: plan.plan.promised.map { calibrated.probability(after: $0) },
            naive: naive(journey.way, plan, seen.progress),
            shares: (1...9).map { calibrated.quantile(Double($0) / 10) })
    }

    /// The steps of a shipment and what of them is known, for those who forecast by other means;
    /// nil where ways join, or there is no such journey.
    public func stepsAhead(_ container: ContainerNumber, shipment: String) -> StepsAhead? {
        guard let slot = register.slots[container], let symbol = register.symbols.known(shipment),
            let journey = register.records[slot].journeys.first(where: { $0.shipment == symbol }),
            let plan = register.plan(of: journey, register.records[slot].plans), plan.graph == nil
        else { return nil }
        return StepsAhead(
            milestones: journey.way.milestones, reached: journey.progress.reached,
            startedAt: plan.startedAt)
    }

    /// What the plan says, moved by the delay of what happened last: the forecast that costs
    /// nothing, and that others have to beat.
    private func naive(_ way: Way, _ shipment: Shipment, _ progress: Journey.Progress) -> Instant? {
        let chain = way.milestones
        let ends = shipment.graph?.ends ?? [chain.count - 1]
        let last = ends.map { chain[$0].planned }.max() ?? .unset
        guard last != .unset else { return nil }
        var latest = -1
        for (index, instant) in progress.reached.enumerated()
        where instant != .unset && chain[index].planned != .unset {
            if latest < 0 || instant >= progress.reached[latest] { latest = index }
        }
        guard latest >= 0 else { return last }
        return last.advanced(
            minutes: progress.reached[latest].minutes(since: chain[latest].planned))
    }
}

/// A chain of milestones and when those that were reached were.
public struct StepsAhead: Sendable {
    public var milestones: [Milestone]
    public var reached: [Instant]
    public var startedAt: Instant
}

/// What is expected of a shipment's last milestone.
public struct ShipmentOutlook: Sendable {
    public var expected: Expectation
    public var promised: Instant?
    /// Share of its milestones that have been reached.
    public var stage: Double
    public var lateProbability: Double?
    /// By the plan and the delay so far; nil where the plan gives no times.
    public var naive: Instant?
    /// The nine deciles, held to their promise by experience.
    public var shares: [Instant]
}

extension Engine {
    /// Whether a container's plan is more than one chain.
    public func isJoined(_ shipment: String) -> Bool {
        register.symbols.known(shipment).flatMap { register.shipments[$0] }?.graph != nil
    }

    /// The scores kept so far, by the name of the place.
    public var placeScores: [(place: String, tally: IntervalCalibrator.Tally)] {
        forecasting.intervals.places.map { (register.symbols[$0.key], $0.value) }.sorted {
            $0.0 < $1.0
        }
    }

    /// The scores of the milestones that were next, by the name of their place.
    public var stepScores: [(place: String, tally: IntervalCalibrator.Tally)] {
        forecasting.intervals.steps.map { (register.symbols[$0.key], $0.value) }.sorted {
            $0.0 < $1.0
        }
    }

    /// The shipment of the journey that a container is on.
    public func latestShipment(_ container: ContainerNumber) -> String? {
        guard let slot = register.slots[container],
            let journey = register.records[slot].journeys.last(where: { $0.shipment != 0 })
        else { return nil }
        return register.symbols[journey.shipment]
    }

    /// Milestones of a shipment that a container has yet to reach.
    public func stepsLeft(_ container: ContainerNumber, shipment: String) -> Int {
        guard let slot = register.slots[container], let symbol = register.symbols.known(shipment),
            let journey = register.records[slot].journeys.first(where: { $0.shipment == symbol })
        else { return 0 }
        guard let plan = register.shipments[symbol], plan.graph != nil else {
            return journey.progress.reached.count - 1 - journey.progress.furthest
        }
        let reached = together(journey.progress, plan, container, symbol).reached
        return reached.count { $0 == .unset }
    }
}
