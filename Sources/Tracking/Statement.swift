/// What somebody says of a milestone that lies ahead: a carrier's ETA, a terminal's plan. The latest of
/// each source stands until the milestone is reached.
public struct Statement: Sendable, Equatable {
    /// Symbol of who says so; 0: nobody in particular.
    public var source: UInt32
    /// Index of the milestone on the way.
    public var milestone: Int
    /// When it is said to happen.
    public var time: Instant
    /// When that was said.
    public var saidAt: Instant
    /// PLN: so it is planned; else EST: so it is expected.
    public var isPlan: Bool

    public init(source: UInt32, milestone: Int, time: Instant, saidAt: Instant, isPlan: Bool) {
        self.source = source
        self.milestone = milestone
        self.time = time
        self.saidAt = saidAt
        self.isPlan = isPlan
    }
}

/// A statement, and what the forecast would have been without it: minutes from what is stated.
public struct Heard: Sendable, Equatable {
    public var statement: Statement
    /// How far ahead the milestone was stated to be when it was looked at, in classes.
    public var horizon: UInt8
    public var p10: Float
    public var p50: Float
    public var p90: Float

    public init(statement: Statement, horizon: UInt8, p10: Float, p50: Float, p90: Float) {
        self.statement = statement
        self.horizon = horizon
        self.p10 = p10
        self.p50 = p50
        self.p90 = p90
    }
}

extension EventRecord {
    /// Symbol of who says so: the source, else the post that sent it; 0: nobody in particular.
    public var speaker: UInt32 { source != 0 ? source : post }

    /// When it was said: by its version, else when it came.
    public var saidAt: Instant {
        updated != .unset ? updated : time.advanced(minutes: Double(delaySeconds) / 60)
    }

    /// It says what will happen, or is planned to, and not what has.
    var isStatement: Bool {
        eventClass != .act && !retracted && !flags.contains(.setAside) && time != .unset
    }
}

extension EventHistory {
    /// Statements of one journey that stand at once, the latest.
    private static let most = 16

    /// What stands of what was said of the milestones ahead of a journey. What was said to come before
    /// something that has come since is refuted.
    func statements(
        _ plan: PlanView, on chain: [Milestone], _ progress: Journey.Progress
    ) -> [Statement] {
        guard events.contains(where: { $0.isStatement }) else { return [] }
        var standing: [Statement] = []
        let from = max(progress.lastTime, plan.anchor)
        for event in events where event.isStatement && event.time > from {
            guard let at = event.milestone(on: chain, plan, after: progress.furthest),
                progress.reached[at] == .unset
            else { continue }
            let new = Statement(
                source: event.speaker, milestone: at, time: event.time, saidAt: event.saidAt,
                isPlan: event.eventClass == .pln)
            let before = standing.firstIndex {
                $0.source == new.source && $0.milestone == at && $0.isPlan == new.isPlan
            }
            guard let before else {
                standing.append(new)
                continue
            }
            // Events come by time: of two that were said at once the later one stands.
            if standing[before].saidAt <= new.saidAt { standing[before] = new }
        }
        guard standing.count > EventHistory.most else { return standing }
        let latest = standing.enumerated().sorted {
            ($1.element.saidAt, $0.offset) < ($0.element.saidAt, $1.offset)
        }.prefix(EventHistory.most).map(\.offset)
        return latest.sorted().map { standing[$0] }
    }

    /// The planned times that were set anew, by milestone: the latest word counts, and none that is older
    /// than the plan's own or than what happened.
    func plannedAnew(
        _ plan: PlanView, on chain: [Milestone], _ progress: Journey.Progress
    ) -> [PlannedAnew] {
        guard events.contains(where: { $0.isStatement && $0.eventClass == .pln }) else { return [] }
        var found: [Int: (time: Instant, saidAt: Instant)] = [:]
        for event in events where event.isStatement && event.eventClass == .pln {
            guard event.saidAt >= plan.statedAt,
                let at = event.milestone(on: chain, plan, after: -1)
            else { continue }
            let reached = progress.reached[at]
            if reached != .unset, event.saidAt > reached { continue }
            if let known = found[at], known.saidAt > event.saidAt { continue }
            found[at] = (event.time, event.saidAt)
        }
        return found.filter { chain[$0.key].planned != $0.value.time }
            .map { PlannedAnew(milestone: $0.key, time: $0.value.time) }
            .sorted { $0.milestone < $1.milestone }
    }
}

extension EventRecord {
    /// The milestone of a plan's way that a statement means: the first behind `after` with its place and
    /// code, else with a code of the same sense; nil: none of it, or it is not about this plan.
    fileprivate func milestone(on chain: [Milestone], _ plan: PlanView, after: Int) -> Int? {
        guard shipment == plan.shipment || shipment == 0,
            saidAt.microseconds >= plan.anchor.microseconds - JourneyFold.leadMicroseconds
        else { return nil }
        let ahead = chain.indices.dropFirst(after + 1)
        return ahead.first { chain[$0].place == place && chain[$0].code == code }
            ?? ahead.first {
                chain[$0].place == place && JourneyFold.isKin(chain[$0].code, code)
            }
    }
}

/// A milestone is planned for another time than its plan said.
public struct PlannedAnew: Hashable, Sendable {
    public let milestone: Int
    public let time: Instant

    public init(milestone: Int, time: Instant) {
        self.milestone = milestone
        self.time = time
    }
}

/// A way of which some milestones are planned for other times.
public struct Retiming: Hashable, Sendable {
    public let way: Way
    public let times: [PlannedAnew]

    public init(way: Way, times: [PlannedAnew]) {
        self.way = way
        self.times = times
    }

    public static func == (a: Retiming, b: Retiming) -> Bool {
        a.way === b.way && a.times == b.times
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(way))
        hasher.combine(times)
    }

    /// The milestones with these times. Where the planned duration of a step was the time between two
    /// planned times it is so still, if it is its end that has moved: who leaves later travels as long.
    public var milestones: [Milestone] {
        let before = way.milestones
        var after = before
        for new in times { after[new.milestone].planned = new.time }
        for at in times.map(\.milestone) where at > 0 {
            let minutes = Retiming.between(before, at)
            guard abs(minutes - before[at].plannedMinutes) < 1 else { continue }
            after[at].plannedMinutes = max(0, Retiming.between(after, at))
        }
        return after
    }

    private static func between(_ chain: [Milestone], _ at: Int) -> Double {
        guard chain[at].planned != .unset, chain[at - 1].planned != .unset else { return .nan }
        return chain[at].planned.minutes(since: chain[at - 1].planned)
    }
}
