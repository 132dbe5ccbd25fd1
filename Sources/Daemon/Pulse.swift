import NIOConcurrencyHelpers
import NIOCore

/// Whether the event loops go round: each notes it a few times a second.
final class Pulse: Sendable {
    private let beats: [NIOLockedValueBox<NIODeadline>]

    init(_ group: any EventLoopGroup) {
        beats = group.makeIterator().map { loop in
            let beat = NIOLockedValueBox(NIODeadline.now())
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(250)) { _ in
                beat.withLockedValue { $0 = .now() }
            }
            return beat
        }
    }

    /// One of them has not gone round for so long.
    func isStuck(seconds: Double) -> Bool {
        let least = NIODeadline.now() - .nanoseconds(Int64(seconds * 1e9))
        return beats.contains { $0.withLockedValue { $0 } < least }
    }
}
