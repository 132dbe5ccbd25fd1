import Tracking

/// Alerts that are not about one box. They begin where several boxes are concerned, and end by evidence:
/// a report, what was announced, an operator's word.
public enum IncidentPolicies {
    /// So unlikely has it to be that a post which still reports would have told of none of the boxes that
    /// are awaited (natural logarithm), and so many trains must be.
    public static let surprise = 6.0
    public static let leastAwaited = 3
    /// What the silence counts of one that should have been reported by now with one half, with nine tenths.
    public static let halfWeight = 0.7
    public static let ninetyWeight = 2.3
    /// After a year of silence nobody waits any more.
    public static let giveUpMinutes = 365.0 * 1_440

    /// `post-silent`: a post that has traffic to report has not, beyond its own longest pauses. Begins by
    /// time; ends once it reports again and old news has ceased to come in, or with its enrolment.
    public enum SilenceFacts: Sendable {
        case silent(minutes: Double, usualMinutes: Double)
        /// It reports again, and what it has to tell of the time between is still coming in.
        case catchingUp
        case back
        case revoked
        case forgotten
    }

    public static func silence(
        _ facts: SilenceFacts, _ rules: AlertRules, isFlapping: Bool
    ) -> Finding {
        switch facts {
        case .silent(let minutes, let usual):
            let beyond = max(0, minutes - usual)
            return .holds(
                Condition(
                    severity: rules.severity(delayMinutes: beyond) ?? .info, delayMinutes: minutes))
        case .catchingUp: return .undecided(Condition(severity: nil))
        case .back:
            return isFlapping
                ? .ceases(Condition(severity: nil)) : .over(.cleared, nil)
        case .revoked, .forgotten: return .over(.withdrawn, nil)
        }
    }

    /// `closure`: a place is closed, or will be, and boxes are on their way there. Begins with the first box
    /// that it delays; ends when the closure does by what was announced, or is taken back.
    public enum ClosureFacts: Sendable {
        /// How long it lasts, or has lasted where nobody said until when.
        case shut(minutes: Double, isOpenEnded: Bool)
        case over
        case takenBack
        case forgotten

        public var isShut: Bool { if case .shut = self { true } else { false } }
    }

    public static func closure(_ facts: ClosureFacts, _ rules: AlertRules) -> Finding {
        switch facts {
        case .shut(let minutes, let isOpenEnded):
            let level = rules.severity(delayMinutes: minutes) ?? .info
            return .holds(
                Condition(severity: isOpenEnded ? .critical : level, delayMinutes: minutes))
        case .over: return .over(.cleared, nil)
        case .takenBack, .forgotten: return .over(.withdrawn, nil)
        }
    }

    /// `post-clock`: the times of a post are systematically wrong. Begins when a dozen of its last reports
    /// say so; ends when a dozen that came after do not, or with a correction.
    public enum ClockFacts: Sendable {
        case wrong(ClockTrail.Flaw)
        case unknown
        case right
        case corrected
        case revoked
        case forgotten
    }

    public static func clock(_ facts: ClockFacts, isFlapping: Bool) -> Finding {
        switch facts {
        case .wrong(let flaw):
            let level: Severity = abs(flaw.minutes) >= 60 ? .warning : .info
            return .holds(Condition(severity: level, delayMinutes: Double(abs(flaw.minutes))))
        case .unknown: return .undecided(Condition(severity: nil))
        case .right:
            return isFlapping ? .ceases(Condition(severity: nil)) : .over(.cleared, nil)
        case .corrected: return .over(.cleared, nil)
        case .revoked, .forgotten: return .over(.withdrawn, nil)
        }
    }
}
