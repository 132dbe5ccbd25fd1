import Forecast
import Log
import Tracking
import Wire

/// What is to be loaded from the store before a batch can be decided.
public struct Wanted: Sendable, Equatable {
    /// Containers whose records rest.
    public var containers: [ContainerNumber] = []
    /// Plans that rest, by name; those of the containers above come along by themselves.
    public var shipments: [String] = []

    public init(containers: [ContainerNumber] = [], shipments: [String] = []) {
        self.containers = containers
        self.shipments = shipments
    }

    public var isEmpty: Bool { containers.isEmpty && shipments.isEmpty }
}

/// What was loaded: encoded records (`RecordCoding`), and the lines of plans.
public struct Loaded: Sendable {
    public var journeys: [[UInt8]] = []
    public var shipments: [SourceLine] = []

    public init(journeys: [[UInt8]] = [], shipments: [SourceLine] = []) {
        self.journeys = journeys
        self.shipments = shipments
    }
}

/// What may leave memory once a checkpoint is durable.
public struct Quiet: Sendable {
    public var containers: [ContainerNumber]
    /// Plans all of whose containers rest then.
    public var shipments: [String]
}
