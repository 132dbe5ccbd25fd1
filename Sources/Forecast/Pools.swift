import Tracking

/// What a pool of observations is about; unused parts are 0, so that the same type serves every
/// level from the specific to the general.
public struct PoolKey: Hashable, Sendable {
    public enum Level: UInt8, Sendable, CaseIterable {
        /// One step at one place in one part of the day.
        case hour
        /// One step at one place (or between two) with one planned duration.
        case planned
        /// One step at one place or between two.
        case place
        /// One kind of step with one planned duration, anywhere.
        case plannedAnywhere
        /// One kind of step, anywhere.
        case kind
    }

    public var level: Level
    public var kind: StepKind
    public var mode: TransportMode
    public var direction: StepDirection
    public var fromCode: EventCode
    public var toCode: EventCode
    public var fromPlace: UInt32
    public var toPlace: UInt32
    /// Planned minutes in classes of about 12 %, or of `.hour` the part of the day; -1: none.
    public var plannedClass: Int16

    public init(
        level: Level, kind: StepKind, mode: TransportMode,
        direction: StepDirection = .straight, fromCode: EventCode, toCode: EventCode,
        fromPlace: UInt32 = 0, toPlace: UInt32 = 0, plannedClass: Int16 = -1
    ) {
        self.level = level
        self.kind = kind
        self.mode = mode
        self.direction = direction
        self.fromCode = fromCode
        self.toCode = toCode
        self.fromPlace = fromPlace
        self.toPlace = toPlace
        self.plannedClass = plannedClass
    }

    static func plannedClass(_ minutes: Double) -> Int16 {
        guard minutes == minutes, minutes >= 1 else { return -1 }
        return Int16((Elementary.ln(minutes) * 9).rounded())
    }

    /// Hours in one part of the day.
    static let hoursPerPart = 3

    /// The part of the day that matters to a step: of a departure, that of its timetable; at a
    /// border, that in which the waiting began (minutes since 1970; NaN where that is not known).
    static func part(_ step: Milestone, startMinutes: Double) -> Int16? {
        let minutes: Double
        switch step.code {
        case _ where step.kind == .departure && step.planned != .unset:
            minutes = Double(step.planned.microseconds) / 60_000_000
        case .cusr, .cuss, .cusi, .cros: minutes = startMinutes
        default: return nil
        }
        guard minutes == minutes else { return nil }
        let day = minutes / 1_440
        return Int16((day - day.rounded(.down)) * 24) / Int16(hoursPerPart)
    }

    /// The keys of a step from the most specific to the most general; `startMinutes`: when it began,
    /// since 1970.
    public static func keys(_ step: Milestone, startMinutes: Double = .nan) -> [PoolKey] {
        let all = usual(step)
        guard let place = all.first(where: { $0.level == .place }) else { return all }
        guard let part = part(step, startMinutes: startMinutes) else { return all }
        var hour = place
        hour.level = .hour
        hour.plannedClass = part
        return [hour] + all
    }

    /// The most specific of the usual keys: what tells steps apart.
    static func first(_ step: Milestone) -> PoolKey {
        let isPlanned = step.kind == .dwell && plannedClass(step.plannedMinutes) >= 0
        return PoolKey(
            level: isPlanned ? .planned : .place, kind: step.kind, mode: step.mode,
            direction: step.direction, fromCode: step.fromCode, toCode: step.code,
            fromPlace: step.fromPlace, toPlace: step.place,
            plannedClass: isPlanned ? plannedClass(step.plannedMinutes) : -1)
    }

