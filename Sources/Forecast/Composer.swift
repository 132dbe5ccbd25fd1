import Tracking

/// Composes steps into expectations with 64 fixed points and a fixed permutation per step: no
/// random numbers, so the same facts give the same forecast.
public struct Composer: Sendable {
    /// Minutes from `now` of the milestone that was composed last.
    var points: [Float]
    /// When the step in the points begins; kept only where a closure may hold it.
    private var starts: [Float]
    /// Of the last composition: for each milestone the mean of when it is expected, in minutes from
    /// the `now` that it was seen from; NaN where it was neither reached nor composed.
    public internal(set) var means: [Float] = []
    /// The points of every milestone of a graph, one row each.
    private var rows: [Float] = []

    /// The timetable of the step at hand moved, by so many minutes at each point.
    private var isMoved = false
    /// It may have, or not: so at every other point.
    private var isUndecided = false
    private var shifts = [Float](repeating: 0, count: Curve.count)
    /// When the step at hand is planned to begin, in minutes from `now`; NaN: nobody says.
    private var entry = Float.nan
    /// Its curve, as its beginning has it.
    private var bent = [Float](repeating: 0, count: Curve.count)

    /// Of the last composition: what was said of its milestones, and what they were without that.
    public internal(set) var heard: [Heard] = []

    /// Of the last composition: a step under way has lasted longer than anything seen.
    private var isBeyondAll = false
    /// So many times the longest that was seen, and so many minutes more.
    static let beyondTimes: Float = 3
    static let beyondMinutes = 14.0 * 1_440

    /// Of the step under way in the last composition.
    var wait = Wait()
    /// Of the last composition: the furthest milestone that has probably been passed without a word; nil:
    /// none has.
    public internal(set) var probablyPassed: Int?
    /// Of the last composition: how likely the way itself is, then each of the others; empty: there are none.
    public internal(set) var shares: [Double] = []
    /// Of the last composition: how much later the others make the end, minutes; the means are those of the
    /// own way.
    public internal(set) var detourMinutes: Float = 0
    /// As `means`, of each of the others; empty where nothing is known of it.
    public internal(set) var otherMeans: [[Float]] = []
    var mixer = Mixer()

    /// Compositions made, for those who ask what a line costs.
    public private(set) var compositions = 0

    /// The current step at its usual pace, whatever the place's is now.
    public var ignoresPace = false

    public init() {
        points = Array(repeating: 0, count: Curve.count)
        starts = points
    }

    /// Classes of lead in which a step is likely to go at the pace at which the place goes now.
    static let pacedLeads = 3

    /// Points of the current step at which silence is news: those after which a forecast is worth
    /// making anew. Between them lies the moment at which it becomes overdue.
    static let reviewPoints = [60]

    /// What a composition needs of the steps of one plan: the milestones and, beside them, their
    /// numbers in the pools.
    public struct Steps {
        public let milestones: [Milestone]
        public let ids: [StepID]
        public let closures: [ClosureWindow]
        /// What others say of them.
        public let words: [Word]
        /// Of a plan that was sent again with other times, beside the milestones; else empty.
        public let restated: [Restated]
        /// How often milestones pass without a word; nil: that does not matter.
        public let habits: ReportingHabits?
        /// Other ways that the box may take.
        public let others: [OtherWay]

        public init(
            _ milestones: [Milestone], _ ids: [StepID], closures: [ClosureWindow] = [],
            words: [Word] = [], restated: [Restated] = [], habits: ReportingHabits? = nil,
            others: [OtherWay] = []
        ) {
            self.others = others
            self.habits = habits
            self.restated = restated
            self.milestones = milestones
            self.ids = ids
            self.closures = closures
            self.words = words
        }

        /// Since when a milestone's time is stated as it is; `.unset`: since the beginning.
        func statedAt(_ index: Int) -> Instant {
            index < restated.count ? restated[index].statedAt : .unset
        }

        /// Of a few steps that nobody keeps numbers of.
        public init(
            _ milestones: [Milestone], _ pools: inout Pools, closures: [ClosureWindow] = []
        ) {
            self.init(milestones, milestones.map { pools.id($0) }, closures: closures)
        }
    }

