import Simulation
import Testing
import Tracking

@testable import Forecast

private let start = Instant(seconds: 1_767_225_600)

private func at(_ minutes: Double) -> Instant { start.advanced(minutes: minutes) }

/// A border at which waiting takes ten hours, as the network says.
private let border = Milestone(
    place: 1, code: .cusr, kind: .dwell, fromPlace: 1, fromCode: .arri, mode: .rail,
    priorMinutesP50: 600, priorMinutesP90: 900)

@Suite struct FlowTests {
    /// One an hour comes and leaves some ten hours later, for `hours`.
    private func usual(_ pools: inout Pools, hours: Int) {
        let id = pools.id(border)
        var inside: [(came: Instant, leaves: Instant)] = []
        for hour in 0..<hours {
            let came = at(Double(hour) * 60)
            pools.wait(id, from: came, isNews: true)
            inside.append((came, came.advanced(minutes: 480 + Double(hour * 37 % 240))))
            for one in inside where one.leaves <= came {
                pools.leave(id, from: one.came)
                pools.learn(
                    id, border, value: one.leaves.minutes(since: one.came), start: one.came,
                    end: one.leaves)
            }
            inside.removeAll { $0.leaves <= came }
        }
    }

    @Test func waitingIsEvidenceBeforeAnybodyIsReleased() {
        var pools = Pools()
        usual(&pools, hours: 60)
        let id = pools.id(border)
        let before = pools.pace(id, lead: 0).factor
        #expect(abs(before - 1) < 0.35, "\(before)")
        // They go on coming, and none leaves.
        for hour in 60..<90 { pools.wait(id, from: at(Double(hour) * 60), isNews: true) }
        #expect(pools.pace(id, lead: 0).factor < 0.6 * before)
    }

    @Test func aPostThatIsCutOffIsNoCongestion() {
        var pools = Pools()
        usual(&pools, hours: 60)
        let id = pools.id(border)
        let before = pools.pace(id, lead: 0)
        // Nothing is heard of the place at all; what is known comes from elsewhere.
        for hour in 60..<90 { pools.wait(id, from: at(Double(hour) * 60), isNews: false) }
        #expect(pools.pace(id, lead: 0) == before)
    }

    @Test func whatIsClosedStopsTheClockAndDrainsOneAfterTheOther() throws {
        var pools = Pools()
        usual(&pools, hours: 60)
        let now = at(60 * 60)
        let window = ClosureWindow(
            place: 1, mode: .rail, from: now, until: now.advanced(minutes: 2_880))
        let steps = Composer.Steps([border], &pools, closures: [window])
        var composer = Composer()
        func end(since came: Instant) throws -> Double {
            var open = Journey.Progress()
            open.reached = [.unset]
            let expected = composer.expect(steps, open, start: came, now: now, &pools)
            return try #require(expected).quantile(0.5).minutes(since: window.until)
        }
        // Ten wait: the first of them is through soon after the opening, the last hours later.
        let first = try end(since: at(50 * 60))
        let last = try end(since: at(59 * 60))
        #expect(first >= 0 && first < 180, "\(first)")
        #expect(last >= first + 300, "\(first), \(last)")
        // An hour in which the place was shut is no hour of waiting.
        let reopened = ClosureWindow(
            place: 1, mode: .rail, from: at(3_000), until: now.advanced(minutes: -1))
        let later = Composer.Steps([border], &pools, closures: [reopened])
        var open = Journey.Progress()
        open.reached = [.unset]
        let left = composer.expect(later, open, start: at(2_900), now: now, &pools)
        let usualEnd = try #require(left).quantile(0.5).minutes(since: now)
        #expect(usualEnd > 300, "\(usualEnd)")
    }

    @Test func leavingTakesBackWhatWaitingSaid() {
        var flow = QueuePace()
        for hour in 0..<20 { flow.wait(from: at(Double(hour))) }
        let before = flow
        flow.wait(from: at(7.5))
        flow.leave(at(7.5))
        #expect(flow == before)
        #expect(flow.rank(at(10)) == 10)
    }

    @Test func theLineStaysInOrderWhoeverComesAndGoes() {
        var random = SeededGenerator(seed: 19)
        var line = WaitingLine()
        var plain: [Instant] = []
        for round in 0..<5_000 {
            if plain.isEmpty || random.chance(round < 2_500 ? 0.6 : 0.4) {
                let start = at(Double(Int(random.share() * 3_000)))
                line.insert(start)
                plain.append(start)
                plain.sort()
            } else {
                let share = random.chance(0.7) ? 0.1 : 1.0
                let gone = plain.remove(at: Int(random.share() * share * Double(plain.count)))
                line.remove(gone)
            }
            #expect(line.count == plain.count)
        }
        #expect((0..<line.count).map { line[$0] } == plain)
        line.remove(at(-1))
        #expect(line.count == plain.count)
    }

