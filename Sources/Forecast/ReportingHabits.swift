import Tracking

/// How often a milestone is passed without a word, by place and event: learned from journeys that went
/// on to their end.
public struct ReportingHabits: Sendable, Equatable {
    public struct Habit: Sendable, Equatable {
        public var passed = 0.0
        public var silent = 0.0

        public init(passed: Double = 0, silent: Double = 0) {
            self.passed = passed
            self.silent = silent
        }
    }

    public struct Key: Hashable, Sendable {
        public var place: UInt32
        public var code: EventCode

        public init(place: UInt32, code: EventCode) {
            self.place = place
            self.code = code
        }
    }

    public var habits: [Key: Habit] = [:]
    /// By event: milestones that a plan, sent again, stated to lie in the past before anybody had reported
    /// them, and of these the ones that had indeed been passed.
    public var claims: [EventCode: Habit] = [:]

    /// Before anything is known: so many passed, of which this share in silence.
    static let priorCount = 20.0
    static let priorShare = 0.02
    /// What is stated to lie in the past has been passed so often, as far as so many tell: most carriers
    /// keep their plans up to date, and leave reports out (267 ocean containers of 2021).
    static let claimCount = 4.0
    static let claimShare = 0.75
    /// Older journeys count less, once there are so many.
    static let kept = 500.0

    public init() {}

    /// Stands for any place.
    private static let anywhere: UInt32 = 0

    public mutating func learn(_ key: Key, isReported: Bool) {
        for place in [key.place, ReportingHabits.anywhere] {
            habits[Key(place: place, code: key.code), default: Habit()].add(!isReported)
        }
    }

    /// What was stated to lie in the past had been passed, or not.
    public mutating func learn(claim code: EventCode, wasTrue: Bool) {
        claims[code, default: Habit()].add(wasTrue)
    }

    /// The share that passes in silence.
    public func silentShare(_ milestone: Milestone) -> Double {
        let general = habits[Key(place: ReportingHabits.anywhere, code: milestone.code)]
        let prior = (general ?? Habit()).share(
            ReportingHabits.priorShare, as: ReportingHabits.priorCount)
        guard let own = habits[Key(place: milestone.place, code: milestone.code)] else {
            return prior
        }
        return own.share(prior, as: ReportingHabits.priorCount)
    }

    /// How likely it is that a milestone has been passed that its plan states to lie in the past.
    func claimedShare(_ milestone: Milestone) -> Double {
        (claims[milestone.code] ?? Habit()).share(
            ReportingHabits.claimShare, as: ReportingHabits.claimCount)
    }
}

extension ReportingHabits.Habit {
    fileprivate mutating func add(_ isSilent: Bool) {
        passed += 1
        if isSilent { silent += 1 }
        if passed > ReportingHabits.kept {
            passed /= 2
            silent /= 2
        }
    }

    /// The share of silent ones, where a prior counts as so many.
    fileprivate func share(_ prior: Double, as count: Double) -> Double {
        (silent + count * prior) / (passed + count)
    }
}
