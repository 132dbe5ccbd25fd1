/// The record of a view: what forecasts have lost with it and without it, on the same steps. It counts
/// only where it has saved something.
public struct Worth: Sendable, Equatable {
    /// How much a new observation counts at least.
    static let rate: Float = 0.004
    /// The same of what sources say: they change.
    static let wordRate: Float = 0.04
    /// Observations before it counts, and what share of the loss it has to save.
    private static let judgedFrom: Float = 50
    private static let worthwhile: Float = 0.995

    /// Mean pinball, in widths of what was expected, and how many were judged.
    public private(set) var without: Float = 0
    public private(set) var with: Float = 0
    public private(set) var judged: Float = 0

    public init() {}

    public init(without: Float, with: Float, judged: Float) {
        self.without = without
        self.with = with
        self.judged = judged
    }

    /// Enough has been judged to tell.
    var isKnown: Bool { judged >= Worth.judgedFrom }

    var isWorthwhile: Bool { isKnown && with < Worth.worthwhile * without }

    /// What is lost with it as a share of what is lost without.
    public var ratio: Float { with / max(without, 1e-3) }

    /// `width`: of what was expected; long steps would drown the others.
    mutating func learn(without: Float, with: Float, width: Float, rate: Float = Worth.rate) {
        let step = max(1 / (judged + 1), rate)
        self.without += (without / width - self.without) * step
        self.with += (with / width - self.with) * step
        judged += 1
    }
}
