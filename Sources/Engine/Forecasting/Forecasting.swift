import Forecast
import Tracking

/// What has been learned, and the means to say what is expected of it.
struct Forecasting: Sendable {
    var pools = Pools()
    /// Scratch memory, no state.
    var composer = Composer()
    var intervals = IntervalCalibrator()
    var habits = ReportingHabits()
    var partings = Partings()
    /// Where boxes went on to, whatever was planned.
    var onward = Partings()
    var intervalsDirty = false
    /// For each slot the step that its container waits in, as the pools know of it.
    private var openSteps: [OpenStep] = []

    /// Tells the pools in which step a container waits now, and since when.
    mutating func wait(_ slot: Int, in now: OpenStep, isNews: Bool) {
        while openSteps.count <= slot { openSteps.append(OpenStep()) }
        let before = openSteps[slot]
        if now == before { return }
        if let id = before.step { pools.leave(id, from: before.since) }
        if let id = now.step { pools.wait(id, from: now.since, isNews: isNews) }
        openSteps[slot] = now
    }
}

/// The step that a container waits in, and since when.
struct OpenStep: Equatable, Sendable {
    var step: StepID?
    var since: Instant = .unset
}
