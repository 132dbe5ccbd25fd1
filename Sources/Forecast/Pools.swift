import Tracking

/// Everything learned about how long steps take.
public struct Pools: Sendable {
    /// Observations kept under a key, and under the most general ones.
    public static let limit = 300
    public static let generalLimit = 3_000
    /// Observations kept of a day at the most.
    static let perDay = 40.0
    static let generalPerDay = 10 * perDay
    /// The latest of a pool's values that say how it goes now.
    public static let recentCount = 24
    /// Observations at which a level and all that is more general weigh the same: of one planned duration at
    /// one place, of one place, of what is more general.
    static let plannedWeight = 4.0
    static let placeWeight = 10.0
    static let generalWeight = 20.0
    /// What deviates by more than a year is no step, but a slip in somebody's plan.
    static let mostMinutes: Float = 365 * 1_440
    /// What is more than so many times as long as expected was expected wrongly, and tells nothing of others in
    /// proportion.
    static let mostMultiple: Float = 6
    /// Places at which what its kind does anywhere and what plan and network say of a step weigh the same:
    /// however often boxes passed one place, of others it tells as one.
    static let knownPlaces = 1.0
    /// Blends kept ready; each takes some 600 bytes.
    static let blendLimit = 65_536

    public private(set) var slots: [PoolKey: Int] = [:]
    public private(set) var keys: [PoolKey] = []
    public internal(set) var pools: [Pool] = []
    /// Beside each pool of one step at one place; elsewhere empty.
    public private(set) var flows: [QueuePace] = []
    /// Slots changed since `drainChanged`.
    var changed: Set<Int> = []

    private var numbers: [Identity: Int32] = [:]
    var models: [Model] = []
    private var blends: [Blend] = []
    private var blendPoints: [Float] = []
    private var mixer = Mixer()
    /// Pools of what sources say.
    private var wordCount = 0
    /// Pools of what any box does, and how many there may be: whoever reports can name places.
    private var onwardCount = 0
    /// Of each kind of step at how many places it has been seen; no state, it follows from the pools.
    private var placeCounts: [PoolKey: Int] = [:]
    static let onwardPools = 20_000
    /// Of each pool, how often its curve has been drawn.
    private var versions: [UInt32] = []

    /// What tells one step's distribution from another's.
    private struct Identity: Hashable {
        var key: PoolKey
        var plannedClass: Int32
        var p50: Double
        var p90: Double
        /// Held to a timetable: the prior is another one.
        var isTimed: Bool
        /// Its timetable may have moved with its leg.
        var isOnward: Bool
        /// What its kind does tells of it in proportion: no planned minutes are no scale, and one is.
        var isScaled: Bool

        /// Planned durations in classes of 2 %: near enough for a prior, few enough to keep.
        init(_ step: Milestone) {
            key = PoolKey.first(step)
            let minutes = step.plannedMinutes
            plannedClass =
                minutes == minutes
                ? Int32((PortableMath.ln(max(minutes, 1)) * Identity.classes).rounded()) : -1
            p50 = step.priorMinutesP50 == step.priorMinutesP50 ? step.priorMinutesP50 : -1
            p90 = step.priorMinutesP90 == step.priorMinutesP90 ? step.priorMinutesP90 : -1
            isTimed = step.planned != .unset
            isOnward = PoolKey.hasTwoTimetables(step)
            isScaled = StepValue.scaleMinutes(step) > 0
        }

        private static let classes = 50.0

        /// The middle of the class; NaN: no plan.
        var plannedMinutes: Double {
            plannedClass < 0 ? .nan : PortableMath.exp(Double(plannedClass) / Identity.classes)
        }
    }