    @Test func paceMovesWhatIsLeft() {
        let curve = Curve.logNormal(p50: 600, p90: 900)
        let usual = curve.conditioned(elapsed: 300)
        let slow = curve.conditioned(elapsed: 300, pace: Pace(factor: 0.3))
        let fast = curve.conditioned(elapsed: 300, pace: Pace(factor: 2))
        for j in 0..<Curve.count {
            #expect(slow.points[j] >= usual.points[j] && usual.points[j] >= fast.points[j])
            #expect(slow.points[j] >= 300)
        }
        #expect(slow.values == slow.values.sorted())
    }
}

@Suite struct SortingTests {
    /// Spread evenly, in clumps, all alike, with a few far out, in either order.
    @Test func sortsAsAnySortDoes() {
        var random = SeededGenerator(seed: 3)
        for round in 0..<2_000 {
            let scale = [1, 60, 1e4, 1e9][round % 4]
            var values = (0..<64).map { _ -> Float in
                if random.chance(0.3) { return Float(scale) }
                let far = random.chance(0.02) ? 1e6 : 1.0
                return Float((random.share() - 0.5) * scale * far)
            }
            if round % 7 == 0 { values = Array(repeating: values[0], count: 64) }
            if round % 11 == 0 { values.sort(by: >) }
            if round % 13 == 0 { values[round % 64] = -.infinity }
            if round % 17 == 0 { values[(round / 2) % 64] = .infinity }
            #expect(Curve(sorting: values).values == values.sorted())
        }
    }
}

