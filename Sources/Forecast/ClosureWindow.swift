import Tracking

/// A time in which a place lets nothing through.
public struct ClosureWindow: Sendable, Equatable {
    public var place: UInt32
    /// `.unknown`: every mode.
    public var mode: TransportMode
    public var from: Instant
    public var until: Instant

    public init(place: UInt32, mode: TransportMode, from: Instant, until: Instant) {
        self.place = place
        self.mode = mode
        self.from = from
        self.until = until
    }

    /// Whether a step waits for this: it stays at the place, or leaves it.
    @inlinable public func holds(_ step: Milestone) -> Bool {
        (mode == .unknown || mode == step.mode || step.mode == .unknown)
            && step.kind != .transit && (step.fromPlace == place || step.place == place)
    }
}
