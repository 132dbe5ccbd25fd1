import Forecast
import Tracking

/// The circumstances of a review.
struct ReviewContext {
    let container: ContainerNumber
    let touch: Change?
    let now: Instant
    /// The container has other journeys.
    var isOneOfSeveral = false
    /// Where the box was stripped, short of where its plan ends.
    var strippedAt: UInt32?
    /// It is off what had brought it: whatever comes next, it is not on its way there.
    var isUnloaded = false
    /// Another plan of the same trip has said that a report is overdue.
    var isOverdueTold = false

    init(record: borrowing ContainerRecord, touch: Change?, now: Instant) {
        container = record.number
        self.touch = touch
        self.now = now
    }
}

/// What is expected of a journey at a review.
struct Outlook {
    let expected: Expectation
    let chain: [Milestone]
    var graph: JoinGraph?
    let promised: Instant?
    /// The instant from which it is seen: now, or in a backlog the journey's own clock.
    let seenFrom: Instant
    let held: Bool
    var partial = false
    /// Class of the horizon.
    let horizon: Int
    /// For each milestone when it is expected, in minutes from `seenFrom`.
    var means: [Float] = []
    /// What moved the forecast of which a word is owed.
    var reason = Journey.Publication.Reason.events
    /// For milestones of which others say something when they would be expected without that.
    var told: [Int: Instant] = [:]
    /// Its own way, other ways that the box may take, and how likely its own is, then each of them.
    var ownWay = Way.none
    var others: [OtherWay] = []
    var shares: [Double] = []
    /// Of a box without a plan where it may be seen next.
    var nextPlaces: [LikelyWay] = []
    /// So many boxes of late say so.
    var wentOn = 0
    /// How much later the others make the end.
    var detourMinutes: Float = 0
    /// As `means`, of each of the others.
    var otherMeans: [[Float]] = []
    /// Held to their promise by experience.
    var p10: Instant
    var p50: Instant
    var p90: Instant
    /// What these say, held to its promise; nil of a guess of the next place.
    var calibrated: IntervalCalibrator.CalibratedForecast?
    /// Index of the milestone whose step moved the forecast: the one just finished, or the
    /// one that still lasts.
    var blamed: Int?

    /// The milestone with which the box has left the way of which was spoken last.
    var turn: Int?
    /// It is being handed in, and more of it is to be expected.
    var isHistory = false
    /// Nothing has been said of the journey yet that this could differ from.
    var isFirst = false

    var isComplete: Bool { expected.next == nil }
    var lateProbability: Double?
    var delayMinutes: Double? { promised.map { p50.minutes(since: $0) } }

    /// How many minutes later than planned a milestone is, by when it was or is expected; nil where one of the two is
    /// not known.
    func lateness(_ at: Int) -> Double? {
        guard at < means.count, chain[at].planned != .unset, !means[at].isNaN else { return nil }
        return seenFrom.minutes(since: chain[at].planned) + Double(means[at])
    }
}
