/// One journey of one container: what was planned, what has happened of it, and what was last
/// said about it.
public struct Journey: Sendable {
    /// Symbol of the shipment; 0: a journey known from its events alone.
    public var shipment: UInt32
    /// Which of the container's unplanned journeys this is, from 0; 0 for planned ones.
    public var ordinal: UInt32
    /// The shipment that stands for its trip, which several plans may be about: derived.
    public var trip: UInt32
    /// The milestones that its progress counts: derived.
    public var way: Way
    /// Derived from events and plans (see `JourneyFold`).
    public var progress: Progress
    /// What was last published, and the alerts.
    public var publication: Publication

    public init(
        shipment: UInt32, ordinal: UInt32, progress: Progress = Progress(),
        publication: Publication = Publication()
    ) {
        self.shipment = shipment
        self.ordinal = ordinal
        trip = shipment
        way = .none
        self.progress = progress
        self.publication = publication
    }

    /// How far a journey has come: a function of its events and its chain.
    public struct Progress: Sendable, Equatable {
        /// For each milestone when it happened, `.unset` where it has not been seen.
        public var reached: [Instant]
        /// Index of the furthest milestone reached, -1 before the first.
        public var furthest: Int
        public var lastTime: Instant
        public var lastPlace: UInt32
        public var lastCode: EventCode
        public var lastMode: TransportMode
        public var eventCount: Int
        /// Milestones of which the time is not known well enough to learn from.
        public var vague: [Int] = []
        /// Of those, the ones that something else tells of: the box was seen there, or behind it, by then.
        public var implied: [Int] = []
        /// What others say of the milestones ahead.
        public var words: [Statement] = []
        /// Of a journey without milestones, where it has been.
        public var stays: [Stay] = []
        /// The newest report that cannot be, if any.
        public var contradiction: Contradiction?

        /// A report that contradicts the others.
        public struct Contradiction: Sendable, Equatable {
            public var time: Instant
            public var place: UInt32
            public var code: EventCode
        }

        public init() {
            reached = []
            furthest = -1
            lastTime = .unset
            lastPlace = 0
            lastCode = .stuf
            lastMode = .unknown
            eventCount = 0
        }

        public var isComplete: Bool { furthest >= 0 && furthest == reached.count - 1 }

        /// When the milestones were reached, as far as that may teach something: the same array as
        /// `reached` where nothing is vague.
        public var teachable: [Instant] {
            if vague.isEmpty { return reached }
            var clear = reached
            for at in vague { clear[at] = .unset }
            return clear
        }
    }

    /// What subscribers were told, so that the next word can be weighed against it.
    public struct Publication: Sendable, Equatable {
        /// What moves a forecast: what happened, a plan, what somebody expects, or a plan that leads elsewhere
        /// or promises something else.
        public enum Reason: UInt8, Sendable {
            case events, plan, estimate, terms
        }

        public var p10: Instant
        public var p50: Instant
        public var p90: Instant
        public var publishedAt: Instant
        public var lateVerdict: Bool
        /// Milestone index at the last publication.
        public var furthest: Int
        /// What moved the forecast of which a word is owed.
        public var owedFor = Reason.events
        /// A word is owed at this instant (the shortest interval between two lines held it back).
        public var owedAt: Instant
        /// The next moment at which silence changes the forecast.
        public var reviewAt: Instant
        /// At this instant the next milestone becomes overdue: its p90 at the last evidence.
        public var overdueAt: Instant
        /// News came in a backlog: until then no alert is raised (`FAULTS`: only final states).
        public var holdUntil: Instant
        public var alerts: [AlertEpisode]
        /// For each milestone the mean of when it was expected, in minutes from `p50`, when that
        /// was published: what a change is split by. Behind them by how much later other ways than its own
        /// made the end, where there were any.
        public var path: [Float]
        /// The first intervals forecast in each class of horizon, until the arrival judges them.
        public var forecasts: [IssuedInterval]
        /// The interval of the next milestone, as of the last evidence.
        public var next: AwaitedInterval?
        /// What others have said of milestones ahead, until that is judged.
        public var heard: [Heard] = []
        /// When the milestones were reached, as the pools were taught; what is corrected later is
        /// taken back. The same array as `Progress.reached` until then.
        public var taught: [Instant]
        /// Steps, by their milestone, that another journey of the same trip has taught.
        public var taughtElsewhere: [UInt32] = []
        /// Of a journey without a plan the stays whose moves have been taught.
        public var taughtStays: [Stay] = []
        /// The way (`Way.signature`) of which all this is said, and that of the last line.
        public var way: UInt64 = 0
        public var publishedWay: UInt64 = 0
        /// What was said to be unknown; 0: nothing.
        public var unknown: UInt64 = 0
        /// Episodes of alerts are counted from here on: names that were used are not used again.
        public var episodesBefore: UInt32 = 0

