import Tracking

/// A statement as a composition heeds it: what has become of others that its source made so far ahead.
public struct Word: Sendable {
    public let statement: Statement
    /// Actual minus stated, minutes; nil as long as too little is known of what its source says.
    let deviation: Curve?
    /// Statements that it is judged by.
    public let judged: Int
    /// How good its source has been, where the forecast itself is 1.
    let skill: Float
    /// The share of the forecast that it makes at most: by how much is known of such words.
    let trust: Float

    /// Enough is known of its source to tell what its word is worth.
    public var isKnown: Bool { deviation != nil }

    public init(
        _ statement: Statement, judged: Int = 0, deviation: Curve? = nil, skill: Float = 0,
        trust: Float = 0
    ) {
        self.trust = trust
        self.statement = statement
        self.judged = judged
        self.deviation = deviation
        self.skill = skill
    }

    /// When the milestone happens by this word, seen from `now`; minutes from then, ascending.
    func points(now: Instant) -> Curve? {
        guard let deviation else { return nil }
        let stated = Float(statement.time.minutes(since: now))
        var points = deviation.conditioned(elapsed: Double(-stated)).points
        for j in 0..<Curve.count { points[j] += stated }
        return Curve(points: points)
    }

    /// Its share in the forecast of its milestone, of which these are all that is said.
    public func weight(among words: [Word]) -> Double {
        Double(trust * skill / words.reduce(1) { $0 + $1.skill })
    }

    /// The middle of that.
    public func p50(now: Instant) -> Instant {
        points(now: now).map { now.advanced(minutes: $0.quantile(0.5)) } ?? statement.time
    }
}

/// How far ahead a word was said, and is looked at, in classes.
public enum WordRecord {
    /// Where classes end: minutes.
    static let horizons: [Double] = [360, 1_440, 4_320, 10_080, 20_160]
    public static let classes = horizons.count + 1

    public static func horizon(_ minutes: Double) -> UInt8 {
        UInt8(horizons.count { minutes >= $0 })
    }

    /// Both classes as one number.
    static func number(_ statement: Statement, horizon: UInt8) -> Int16 {
        let said = WordRecord.horizon(statement.time.minutes(since: statement.saidAt))
        return Int16(said) * 8 + Int16(horizon)
    }

    /// What such a number says: minutes ahead at which it was said and at which it was looked at, at the
    /// most (nil: more than that).
    public static func horizons(
        _ number: Int16
    ) -> (said: Double?, seen: Double?) {
        func most(_ at: Int) -> Double? { at < horizons.count ? horizons[at] : nil }
        return (most(Int(number) / 8), most(Int(number) % 8))
    }
}

extension Pools {
    /// Statements that are remembered of one source, so far ahead: fewer than of steps, since sources change.
    static let wordLimit = 40
    /// Pools of words at most: sources are whoever names himself one. Beyond, no more are learned.
    static let wordPools = 20_000
    /// Statements of a source that have come true, or not, before its word counts; and how many make it
    /// count half of what its record says.
    public static let wordFrom = 5
    private static let wordHalf: Float = 10
    /// Judgements from which on it may make all of a forecast.
    private static let trusted: Float = 8
    /// What a judgement at another time ahead counts.
    private static let otherHorizons: Float = 0.1
    /// What an unknown source is taken to lose as a share of what the forecast does.
    private static let wordDoubt: Float = 1.2
    /// As how many observations the next more general level counts beside each: any place and milestone,
    /// and any time ahead.
    private static let wordWeights: [Float] = [20, 10]
    /// Beyond so many a record counts no more: it is that of late.
    private static let wordMost: Float = 50

