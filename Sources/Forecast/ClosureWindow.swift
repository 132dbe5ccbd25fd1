import Tracking

/// A time in which a place lets nothing through.
public struct ClosureWindow: Sendable, Equatable {
    public var place: UInt32
    /// `.unknown`: every mode.
    public var mode: TransportMode
    public var from: Instant
    public var until: Instant
    /// Nobody says when it ends.
    public var isOpenEnded: Bool
    /// On the way at hand the place is passed without a stay: what comes to it waits, as nothing else would.
    public var isPassed = false
    /// Its index among all that are known.
    public var index: Int

    public init(
        place: UInt32, mode: TransportMode, from: Instant, until: Instant,
        isOpenEnded: Bool = false, index: Int = 0
    ) {
        self.place = place
        self.mode = mode
        self.from = from
        self.until = until
        self.isOpenEnded = isOpenEnded
        self.index = index
    }

    /// Whether a step waits for this: it stays at the place, or leaves it; or comes to it where nobody stays.
    @inlinable public func holds(_ step: Milestone) -> Bool {
        // Out by the gate nothing goes by ship.
        let isByGate = step.code == .gtot && (mode == .sea || mode == .barge)
        guard mode == .unknown || mode == step.mode || step.mode == .unknown, !isByGate else {
            return false
        }
        return step.kind == .transit
            ? isPassed && step.place == place : step.fromPlace == place || step.place == place
    }

    /// After so long nobody waits for somebody to end it.
    public static let mostMinutes = 365.0 * 1_440

    /// As it concerns what is ahead on a way, seen from `now`: what has no end is not over while nobody has ended
    /// it, and lasts half as long again as it has, a day at the least.
    public func along(_ chain: ArraySlice<Milestone>, now: Instant) -> ClosureWindow {
        var window = self
        window.isPassed = !chain.contains {
            $0.kind != .transit && ($0.fromPlace == place || $0.place == place)
        }
        if isOpenEnded, now >= from, now.minutes(since: from) < ClosureWindow.mostMinutes {
            let longer = max(1_440, now.minutes(since: from) / 2)
            window.until = max(until, now.advanced(minutes: longer))
        }
        return window
    }
}