    /// When the milestones of a chain after those reached will happen, where each of them is reported.
    mutating func compose(
        _ steps: borrowing Steps, _ progress: borrowing Journey.Progress, start: Instant,
        now: Instant, _ pools: inout Pools, upTo count: Int
    ) -> Expectation? {
        compositions.countOn()
        let first = progress.furthest + 1
        means.removeAll(keepingCapacity: true)
        if !heard.isEmpty { heard = [] }
        for reached in progress.reached {
            means.append(reached == .unset ? .nan : Float(reached.minutes(since: now)))
        }
        guard first < count else {
            return Expectation(happened: progress.reached[count - 1])
        }
        let began = progress.furthest >= 0 ? progress.reached[progress.furthest] : start
        isBeyondAll = false
        (isMoved, isUndecided) = (false, false)
        entry = first > 0 ? Float(Composer.planned(steps.milestones[first - 1], now)) : .nan
        guard
            let reviewAt = begin(
                steps.milestones[first], steps.ids[first], steps.closures, began: began,
                statedAt: steps.statedAt(first), now, &pools)
        else { return nil }
        if !steps.words.isEmpty { heed(first, steps, from: first, now: now) }
        means[first] = mean()
        let nextP10 = now.advanced(minutes: Double(points[6]))
        let nextP50 = now.advanced(minutes: Double(points[31] + points[32]) / 2)
        let nextP90 = now.advanced(minutes: Double(points[57]))
        let nextP95 = now.advanced(minutes: Double(points[60]))
        let nextP99 = now.advanced(minutes: Double(points[63]))
        var index = first + 1
        while index < count {
            entry = Float(Composer.planned(steps.milestones[index - 1], now))
            guard
                add(
                    steps.milestones[index], steps.ids[index], index, steps.closures,
                    after: means[index - 1], now, &pools)
            else { return nil }
            if !steps.words.isEmpty { heed(index, steps, from: first, now: now) }
            means[index] = mean()
            index += 1
        }
        var expected = Expectation(
            last: Curve(sorting: points), from: now, next: first, nextP10: nextP10,
            nextP50: nextP50, nextP90: nextP90, reviewAt: reviewAt)
        expected.isBeyondAll = isBeyondAll
        expected.nextP95 = nextP95
        expected.nextP99 = nextP99
        if !steps.words.isEmpty {
            Composer.order(&means, from: first)
            expected.isNotAfterTheLast()
        }
        return expected
    }

    /// For each milestone of the chain its possible instants, ascending: one for those reached, 64
    /// for those to come, none (nil) where nothing is known.
    public mutating func timeline(
        _ steps: borrowing Steps, _ progress: Journey.Progress, start: Instant, now: Instant,
        _ pools: inout Pools
    ) -> [[Instant]?] {
        var found: [[Instant]?] = []
        for index in steps.milestones.indices {
            if index <= progress.furthest {
                let reached = progress.reached[index]
                found.append(reached == .unset ? nil : [reached])
            } else {
                found.append(
                    expect(steps, progress, start: start, now: now, &pools, upTo: index + 1)?.last)
            }
        }
        // Of what was not reported nothing is expected before now.
        for at in found.indices.dropFirst(progress.furthest + 1) {
            if let points = found[at], points[0] < now { found[at] = points.map { max($0, now) } }
        }
        // What somebody says of a milestone, or its having passed unheard, tells of those before it, too; and
        // what lies on one way alone is not behind the end of all.
        Composer.order(&found)
        return found
    }

