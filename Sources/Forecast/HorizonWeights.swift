import Tracking

/// How a step at one place has gone over three spans: the last few times, of late, and for long; and
/// how it has gone of late when taken as a share of what was planned. Which of them tells best how it
/// will go depends on the place and on how far ahead one looks, so it is measured: each observation
/// is compared with what the four would have said of it when it was still so far ahead.
public struct HorizonWeights: Sendable, Equatable {
    /// The spans, from the shortest, without and then with the plan.
    public static let spans = 4
    /// The span of late, without the plan and with it.
    static let late = 1
    static let lateShare = 3
    /// The plan counts only where it makes the error less than this share of what it is without.
    static let worthwhile: Float = 0.97
    /// How far ahead of a step's beginning one looks, in classes: minutes.
    public static let leadMinutes: [Double] = [0, 1_440, 4_320, 10_080, 20_160]
    /// Of so many observations one is kept for long.
    static let thinning = 24
    /// Minutes between two of the medians kept, and how many are kept: a little beyond the longest
    /// look ahead.
    static let snapshotMinutes = 720.0
    static let snapshots = 32
    /// How much a new error counts: so little that waves of some weeks even out, as what comes in
    /// one of them says little about the next.
    static let rate = 0.0004
    /// Weights before anything has been measured, and as how many observations they count. Where there
    /// is no plan, its part goes to the span of late (`Pool.mix`).
    static let usual = SIMD4<Float>(0.05, 0.45, 0.1, 0.4)
    static let usualCounts: Float = 200

    public struct Medians: Sendable, Equatable {
        public var at: Instant
        /// The last one is a share of the plan, 0 where there is none.
        public var minutes: SIMD4<Float>

        public init(at: Instant, minutes: SIMD4<Float>) {
            self.at = at
            self.minutes = minutes
        }
    }

    /// Medians as they were, oldest first.
    public internal(set) var past: [Medians] = []
    /// Running mean absolute errors of the three, per class of lead.
    public internal(set) var errors: [SIMD4<Float>]
    public internal(set) var counts: [Int]
    /// What each span counts, per class of lead, as of the last curve: not the present errors, or a
    /// blend would depend on when it was made.
    public internal(set) var weights: [SIMD4<Float>]

    public init() {
        weights = []
        errors = Array(repeating: .zero, count: HorizonWeights.leadMinutes.count)
        counts = Array(repeating: 0, count: HorizonWeights.leadMinutes.count)
    }

    public init(
        past: [Medians], errors: [SIMD4<Float>], counts: [Int], weights: [SIMD4<Float>]
    ) {
        self.weights = weights
        self.past = past
        self.errors = errors
        self.counts = counts
    }

    /// The class of a step that begins in `minutes`.
    static func lead(minutes: Double) -> Int {
        var found = 0
        for (index, least) in leadMinutes.enumerated() where minutes >= least { found = index }
        return found
    }

    /// An observation of a step that began at `start` and was planned to last `planned` minutes (0:
    /// nobody said).
    mutating func judge(_ value: Float, start: Instant, planned: Float = 0) {
        for lead in HorizonWeights.leadMinutes.indices {
            let known = start.advanced(minutes: -HorizonWeights.leadMinutes[lead])
            guard let said = past.last(where: { $0.at <= known }) else { continue }
            var error = SIMD4<Float>.zero
            for span in 0..<HorizonWeights.lateShare {
                error[span] = abs(said.minutes[span] - value)
            }
            let share = said.minutes[HorizonWeights.lateShare]
            error[HorizonWeights.lateShare] =
                share > 0 && planned > 0 ? abs(share * planned - value) : error[HorizonWeights.late]
            let rate = Float(max(HorizonWeights.rate, 1 / (Double(counts[lead]) + 1)))
            errors[lead] += (error - errors[lead]) * rate
            counts[lead].countOn()
        }
    }

    /// What the spans count for a class of lead, where some views do not: their part goes to the span of
    /// late.
    func weights(_ lead: Int, without: Views) -> SIMD4<Float> {
        var found = weights[lead]
        if without.isDisjoint(with: [.spans, .shares]) { return found }
        func pass(_ from: Int, to: Int) {
            found[to] += found[from]
            found[from] = 0
        }
        if without.contains(.spans) {
            pass(0, to: HorizonWeights.late)
            pass(2, to: HorizonWeights.late)
        }
        if without.contains(.shares) { pass(HorizonWeights.lateShare, to: HorizonWeights.late) }
        return found
    }

    /// Keeps the medians as they are at `now`, where the last ones are old enough.
    mutating func keep(_ minutes: SIMD4<Float>, at now: Instant) {
        if let last = past.last, now.minutes(since: last.at) < HorizonWeights.snapshotMinutes {
            return
        }
        past.append(Medians(at: now, minutes: minutes))
        if past.count > HorizonWeights.snapshots { past.removeFirst() }
    }

    /// Takes the weights anew: the smaller a span's error, the more it counts; together 1.
    mutating func weigh() {
        weights = HorizonWeights.leadMinutes.indices.map { lead in
            let n = Float(counts[lead])
            let known = n / (n + HorizonWeights.usualCounts)
            // To the eighth power: nearly all to the best, where they are known to differ.
            let error = errors[lead]
            let least = max(error.min(), 0.5)
            let isPlanWorthwhile =
                error[HorizonWeights.lateShare] < HorizonWeights.worthwhile
                * error[HorizonWeights.late]
            var skill = SIMD4<Float>.zero
            var sum: Float = 0
            for span in 0..<HorizonWeights.spans
            where span != HorizonWeights.lateShare || isPlanWorthwhile {
                let share = least / max(error[span], 0.5)
                let square = share * share
                skill[span] = square * square * square * square
                sum += skill[span]
            }
            return known * (skill / sum) + (1 - known) * HorizonWeights.usual
        }
    }
}
