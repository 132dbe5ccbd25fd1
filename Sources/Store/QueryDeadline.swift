import Dispatch
import Glibc
import Synchronization

/// Our own deadline on every exchange with the database: keepalives notice a dead machine, this
/// notices a server (or something between) that is there and says nothing. It shuts the socket
/// down, which makes libpq's waiting end with an error; what became of a commit is then looked up.
final class QueryDeadline: Sendable {
    static let shared = QueryDeadline()

    private struct State {
        var next = 0
        var deadlines: [Int: (socket: Int32, at: Double)] = [:]
        var isLooking = false
        /// From now on nothing is waited for.
        var isAbandoned = false
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "caravan.store.watch")

    /// Watches an exchange over `socket` from now on; `end` it.
    func begin(_ socket: Int32, seconds: Double) -> Int {
        state.withLock { state in
            state.next += 1
            if state.isAbandoned { shutdown(socket, Int32(SHUT_RDWR)) }
            state.deadlines[state.next] = (socket, QueryDeadline.now() + seconds)
            if !state.isLooking {
                state.isLooking = true
                queue.asyncAfter(deadline: .now() + 1) { self.look() }
            }
            return state.next
        }
    }

    /// Ends what is being waited for, and what will be.
    func abandon() {
        state.withLock { state in
            state.isAbandoned = true
            for watched in state.deadlines.values { shutdown(watched.socket, Int32(SHUT_RDWR)) }
        }
    }

    func end(_ number: Int) { state.withLock { $0.deadlines[number] = nil } }

    private func look() {
        let now = QueryDeadline.now()
        // Under the lock, so that no exchange ends, and no number is closed and given out again,
        // between the look and the stroke.
        state.withLock { state in
            for (number, watched) in state.deadlines where watched.at < now {
                shutdown(watched.socket, Int32(SHUT_RDWR))
                state.deadlines[number] = nil
            }
            state.isLooking = !state.deadlines.isEmpty
            if state.isLooking { queue.asyncAfter(deadline: .now() + 1) { self.look() } }
        }
    }

    private static func now() -> Double {
        Double(DispatchTime.now().uptimeNanoseconds) / 1e9
    }
}