    /// As for a chain, where milestones wait for several before them: each happens when the last of
    /// those has happened and its own step is over, and the shipment is done with the last end. What
    /// comes is the same for every container of the shipment but for whose milestone is next.
    public mutating func join(
        _ steps: borrowing Steps, _ graph: JoinGraph, reached: [Instant], start: Instant,
        now: Instant, _ pools: inout Pools
    ) -> JoinedExpectation? {
        compositions.countOn()
        probablyPassed = nil
        rows.removeAll(keepingCapacity: true)
        let happened = Composer.happened(graph, reached)
        means = happened.map { $0 == .unset ? .nan : Float($0.minutes(since: now)) }
        if !heard.isEmpty { heard = [] }
        if graph.ends.allSatisfy({ happened[$0] != .unset }) {
            return JoinedExpectation(
                whole: Expectation(
                    happened: graph.ends.reduce(Instant.unset) { max($0, happened[$1]) }),
                means: means, heard: [], underWay: [])
        }
        let width = Curve.count
        rows = Array(repeating: 0, count: steps.milestones.count * width)
        var underWay: [JoinedExpectation.Step] = []
        var reviewAt = Instant.never
        for index in steps.milestones.indices {
            if happened[index] != .unset {
                for j in 0..<width { rows[index * width + j] = means[index] }
                continue
            }
            let before = graph.before[index]
            let (step, id) = timetabled(steps, graph, index, now, pools)
            let isUnderWay = before.allSatisfy { happened[$0] != .unset }
            if isUnderWay {
                // How long it has lasted is known.
                let began = before.reduce(before.isEmpty ? start : .unset) {
                    max($0, happened[$1])
                }
                guard
                    let at = begin(
                        step, id, steps.closures, began: began, statedAt: steps.statedAt(index),
                        now, &pools)
                else { return nil }
                reviewAt = min(reviewAt, at)
            } else {
                let after = before.reduce(0) { max($0, means[$1]) }
                for j in 0..<width {
                    points[j] = before.reduce(-Float.infinity) { max($0, rows[$1 * width + j]) }
                }
                guard add(step, id, index, steps.closures, after: after, now, &pools) else {
                    return nil
                }
            }
            if !steps.words.isEmpty { heed(index, steps, from: index, now: now) }
            means[index] = mean()
            for j in 0..<width { rows[index * width + j] = points[j] }
            if isUnderWay {
                // As a curve they ascend; only what a closure holds may come out of its place.
                if !steps.closures.isEmpty { points.sort() }
                underWay.append(
                    JoinedExpectation.Step(
                        index: index, owner: graph.owners[index], points: points, from: now))
            }
        }
        for j in 0..<width {
            points[j] = graph.ends.reduce(-Float.infinity) { max($0, rows[$1 * width + j]) }
        }
        guard !underWay.isEmpty else { return nil }
        return JoinedExpectation(
            whole: Expectation(
                last: Curve(sorting: points), from: now, next: nil, nextP10: .never,
                nextP50: .never, nextP90: .never, reviewAt: reviewAt),
            means: means, heard: heard, underWay: underWay)
    }

    /// The instants at which a milestone of the last composed graph may happen; nil where it has
    /// happened, or nothing is known.
    public func points(of index: Int, now: Instant) -> [Instant]? {
        // Of a shipment that is done nothing was composed.
        guard (index + 1) * Curve.count <= rows.count else { return nil }
        let row = rows[(index * Curve.count)..<((index + 1) * Curve.count)]
        guard row.min() != row.max() else { return nil }
        return row.sorted().map { now.advanced(minutes: Double($0)) }
    }

    /// When each milestone happened; one that was never reported, but behind which something
    /// happened, at that time at the latest.
    public static func happened(_ graph: JoinGraph, _ reached: [Instant]) -> [Instant] {
        var happened = reached
        for index in reached.indices.reversed() where happened[index] != .unset {
            for earlier in graph.before[index] where reached[earlier] == .unset {
                let known = happened[earlier]
                happened[earlier] =
                    known == .unset ? happened[index] : min(known, happened[index])
            }
        }
        return happened
    }

