import Tracking

/// `overdue` and `stuck`: a report that should have come has not, and that is worth a person's attention.
/// Not because a step lasts longer than nine in ten do (a journey of twenty steps passes two of those by
/// pure chance), but because it lasts longer than nearly all, by a margin that matters, and moves the
/// delivery. `stuck` where most of those that came later have left. Ends with the report, or with any
/// sign from behind it.
public enum SilencePolicy {
    /// The share of such silences that may still be one of a box that goes on as usual.
    public static let surprise = 0.01
    /// The share of alerts that shall be real.
    public static let realShare = 0.8
    /// The least margin beyond what is usual, and as a share of the step.
    static let leastMinutes = 60.0
    static let stepShare = 0.25
    /// So many must have come later and left, before a box that stands is stuck.
    static let leastLeft = 3

    /// Beyond this a step that began at `began` lasts too long.
    public static func limit(began: Instant, usual: Instant, longest: Instant) -> Instant {
        let step = max(0, usual.minutes(since: began))
        return longest.advanced(minutes: max(leastMinutes, stepShare * step))
    }

    /// Most of those that came later have left.
    public static func isStuck(_ later: (left: Int, waiting: Int)) -> Bool {
        later.left >= leastLeft && later.left > later.waiting
    }

    public enum Facts: Sendable {
        /// Still waited for: by how much the delivery has moved, and how long nothing was heard.
        case waiting(shiftMinutes: Double, silentMinutes: Double)
        /// The box was seen there or behind it.
        case reached
        /// The way leads elsewhere now.
        case bypassed
        /// It was heard of meanwhile, where it had been: what is waited for may take its time anew.
        case heard
        /// Customs have let it go.
        case released
        /// What it would come after did not happen.
        case undone
        /// Others that came later have left: it is told as `stuck` from now on.
        case othersLeft
    }

    /// Where it is less likely than this that the promise is broken nobody has to act on silence.
    public static let safeProbability = 0.05

    /// `known`: the level that was told; silence makes nothing better. `isSafe`: the promise will be kept all
    /// the same.
    public static func find(
        _ facts: Facts, _ rules: AlertRules, known: Severity?, isSafe: Bool = false
    ) -> Finding {
        switch facts {
        case .waiting(let shift, _):
            let level = isSafe ? .info : rules.severity(delayMinutes: shift) ?? .info
            return .holds(
                Condition(severity: max(level, known ?? level), delayMinutes: max(0, shift)))
        case .reached, .bypassed, .heard, .released, .othersLeft: return .over(.cleared, nil)
        case .undone: return .over(.withdrawn, nil)
        }
    }
}
