import Tracking

/// Alerts about what reports say, rather than about when they come. Each begins with a report and ends
/// with one: never because time goes by.
public enum ReportPolicies {
    /// What all of them need to know of the journey.
    public struct Journey: Sendable {
        /// It has arrived at its end.
        public var isComplete: Bool
        /// Reports or the plan were corrected.
        public var isCorrected: Bool
        /// What is open of the type that is asked for comes and goes.
        public var isFlapping = false

        public init(isComplete: Bool, isCorrected: Bool) {
            self.isComplete = isComplete
            self.isCorrected = isCorrected
        }

        /// What was so is not so any more: because of what happened, or because it never was.
        /// What comes and goes has to stay away for a while first.
        fileprivate var ending: Finding {
            if isFlapping { return .ceases(Condition(severity: .warning)) }
            return .over(isCorrected ? .withdrawn : .cleared, nil)
        }
    }

    /// `off-route`: the box was seen where its plan does not lead. Begins with the first such report,
    /// ends when the box is back on the planned way, when the plan is changed to where it is, or with the
    /// arrival.
    public static func offRoute(isOff: Bool, _ journey: Journey) -> Finding {
        if journey.isComplete { return .over(.cleared, nil) }
        return isOff ? .holds(Condition(severity: .warning)) : journey.ending
    }

    /// `impossible`: the newest report is of a place that cannot be reached by then. Begins with it, ends
    /// when later reports settle where the box is, or with the arrival.
    public static func impossible(isOpen: Bool, _ journey: Journey) -> Finding {
        if journey.isComplete { return .over(.cleared, nil) }
        return isOpen ? .holds(Condition(severity: .warning)) : journey.ending
    }

    /// `seal`: the seals of two reports differ, and none tells of a removal or a new seal. Begins with the
    /// second, ends with RMVD or RSEA, or with the arrival.
    public static func seal(isUnexplained: Bool, isExplained: Bool, _ journey: Journey) -> Finding {
        if journey.isComplete { return .over(.cleared, nil) }
        if isUnexplained { return .holds(Condition(severity: .critical)) }
        if journey.isFlapping { return .ceases(Condition(severity: .critical)) }
        return .over(isExplained ? .cleared : .withdrawn, nil)
    }
}
