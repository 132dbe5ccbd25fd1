/// A move as boxes have really made it: hours, between two places.
public struct LearnedMove: Sendable, Equatable {
    public var from: String
    public var to: String
    public var mode: TransportMode
    public var boxes: Int
    public var hoursP50: Double
    public var hoursP90: Double

    public init(
        from: String, to: String, mode: TransportMode, boxes: Int, hoursP50: Double,
        hoursP90: Double
    ) {
        self.from = from
        self.to = to
        self.mode = mode
        self.boxes = boxes
        self.hoursP50 = hoursP50
        self.hoursP90 = hoursP90
    }
}
