import Tracking

/// Who waits at a place for one step now, and how the last ones left: what tells that it is
/// congested, or shut, before any of those that wait is released.
///
/// Open steps count as right-censored: over the time in which the last few left, the rate at which
/// steps ended is compared with the one that the place's own curve would have led to for all that
/// were open (events over integrated hazard, each with a few counts of the usual added). Time is
/// counted up to the last report of the place, so that a post that is cut off is no congestion.
public struct QueuePace: Sendable, Equatable {
    public struct Passage: Sendable, Equatable {
        public var start: Instant
        public var end: Instant

        public init(start: Instant, end: Instant) {
            self.start = start
            self.end = end
        }
    }

    /// Passages kept, in order of their ends.
    static let kept = 16
    /// Of these, so many make the time over which the rate is taken.
    static let window = 10
    /// Open steps looked at, evenly spread over all of them.
    static let sampled = 12
    /// For so long a pace has to last to count in full.
    static let memoryMinutes = 720.0
    /// As how many ends the usual pace counts.
    static let usualCounts = 20.0
    /// What has lasted this many times as long as nine in ten do is lost, and no evidence.
    static let lostAfter = 6.0

    /// When each of those that wait began to, ascending. Follows from the journeys.
    var open = WaitingLine()
    public internal(set) var ended: [Passage] = []
    /// The last report of the place.
    public internal(set) var frontier: Instant = .unset
    public internal(set) var pace = Pace.usual
    /// The same, finer: in its steps.
    public internal(set) var level: Float = 0
    /// Reports since the pace was taken, and when that was.
    public internal(set) var pending = 0
    public internal(set) var takenAt: Instant = .unset

    public init() {}

    /// As a snapshot kept it; those that wait come with their journeys.
    public init(
        ended: [Passage], frontier: Instant, level: Float, pending: Int, takenAt: Instant
    ) {
        self.ended = ended
        self.frontier = frontier
        self.pending = pending
        self.takenAt = takenAt
        self.level = level.isFinite ? min(max(level, -100), 100) : 0
        pace = Pace(step: Int(self.level.rounded()))
    }

    mutating func wait(from start: Instant) { open.insert(start) }

    mutating func leave(_ start: Instant) { open.remove(start) }

    /// How many that wait began before `start`.
    func rank(_ start: Instant) -> Int { open.rank(start) }

    mutating func add(_ passage: Passage) {
        var at = ended.count
        while at > 0, passage.end < ended[at - 1].end { at -= 1 }
        ended.insert(passage, at: at)
        if ended.count > QueuePace.kept { ended.removeFirst() }
    }

    mutating func remove(_ passage: Passage) {
        if let at = ended.lastIndex(of: passage) { ended.remove(at: at) }
    }

    /// A report of the place: takes the pace anew once enough has come in.
    mutating func heard(at time: Instant, _ curve: Curve?) {
        frontier = max(frontier, time)
        pending.countOn()
        guard let curve else { return }
        let since = takenAt == .unset ? .infinity : frontier.minutes(since: takenAt)
        guard pending >= 4 || since >= 30 else { return }
        pending = 0
        takenAt = frontier
        // The last ten have left within days at a quiet place, and within the hour at a busy one, of which a
        // pace is mostly chance: it counts by the time that it has lasted.
        let weight = Float(min(1, since / QueuePace.memoryMinutes))
        level = min(max(level + (measured(curve) - level) * weight, -100), 100)
        pace = Pace(step: Int(level.rounded()))
    }

    /// In steps of pace.
    private func measured(_ curve: Curve) -> Float {
        let count = min(ended.count, QueuePace.window)
        guard count + open.count >= 6 else { return 0 }
        let first = ended.count - count
        let from = count > 0 ? ended[first].end : .unset
        var ends = 0.0
        var hazard = 0.0
        for passage in ended[(first + (count > 0 ? 1 : 0))...] {
            ends += 1
            hazard += QueuePace.hazard(curve, passage, from, passage.end)
        }
        let spread = max(Double(curve.points[57]), 60) * QueuePace.lostAfter
        let stride = max(1, open.count / QueuePace.sampled)
        var at = stride / 2
        while at < open.count {
            let start = open[at]
            let lasted = frontier.minutes(since: start)
            if lasted > 0, lasted < spread {
                let passage = Passage(start: start, end: frontier)
                hazard += Double(stride) * QueuePace.hazard(curve, passage, from, frontier)
            }
            at += stride
        }
        let factor = (ends + QueuePace.usualCounts) / (hazard + QueuePace.usualCounts)
        return Float(PortableMath.ln(factor) * 10)
    }

    /// The integrated hazard of a step between `from` and `until`.
    private static func hazard(
        _ curve: Curve, _ passage: Passage, _ from: Instant, _ until: Instant
    ) -> Double {
        let whole = cumulated(curve, until.minutes(since: passage.start))
        guard from > passage.start else { return whole }
        return whole - cumulated(curve, from.minutes(since: passage.start))
    }

    /// -ln of the share that outlasts `minutes`.
    static func cumulated(_ curve: Curve, _ minutes: Double) -> Double {
        let value = Float(minutes)
        if value <= curve.points[0] { return 0 }
        var low = 0
        var high = Curve.count
        while low < high {
            let middle = (low + high) / 2
            if curve.points[middle] <= value { low = middle + 1 } else { high = middle }
        }
        guard low < Curve.count else {
            let spread = max(
                Double(curve.points[57]) - Double(curve.points[32]),
                0.1 * abs(Double(curve.points[32])), 1)
            return hazards[Curve.count - 1]
                + min(3, (minutes - Double(curve.points[Curve.count - 1])) / spread)
        }
        let below = Double(curve.points[low - 1])
        let above = Double(curve.points[low])
        let part = above > below ? (minutes - below) / (above - below) : 1
        return hazards[low - 1] + (hazards[low] - hazards[low - 1]) * part
    }

    private static let hazards: [Double] = (0..<Curve.count).map {
        -PortableMath.ln(1 - (Double($0) + 0.5) / Double(Curve.count))
    }

    /// Of those that began to wait after `start`: how many have left, of the last few, and how many wait
    /// still.
    func later(than start: Instant) -> (left: Int, waiting: Int) {
        (ended.count { $0.start > start }, open.count - open.rank(start.advanced(minutes: 0.001)))
    }

    /// Minutes between two that leave, in the middle of the last few; nil where too few have.
    var gapMinutes: Double? {
        guard ended.count >= 6 else { return nil }
        var gaps: [Double] = []
        for index in 1..<ended.count {
            gaps.append(ended[index].end.minutes(since: ended[index - 1].end))
        }
        gaps.sort()
        return gaps[gaps.count / 2]
    }
}