    /// The keys of a source's word on a milestone, from the specific to the general.
    private static func wordKeys(
        _ statement: Statement, _ milestone: Milestone, _ horizon: UInt8
    ) -> [PoolKey] {
        let own = PoolKey(
            level: .word, kind: milestone.kind, mode: .unknown, fromCode: .stuf,
            toCode: milestone.code, fromPlace: statement.source, toPlace: milestone.place,
            plannedClass: WordRecord.number(statement, horizon: horizon))
        let anywhere = PoolKey(
            level: .wordAnywhere, kind: .dwell, mode: .unknown, fromCode: .stuf, toCode: .stuf,
            fromPlace: statement.source, plannedClass: own.plannedClass)
        var any = anywhere
        (any.level, any.plannedClass) = (.source, -1)
        return [own, anywhere, any]
    }

    /// A statement as a composition is to heed it, seen from `now`.
    public func word(_ statement: Statement, _ milestone: Milestone, now: Instant) -> Word {
        guard !without.contains(.estimates) else { return Word(statement) }
        let horizon = WordRecord.horizon(statement.time.minutes(since: now))
        let known = Pools.wordKeys(statement, milestone, horizon)
            .map { slots[$0].map { pools[$0] } }
        guard let general = known[2], let curve = general.curve,
            general.drawn >= Pools.wordFrom, general.worth.judged > 0
        else { return Word(statement, judged: known[2]?.drawn ?? 0) }
        var parts: [(curve: Curve, weight: Double)] = []
        var rest: Float = 1
        let count = general.worth.judged
        var ratio =
            (count * general.worth.ratio + Pools.wordHalf * Pools.wordDoubt)
            / (count + Pools.wordHalf)
        for level in [1, 0] {
            guard let pool = known[level] else { continue }
            let judged = min(pool.worth.judged, Pools.wordMost)
            let weight = Pools.wordWeights[level]
            ratio = (judged * pool.worth.ratio + weight * ratio) / (judged + weight)
        }
        for level in [0, 1] {
            guard let pool = known[level], let curve = pool.curve else { continue }
            let n = Float(pool.drawn)
            let share = rest * n / (n + Pools.wordWeights[level])
            parts.append((curve, Double(share)))
            rest -= share
        }
        parts.append((curve, Double(rest)))
        let square = 1 / max(ratio * ratio, 1e-4)
        // What is known of one time ahead tells less of another.
        let near =
            Pools.otherHorizons * count + (known[1]?.worth.judged ?? 0)
        return Word(
            statement, judged: general.drawn, deviation: .mixture(parts),
            skill: square * square * square * square, trust: min(1, near / Pools.trusted))
    }

    /// A milestone has been reached at `actual`: what each source had said of it, the last at each time
    /// ahead. None is judged by what the others of them teach.
    public mutating func learn(_ heard: [Heard], _ milestone: Milestone, actual: Instant) {
        var lessons: [(slot: Int, value: Float, own: Float, theirs: Float?, width: Float)] = []
        for (at, said) in heard.enumerated() {
            let value = Float(actual.minutes(since: said.statement.time))
            let own = Curve.quantileLoss(value, said.p10, said.p50, said.p90)
            let isLast = !heard[(at + 1)...].contains {
                $0.statement.source == said.statement.source
            }
            for key in Pools.wordKeys(said.statement, milestone, said.horizon).reversed()
            where key.level != .source || isLast {
                guard let slot = wordSlot(key) else { break }
                let isEnough = pools[slot].drawn >= Pools.wordFrom
                let theirs = isEnough ? pools[slot].curve.map { $0.quantileLoss(value) } : nil
                lessons.append((slot, value, own, theirs, max(said.p90 - said.p10, 1)))
                // Of whom little is known little is kept apart.
                if key.level == .source, pools[slot].drawn < Pools.wordFrom { break }
            }
        }
        for lesson in lessons {
            if let theirs = lesson.theirs {
                pools[lesson.slot].worth.learn(
                    without: lesson.own, with: theirs, width: lesson.width, rate: Worth.wordRate)
            }
            pools[lesson.slot].learn(lesson.value, limit: Pools.wordLimit)
            changed.insert(lesson.slot)
        }
    }

