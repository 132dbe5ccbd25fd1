import NIOConcurrencyHelpers

/// A switch that is turned once.
public final class SharedFlag: Sendable {
    private let state = NIOLockedValueBox(false)

    public init() {}

    public func set() { state.withLockedValue { $0 = true } }

    public var isSet: Bool { state.withLockedValue { $0 } }
}
