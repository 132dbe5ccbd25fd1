import Engine
import Server

/// Work under way whose end can be seen without waiting for it.
final class Running<Value: Sendable>: Sendable {
    private let task: Task<Value, Never>
    private let flag: SharedFlag

    init(
        _ body: @escaping @Sendable () async -> Value, whenDone: @escaping @Sendable () -> Void
    ) {
        let flag = SharedFlag()
        task = Task {
            let value = await body()
            flag.set()
            whenDone()
            return value
        }
        self.flag = flag
    }

    var isDone: Bool { flag.isSet }

    func value() async -> Value { await task.value }

    func cancel() { task.cancel() }
}

extension StoreFailure {
    /// The state of the house while it lasts.
    var daemonState: DaemonState {
        let isReadOnly =
            state == "25006" || cause.contains("session is read-only")
            || cause.contains("hot standby")
        return isReadOnly ? .readOnly : .noDatabase
    }
}

/// Pauses between attempts: 0.1 s doubling to 5 s, each with up to half of it at random, so that
/// many clients do not come at once.
enum Backoff {
    static func seconds(_ attempt: Int) -> Double {
        let full = min(5, 0.1 * Double(1 << min(attempt, 10)))
        return full * Double.random(in: 0.5...1)
    }
}