    /// What is known of what sources say: by source, how far ahead it was said and looked at, and class.
    public var wordRecords: [(key: PoolKey, pool: Pool)] {
        keys.indices.filter { [.wordAnywhere, .source].contains(keys[$0].level) }.map {
            (keys[$0], pools[$0])
        }
    }
}

extension Heard {
    /// Whether both were said, and looked at, as far ahead.
    public func isAsFarAhead(as other: Heard) -> Bool {
        WordRecord.number(statement, horizon: horizon)
            == WordRecord.number(other.statement, horizon: other.horizon)
    }
}

extension Curve {
    /// What three quantiles lose where `value` comes true (pinball), minutes.
    static func quantileLoss(_ value: Float, _ p10: Float, _ p50: Float, _ p90: Float) -> Float {
        func loss(_ share: Float, _ quantile: Float) -> Float {
            max(share * (value - quantile), (share - 1) * (value - quantile))
        }
        return (loss(0.1, p10) + loss(0.5, p50) + loss(0.9, p90)) / 3
    }
}

extension Curve {
    /// The same of its own.
    fileprivate func quantileLoss(_ value: Float) -> Float {
        Curve.quantileLoss(
            value, Float(quantile(0.1)), Float(quantile(0.5)), Float(quantile(0.9)))
    }
}

extension Composer {
    /// Moves the points of a milestone towards what others say of it, each as much as its record deserves:
    /// quantile by quantile, so that what is late stays late. Notes what they were without that.
    mutating func heed(
        _ index: Int, _ steps: borrowing Steps, from first: Int, now: Instant
    ) {
        let here = steps.words.filter { $0.statement.milestone == index }
        guard !here.isEmpty else { return }
        // Of a box that is held by a closure nobody knew who spoke before that.
        let isOnItsWay = steps.milestones[first].kind == .transit
        let shut = steps.closures.filter {
            $0.from <= now && $0.until > now && !isOnItsWay && $0.holds(steps.milestones[first])
        }
        let order = points.indices.sorted { (points[$0], $0) < (points[$1], $1) }
        let own = Curve(values: order.map { points[$0] })
        var blend = own.points
        var opinions: [(weight: Float, middle: Float)] = []
        for word in here {
            let stated = Float(word.statement.time.minutes(since: now))
            // What did not come true in time is not held against it twice.
            if stated > 0 {
                heard.append(
                    Heard(
                        statement: word.statement, horizon: WordRecord.horizon(Double(stated)),
                        p10: Float(own.quantile(0.1)) - stated,
                        p50: Float(own.quantile(0.5)) - stated,
                        p90: Float(own.quantile(0.9)) - stated))
            }
            if shut.contains(where: { $0.from > word.statement.saidAt }) { continue }
            let weight = Float(word.weight(among: here))
            guard weight > 0, let theirs = word.points(now: now) else { continue }
            for j in 0..<Curve.count {
                blend[j] += weight * (theirs.points[j] - own.points[j])
            }
            opinions.append((weight, Float(theirs.quantile(0.5))))
        }
        if opinions.count > 1 { Composer.widen(&blend, by: opinions) }
        for (j, at) in order.enumerated() { points[at] = blend[j] }
    }

    /// Where those who are heeded contradict each other, it is less sure than any of them says.
    private static func widen(
        _ blend: inout InlineArray<64, Float>, by opinions: [(weight: Float, middle: Float)]
    ) {
        let sum = opinions.reduce(0) { $0 + $1.weight }
        let mean = opinions.reduce(0) { $0 + $1.weight * $1.middle } / sum
        let between = opinions.reduce(0) {
            $0 + $1.weight / sum * ($1.middle - mean) * ($1.middle - mean)
        }
        let centre = (blend[31] + blend[32]) / 2
        for j in 0..<Curve.count {
            let gap = blend[j] - centre
            let apart = Float(Curve.normalPoints[j])
            let wider = (gap * gap + between * apart * apart).squareRoot()
            blend[j] = max(centre + (apart < 0 ? -wider : wider), min(blend[j], 0))
        }
    }
}
