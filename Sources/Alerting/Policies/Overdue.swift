import Tracking

/// `overdue`: a report that should have come has not. Ends with it, or with any sign from behind it.
public enum OverduePolicy {
    public enum Facts: Sendable {
        /// Still waited for, so many minutes beyond what is usual.
        case waiting(minutes: Double)
        /// The box was seen there or behind it, so many minutes later than usual.
        case reached(minutes: Double)
        /// The way leads elsewhere now.
        case bypassed(minutes: Double)
        /// What it would come after did not happen.
        case undone(minutes: Double)
    }

    public static func find(_ facts: Facts, _ rules: AlertRules, isOpen: Bool) -> Finding {
        switch facts {
        case .waiting(let minutes):
            let level = isOpen ? rules.severity(delayMinutes: minutes) : nil
            return .holds(Condition(severity: level, delayMinutes: minutes))
        case .reached(let minutes), .bypassed(let minutes):
            return .over(.cleared, Condition(severity: nil, delayMinutes: minutes))
        case .undone(let minutes):
            return .over(.withdrawn, Condition(severity: nil, delayMinutes: minutes))
        }
    }
}