    /// One step: where its observations go, and the blends made of them so far.
    struct Model {
        let keys: [PoolKey]
        /// The pool of each key; -1: not there yet.
        var slots: [Int32]
        let placeAt: Int
        /// Of the key for shares of the plan; nil where there is none.
        let shareAt: Int?
        /// Minutes, as near as `Identity` tells steps apart.
        let planned: Double
        let scale: Float
        let calendar: PoolKey.Calendar
        let prior: Curve?
        /// Neither plan nor network says anything of how long it takes: what others of its kind deviate by
        /// says nothing either.
        let isBare: Bool
        /// What is known of it beforehand is what its plan says, and nothing else.
        let isPlanOnly: Bool
        /// By part of the day, weekday and whether it is soon; -1: not made yet.
        var variants: [Int32]
        /// The same step where its timetable moved; nil: it has none that could.
        var moved: StepID?
    }

    /// One step under one set of circumstances: what its blend was made of. Its points lie in
    /// `blendPoints`: in order, then shuffled for one place in the chain.
    private struct Blend {
        var shuffledFor: Int32 = -1
        /// False where nothing at all is known.
        var isKnown = false
        /// More than half of it is the plan's word.
        var isGuess = false
        /// Every key had a pool; where one had none, it may have one since.
        var isComplete = false
        var used: Int32 = 0
        /// Pools known when it was made.
        var slotCount: Int32 = 0
        var slots = SIMD8<Int32>(repeating: 0)
        var versions = SIMD8<UInt32>(repeating: 0)
    }

    /// Views that do not count: to see what they are worth.
    public var without: Views = []

    public init() {}

    /// The symbols of all places of which it knows steps.
    public var places: [UInt32] {
        (keys + models.flatMap(\.keys)).flatMap { [$0.fromPlace, $0.toPlace] }
            + numbers.keys.flatMap { [$0.key.fromPlace, $0.key.toPlace] }
    }

    /// Puts a pool back as a snapshot kept it.
    public mutating func restore(_ key: PoolKey, _ pool: Pool, _ flow: QueuePace) {
        let slot = slot(key)
        pools[slot] = pool
        if key.level == .place, !pool.values.isEmpty { placeCounts[key.general, default: 0] += 1 }
        versions[slot] = pool.version
        let open = flows[slot].open
        flows[slot] = flow
        flows[slot].open = open
    }

    /// The pools changed since the last call.
    public mutating func drainChanged() -> [(key: PoolKey, pool: Pool, flow: QueuePace)] {
        let taken = changed.sorted().map { (keys[$0], pools[$0], flows[$0]) }
        changed = []
        return taken
    }

    /// The pool of what a source says; nil where there are too many.
    mutating func wordSlot(_ key: PoolKey) -> Int? {
        if let known = slots[key] { return known }
        guard wordCount < Pools.wordPools else { return nil }
        return slot(key)
    }

    private mutating func slot(_ key: PoolKey) -> Int {
        if let known = slots[key] { return known }
        slots[key] = pools.count
        keys.append(key)
        if [.word, .wordAnywhere, .source].contains(key.level) { wordCount += 1 }
        if key.level == .onward { onwardCount += 1 }
        pools.append(Pool())
        versions.append(0)
        flows.append(QueuePace())
        return pools.count - 1
    }

    private static func limit(_ key: PoolKey) -> Int {
        switch key.level {
        case .kind, .scaled: generalLimit
        default: limit
        }
    }

    // MARK: Steps

    /// The number of a milestone's step.
    public mutating func id(_ step: Milestone) -> StepID {
        let identity = Identity(step)
        if let known = numbers[identity] { return StepID(number: known) }
        let number = Int32(models.count)
        numbers[identity] = number
        let keys = PoolKey.usual(step)
        let calendar = PoolKey.calendar(step)
        let variants: Int
        switch calendar {
        case .none: variants = 1
        case .timetable: variants = 9
        case .border: variants = 9 * 8
        }
        // All steps with this number have one prior, whichever of them is the first.
        var typical = step
        typical.plannedMinutes = identity.plannedMinutes
        models.append(
            Model(
                keys: keys, slots: Array(repeating: -1, count: keys.count),
                placeAt: keys.firstIndex { $0.level == .place } ?? 0,
                shareAt: keys.firstIndex { $0.level == .share }, planned: typical.plannedMinutes,
                scale: Float(StepValue.scaleMinutes(typical)), calendar: calendar,
                prior: StepValue.prior(typical), isBare: Pools.isBare(step),
                isPlanOnly: Pools.isPlanOnly(step),
                variants: Array(repeating: -1, count: variants * HorizonWeights.leadMinutes.count)))
        if PoolKey.hasTwoTimetables(step) {
            let keys = PoolKey.moved(step)
            models[Int(number)].moved = StepID(number: Int32(models.count))
            models.append(
                Model(
                    keys: keys, slots: Array(repeating: -1, count: keys.count), placeAt: 0,
                    shareAt: nil, planned: typical.plannedMinutes, scale: 0,
                    calendar: .none,
                    prior: StepValue.prior(typical), isBare: false, isPlanOnly: false,
                    variants: Array(repeating: -1, count: HorizonWeights.leadMinutes.count)))
        }
        return StepID(number: number)
    }

