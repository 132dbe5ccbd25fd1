import Tracking

/// What of a step is learned: minutes between a base that is known when the step begins and its
/// end. One definition for learning, conditioning and composing.
public enum StepValue {
    /// The base from which a step's value counts, for a step that began at `start` (minutes on any
    /// clock; `planned` is the milestone's planned time on the same clock, NaN where there is none).
    ///
    /// Dwell: the start. Transit: the planned arrival. Departure: the timetable where the goods
    /// were early (they wait for it), the start plus the planned duration where they came late.
    @inlinable
    public static func base(_ step: Milestone, start: Double, planned: Double) -> Double {
        switch step.kind {
        case .dwell:
            guard isTimed(step), planned == planned, start <= planned else { return start }
            return planned
        case .transit:
            // A stated arrival counts, whenever it left.
            guard isDated(step), planned == planned, start <= planned else {
                return start + transitMinutes(step)
            }
            return max(planned, start + leastMinutes(step))
        case .departure:
            guard planned == planned else { return start }
            if start <= planned { return planned }
            return start + (step.plannedMinutes > 0 ? step.plannedMinutes : 0)
        }
    }

    /// Its values are durations: of a dwell, and of a departure that is planned to come so many minutes
    /// after what it waits for, with no timetable.
    static func isStay(_ step: Milestone) -> Bool {
        if step.kind == .dwell { return true }
        return step.kind == .departure && step.planned == .unset
            && step.plannedMinutes == step.plannedMinutes
    }

    /// A milestone of which only the planned time is known, such as the first of a plan that begins with
    /// a gate-in: it counts from that.
    @inlinable public static func isTimed(_ step: Milestone) -> Bool {
        step.planned != .unset && step.plannedMinutes != step.plannedMinutes
            && step.priorMinutesP50 != step.priorMinutesP50
    }

    /// An arrival of which the plan says when it is, and not when it left.
    @inlinable public static func isDated(_ step: Milestone) -> Bool {
        step.kind == .transit && step.planned != .unset
            && step.plannedMinutes != step.plannedMinutes
    }

    /// However soon a dated arrival is, so long it takes from where it comes, as far as the network knows: who leaves
    /// late is late.
    @inlinable public static func leastMinutes(_ step: Milestone) -> Double {
        isDated(step) && step.priorMinutesP50 == step.priorMinutesP50
            ? leastShare * step.priorMinutesP50 : 0
    }

    @usableFromInline static let leastShare = 0.8

    /// What steps of one kind have in common they have in proportion: a border that takes twice the two days
    /// that it is thought to take tells of one that is thought to take two hours. Minutes that a step's values
    /// are divided by; 0: neither plan nor network says how long it takes, or only that it hardly stays, it waits
    /// for a timetable, or it is at sea, where ships and ports are late by days, however long they should take.
    static func scaleMinutes(_ step: Milestone) -> Double {
        if isAtSea(step) { return 0 }
        if step.kind == .departure, step.planned != .unset { return 0 }
        let minutes = isTimed(step) ? 0 : transitMinutes(step)
        return minutes >= (step.kind == .transit ? 1 : leastScale) ? minutes + leastScale : 0
    }

    /// What takes minutes differs by minutes, however few they are.
    private static let leastScale = 60.0

    /// By the plan, else by the network, else 0.
    @inlinable public static func transitMinutes(_ step: Milestone) -> Double {
        if step.plannedMinutes == step.plannedMinutes { return step.plannedMinutes }
        if step.priorMinutesP50 == step.priorMinutesP50 { return step.priorMinutesP50 }
        return 0
    }

    /// The value that a finished step teaches. `moved`: minutes by which its timetable moved.
    public static func observed(
        _ step: Milestone, start: Instant, end: Instant, moved: Double = 0
    ) -> Double {
        let planned =
            step.planned == .unset ? .nan : step.planned.minutes(since: start) + moved
        return end.minutes(since: start) - base(step, start: 0, planned: planned)
    }

    /// What plan and network say of a step's value before any evidence; nil where they are silent.
    public static func prior(_ step: Milestone) -> Curve? {
        let planned = step.plannedMinutes
        let p50 = step.priorMinutesP50
        switch step.kind {
        case .dwell:
            if p50 == p50 { return .logNormal(p50: p50, p90: step.priorMinutesP90) }
            if planned == planned { return stay(planned) }
            if isTimed(step) { return .logNormal(p50: 10, p90: 60, shift: -5) }
        case .transit:
            if planned == planned {
                let low = max(planned, 5)
                if isAtSea(step) {
                    return voyage(low, p50 == p50 ? step.priorMinutesP90 / p50 : plannedRatio(step))
                }
                let ratio = p50 == p50 ? max(step.priorMinutesP90 / p50, 1.1) : plannedRatio(step)
                return .logNormal(p50: low, p90: low * ratio + 15, shift: -low)
            }
            if p50 == p50 { return .logNormal(p50: p50, p90: step.priorMinutesP90, shift: -p50) }
            if isTimed(step) {
                // Ships are late by days.
                return isAtSea(step)
                    ? .logNormal(p50: 1_440, p90: 5_760, shift: -1_440)
                    : .logNormal(p50: 120, p90: 480, shift: -120)
            }
        case .departure:
            if step.planned != .unset {
                let wide = planned == planned ? max(60, 0.15 * planned) : 60
                return .logNormal(p50: 10, p90: wide, shift: -5)
            }
            if p50 == p50 { return .logNormal(p50: p50, p90: step.priorMinutesP90) }
            if planned == planned { return stay(planned) }
        }
        return nil
    }

    /// Nine in ten transits of which only the plan is known take at most so many times as long. Of real
    /// ocean containers a quarter more was far too sure: .56 of them came within it (267 of 2021).
    private static func plannedRatio(_ step: Milestone) -> Double {
        switch step.mode {
        case .sea, .barge: 1.5
        case .unknown: 1.35
        default: 1.25
        }
    }

    private static func isAtSea(_ step: Milestone) -> Bool {
        step.mode == .sea || step.mode == .barge
    }

    /// A ship may be late by half of its voyage, and never is it early by more than a part of that: so many planned
    /// minutes. `ratio`: what the network says of it, P90 by P50.
    private static func voyage(_ planned: Double, _ ratio: Double) -> Curve {
        let early = min(planned, max(1_440, planned * earlyShare))
        let late = planned * (max(ratio, 1.1) - 1) + 15
        return .logNormal(p50: early, p90: early + late, shift: -early)
    }

    private static let earlyShare = 0.3

    private static func stay(_ planned: Double) -> Curve {
        .logNormal(p50: max(planned, 5), p90: max(planned, 5) * 2 + 30, below: 2)
    }
}
