/// What a source says of a milestone ahead, and what is made of it.
public struct Estimate: Sendable, Equatable {
    /// Who says so; "": nobody in particular.
    public var source: String
    public var place: String
    public var code: EventCode
    /// It is the journey's last milestone.
    public var isLast: Bool
    /// When the milestone is said to happen, and when that was said.
    public var stated: Instant
    public var saidAt: Instant
    /// When it does by that word, as such words of that source have come true; as stated where not enough
    /// is known of them.
    public var p50: Instant
    /// Its share in the forecast, 0 to 1.
    public var weight: Double
    /// Statements of the source that it is judged by (the latest forty at most).
    public var judged: Int
    /// That is enough to tell.
    public var isKnown: Bool

    public init(
        source: String, place: String, code: EventCode, isLast: Bool,
        stated: Instant, saidAt: Instant, p50: Instant, weight: Double, judged: Int,
        isKnown: Bool
    ) {
        self.source = source
        self.place = place
        self.code = code
        self.isLast = isLast
        self.stated = stated
        self.saidAt = saidAt
        self.p50 = p50
        self.weight = weight
        self.judged = judged
        self.isKnown = isKnown
    }
}