    /// When a step is over that began at `start`, of which a curve tells how many minutes it lasts; `step`: what
    /// closures may hold of it.
    public mutating func expect(
        _ step: Milestone, lasting curve: Curve, _ closures: [ClosureWindow], start: Instant,
        now: Instant
    ) -> Expectation {
        compositions.countOn()
        (means, heard, shares, otherMeans) = ([], [], [], [])
        (probablyPassed, detourMinutes) = (nil, 0)
        let shut = Composer.shutMinutes(step, closures, from: start, until: now)
        let base = start.minutes(since: now) + shut
        let left = curve.conditioned(elapsed: -base)
        for j in 0..<Curve.count { points[j] = max(Float(base) + left.points[j], 0) }
        hold(step, closures, began: start, now) { 0 }
        points.sort()
        let at = { (points: [Float], share: Int) in now.advanced(minutes: Double(points[share])) }
        var expected = Expectation(
            last: Curve(values: points), from: now, next: 0, nextP10: at(points, 6),
            nextP50: at(points, 31), nextP90: at(points, 57), reviewAt: .never)
        expected.isBeyondAll =
            -base > Double(curve.points[Curve.count - 1] * Composer.beyondTimes)
            + Composer.beyondMinutes
        return expected
    }

    // MARK: Steps

    /// Fills the points with those of a step under way since `began`; returns when silence alone
    /// would change them, nil where nothing is known.
    private mutating func begin(
        _ step: Milestone, _ id: StepID, _ closures: [ClosureWindow], began: Instant,
        statedAt: Instant, _ now: Instant, _ pools: inout Pools
    ) -> Instant? {
        if let part = Restarted(step, began: began, statedAt: statedAt) {
            // It knew how late it began, too.
            entry = .nan
            return begin(
                part.step, pools.id(part.step), closures, share: Float(part.share), began: began,
                now, &pools)
        }
        guard isUndecided else {
            return begin(step, id, closures, share: 1, began: began, now, &pools)
        }
        // Kept or moved: the longer it has not happened by one of them, the likelier the other.
        isUndecided = false
        let wasBeyond = isBeyondAll
        guard let at = begin(step, id, closures, share: 1, began: began, now, &pools) else {
            return nil
        }
        mixer.clear()
        mixer.add(Curve(sorting: points), wait.share)
        shifts[0] = shifts[1]
        guard begin(step, id, closures, share: 1, began: began, now, &pools) != nil else {
            return nil
        }
        mixer.add(Curve(sorting: points), wait.share)
        isBeyondAll = wasBeyond
        let mixed = mixer.mixed()
        for j in 0..<Curve.count { points[j] = mixed.points[j] }
        return at
    }

    /// `share`: of the step, what was still unknown when its plan was made.
    private mutating func begin(
        _ step: Milestone, _ id: StepID, _ closures: [ClosureWindow], share: Float,
        began: Instant, _ now: Instant, _ pools: inout Pools
    ) -> Instant? {
        guard let blend = pools.blend(id, step, start: began, lead: 0) else { return nil }
        // The time in which the place was shut does not count.
        let shut = Composer.shutMinutes(step, closures, from: began, until: now)
        let start = began.minutes(since: now) + shut
        let planned = Composer.planned(step, now) + Double(isMoved ? shifts[0] : 0)
        let base = StepValue.base(step, start: start, planned: planned)
        let least = Float(start)
        let from = Float(base)
        let pace = ignoresPace ? .usual : pools.pace(id, lead: 0)
        var longest: Float = 0
        let lasted = -base
        defer {
            if -base > Double(longest * Composer.beyondTimes) + Composer.beyondMinutes {
                isBeyondAll = true
            }
        }
        let told = entry == entry ? pools.tendency(id) : nil
        let late = Float(began.minutes(since: now)) - entry
        let reviewAt = pools.withCurve(blend) { sorted -> Instant in
            var curve = sorted
            if let told {
                bent.withUnsafeMutableBufferPointer { room in
                    guard let room = room.baseAddress else { return }
                    told.bend(sorted, nil, late: { _ in late }, into: room)
                    curve = UnsafePointer(room)
                }
            }
            if share < 1 {
                let middle = step.kind == .transit ? 0 : Float(step.plannedMinutes)
                for j in 0..<Curve.count { bent[j] = middle + (curve[j] - middle) * share }
                bent.withUnsafeBufferPointer { curve = $0.baseAddress ?? curve }
            }
            longest = max(0, curve[Curve.count - 1])
            wait.measure(curve, base: base, pace, now)
            points.withUnsafeMutableBufferPointer { points in
                if pace == .usual, -base <= Double(curve[0]) {
                    for j in 0..<Curve.count { points[j] = max(from + curve[j], least) }
                    return
                }
                guard let room = points.baseAddress else { return }
                Curve.condition(curve, elapsed: lasted, pace: pace, into: room)
                for j in 0..<Curve.count { points[j] = max(from + points[j], least) }
            }
            return Composer.review(curve, base: base, now)
        }
        hold(step, closures, began: began, now) { pools.backlogMinutes(id, before: began) }
        return reviewAt
    }

