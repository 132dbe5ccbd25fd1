/// What somebody expects of a milestone that lies ahead: a carrier's ETA. The latest of each source stands
/// until the milestone is reached.
public struct Statement: Sendable, Equatable {
    /// Symbol of who says so; 0: nobody in particular.
    public var source: UInt32
    /// Index of the milestone on the way.
    public var milestone: Int
    /// When it is said to happen.
    public var time: Instant
    /// When that was said.
    public var saidAt: Instant

    public init(source: UInt32, milestone: Int, time: Instant, saidAt: Instant) {
        self.source = source
        self.milestone = milestone
        self.time = time
        self.saidAt = saidAt
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

    /// When it was said: by its version, but not later than it came.
    public var saidAt: Instant {
        let received = time.advanced(minutes: Double(delaySeconds) / 60)
        return updated != .unset ? min(updated, received) : received
    }

    /// When a milestone is said to happen; of a day alone its noon.
    public var statedTime: Instant {
        flags.contains(.dateOnly) ? time.advanced(minutes: 720) : time
    }

    /// Nobody knows more than so many days ahead: beyond, it is a slip of the pen.
    private static let mostAheadSeconds = Int32(400 * 86_400)

    /// It says what will happen, or is planned to, and not what has.
    public func isStatement(_ kind: EventClass) -> Bool {
        eventClass == kind && !retracted && !flags.contains(.setAside) && time != .unset
            && delaySeconds > -EventRecord.mostAheadSeconds
    }
}

extension Statement {
    /// Statements of one journey, or of boxes that join, that stand at once: the latest.
    private static let most = 16

    /// Of what was said of several boxes the latest of each source on each milestone that is still ahead.
    public static func standing(_ all: [Statement], _ reached: [Instant]) -> [Statement] {
        if all.isEmpty { return [] }
        var standing: [[UInt64]: Statement] = [:]
        for one in all where reached[one.milestone] == .unset {
            let key = [UInt64(one.source), UInt64(one.milestone)]
            if let known = standing[key],
                (known.saidAt, known.time) >= (one.saidAt, one.time)
            {
                continue
            }
            standing[key] = one
        }
        let latest = standing.values.sorted {
            ($1.saidAt, $1.time, $0.milestone) < ($0.saidAt, $0.time, $1.milestone)
        }.prefix(most)
        return latest.sorted { ($0.milestone, $0.time) < ($1.milestone, $1.time) }
    }
}

extension EventHistory {
    /// Statements that are looked at: the latest.
    private static let most = 256

    /// What stands of what was said of the milestones ahead of a journey: the latest of each source. What
    /// was said to come before something that has come since is refuted.
    func statements(
        _ plan: PlanView, on chain: [Milestone], _ progress: Journey.Progress,
        _ geography: Geography
    ) -> [Statement] {
        let said = said(.est).compactMap { event -> Statement? in
            guard
                let at = event.milestone(on: chain, plan, geography, after: progress.furthest)
            else { return nil }
            return Statement(
                source: event.speaker, milestone: at, time: event.statedTime,
                saidAt: event.saidAt)
        }
        return Statement.standing(said, progress.reached).filter { $0.time > progress.lastTime }
    }

    /// What was said of one kind, the latest if it is much.
    private func said(_ kind: EventClass) -> [EventRecord] {
        // Nearly always nothing was.
        guard events.contains(where: { $0.isStatement(kind) }) else { return [] }
        let all = events.filter { $0.isStatement(kind) }
        guard all.count > EventHistory.most else { return all }
        return Array(
            all.sorted { ($1.saidAt, $0.identity) < ($0.saidAt, $1.identity) }
                .prefix(EventHistory.most))
    }

    /// A plan is set anew by so many days at most: beyond, it is a slip of the pen.
    private static let mostMovedMinutes = 60.0 * 1_440

