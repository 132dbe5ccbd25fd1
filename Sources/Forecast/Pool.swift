import Tracking

/// The last observations under one key, and a curve through them that is brought up to date when
/// enough has come in since.
public struct Pool: Sendable, Equatable {
    /// In order of learning, oldest at `head` once the pool is full; minutes.
    public private(set) var values: [Float]
    /// The same, ascending, kept so that a curve is drawn without sorting.
    private var ascending: [Float]
    public private(set) var head: Int
    public private(set) var curve: Curve?
    /// The same through the latest values alone; nil while there are too few.
    public private(set) var recent: Curve?
    /// Of every few observations one, in order of learning: how it has gone for long. Only of one
    /// step at one place.
    public private(set) var longValues: [Float] = []
    private var longAscending: [Float] = []
    public private(set) var long: Curve?
    /// Observations since one was kept for long.
    public private(set) var skipped = 0
    private var isLongNew = false
    public private(set) var memories = HorizonWeights()
    /// Observations learned or taken back since the curve was drawn.
    public private(set) var pending: Int
    /// Counts the curves drawn, for caches.
    public private(set) var version: UInt32
    /// Observations that the curve was drawn through: its weight in a blend. Not the present
    /// count, or a blend would depend on when it was made.
    public private(set) var drawn: Int
    /// At how many places its kind of step had been seen then; of the most general alone, else 0.
    public private(set) var places: Int
    /// How many more observations are kept at once, as of the latest end.
    public private(set) var credit = 0.0
    public private(set) var admittedAt = Instant.unset
    /// What beginnings tell: of a kind of step anywhere.
    public internal(set) var tendency = Tendency()
    /// What hour and weekday have been worth there; of what a source says, what that has.
    public internal(set) var worth = Worth()
    /// How alike a kind of step anywhere is to the one before it.
    public internal(set) var correlation = Correlation()

    public init() {
        values = []
        ascending = []
        head = 0
        curve = nil
        recent = nil
        pending = 0
        version = 0
        drawn = 0
        places = 0
    }

    public init(
        values: [Float], head: Int, curve: Curve?, recent: Curve?, longValues: [Float],
        long: Curve?, skipped: Int, memories: HorizonWeights, pending: Int, version: UInt32,
        drawn: Int, places: Int = 0, credit: Double = 0, admittedAt: Instant = .unset,
        tendency: Tendency = Tendency(), worth: Worth = Worth(),
        correlation: Correlation = Correlation()
    ) {
        self.correlation = correlation
        self.worth = worth
        self.tendency = tendency
        self.credit = credit
        self.admittedAt = admittedAt
        self.recent = recent
        self.longValues = longValues
        longAscending = longValues.sorted()
        self.long = long
        isLongNew = true
        self.skipped = skipped
        self.memories = memories
        self.values = values
        ascending = values.sorted()
        self.head = head
        self.curve = curve
        self.pending = pending
        self.version = version
        self.drawn = drawn
        self.places = places
    }

    private static let historyDays = 7.0

    /// Whether one more observation, which ended at `end`, is kept: at a busy place the latest few
    /// hundred are those of one day, and what one day says of the next weeks is little. So many a day are
    /// kept, a whole day's at once where a train comes in. What lies so far back that it is no late report
    /// is a history, whose days are counted from where it begins.
    mutating func admits(at end: Instant, perDay: Double) -> Bool {
        guard end != .unset else { return true }
        let days = admittedAt == .unset ? 1 : end.minutes(since: admittedAt) / 1_440
        if days > 0 { credit = min(perDay, credit + perDay * days) }
        if days > 0 || days < -Pool.historyDays { admittedAt = end }
        guard credit >= 1 else { return false }
        credit -= 1
        return true
    }

    /// `places`: at how many its kind of step has been seen.
    mutating func learn(_ value: Float, limit: Int, places: Int = 0) {
        if values.count < limit {
            values.append(value)
            ascending.insert(value, at: ascending.rank(value))
        } else {
            ascending.exchange(values[head], for: value)
            values[head] = value
            head = head + 1 == limit ? 0 : head + 1
        }
        touched(places)
    }

