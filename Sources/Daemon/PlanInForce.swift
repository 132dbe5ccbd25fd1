import Engine
import Logging
import NIOConcurrencyHelpers
import Settings
import Tracking

/// The configuration that counts, and what of a newer one the writer has yet to take over.
public final class PlanInForce: Sendable {
    private struct State {
        var plan: DaemonPlan
        /// With what the process began: some of it counts until it ends.
        let first: DaemonPlan
        var unheard: [ConfigChange] = []
    }

    private let state: NIOLockedValueBox<State>

    init(_ plan: DaemonPlan) { state = NIOLockedValueBox(State(plan: plan, first: plan)) }

    var current: DaemonPlan { state.withLockedValue { $0.plan } }

    /// What the log has to say of it, from the start.
    var changes: [ConfigChange] { state.withLockedValue { $0.plan.changes } }

    /// From now on the newer one counts, as far as it can without a new start. Returns the settings that
    /// differ and cannot.
    func replace(by plan: DaemonPlan) -> [Setting] {
        state.withLockedValue { state in
            state.plan = plan
            state.unheard = plan.changes
            return plan.settings.differences(from: state.first.settings)
                .filter { !$0.isReloaded }
        }
    }

    /// What the writer has not heard of yet; it has now.
    func takeChanges() -> [ConfigChange] {
        state.withLockedValue { state in
            defer { state.unheard = [] }
            return state.unheard
        }
    }
}

/// The least severity that is logged, by all loggers together.
public final class LogLevel: Sendable {
    private let value: NIOLockedValueBox<Logger.Level>

    public init(_ level: Logger.Level) { value = NIOLockedValueBox(level) }

    public var level: Logger.Level {
        get { value.withLockedValue { $0 } }
        set { value.withLockedValue { $0 = newValue } }
    }
}
