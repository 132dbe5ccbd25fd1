import Tracking

/// What a finished step teaches: when it began and ended, and by how many minutes its leg began later
/// than planned (nil: that says nothing).
public struct Lesson: Sendable, Equatable {
    public var start: Instant
    public var end: Instant
    public var movedMinutes: Double?

    public init(start: Instant, end: Instant, movedMinutes: Double? = nil) {
        self.start = start
        self.end = end
        self.movedMinutes = movedMinutes
    }
}

extension Pools {
    /// Learns a finished step, on each basis on which it can be told.
    public mutating func learn(_ id: StepID, _ step: Milestone, _ lesson: Lesson) {
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