        public init() {
            p10 = .unset
            p50 = .unset
            p90 = .unset
            publishedAt = .unset
            lateVerdict = false
            furthest = -1
            owedAt = .never
            reviewAt = .never
            overdueAt = .never
            holdUntil = .unset
            alerts = []
            path = []
            forecasts = []
            next = nil
            taught = []
        }

        /// Something that was told is not over.
        public var hasOpenAlert: Bool { alerts.contains { $0.rev > 0 && $0.phase != .closed } }

        /// The earliest of the times at which the engine should look again.
        public var dueAt: Instant {
            var due = min(owedAt, reviewAt)
            if overdueAt != .never { due = min(due, max(overdueAt, holdUntil)) }
            for alert in alerts { due = min(due, alert.dueAt(holdUntil: holdUntil)) }
            return due
        }

        /// After a review at `now`: what is due still was not settled by it, and would not be by
        /// another one at once. It waits for news, or for a minute at the least.
        public mutating func lookLater(than now: Instant) {
            guard dueAt <= now else { return }
            let later = now.advanced(minutes: 1)
            if owedAt <= now { owedAt = later }
            if reviewAt <= now { reviewAt = later }
            if max(overdueAt, holdUntil) <= now { overdueAt = .never }
            for at in alerts.indices where alerts[at].dueAt(holdUntil: holdUntil) <= now {
                alerts[at].confirmAt = later
            }
        }
    }
}

extension Journey: Equatable {
    public static func == (a: Journey, b: Journey) -> Bool {
        a.shipment == b.shipment && a.ordinal == b.ordinal && a.trip == b.trip
            && (a.way === b.way || a.way.milestones == b.way.milestones)
            && a.progress == b.progress && a.publication == b.publication
    }
}

/// An interval that was forecast of a milestone, and how far ahead.
public struct IssuedInterval: Sendable, Equatable {
    public var p50: Instant
    /// Minutes from p10 to p50, and from p50 to p90.
    public var before: Float
    public var behind: Float
    /// Class of the horizon (`IntervalCalibrator`).
    public var horizon: UInt8

    public init(horizon: UInt8, p10: Instant, p50: Instant, p90: Instant) {
        self.init(
            horizon: horizon, p50: p50, before: Float(p50.minutes(since: p10)),
            behind: Float(p90.minutes(since: p50)))
    }

    public init(horizon: UInt8, p50: Instant, before: Float, behind: Float) {
        self.p50 = p50
        self.before = before
        self.behind = behind
        self.horizon = horizon
    }

    public var p90: Instant { p50.advanced(minutes: Double(behind)) }

    public func covers(_ actual: Instant) -> Bool {
        let gap = Float(actual.minutes(since: p50))
        return -before <= gap && gap <= behind
    }
}

/// The interval of a milestone that is waited for.
public struct AwaitedInterval: Sendable, Equatable {
    /// Its index in the chain.
    public var milestone: UInt32
    public var interval: IssuedInterval

    public init(milestone: UInt32, _ interval: IssuedInterval) {
        self.milestone = milestone
        self.interval = interval
    }
}

/// All that is kept of one container.
public struct ContainerRecord: Sendable, Equatable {
    public var number: ContainerNumber
    public var history: EventHistory
    public var journeys: [Journey]
    /// Shipments (symbols) whose plans name this container, ascending.
    public var plans: [UInt32]
    /// The highest number of an episode of a journey that is gone, and may come back.
    public var episodesGone: UInt32 = 0

    public init(number: ContainerNumber) {
        self.number = number
        history = EventHistory()
        journeys = []
        plans = []
    }

    /// The earliest moment at which one of the journeys wants to be looked at.
    public var dueAt: Instant {
        journeys.reduce(Instant.never) { min($0, $1.publication.dueAt) }
    }

    /// Nothing is expected of it: every journey is complete or was never forecast.
    public var isQuiet: Bool {
        dueAt == .never && !journeys.contains { $0.publication.hasOpenAlert }
    }
}
