/// One episode of one alert of one journey, from the first sign to its end.
public struct AlertEpisode: Sendable, Equatable {
    public enum Phase: UInt8, Sendable {
        /// The condition holds, but is not confirmed yet.
        case pending
        case open
        /// Open, and the condition has ceased; cleared if that lasts.
        case clearing
        case closed
    }

    public var type: AlertType
    /// The milestone that it is about: where it stood on the way at first, and what it is.
    public var milestone: UInt32
    public var place: UInt32
    public var code: EventCode
    /// Which of the milestones of this place and event it is, from 1; 0 in what was raised when its index
    /// was its name.
    public var occurrence: UInt32 = 0
    /// Where that milestone stands on the way now; the identity keeps where it stood at first.
    public var at: UInt32
    /// Counts the episodes of (journey, milestone, type) from 1.
    public var episode: UInt32
    public var rev: UInt32
    public var phase: Phase
    public var severity: Severity
    /// Since when the phase lasts, in the journey's own time.
    public var since: Instant
    public var evidence: UInt32
    public var delayMinutes: Int32
    public var probability: Float
    /// Wake up to confirm (pending) or to clear (clearing); `.never` where only news can.
    public var confirmAt: Instant
    /// Of a `late` alert the class of horizon in which it was raised.
    public var horizon: UInt8 = 0
    /// It would have been raised, had the news come when it happened: what becomes of it is learned from
    /// as of one that was.
    public var isShadow = false
    /// When the delivery was expected before what the alert is about.
    public var expected: Instant = .unset
    /// The boxes that it travels with.
    public var convoy: Convoy?
    /// The closure that it is told by, fixed when it is raised; "": none.
    public var parent = ""
    /// Somebody sees to it until then; `.unset`: nobody does. What was said, to know it again.
    public var acknowledgedUntil: Instant = .unset
    public var acknowledgement: UInt64 = 0
    /// The line that told of its level.
    public var levelRev: UInt32 = 0
    /// The delay that was told last.
    public var toldMinutes: Int32 = 0
    /// When it was raised; `.unset`: not yet, or in a log of before that was kept.
    public var raisedAt: Instant = .unset
    /// It comes and goes: it stays open until it has been calm for long.
    public var isFlapping = false

    public init(_ key: AlertKey, episode: UInt32, since: Instant) {
        type = key.type
        milestone = key.milestone
        at = key.milestone
        place = key.place
        code = key.code
        occurrence = key.occurrence
        self.episode = episode
        rev = 0
        phase = .pending
        severity = .info
        self.since = since
        evidence = 0
        delayMinutes = 0
        probability = 0
        confirmAt = .never
    }

    /// Its milestone is none of the way any more.
    public static let nowhere = UInt32.max

    func dueAt(holdUntil: Instant) -> Instant {
        switch phase {
        case .pending: confirmAt == .never ? .never : max(confirmAt, holdUntil)
        case .clearing: confirmAt
        case .open, .closed: .never
        }
    }

    /// The stable identity on the wire: what it is about, and the episode.
    public static func identity(
        container: ContainerNumber, journey: String, milestone: String, type: AlertType,
        episode: UInt32
    ) -> String {
        NamedUUID.version5("\(container)|\(journey)|\(milestone)|\(type.code)|\(episode)")
    }
}

/// What an alert of a journey is about.
public struct AlertKey: Sendable, Equatable {
    public var type: AlertType
    public var milestone: UInt32
    public var place: UInt32
    public var code: EventCode
    public var occurrence: UInt32

    public init(
        _ type: AlertType, milestone: UInt32, place: UInt32, code: EventCode,
        occurrence: UInt32 = 0
    ) {
        self.type = type
        self.milestone = milestone
        self.place = place
        self.code = code
        self.occurrence = occurrence
    }

    /// What an episode is about.
    public init(of episode: AlertEpisode) {
        self.init(
            episode.type, milestone: episode.milestone, place: episode.place, code: episode.code,
            occurrence: episode.occurrence)
    }