    /// The planned times that were set anew, by milestone: the latest word counts, and none that is older
    /// than the plan's own or than what happened, or that runs back.
    func plannedAnew(
        _ plan: PlanView, on chain: [Milestone], _ progress: Journey.Progress,
        _ geography: Geography
    ) -> [PlannedAnew] {
        var found: [Int: (time: Instant, saidAt: Instant)] = [:]
        // A day alone is no timetable.
        for event in said(.pln) where !event.flags.isVague {
            guard event.saidAt >= plan.statedAt, event.shipment != 0 || plan.isOnly,
                let at = event.milestone(on: chain, plan, geography, after: -1)
            else { continue }
            let (reached, before) = (progress.reached[at], chain[at].planned)
            if reached != .unset, event.saidAt > reached { continue }
            let from = before == .unset ? event.saidAt : before
            guard abs(event.statedTime.minutes(since: from)) <= EventHistory.mostMovedMinutes,
                found[at].map({ ($0.saidAt, $0.time) <= (event.saidAt, event.time) }) ?? true
            else { continue }
            found[at] = (event.statedTime, event.saidAt)
        }
        var moved: [PlannedAnew] = []
        var latest = Instant.unset
        for at in chain.indices {
            var planned = chain[at].planned
            let began = at > 0 ? progress.reached[at - 1] : .unset
            if let new = found[at], new.time >= latest {
                if new.time != planned {
                    moved.append(
                        PlannedAnew(
                            milestone: at, time: new.time, saidAt: new.saidAt,
                            isUnderWay: began != .unset && began <= new.saidAt))
                }
                planned = new.time
            }
            latest = max(latest, planned)
        }
        return moved
    }
}

extension PlanView {
    /// Whether a time that no shipment is named with may be one of this plan's.
    fileprivate func mayMean(_ time: Instant) -> Bool {
        if isOnly || ends == .never { return true }
        let span = max(ends.minutes(since: anchor), 1_440)
        return time > anchor.advanced(minutes: -1_440) && time < ends.advanced(minutes: span)
    }
}

extension EventRecord {
    /// The milestone of a plan's way that a statement means: the first behind `after` with its place and
    /// code, else with a code of the same sense, else at a place next to it; nil: none of it, or it is not
    /// about this plan.
    public func milestone(
        on chain: [Milestone], _ plan: PlanView, _ geography: Geography, after: Int
    ) -> Int? {
        guard
            shipment == plan.shipment || shipment == 0 && plan.mayMean(time) && saidAt > plan.after,
            saidAt.microseconds >= plan.anchor.microseconds - JourneyFold.leadMicroseconds
        else { return nil }
        let ahead = chain.indices.dropFirst(after + 1)
        return ahead.first { chain[$0].place == place && chain[$0].code == code }
            ?? ahead.first {
                chain[$0].place == place && JourneyFold.isKin(chain[$0].code, code)
            }
            ?? ahead.first {
                geography.areOne(chain[$0].place, place)
                    && (chain[$0].code == code || JourneyFold.isKin(chain[$0].code, code))
            }
    }
}

/// A milestone is planned for another time than its plan said.
public struct PlannedAnew: Hashable, Sendable {
    public let milestone: Int
    public let time: Instant
    /// Since when that is so.
    public let saidAt: Instant
    /// Its step had begun by then.
    public let isUnderWay: Bool

    public init(milestone: Int, time: Instant, saidAt: Instant, isUnderWay: Bool) {
        self.isUnderWay = isUnderWay
        self.milestone = milestone
        self.time = time
        self.saidAt = saidAt
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

    /// What is known of these times.
    public var restated: [Restated] {
        var after = way.milestones.indices.map { way.restated($0) }
        for new in times {
            let at = new.milestone
            after[at].statedAt = new.saidAt
            after[at].minutes = .nan
            if new.time > new.saidAt { after[at].claimedAt = .unset }
            guard new.isUnderWay, after[at].held == nil else { continue }
            after[at].held = Restated.Held(
                way.milestones[at], began: way.plannedStart(at, nil))
        }
        return after
    }

    private static func between(_ chain: [Milestone], _ at: Int) -> Double {
        guard chain[at].planned != .unset, chain[at - 1].planned != .unset else { return .nan }
        return chain[at].planned.minutes(since: chain[at - 1].planned)
    }
}