    private static func usual(_ step: Milestone) -> [PoolKey] {
        let sort = (step.kind, step.mode, step.fromCode, step.code)
        func key(_ level: Level, places: Bool, planned: Int16 = -1) -> PoolKey {
            PoolKey(
                level: level, kind: sort.0, mode: sort.1,
                // What transits have in common they have on both sides of a join.
                direction: level == .kind && sort.0 != .dwell ? .straight : step.direction,
                fromCode: sort.2, toCode: sort.3,
                fromPlace: places ? step.fromPlace : 0, toPlace: places ? step.place : 0,
                plannedClass: planned)
        }
        guard step.kind == .dwell else {
            return [key(.place, places: true), key(.kind, places: false)]
        }
        let planned = plannedClass(step.plannedMinutes)
        guard planned >= 0 else { return [key(.place, places: true), key(.kind, places: false)] }
        return [
            key(.planned, places: true, planned: planned), key(.place, places: true),
            key(.plannedAnywhere, places: false, planned: planned), key(.kind, places: false),
        ]
    }
}

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
    /// Observations learned or taken back since the curve was drawn.
    public private(set) var pending: Int
    /// Counts the curves drawn, for caches.
    public private(set) var version: UInt32
    /// Observations that the curve was drawn through: its weight in a blend. Not the present
    /// count, or a blend would depend on when it was made.
    public private(set) var drawn: Int

    public init() {
        values = []
        ascending = []
        head = 0
        curve = nil
        recent = nil
        pending = 0
        version = 0
        drawn = 0
    }

    public init(
        values: [Float], head: Int, curve: Curve?, recent: Curve?, pending: Int, version: UInt32,
        drawn: Int
    ) {
        self.recent = recent
        self.values = values
        ascending = values.sorted()
        self.head = head
        self.curve = curve
        self.pending = pending
        self.version = version
        self.drawn = drawn
    }

    mutating func learn(_ value: Float, limit: Int) {
        if values.count < limit {
            values.append(value)
        } else {
            ascending.remove(at: rank(values[head]))
            values[head] = value
            head = head + 1 == limit ? 0 : head + 1
        }
        ascending.insert(value, at: rank(value))
        touched()
    }

    /// How many kept values are smaller.
    private func rank(_ value: Float) -> Int {
        var low = 0
        var high = ascending.count
        while low < high {
            let middle = (low + high) / 2
            if ascending[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes one observation of `value` back, the latest; nothing where it has been pushed out.
    mutating func unlearn(_ value: Float) {
        let n = values.count
        for back in 0..<n {
            let index = (head + n - 1 - back) % n
            guard values[index] == value else { continue }
            // Back to oldest-first order, so that the ring stays one.
            var ordered = Array(values[head...] + values[..<head])
            ordered.remove(at: (index + n - head) % n)
            ascending.remove(at: rank(value))
            values = ordered
            head = 0
            touched()
            return
        }
    }

    private mutating func touched() {
        pending += 1
        // The first few each count; later a sixteenth, and at least four, make a difference.
        let due = values.count < 8 ? 1 : max(4, values.count > Pools.limit ? values.count / 16 : 6)
        if curve == nil || pending >= due { redraw() }
    }

    private mutating func redraw() {
        curve = values.isEmpty ? nil : Curve.ofSorted(ascending)
        recent = nil
        if values.count >= 8 {
            let n = values.count
            let latest = (1...min(n, Pools.recentCount)).map { values[(head + n - $0) % n] }
            recent = Curve.ofSorted(latest.sorted())
        }
        pending = 0
        drawn = values.count
        version &+= 1
    }
}

/// Everything learned about how long steps take.
public struct Pools: Sendable {
    /// Observations kept under a key, and under the most general ones.
    public static let limit = 300
    public static let generalLimit = 3_000
    /// The latest of a pool's values that say how it goes now.
    public static let recentCount = 24
    /// Observations at which a level and all that is more general weigh the same.
    static let specificWeight = 8.0
    static let generalWeight = 20.0
    static let recentWeight = 40.0
    /// As how many observations the prior counts, at the least.
    static let priorWeight = 4.0

    public private(set) var slots: [PoolKey: Int] = [:]
    public private(set) var keys: [PoolKey] = []
    public private(set) var pools: [Pool] = []
    /// Slots changed since `takeChanged`.
    private var changed: Set<Int> = []
    private var blends: [BlendKey: Blend] = [:]

    private struct BlendKey: Hashable {
        var key: PoolKey
        var plannedMinutes: Double
        var p50: Double
        var p90: Double
        /// Held to a timetable: the prior is another one.
        var timed: Bool
        /// Part of the day, -1 where none is known; and whether the last few count.
        var part: Int16
        var recent: Bool
    }

    private struct Blend {
        var slots: [Int]
        var versions: [UInt32]
        var curve: Curve?
        var prior: Curve?
        /// Every key had a pool; where one had none, it may have one since.
        var complete: Bool
        /// Pools known when it was made.
        var slotCount: Int
    }

    public init() {}

    /// Puts a pool back as a snapshot kept it.
    public mutating func restore(_ key: PoolKey, _ pool: Pool) {
        let slot = slot(key)
        pools[slot] = pool
    }

    /// The pools changed since the last call.
    public mutating func takeChanged() -> [(key: PoolKey, pool: Pool)] {
        let taken = changed.sorted().map { (keys[$0], pools[$0]) }
        changed = []
        return taken
    }

    private mutating func slot(_ key: PoolKey) -> Int {
        if let known = slots[key] { return known }
        slots[key] = pools.count
        keys.append(key)
        pools.append(Pool())
        return pools.count - 1
    }

    private static func limit(_ key: PoolKey) -> Int {
        switch key.level {
        case .kind: generalLimit
        default: limit
        }
    }

    /// `start`: when the step began.
    public mutating func learn(_ step: Milestone, value: Double, start: Instant = .unset) {
        for key in PoolKey.keys(step, startMinutes: Pools.minutes(start)) {
            let at = slot(key)
            pools[at].learn(Float(value), limit: Pools.limit(key))
            changed.insert(at)
        }
    }

    private static func minutes(_ instant: Instant) -> Double {
        instant == .unset ? .nan : Double(instant.microseconds) / 60_000_000
    }

    public mutating func unlearn(_ step: Milestone, value: Double, start: Instant = .unset) {
        for key in PoolKey.keys(step, startMinutes: Pools.minutes(start)) {
            let at = slot(key)
            pools[at].unlearn(Float(value))
            changed.insert(at)
        }
    }

    /// The curve of a step before it has begun: for dwells the duration, for transits actual minus
    /// planned, for departures the deviation (see `StepValue`); minutes. nil where neither plan
    /// nor network nor experience says anything: unknown is said, not invented. `start`: when it
    /// began, where it has; `soon`: it is near enough for the last few to tell how it will go.
    public mutating func curve(
        _ step: Milestone, start: Instant = .unset, soon: Bool = false
    ) -> Curve? {
        let startMinutes = Pools.minutes(start)
        let first = PoolKey.first(step)
        let blendKey = BlendKey(
            key: first,
            plannedMinutes: step.plannedMinutes == step.plannedMinutes
                ? step.plannedMinutes : -1,
            p50: step.priorMinutesP50 == step.priorMinutesP50 ? step.priorMinutesP50 : -1,
            p90: step.priorMinutesP90 == step.priorMinutesP90 ? step.priorMinutesP90 : -1,
            timed: step.planned != .unset,
            part: PoolKey.part(step, startMinutes: startMinutes) ?? -1, recent: soon)
        let known = blends[blendKey]
        if let known, isFresh(known) { return known.curve }
        let keys = PoolKey.keys(step, startMinutes: startMinutes)
        let made = blend(keys, known.map(\.prior) ?? StepValue.prior(step), soon: soon)
        if blends.count > 200_000 { blends.removeAll(keepingCapacity: true) }
        blends[blendKey] = made
        return made.curve
    }

    private func isFresh(_ blend: Blend) -> Bool {
        for (slot, version) in zip(blend.slots, blend.versions) where pools[slot].version != version
        {
            return false
        }
        return blend.complete || blend.slotCount == pools.count
    }

    private func blend(_ keys: [PoolKey], _ prior: Curve?, soon: Bool) -> Blend {
        var parts: [(curve: Curve, weight: Double)] = []
        var rest = 1.0
        var used: [Int] = []
        // How the step has gone there of late comes before all that was ever seen of it.
        if soon, let place = keys.first(where: { $0.level == .place }),
            let slot = slots[place], let recent = pools[slot].recent
        {
            let n = Double(min(pools[slot].drawn, Pools.recentCount))
            let weight = n / (n + Pools.recentWeight)
            parts.append((recent, weight))
            rest -= weight
        }
        for key in keys {
            guard let slot = slots[key] else { continue }
            used.append(slot)
            guard let curve = pools[slot].curve else { continue }
            let n = Double(pools[slot].drawn)
            let k: Double
            switch key.level {
            case .planned: k = Pools.specificWeight
            default: k = Pools.generalWeight
            }
            let weight = rest * n / (n + k)
            parts.append((curve, weight))
            rest -= weight
        }
        if let prior {
            parts.append((prior, max(rest, 0.01)))
        }
        return Blend(
            slots: used, versions: used.map { pools[$0].version },
            curve: parts.isEmpty ? nil : Curve.mixture(parts), prior: prior,
            complete: used.count == keys.count, slotCount: pools.count)
    }
}