    /// A transit of which only those that went before can tell.
    private static func isBare(_ step: Milestone) -> Bool {
        step.kind == .transit && step.plannedMinutes.isNaN && step.priorMinutesP50.isNaN
            && !StepValue.isTimed(step)
    }

    private static func isPlanOnly(_ step: Milestone) -> Bool {
        step.kind != .departure && step.plannedMinutes == step.plannedMinutes
            && step.priorMinutesP50 != step.priorMinutesP50
    }

    /// Whether a blend is mostly what the plan says: that is wrong for one step as it is for the next.
    func isGuess(_ blend: Int) -> Bool { blends[blend].isGuess }

    /// Observations from which on such a transit is known.
    private static let bareCount = 5

    /// The pool of one of a step's keys, made where there is none.
    mutating func slot(_ id: StepID, _ at: Int) -> Int {
        let known = models[Int(id.number)].slots[at]
        if known >= 0 { return Int(known) }
        let made = slot(models[Int(id.number)].keys[at])
        models[Int(id.number)].slots[at] = Int32(made)
        return made
    }

    // MARK: Learning

    /// Changes the pool of what any box does, made where there is none; nothing where there are too many.
    mutating func change(_ key: PoolKey, _ body: (inout Pool) -> Void) {
        guard slots[key] != nil || onwardCount < Pools.onwardPools else { return }
        let slot = slot(key)
        body(&pools[slot])
        versions[slot] = pools[slot].version
        changed.insert(slot)
    }

    /// A step that began at `start` and is over; `value` as `StepValue` defines it.
    public mutating func learn(
        _ id: StepID, _ step: Milestone, value: Double, start: Instant = .unset,
        end: Instant = .unset
    ) {
        let shareAt = models[Int(id.number)].shareAt
        let shares = shareAt.map { slot(id, $0) }
        let planned = shareAt == nil ? 0 : Float(step.plannedMinutes)
        each(id, step, start) { pools, slot, limit, level, places in
            let perDay = limit == Pools.limit ? Pools.perDay : Pools.generalPerDay
            guard pools[slot].admits(at: end, perDay: perDay) else { return }
            let value = Pools.value(Float(value), step, level)
            // NaN is no less than anything.
            guard abs(value) < Pools.mostMinutes else { return }
            switch level {
            case .place, .moved:
                let share = shares.flatMap { pools[$0].curve }?.quantile(0.5) ?? 0
                pools[slot].learn(
                    value, limit: limit, start: start, end: end, planned: planned,
                    share: Float(share))
            default: pools[slot].learn(value, limit: limit, places: places)
            }
        }
        guard Pools.queues(step), end != .unset, start != .unset else { return }
        let place = slot(id, models[Int(id.number)].placeAt)
        flows[place].add(QueuePace.Passage(start: start, end: end))
        flows[place].heard(at: end, pools[place].curve)
    }

    public mutating func unlearn(
        _ id: StepID, _ step: Milestone, value: Double, start: Instant = .unset,
        end: Instant = .unset
    ) {
        each(id, step, start) { pools, slot, _, level, places in
            pools[slot].unlearn(Pools.value(Float(value), step, level), places: places)
        }
        guard Pools.queues(step), end != .unset, start != .unset else { return }
        let place = slot(id, models[Int(id.number)].placeAt)
        flows[place].remove(QueuePace.Passage(start: start, end: end))
    }

