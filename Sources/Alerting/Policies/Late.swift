import Tracking

/// `late`: the journey is likely to end behind its promise. Begins at a probability and a delay, ends
/// with the arrival, or where it is expected in time again for a while.
public enum LatePolicy {
    /// What is known of a journey with a promise.
    public struct Facts: Sendable {
        public var now: Instant
        public var promised: Instant
        public var delayMinutes: Double
        public var probability: Double
        /// Added to the probability that is asked for: too few alerts came true.
        public var margin: Double
        public var horizon: Int
        public var isComplete: Bool
        /// What made it late was corrected, or the plan was changed.
        public var isCorrected: Bool
        public var isPlanChanged: Bool
        /// Nothing has come since, and something should have: that it may be nearer than was thought is a guess.
        public var isOnlySilent = false

        public init(
            now: Instant, promised: Instant, delayMinutes: Double, probability: Double,
            margin: Double, horizon: Int, isComplete: Bool, isCorrected: Bool, isPlanChanged: Bool
        ) {
            self.now = now
            self.promised = promised
            self.delayMinutes = delayMinutes
            self.probability = probability
            self.margin = margin
            self.horizon = horizon
            self.isComplete = isComplete
            self.isCorrected = isCorrected
            self.isPlanChanged = isPlanChanged
        }
    }

    public static func find(_ facts: Facts, _ rules: AlertRules, isOpen: Bool) -> Finding {
        let condition = Condition(
            severity: rules.severity(delayMinutes: facts.delayMinutes),
            delayMinutes: facts.delayMinutes, probability: facts.probability,
            isObvious: facts.delayMinutes >= rules.levelMinutes[2] || facts.now > facts.promised,
            horizon: facts.horizon)
        if facts.isComplete { return .over(.cleared, condition) }
        guard isOpen else {
            let isLikely = facts.probability >= rules.raiseProbability + facts.margin
            return isLikely && condition.severity != nil
                ? .holds(condition) : .undecided(condition)
        }
        let low = rules.levelMinutes[0] * rules.clearShare
        let isLow =
            facts.probability <= rules.clearProbability
            || (facts.delayMinutes <= low && facts.probability < 0.5)
        guard isLow, !facts.isOnlySilent else { return .undecided(condition) }
        if facts.isPlanChanged { return .over(.cleared, condition) }
        if facts.isCorrected { return .over(.withdrawn, condition) }
        return .ceases(condition)
    }
}