@Suite struct MemoryTests {
    /// Values that stay where they are for weeks and then move: what was last seen tells most about
    /// tomorrow, and less about three weeks from now.
    @Test func whatHoldsForLongIsLearned() throws {
        var random = SeededGenerator(seed: 8)
        var pools = Pools()
        let id = pools.id(border)
        for number in 0..<4_000 {
            let came = at(Double(number) * 60)
            let level = (number / 480) % 2 == 0 ? 300.0 : 1_500
            let value = level + 100 * random.share()
            pools.learn(
                id, border, value: value, start: came, end: came.advanced(minutes: value))
        }
        let place = try #require(zip(pools.keys, pools.pools).first { $0.0.level == .place })
        let weights = place.1.memories.weights
        #expect(weights.count == HorizonWeights.leadMinutes.count)
        #expect(weights[0][0] > 0.7, "\(weights)")
        #expect(weights[4][0] < weights[0][0])
        for weight in weights { #expect(abs(weight.sum() - 1) < 1e-3) }
    }

    /// A dwell at a place that no network knows, planned to last `minutes`.
    private func planned(_ minutes: Double) -> Milestone {
        var step = Milestone(
            place: 7, code: .drop, kind: .dwell, fromPlace: 7, fromCode: .arri, mode: .air)
        step.plannedMinutes = minutes
        return step
    }

    /// Three hundred dwells planned to last from five hours to two days; `actual`: what became of a
    /// plan of so many minutes.
    private func dwells(_ actual: (Double) -> Double) -> Pools {
        var random = SeededGenerator(seed: 12)
        var pools = Pools()
        for number in 0..<1_200 {
            let step = planned(300 * PortableMath.exp(2.3 * random.share()))
            let value = actual(step.plannedMinutes) * (0.8 + 0.4 * random.share())
            let came = at(Double(number) * 360)
            pools.learn(
                pools.id(step), step, value: value, start: came,
                end: came.advanced(minutes: value))
        }
        return pools
    }

    @Test func thePlanCountsWhereItTells() throws {
        var telling = dwells { 0.5 * $0 }
        // A plan of its own class, longer than any seen: only its share is known.
        let telltale = telling.curve(planned(4_000))
        let long = try #require(telltale)
        #expect((1_000...2_400).contains(long.quantile(0.5)), "\(long.quantile(0.5))")
        var silent = dwells { _ in 600 }
        let plain = silent.curve(planned(4_000))
        let usual = try #require(plain)
        #expect((500...750).contains(usual.quantile(0.5)), "\(usual.quantile(0.5))")
        for (pools, isTelling) in [(telling, true), (silent, false)] {
            let place = try #require(zip(pools.keys, pools.pools).first { $0.0.level == .place })
            let weights = place.1.memories.weights
            #expect((weights[0][HorizonWeights.lateShare] > 0.8) == isTelling, "\(weights)")
            for weight in weights { #expect(abs(weight.sum() - 1) < 1e-3) }
        }
    }

    @Test func whatASharePoolLearnedIsTakenBack() {
        var pools = dwells { 0.5 * $0 }
        let step = planned(1_234.5)
        let id = pools.id(step)
        let before = pools.pools.map { $0.values.sorted() }
        pools.learn(id, step, value: 77_777, start: at(0), end: at(77_777))
        pools.unlearn(id, step, value: 77_777, start: at(0), end: at(77_777))
        // The ring of three hundred has let one go for it; nothing of the taken back one stays.
        for (now, then) in zip(pools.pools, before) where !then.isEmpty {
            #expect(Set(now.values).isSubset(of: Set(then)))
            #expect(now.values.count >= then.count - 1)
        }
    }

    /// At a busy place three hundred observations would be those of one day.
    @Test(arguments: [(perDay: 10, kept: 100), (perDay: 40, kept: 300), (perDay: 400, kept: 300)])
    func ofABusyDaySoManyAreKept(_ traffic: (perDay: Int, kept: Int)) throws {
        var pools = Pools()
        let step = planned(600)
        let id = pools.id(step)
        // The value tells the day.
        for day in 0..<10 {
            for number in 0..<traffic.perDay {
                let end = at(Double(day) * 1_440 + Double(number) * 1_440 / Double(traffic.perDay))
                pools.learn(id, step, value: Double(day), start: end, end: end)
            }
        }
        let pool = try #require(zip(pools.keys, pools.pools).first { $0.0.level == .place }).1
        #expect(pool.values.count == traffic.kept)
        // The first day's may be twice as many.
        let days = Set(pool.values)
        #expect(days.count >= 7, "\(days.sorted())")
    }

    @Test func ofATrainADaysShareCountsAtOnce() throws {
        var pools = Pools()
        let step = planned(600)
        let id = pools.id(step)
        func kept() throws -> Int {
            try #require(zip(pools.keys, pools.pools).first { $0.0.level == .place }).1.values.count
        }
        for _ in 0..<100 { pools.learn(id, step, value: 500, start: at(0), end: at(600)) }
        #expect(try kept() == 40)
        // An hour later there is room for one more, and a late report changes nothing of that.
        for _ in 0..<5 { pools.learn(id, step, value: 500, start: at(0), end: at(640)) }
        #expect(try kept() == 41)
        for _ in 0..<5 { pools.learn(id, step, value: 500, start: at(0), end: at(100)) }
        #expect(try kept() == 41)
    }

    /// A year that is handed in to a daemon that runs teaches as much as one that it has seen.
    @Test func aHistoryThatComesLaterCounts() throws {
        var pools = Pools()
        let step = planned(600)
        let id = pools.id(step)
        let year = 365.0 * 1_440
        for _ in 0..<100 { pools.learn(id, step, value: 500, start: at(0), end: at(year)) }
        for day in 0..<20 {
            for number in 0..<10 {
                let end = at(Double(day) * 1_440 + Double(number) * 144)
                pools.learn(id, step, value: 700, start: end, end: end)
            }
        }
        let pool = try #require(zip(pools.keys, pools.pools).first { $0.0.level == .place }).1
        #expect(pool.values.count { $0 == 500 } == 40)
        #expect(pool.values.count { $0 == 700 } > 190)
    }

    /// Plans that differ by a minute share a number, and with it what is said before any evidence:
    /// which of them came first must not show.
    @Test func theFirstOfManyPlansSaysNoMoreThanTheLast() throws {
        let plans = [planned(1_000), planned(996)]
        var curves: [[Float]] = []
        for order in [plans, plans.reversed()] {
            var pools = Pools()
            #expect(Set(order.map { pools.id($0) }).count == 1)
            let curve = pools.curve(plans[0])
            curves.append(try #require(curve).values)
        }
        #expect(curves[0] == curves[1])
    }

    @Test func anOldSnapshotIsJudgedByWhatWasKnownThen() {
        var memories = HorizonWeights()
        memories.keep(SIMD4(100, 200, 300, 0), at: at(0))
        memories.keep(SIMD4(900, 900, 900, 0), at: at(10))
        #expect(memories.past.count == 1)
        memories.keep(SIMD4(500, 500, 500, 0), at: at(2_000))
        memories.judge(100, start: at(1_500))
        // Without a plan its share errs as the same span does without it.
        #expect(memories.errors[0] == SIMD4(0, 100, 200, 100))
        // A day ahead nothing was known yet … of a step that began two days later it was.
        #expect(memories.counts == [1, 1, 0, 0, 0])
    }
}

@Suite struct MarginTests {
    @Test func alertsThatDoNotComeTrueAskForMoreCertainty() {
        var intervals = IntervalCalibrator()
        for number in 0..<300 { intervals.learn(alert: 3, cameTrue: number % 2 == 0) }
        #expect(intervals.tallies[3].margin > 0.3)
        #expect(intervals.tallies[2].margin == 0)
        for _ in 0..<3_000 { intervals.learn(alert: 3, cameTrue: true) }
        #expect(intervals.tallies[3].margin == 0)
    }
}