    private mutating func each(
        _ id: StepID, _ step: Milestone, _ start: Instant,
        _ body: (inout [Pool], Int, Int, PoolKey.Level, Int) -> Void
    ) {
        let own = models[Int(id.number)].keys[models[Int(id.number)].placeAt]
        var places = 0
        // Where nobody says how long it takes all of it is its deviation: no other deviates by that.
        let isBare = models[Int(id.number)].isBare
        for at in models[Int(id.number)].keys.indices
        where !isBare || at == models[Int(id.number)].placeAt {
            let slot = slot(id, at)
            let wasEmpty = pools[slot].values.isEmpty
            body(&pools, slot, Pools.limit(keys[slot]), keys[slot].level, places)
            if keys[slot].level == .place {
                // The most general come after it.
                let isEmpty = pools[slot].values.isEmpty
                places = (placeCounts[own.general] ?? 0) + (wasEmpty ? 1 : 0) - (isEmpty ? 1 : 0)
                if isEmpty != wasEmpty { placeCounts[own.general] = places }
            }
            versions[slot] = pools[slot].version
            changed.insert(slot)
        }
        for key in calendarKeys(id, step, start) {
            let slot = slot(key)
            body(&pools, slot, Pools.limit, key.level, 0)
            versions[slot] = pools[slot].version
            changed.insert(slot)
        }
    }

    // MARK: Waiting

    /// Whether those that are in a step wait there one behind the other: not under way, and not for a
    /// timetable. Its values are durations, then.
    public static func queues(_ step: Milestone) -> Bool {
        step.kind == .dwell || (step.kind == .departure && step.planned == .unset)
    }

    /// Somebody waits for this step to end since `start`. Those that wait follow from the journeys
    /// and are in no snapshot; `isNews`: the place itself has just reported it.
    public mutating func wait(_ id: StepID, from start: Instant, isNews: Bool) {
        let place = slot(id, models[Int(id.number)].placeAt)
        flows[place].wait(from: start)
        guard isNews else { return }
        flows[place].heard(at: start, pools[place].curve)
        changed.insert(place)
    }

    public mutating func leave(_ id: StepID, from start: Instant) {
        flows[slot(id, models[Int(id.number)].placeAt)].leave(start)
    }

    /// How fast a step goes now, as far as that tells of one that begins so far ahead.
    func pace(_ id: StepID, lead: Int) -> Pace {
        if without.contains(.pace) || lead >= Composer.pacedLeads { return .usual }
        let at = Int(id.number)
        let slot = Int(models[at].slots[models[at].placeAt])
        return slot < 0 ? .usual : flows[slot].pace
    }

    /// Of those that came to a step's place after `start`: how many have left of late, and how many wait.
    public func later(_ id: StepID, than start: Instant) -> (left: Int, waiting: Int) {
        let model = models[Int(id.number)]
        let slot = model.slots[model.placeAt]
        return slot < 0 ? (0, 0) : flows[Int(slot)].later(than: start)
    }

    /// How long those that began to wait before `start` take to leave one after the other, minutes;
    /// 0 where that is not known. `.never`: all that wait.
    func backlogMinutes(_ id: StepID, before start: Instant) -> Double {
        let model = models[Int(id.number)]
        let slot = Int(model.slots[model.placeAt])
        guard slot >= 0, let gap = flows[slot].gapMinutes else { return 0 }
        return Double(flows[slot].rank(start)) * gap
    }

    /// Whether anybody was seen to do a step at its place.
    public func isSeen(_ id: StepID) -> Bool {
        let model = models[Int(id.number)]
        return slots[model.keys[model.placeAt]].map { pools[$0].drawn > 0 } ?? false
    }

    // MARK: Curves

