import Tracking

/// Boxes without a plan: what was said of the next place, each time when a box went on, and where it was seen.
public struct GuessScores: Sendable {
    private struct Guess {
        var here: String
        var said: EtaEvent
    }

    /// Guesses that stood when a box was seen somewhere else, and those that named that place.
    public private(set) var judged = 0
    public private(set) var right = 0
    /// Of these: between p10 and p90, and how far from p50 in all, minutes.
    public private(set) var within = 0
    public private(set) var errorMinutes = 0.0
    private var standing: [ContainerNumber: Guess] = [:]
    private var seenAt: [ContainerNumber: String] = [:]

    public init() {}

    public var rightShare: Double { Double(right) / Double(max(judged, 1)) }
    public var coverage: Double { Double(within) / Double(max(right, 1)) }
    public var maeMinutes: Double { errorMinutes / Double(max(right, 1)) }

    /// A report that a box is, or was, at a place.
    mutating func see(_ container: ContainerNumber, at place: String, _ time: Instant) {
        seenAt[container] = place
        guard let guess = standing[container], guess.here != place else { return }
        standing[container] = nil
        judged += 1
        guard guess.said.place == place else { return }
        right += 1
        if guess.said.p10 <= time, time <= guess.said.p90 { within += 1 }
        errorMinutes += abs(time.minutes(since: guess.said.p50))
    }

    mutating func hear(_ eta: EtaEvent) {
        guard let here = seenAt[eta.container] else { return }
        let isGuess = eta.partial && eta.unknown == nil
        standing[eta.container] = isGuess ? Guess(here: here, said: eta) : nil
    }
}
