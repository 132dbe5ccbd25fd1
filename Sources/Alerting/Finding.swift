import Tracking

/// What a policy finds about one thing that an alert can be about, at one look.
public enum Finding: Sendable, Equatable {
    /// It is so: an alert begins, or goes on.
    case holds(Condition)
    /// Neither clearly so nor clearly not: what is open stays open, and nothing begins.
    case undecided(Condition)
    /// It is not so any more; what is open ends once that has lasted.
    case ceases(Condition)
    /// What happened ends it, for good: cleared, or withdrawn where it never was so.
    case over(AlertState, Condition?)

    public var isOver: Bool {
        if case .over = self { return true }
        return false
    }

    /// What is not open yet begins by it.
    public var begins: Bool {
        if case .holds = self { return true }
        return false
    }

    var condition: Condition? {
        switch self {
        case .holds(let condition), .undecided(let condition), .ceases(let condition): condition
        case .over(_, let condition): condition
        }
    }
}

/// How bad something is.
public struct Condition: Sendable, Equatable {
    /// nil: under the lowest level.
    public var severity: Severity?
    public var delayMinutes: Double
    public var probability: Double
    /// It needs no second sign.
    public var isObvious: Bool
    /// Class of horizon in which it was found.
    public var horizon: Int

    public init(
        severity: Severity?, delayMinutes: Double = 0, probability: Double = 0,
        isObvious: Bool = true, horizon: Int = 0
    ) {
        self.severity = severity
        self.delayMinutes = delayMinutes
        self.probability = probability
        self.isObvious = isObvious
        self.horizon = horizon
    }
}

/// The circumstances of a look.
public struct Moment: Sendable {
    public var now: Instant
    /// News that is old is coming in: until then nothing is raised.
    public var holdUntil: Instant
    /// News of the subject is why it is looked at: a second sign.
    public var isEvidence: Bool

    public init(now: Instant, holdUntil: Instant = .unset, isEvidence: Bool = false) {
        self.now = now
        self.holdUntil = holdUntil
        self.isEvidence = isEvidence
    }

    var isHeld: Bool { holdUntil > now }
}