    /// Adds a step that begins when the one in the points is over, about `minutes` from now; false
    /// where nothing is known.
    private mutating func add(
        _ step: Milestone, _ id: StepID, _ index: Int, _ closures: [ClosureWindow],
        after minutes: Float, _ now: Instant, _ pools: inout Pools
    ) -> Bool {
        let lead = HorizonWeights.lead(minutes: Double(minutes))
        guard let blend = pools.blend(id, step, start: .unset, lead: lead) else {
            return false
        }
        let position =
            pools.isGuess(blend)
            ? Permutations.together : Permutations.position(index, pools.correlation(id))
        if closures.contains(where: { $0.until > now && $0.holds(step) }) {
            for j in 0..<Curve.count { starts[j] = points[j] }
        }
        let planned = Float(Composer.planned(step, now))
        let late = Float(
            step.kind == .transit ? StepValue.transitMinutes(step) : max(0, step.plannedMinutes))
        let least = Float(StepValue.leastMinutes(step))
        let isMoved = isMoved
        let shifts = shifts
        let isTimetabled =
            step.kind == .departure || StepValue.isTimed(step) || StepValue.isDated(step)
        let pace = pools.pace(id, lead: lead)
        let place = { (points: UnsafeMutableBufferPointer<Float>, curve: UnsafePointer<Float>) in
            if isMoved {
                for j in 0..<Curve.count {
                    let start = points[j]
                    let moved = planned + shifts[j]
                    let base = start <= moved ? moved : start + late
                    points[j] = max(base + curve[j], start)
                }
            } else if planned == planned, isTimetabled {
                for j in 0..<Curve.count {
                    let start = points[j]
                    let base = start <= planned ? max(planned, start + least) : start + late
                    points[j] = max(base + curve[j], start)
                }
            } else {
                let usual = Float(step.kind == .transit ? StepValue.transitMinutes(step) : 0)
                for j in 0..<Curve.count {
                    let start = points[j]
                    points[j] = max(start + usual + curve[j], start)
                }
            }
        }
        if entry == entry, pace == .usual, let told = pools.tendency(id) {
            bend(blend, told, position, pools)
            points.withUnsafeMutableBufferPointer { points in
                bent.withUnsafeBufferPointer { place(points, $0.baseAddress.unsafelyUnwrapped) }
            }
        } else {
            points.withUnsafeMutableBufferPointer { points in
                pools.withShuffled(blend, for: position, pace) { place(points, $0) }
            }
        }
        hold(step, closures, began: nil, now) { pools.backlogMinutes(id, before: .never) }
        return true
    }

    /// The curve of the step at hand as the beginnings in the points have it.
    private mutating func bend(
        _ blend: Int, _ told: Tendency, _ position: Int, _ pools: borrowing Pools
    ) {
        let entry = entry
        points.withUnsafeBufferPointer { points in
            bent.withUnsafeMutableBufferPointer { room in
                guard let room = room.baseAddress else { return }
                pools.withCurve(blend) { curve in
                    told.bend(
                        curve, Permutations.all[position], late: { points[$0] - entry },
                        into: room)
                }
            }
        }
    }

