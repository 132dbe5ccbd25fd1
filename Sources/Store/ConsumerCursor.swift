public import Engine
public import Tracking

/// How far a consumer that is known by name has confirmed.
public struct ConsumerCursor: Sendable, Equatable {
    public let cursor: CursorName
    public let seq: Int
    public let confirmedAt: Instant
}