    /// An alert about a milestone of a way.
    public init(_ type: AlertType, _ at: Int, of chain: [Milestone]) {
        let milestone = chain[at]
        let same = chain[...at].count { $0.place == milestone.place && $0.code == milestone.code }
        self.init(
            type, milestone: UInt32(at), place: milestone.place, code: milestone.code,
            occurrence: UInt32(same))
    }

    func isOf(_ episode: AlertEpisode) -> Bool {
        type == episode.type && place == episode.place && code == episode.code
            && (episode.occurrence == 0
                ? milestone == episode.milestone : occurrence == episode.occurrence)
    }
}

extension AlertEpisode {
    /// Whether it is about the same as another one would be.
    public func isAbout(_ key: AlertKey) -> Bool { key.isOf(self) }

    /// Where its milestone stands on a way; nil: nowhere.
    public func index(in chain: [Milestone]) -> Int? {
        var rest = max(1, occurrence)
        for at in chain.indices where chain[at].place == place && chain[at].code == code {
            rest -= 1
            if rest == 0 { return at }
        }
        return nil
    }

    /// What names its milestone on the wire, within the journey.
    public func milestoneName(_ place: String) -> String {
        occurrence == 0
            ? "\(place)/\(code.code)/\(milestone)" : "\(place)/\(code.code)#\(occurrence)"
    }
}

/// When alerts are raised and cleared. Part of the log: changing it is an entry there.
public struct AlertRules: Sendable, Equatable {
    public var raiseProbability: Double
    public var clearProbability: Double
    /// Delay from which on an alert is info, warning, critical; minutes, ascending.
    public var levelMinutes: [Double]
    /// Cleared where the delay falls under this share of the lowest level.
    public var clearShare: Double
    public var confirmEvents: Int
    public var confirmMinutes: Double
    public var calmMinutes: Double
    /// Shortest time between two `eta` lines of one container.
    public var publishIntervalSeconds: Double
    public var publishMinutes: Double
    /// Of the remaining time.
    public var publishShare: Double
    /// By how much more of its loss whoever holds on to what was said last is to be expected to lose,
    /// before that is worth a word; and where a border was passed.
    public var publishWorth: Double
    public var publishBorderWorth: Double
    /// Each recalculation that comes to something else, or each milestone, has its line.
    public var publishEvery: Bool
    public var publishMilestones: Bool
    /// News older than this when it comes is backlog …
    public var backlogMinutes: Double
    /// … and holds alerts back until the container has been quiet this long.
    public var settleMinutes: Double
    /// An event may lie this far in the future, for clocks that are wrong.
    public var futureHours: Double
    /// An actual event may be this old, for clocks that lost their date; 0: any age.
    public var pastDays: Double
    /// Versions of events that are kept of one container.
    public var maxEvents: Int
    /// Plans that may name one container.
    public var maxPlans: Int
    /// Closures that are known at a time.
    public var maxClosures: Int
    /// Containers times milestones, over all plans that join containers and name the same one.
    public var maxWork: Int

    public init() {
        raiseProbability = 0.6
        clearProbability = 0.4
        levelMinutes = [30, 120, 360]
        clearShare = 0.7
        confirmEvents = 2
        confirmMinutes = 10
        calmMinutes = 15
        publishIntervalSeconds = 60
        publishMinutes = 15
        publishShare = 0.02
        publishWorth = 0.7
        publishBorderWorth = 0.12
        publishEvery = false
        publishMilestones = false
        backlogMinutes = 30
        settleMinutes = 2
        futureHours = 24
        pastDays = 400
        maxEvents = 10_000
        maxPlans = 1_000
        maxClosures = 10_000
        maxWork = 100_000
    }

    /// The level that a delay reaches; nil under the lowest.
    public func severity(delayMinutes: Double) -> Severity? {
        var found: Severity?
        for (level, minutes) in zip(Severity.allCases, levelMinutes) where delayMinutes >= minutes {
            found = level
        }
        return found
    }
}