    /// A step of a graph, as it is to be composed: where its timetable is likelier to have moved with its
    /// leg's beginning, as that, and by how much at each point (`shifts`).
    private mutating func timetabled(
        _ steps: borrowing Steps, _ graph: JoinGraph, _ index: Int, _ now: Instant,
        _ pools: borrowing Pools
    ) -> (Milestone, StepID) {
        (isMoved, isUndecided) = (false, false)
        let begins = graph.before[index].reduce(Instant.unset) {
            max($0, steps.milestones[$1].planned)
        }
        entry = begins == .unset ? .nan : Float(begins.minutes(since: now))
        let (step, id) = (steps.milestones[index], steps.ids[index])
        guard graph.legs[index] >= 0 else { return (step, id) }
        let moved: StepID?
        switch pools.timetable(id) {
        case .kept: return (step, id)
        case .moved(let other): moved = other
        case .undecided: moved = nil
        }
        let first = graph.before[graph.legs[index]]
        let planned = first.reduce(Instant.unset) { max($0, steps.milestones[$1].planned) }
        guard planned != .unset else { return (step, id) }
        isMoved = true
        isUndecided = moved == nil
        // Late by what is stated it may be in time by what became of that.
        entry = .nan
        let stated = Float(planned.minutes(since: now))
        // Of an undecided one every other point stays as it is.
        if isUndecided { for j in 0..<Curve.count { shifts[j] = 0 } }
        for j in stride(from: isUndecided ? 1 : 0, to: Curve.count, by: isUndecided ? 2 : 1) {
            shifts[j] =
                first.reduce(-Float.infinity) { max($0, rows[$1 * Curve.count + j]) } - stated
        }
        return (step, moved ?? id)
    }

    @inline(__always)
    private static func planned(_ step: Milestone, _ now: Instant) -> Double {
        step.planned == .unset ? .nan : step.planned.minutes(since: now)
    }

    /// In eight sums, so that the processor can take several at a time.
    private func mean() -> Float {
        points.withUnsafeBufferPointer { points in
            var sums = InlineArray<8, Float>(repeating: 0)
            for row in 0..<(Curve.count / 8) {
                for column in 0..<8 { sums[column] += points[row * 8 + column] }
            }
            var sum: Float = 0
            for column in 0..<8 { sum += sums[column] }
            return sum / Float(Curve.count)
        }
    }

    /// The next of the current step's review points to pass; beyond all of them, again after a
    /// quarter of the time waited.
    private static func review(
        _ curve: UnsafePointer<Float>, base: Double, _ now: Instant
    ) -> Instant {
        for point in reviewPoints {
            let at = base + Double(curve[point])
            if at > 0 { return now.advanced(minutes: at + 0.001) }
        }
        return now.advanced(minutes: max(5, -base * 0.25))
    }

    // MARK: Closures

    /// Minutes between two instants in which a closure held a step.
    private static func shutMinutes(
        _ step: Milestone, _ closures: [ClosureWindow], from: Instant, until: Instant
    ) -> Double {
        var minutes = 0.0
        // What is on its way goes on until it comes there.
        let comes =
            step.kind == .transit
            ? from.advanced(minutes: StepValue.transitMinutes(step)) : from
        for window in closures where window.holds(step) {
            let begin = max(window.from, comes)
            let end = min(window.until, until)
            if end > begin { minutes += end.minutes(since: begin) }
        }
        return minutes
    }

    /// A closure stops the clock: what would last into it ends by as much later, and what it held
    /// not before those that have waited longer are through, one after the other. `began`: when the
    /// step under way did; nil where it begins with `starts`.
    /// `backlog`: minutes that those take.
    private mutating func hold(
        _ step: Milestone, _ closures: [ClosureWindow], began: Instant?, _ now: Instant,
        backlog: () -> Double
    ) {
        for window in closures where window.until > now && window.holds(step) {
            let from = Float(max(0, window.from.minutes(since: now)))
            let until = Float(window.until.minutes(since: now))
            let ahead = Float(backlog())
            for j in 0..<Curve.count {
                let start = began == nil ? starts[j] : 0
                guard start < until, points[j] >= from else { continue }
                let isHeld = points[j] < until
                // What only passes there goes on until it comes to it.
                if step.kind != .transit { points[j] += until - max(from, start) }
                if isHeld { points[j] = max(points[j], until + ahead) }
            }
        }
    }
}