    /// As `learn`, of one step at one place that began at `start` and ended at `end`. `planned`: for how
    /// long, 0 where nobody said; `share`: the middle of what it has taken as a share of the plan.
    mutating func learn(
        _ value: Float, limit: Int, start: Instant, end: Instant, planned: Float, share: Float
    ) {
        if start != .unset { memories.judge(value, start: start, planned: planned) }
        skipped.countOn()
        if skipped >= HorizonWeights.thinning || longValues.isEmpty {
            skipped = 0
            longValues.append(value)
            longAscending.insert(value, at: longAscending.rank(value))
            if longValues.count > limit {
                let gone = longValues.removeFirst()
                longAscending.remove(at: longAscending.rank(gone))
            }
            isLongNew = true
        }
        learn(value, limit: limit)
        if end != .unset, let curve {
            let middle = Float(curve.quantile(0.5))
            memories.keep(
                SIMD4(
                    recent.map { Float($0.quantile(0.5)) } ?? middle, middle,
                    long.map { Float($0.quantile(0.5)) } ?? middle, share), at: end)
        }
    }

    /// Adds the curves of the spans, as far as they are known, to a mixture in which they count
    /// `weight` together. `planned`: what the plan makes of the step, where there is one.
    /// `without`: views that do not count.
    func mix(
        _ lead: Int, _ weight: Double, planned: Curve?, without: Views, into mixer: inout Mixer
    ) {
        guard let curve, lead < memories.weights.count else { return }
        let weights = memories.weights(lead, without: without)
        mixer.add(recent ?? curve, weight * Double(weights[0]))
        mixer.add(curve, weight * Double(weights[HorizonWeights.late]))
        mixer.add(long ?? curve, weight * Double(weights[2]))
        if weights[HorizonWeights.lateShare] > 0 {
            mixer.add(planned ?? curve, weight * Double(weights[HorizonWeights.lateShare]))
        }
    }

    /// Takes back what will be learned otherwise: there is room for that.
    mutating func readmit(_ value: Float) {
        let before = values.count
        unlearn(value)
        if values.count < before { credit += 1 }
    }

    /// Takes one observation of `value` back, the latest; nothing where it has been pushed out.
    mutating func unlearn(_ value: Float, places: Int = 0) {
        let n = values.count
        for back in 0..<n {
            let index = (head + n - 1 - back) % n
            guard values[index] == value else { continue }
            // Back to oldest-first order, so that the ring stays one.
            var ordered = Array(values[head...] + values[..<head])
            ordered.remove(at: (index + n - head) % n)
            ascending.remove(at: ascending.rank(value))
            values = ordered
            head = 0
            if let kept = longValues.lastIndex(of: value) {
                longValues.remove(at: kept)
                longAscending.remove(at: longAscending.rank(value))
                isLongNew = true
            }
            touched(places)
            return
        }
    }

    private mutating func touched(_ places: Int) {
        pending.countOn()
        // The first few each count; later a sixteenth, and at least four, make a difference.
        let due = values.count < 8 ? 1 : max(4, min(values.count / 16, Pools.generalLimit / 16))
        if curve == nil || pending >= due { redraw(places) }
    }

    private mutating func redraw(_ places: Int) {
        curve = values.isEmpty ? nil : Curve.ofSorted(ascending)
        pending = 0
        drawn = values.count
        // One that was seen once was seen at one.
        self.places = min(places, drawn)
        version &+= 1
        // The other spans are asked for of one step at one place only.
        guard !longValues.isEmpty else { return }
        let n = values.count
        recent = nil
        if n >= 8 {
            var latest = (1...min(n, Pools.recentCount)).map { values[(head + n - $0) % n] }
            var span = latest.mutableSpan
            Sorting.byInsertion(&span)
            recent = Curve.ofSorted(latest)
        }
        memories.weigh()
        guard isLongNew else { return }
        isLongNew = false
        long = longValues.count >= 8 ? Curve.ofSorted(longAscending) : nil
    }
}
