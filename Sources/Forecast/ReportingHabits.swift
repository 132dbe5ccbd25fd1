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

    /// Before anything is known: so many passed, of which this share in silence.
    static let priorCount = 20.0
    static let priorShare = 0.02
    /// Older journeys count less, once there are so many.
    static let kept = 500.0

    public init() {}

    public mutating func learn(_ key: Key, isReported: Bool) {
        var habit = habits[key] ?? Habit()
        habit.passed += 1
        if !isReported { habit.silent += 1 }
        if habit.passed > ReportingHabits.kept {
            habit.passed /= 2
            habit.silent /= 2
        }
        habits[key] = habit
    }

    /// The share that passes in silence.
    public func silentShare(_ milestone: Milestone) -> Double {
        let habit = habits[Key(place: milestone.place, code: milestone.code)] ?? Habit()
        return (habit.silent + ReportingHabits.priorCount * ReportingHabits.priorShare)
            / (habit.passed + ReportingHabits.priorCount)
    }
}
