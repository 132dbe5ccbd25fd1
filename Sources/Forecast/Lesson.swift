import Tracking

/// What a finished step teaches: when it began and ended, and by how many minutes it and its leg began
/// later than planned (nil: that is not known, or they began with the plan).
public struct Lesson: Sendable, Equatable {
    public var start: Instant
    public var end: Instant
    public var lateMinutes: Double?
    public var movedMinutes: Double?

    public init(
        start: Instant, end: Instant, lateMinutes: Double? = nil, movedMinutes: Double? = nil
    ) {
        self.lateMinutes = lateMinutes
        self.start = start
        self.end = end
        self.movedMinutes = movedMinutes
    }
}

extension Pools {
    /// The step to a milestone, as it was planned when it began.
    public mutating func step(_ way: Way, _ at: Int) -> (step: Milestone, id: StepID) {
        // Nearly all plans are sent once.
        if way.restated.isEmpty { return (way.milestones[at], way.ids[at]) }
        let step = way.asPlanned(at)
        return (step, step == way.milestones[at] ? way.ids[at] : id(step))
    }

    /// Learns a finished step, on each basis on which it can be told.
    /// `isNews`: it has not been taught before, and taken back for a while.
    public mutating func learn(
        _ id: StepID, _ step: Milestone, _ lesson: Lesson, isNews: Bool = true
    ) {
        if isNews {
            learnBeginning(id, step, lesson)
            learnCalendar(id, step, lesson)
        }
        each(id, step, lesson) { pools, id, value in
            pools.learn(id, step, value: value, start: lesson.start, end: lesson.end)
        }
    }

    /// Takes that back.
    public mutating func unlearn(_ id: StepID, _ step: Milestone, _ lesson: Lesson) {
        each(id, step, lesson) { pools, id, value in
            pools.unlearn(id, step, value: value, start: lesson.start, end: lesson.end)
        }
    }

    private mutating func each(
        _ id: StepID, _ step: Milestone, _ lesson: Lesson,
        _ body: (inout Pools, StepID, Double) -> Void
    ) {
        body(&self, id, StepValue.observed(step, start: lesson.start, end: lesson.end))
        guard let minutes = lesson.movedMinutes, let moved = moved(id) else { return }
        let value = StepValue.observed(
            step, start: lesson.start, end: lesson.end, moved: minutes)
        body(&self, moved, value)
    }
}