    /// The curve of a step before it has begun: for dwells the duration, for transits actual minus
    /// planned, for departures the deviation (see `StepValue`); minutes. nil where neither plan
    /// nor network nor experience says anything: unknown is said, not invented. `start`: when it
    /// began, where it has; `leadMinutes`: how far ahead that is.
    public mutating func curve(
        _ step: Milestone, start: Instant = .unset, leadMinutes: Double = 0
    ) -> Curve? {
        let id = id(step)
        let lead = HorizonWeights.lead(minutes: leadMinutes)
        return blend(id, step, start: start, lead: lead).map { curve($0) }
    }

    /// Of the blend with this number, as `blend` returns it.
    func curve(_ blend: Int) -> Curve { withCurve(blend) { Curve(copying: $0) } }

    /// Calls `body` with the points of a blend, ascending.
    func withCurve<R>(_ blend: Int, _ body: (UnsafePointer<Float>) -> R) -> R {
        blendPoints.withUnsafeBufferPointer { all in
            // There is a blend, so there are points.
            body(all.baseAddress.unsafelyUnwrapped + blend * 2 * Curve.count)
        }
    }

    /// Calls `body` with the points of a blend at a pace, shuffled for a place in the chain. They are
    /// kept, as most ask for the same place at the same pace.
    mutating func withShuffled(
        _ blend: Int, for position: Int, _ pace: Pace, _ body: (UnsafePointer<Float>) -> Void
    ) {
        let wanted = Int32(position + (pace.step - Pace.lowest) * Permutations.all.count)
        let isReady = blends[blend].shuffledFor == wanted
        blends[blend].shuffledFor = wanted
        blendPoints.withUnsafeMutableBufferPointer { all in
            guard let base = all.baseAddress else { return }
            let sorted = base + blend * 2 * Curve.count
            let shuffled = sorted + Curve.count
            if !isReady {
                let order = Permutations.all[position]
                if pace == .usual {
                    for j in 0..<Curve.count { shuffled[j] = sorted[Int(order[j])] }
                } else {
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: Curve.count) { paced in
                        guard let room = paced.baseAddress else { return }
                        Curve.condition(sorted, elapsed: -.infinity, pace: pace, into: room)
                        for j in 0..<Curve.count { shuffled[j] = room[Int(order[j])] }
                    }
                }
            }
            body(UnsafePointer(shuffled))
        }
    }

    /// The number of the blend for a step, brought up to date; nil where nothing is known.
    /// `calendar`: whether hour and weekday count; nil: where they have been worth it.
    mutating func blend(
        _ id: StepID, _ step: Milestone, start: Instant, lead: Int, calendar: Bool? = nil
    ) -> Int? {
        let model = Int(id.number)
        let leads = HorizonWeights.leadMinutes.count
        var variant = lead
        let counts = calendar ?? countsCalendar(id)
        switch counts ? models[model].calendar : .none {
        case .none: break
        case .timetable:
            if step.planned != .unset { variant += leads * (Int(PoolKey.part(step.planned)) + 1) }
        case .border:
            if start != .unset {
                variant +=
                    leads
                    * (Int(PoolKey.part(start)) + 1 + 9 * (Int(PoolKey.weekday(start)) + 1))
            }
        }
        let known = Int(models[model].variants[variant])
        if known >= 0, isFresh(known) { return blends[known].isKnown ? known : nil }
        let at: Int
        if known >= 0 {
            at = known
        } else {
            if blends.count >= Pools.blendLimit { forgetBlends() }
            at = blends.count
            blends.append(Blend())
            blendPoints.append(contentsOf: repeatElement(0, count: 2 * Curve.count))
            models[model].variants[variant] = Int32(at)
        }
        make(at, id, step, start, lead, counts)
        return blends[at].isKnown ? at : nil
    }

    /// Blends follow from the pools, so they may go at any time.
    private mutating func forgetBlends() {
        blends.removeAll(keepingCapacity: true)
        blendPoints.removeAll(keepingCapacity: true)
        for model in models.indices {
            for variant in models[model].variants.indices {
                models[model].variants[variant] = -1
            }
        }
    }

    private func isFresh(_ at: Int) -> Bool {
        let blend = blends[at]
        for index in 0..<Int(blend.used)
        where versions[Int(blend.slots[index])] != blend.versions[index] { return false }
        return blend.isComplete || blend.slotCount == Int32(pools.count)
    }

    private mutating func make(
        _ at: Int, _ id: StepID, _ step: Milestone, _ start: Instant, _ lead: Int,
        _ countsCalendar: Bool
    ) {
        let model = Int(id.number)
        var made = Blend()
        made.isComplete = true
        made.slotCount = Int32(pools.count)
        mixer.clear()
        var rest = 1.0
        if countsCalendar {
            for key in calendarKeys(id, step, start) {
                mixIn(slots[key], Pools.generalWeight, -1, share: 1, &made, &rest, in: model)
            }
        }
        // What is told in proportion is not told again as it is.
        var plain = 1.0
        for key in models[model].keys.indices {
            let level = models[model].keys[key].level
            if level == .share || models[model].isBare && !isTold(existing(id, key), level) {
                // Counted with its place, or not at all.
                note(existing(id, key), &made)
                continue
            }
            let slot = existing(id, key)
            mixIn(
                slot, Pools.weight(level), level == .place || level == .moved ? lead : -1,
                share: level == .kind ? plain : 1, &made, &rest, in: model)
            if level == .scaled, let slot {
                plain = Pools.generalWeight / (Double(pools[slot].drawn) + Pools.generalWeight)
            }
        }
        if let prior = models[model].prior { mixer.add(prior, max(rest, 0.01)) }
        made.isGuess = models[model].isPlanOnly && rest > 0.5
        if !mixer.isEmpty {
            let curve = mixer.mixed()
            blendPoints.withUnsafeMutableBufferPointer { all in
                for j in 0..<Curve.count { all[at * 2 * Curve.count + j] = curve.points[j] }
            }
            made.isKnown = true
        }
        blends[at] = made
    }

    /// Whether enough have gone between two places of which nothing else is known.
    private func isTold(_ slot: Int?, _ level: PoolKey.Level) -> Bool {
        guard level == .place, let slot else { return false }
        return pools[slot].drawn >= Pools.bareCount
    }

    /// Writes down that a blend is made of a pool as it is now.
    private func note(_ slot: Int?, _ made: inout Blend) {
        guard let slot else {
            made.isComplete = false
            return
        }
        made.slots[Int(made.used)] = Int32(slot)
        made.versions[Int(made.used)] = versions[slot]
        made.used += 1
    }

    /// Adds what one pool knows to the mixture, by how much it knows. `lead`: of the pool of one step
    /// at one place, the class of how far ahead; else -1. `share`: of that.
    private mutating func mixIn(
        _ slot: Int?, _ k: Double, _ lead: Int, share: Double, _ made: inout Blend,
        _ rest: inout Double, in model: Int
    ) {
        note(slot, &made)
        guard let slot else { return }
        let n = Double(pools[slot].drawn)
        guard n > 0 else { return }
        var weight = share * rest * n / (n + k)
        let level = keys[slot].level
        if level == .scaled || level == .kind, models[model].prior != nil {
            let places = Double(pools[slot].places)
            weight *= places / (places + Pools.knownPlaces)
        }
        if lead >= 0 {
            pools[slot].mix(
                lead, weight, planned: byPlan(model), without: without, into: &mixer)
        } else if let curve = pools[slot].curve {
            mixer.add(level == .scaled ? curve.times(models[model].scale) : curve, weight)
        }
        rest -= weight
    }

    /// What a step's plan makes of it, by how it has gone at its place as a share of the plan.
    private mutating func byPlan(_ model: Int) -> Curve? {
        guard let at = models[model].shareAt,
            let slot = existing(StepID(number: Int32(model)), at)
        else { return nil }
        return pools[slot].curve?.times(Float(models[model].planned))
    }

    mutating func existing(_ id: StepID, _ at: Int) -> Int? {
        let model = Int(id.number)
        let known = models[model].slots[at]
        if known >= 0 { return Int(known) }
        guard let found = slots[models[model].keys[at]] else { return nil }
        models[model].slots[at] = Int32(found)
        return found
    }
}
