import Forecast
import Simulation
import Testing
import Tracking

@Suite struct ElementaryTests {
    @Test func expAndLnUndoEachOther() {
        for index in -200...200 {
            let x = Double(index) / 7
            #expect(abs(PortableMath.ln(PortableMath.exp(x)) - x) < 1e-12 * max(1, abs(x)))
        }
        #expect(abs(PortableMath.exp(1) - 2.718281828459045) < 1e-14)
    }

    @Test func normalQuantilesAreRight() {
        // Values of the standard normal table.
        for (p, z) in [
            (0.5, 0.0), (0.9, 1.2815515655), (0.975, 1.9599639845), (0.01, -2.326347874),
        ] {
            #expect(abs(PortableMath.normalQuantile(p) - z) < 1e-7)
        }
    }
}

@Suite struct CurveTests {
    @Test func logNormalHasItsQuantiles() {
        let curve = Curve.logNormal(p50: 100, p90: 300)
        #expect(abs(curve.quantile(0.5) - 100) < 2)
        #expect(abs(curve.quantile(0.9) - 300) < 8)
    }

    @Test func mixturesAreMonotoneAndBetweenTheirParts() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            let a = Curve.logNormal(p50: 1 + 100 * random.share(), p90: 200 + 100 * random.share())
            let b = Curve.logNormal(p50: 500 + 100 * random.share(), p90: 900)
            let weight = random.share()
            let mixed = Curve.mixture([(a, weight), (b, 1 - weight)])
            #expect(mixed.values.count == 64)
            #expect(mixed.values == mixed.values.sorted())
            #expect(mixed.values[0] >= min(a.values[0], b.values[0]))
            #expect(mixed.values[63] <= max(a.values[63], b.values[63]))
        }
    }

    @Test func conditioningNeverEndsBeforeTheElapsedTime() {
        let curve = Curve.logNormal(p50: 60, p90: 180)
        for elapsed in stride(from: 0.0, through: 2_000, by: 37) {
            let left = curve.conditioned(elapsed: elapsed)
            #expect(left.values == left.values.sorted())
            #expect(Double(left.values[0]) >= min(elapsed, Double(curve.values[0])) - 0.01)
            #expect(left.quantile(0.5) >= curve.quantile(0.5) - 0.01)
        }
    }
}

@Suite struct PoolTests {
    private func step(_ place: UInt32, planned: Double = .nan) -> Milestone {
        Milestone(
            place: place, code: .gtot, kind: .dwell, fromPlace: place, fromCode: .arri,
            mode: .rail, plannedMinutes: planned, priorMinutesP50: 600, priorMinutesP90: 1_800)
    }

    private func learn(_ pools: inout Pools, value: Double) {
        let id = pools.id(step(1))
        pools.learn(id, step(1), value: value)
    }

    private func unlearn(_ pools: inout Pools, value: Double) {
        let id = pools.id(step(1))
        pools.unlearn(id, step(1), value: value)
    }

    @Test func evidenceOverrulesThePrior() throws {
        var pools = Pools()
        let prior = pools.curve(step(1))
        let before = try #require(prior).quantile(0.5)
        #expect(abs(before - 600) < 20)
        for index in 0..<200 { learn(&pools, value: 100 + Double(index % 10)) }
        let learned = pools.curve(step(1))
        let after = try #require(learned).quantile(0.5)
        #expect(abs(after - 105) < 15)
    }

    @Test func unlearningReturnsToTheStateBefore() {
        var random = SeededGenerator(seed: 4)
        var pools = Pools()
        for _ in 0..<100 { learn(&pools, value: 1_000 * random.share()) }
        let before = pools.pools.map { $0.values.sorted() }
        learn(&pools, value: 77_777)
        unlearn(&pools, value: 77_777)
        #expect(pools.pools.map { $0.values.sorted() } == before)
    }

    @Test func unknownStepsAreSaidToBeUnknown() {
        var pools = Pools()
        let unknown = Milestone(
            place: 5, code: .arri, kind: .transit, fromPlace: 4, fromCode: .depa, mode: .rail)
        #expect(pools.curve(unknown) == nil)
    }

    /// A stay at a place that the network thinks takes so long.
    private func stay(_ place: UInt32, hours: Double) -> Milestone {
        Milestone(
            place: place, code: .cusr, kind: .dwell, fromPlace: place, fromCode: .arri, mode: .rail,
            priorMinutesP50: hours * 60, priorMinutesP90: hours * 120)
    }

    private func middle(_ pools: inout Pools, _ step: Milestone) throws -> Double {
        let curve = pools.curve(step)
        return try #require(curve).quantile(0.5) / 60
    }

    /// Borders that take twice as long as the network thinks tell of another that it takes twice as long,
    /// and not that it takes as long as they do; one border tells half of that, however often it was passed.
    @Test func whatAKindHasInCommonItHasInProportion() throws {
        var pools = Pools()
        let other = stay(9, hours: 4)
        #expect((3.8...4.2).contains(try middle(&pools, other)))
        func pass(_ place: UInt32, _ hours: Double) {
            let step = stay(place, hours: hours)
            let id = pools.id(step)
            for index in 0..<50 {
                pools.learn(id, step, value: 2 * hours * 60 * (0.9 + Double(index % 10) / 45))
            }
        }
        pass(1, 48)
        let afterOne = try middle(&pools, other)
        #expect((4.2...8).contains(afterOne), "\(afterOne)")
        for place in 2...8 as ClosedRange<UInt32> { pass(place, 24) }
        let afterEight = try middle(&pools, other)
        #expect((7.5...9.5).contains(afterEight) && afterEight > afterOne, "\(afterEight)")
        // What is taken back is a place less again.
        let (general, before) = (stay(1, hours: 48), pools.pools.map(\.places).max())
        #expect(before == 8)
        let id = pools.id(general)
        for index in 0..<50 {
            pools.unlearn(
                id, general, value: 2 * 48 * 60 * (0.9 + Double(index % 10) / 45))
        }
        pass(2, 24)
        #expect(pools.pools.map(\.places).max() == 7)
    }

    /// Plans of no minutes, of one, and of a year: whoever sends them, the pools hold numbers, and what is taken
    /// back is gone, in whichever order they came.
    @Test(arguments: [[1.0, 0], [0, 1], [0.4, 1.6, 525_600], [525_600, 0, 0.9]])
    func whatIsPlannedAsNothingIsNoScale(_ planned: [Double]) {
        var pools = Pools()
        let hops = planned.map {
            Milestone(
                place: 2, code: .arri, kind: .transit, fromPlace: 1, fromCode: .depa, mode: .road,
                plannedMinutes: $0)
        }
        for hop in hops + hops {
            for value in [0.0, 50, -20, 40_000] {
                let id = pools.id(hop)
                pools.learn(id, hop, value: value)
            }
        }
        #expect(pools.pools.allSatisfy { $0.values.allSatisfy(\.isFinite) })
        for hop in hops + hops {
            for value in [0.0, 50, -20, 40_000] {
                let id = pools.id(hop)
                pools.unlearn(id, hop, value: value)
            }
        }
        #expect(pools.pools.allSatisfy { $0.values.isEmpty })
    }

    /// A plan that gives a minute to what takes a day does not say that a fortnight takes years.
    @Test func aStayThatIsHardlyPlannedTellsNothingOfLongOnes() throws {
        var pools = Pools()
        func stay(_ place: UInt32, minutes: Double) -> Milestone {
            Milestone(
                place: place, code: .disc, kind: .dwell, fromPlace: place, fromCode: .arri,
                mode: .rail, plannedMinutes: minutes)
        }
        func pass(planned minutes: Double) {
            for place in 1...3 as ClosedRange<UInt32> {
                for _ in 0..<20 {
                    let step = stay(place, minutes: minutes)
                    let id = pools.id(step)
                    pools.learn(id, step, value: 30 * 1_440)
                }
            }
        }
        pass(planned: 1)
        let curve = pools.curve(stay(9, minutes: 14 * 1_440))
        let days = try #require(curve).quantile(0.9) / 1_440
        #expect((14...40).contains(days), "\(days)")
        // Nor does one that was planned as an hour say more than that it takes some times as long.
        pass(planned: 60)
        let next = pools.curve(stay(9, minutes: 14 * 1_440))
        let longest = try #require(next).quantile(0.9) / 1_440
        #expect(longest <= 6 * 14.3, "\(longest)")
    }

    /// Three weeks between two places of which nobody says how far they are is no deviation of three weeks.
    @Test func whatNobodyPlannedTellsNothingOfOthers() throws {
        var pools = Pools()
        func hop(_ place: UInt32, minutes: Double) -> Milestone {
            Milestone(
                place: place, code: .arri, kind: .transit, fromPlace: place + 1, fromCode: .depa,
                mode: .rail, plannedMinutes: minutes)
        }
        func middle() throws -> Double {
            let curve = pools.curve(hop(90, minutes: 600))
            return try #require(curve).quantile(0.5)
        }
        let before = try middle()
        for place in 1...20 as ClosedRange<UInt32> {
            let bare = hop(place, minutes: .nan)
            let id = pools.id(bare)
            pools.learn(id, bare, value: 21 * 1_440)
            // Nor does a plan of an hour for two years.
            let slip = hop(place + 40, minutes: 60)
            let other = pools.id(slip)
            pools.learn(other, slip, value: -730 * 1_440)
        }
        #expect(try middle() == before)
    }

    @Test func poolsKeepTheirLimit() {
        var pools = Pools()
        for index in 0..<1_000 { learn(&pools, value: Double(index)) }
        for (key, pool) in zip(pools.keys, pools.pools) {
            #expect(
                pool.values.count == ([.kind, .scaled].contains(key.level) ? 1_000 : Pools.limit))
        }
    }
}

@Suite struct GuessTests {
    /// A voyage of which nothing is known but what its plan says.
    private func voyage(_ legs: Int, _ mode: TransportMode) -> [Milestone] {
        (0..<legs).map { leg in
            Milestone(
                place: UInt32(leg + 2), code: .arri, kind: .transit, fromPlace: UInt32(leg + 1),
                fromCode: .depa, mode: mode, plannedMinutes: 10 * 1_440)
        }
    }

    private func width(_ chain: [Milestone], _ pools: inout Pools) throws -> Double {
        var composer = Composer()
        var progress = Journey.Progress()
        progress.reached = Array(repeating: .unset, count: chain.count)
        let start = Instant(seconds: 1_767_225_600)
        let steps = Composer.Steps(chain, &pools)
        let expected = try #require(
            composer.expect(steps, progress, start: start, now: start, &pools))
        return expected.quantile(0.9).minutes(since: expected.quantile(0.1)) / 1_440
    }

    /// What a plan says may be wrong for all of its steps alike: guesses add up. What was learned evens
    /// out.
    @Test func guessesAddUpUntilSomethingIsKnown() throws {
        var pools = Pools()
        let one = try width(voyage(1, .sea), &pools)
        let four = try width(voyage(4, .sea), &pools)
        #expect((3.9...4.1).contains(four / one))
        // Ocean carriers' words were off by some five days in five weeks: nine in ten within eight.
        #expect((6...10).contains(one))
        #expect(try width(voyage(1, .rail), &pools) < one)
        for step in voyage(4, .sea) {
            let id = pools.id(step)
            for day in 0..<40 {
                let start = Instant(seconds: 1_767_225_600 + Int64(day) * 86_400)
                let late = Double((day * 7 + Int(step.place) * 3) % 11 - 5) * 400
                pools.learn(
                    id, step, value: late, start: start,
                    end: start.advanced(minutes: 14_400 + late))
            }
        }
        let learned = try width(voyage(4, .sea), &pools) / width(voyage(1, .sea), &pools)
        #expect((1.7...3).contains(learned))
    }
}

@Suite struct ComposerTests {
    private let chain = [
        Milestone(
            place: 1, code: .depa, kind: .departure, fromPlace: 1, fromCode: .stuf, mode: .rail,
            priorMinutesP50: 300, priorMinutesP90: 900),
        Milestone(
            place: 2, code: .arri, kind: .transit, fromPlace: 1, fromCode: .depa, mode: .rail,
            priorMinutesP50: 1_200, priorMinutesP90: 1_800),
        Milestone(
            place: 2, code: .gtot, kind: .dwell, fromPlace: 2, fromCode: .arri, mode: .rail,
            priorMinutesP50: 600, priorMinutesP90: 1_800),
    ]

    private func steps(_ pools: inout Pools, _ closures: [ClosureWindow] = []) -> Composer.Steps {
        Composer.Steps(chain, &pools, closures: closures)
    }

    private func progress(_ reached: [Instant]) -> Journey.Progress {
        var progress = Journey.Progress()
        progress.reached = reached
        progress.furthest = reached.lastIndex { $0 != .unset } ?? -1
        return progress
    }

    @Test func sameFactsSameForecast() {
        let start = Instant(seconds: 1_000_000)
        var first = Composer()
        var second = Composer()
        var one = Pools()
        var other = Pools()
        let open = progress([.unset, .unset, .unset])
        let now = start.advanced(minutes: 60)
        let a = first.expect(steps(&one), open, start: start, now: now, &one)
        _ = second.expect(
            steps(&other), open, start: start, now: now.advanced(minutes: 5), &other)
        let b = second.expect(steps(&other), open, start: start, now: now, &other)
        #expect(a == b)
        #expect(a?.last == a?.last.sorted())
        #expect(a?.last.count == 64)
    }

    @Test func silenceOnlyDelays() throws {
        let start = Instant(seconds: 1_000_000)
        var composer = Composer()
        var pools = Pools()
        let open = progress([.unset, .unset, .unset])
        var last = Instant.unset
        for hours in stride(from: 0.0, through: 200, by: 4) {
            let now = start.advanced(minutes: hours * 60)
            let expected = composer.expect(
                steps(&pools), open, start: start, now: now, &pools)
            let found = try #require(expected)
            #expect(found.quantile(0.5) >= last)
            #expect(found.reviewAt > now)
            last = found.quantile(0.5)
        }
    }

    @Test func arrivedIsCertain() throws {
        let start = Instant(seconds: 1_000_000)
        var composer = Composer()
        var pools = Pools()
        let done = progress([start, start.advanced(minutes: 9), start.advanced(minutes: 10)])
        let later = start.advanced(minutes: 99)
        let expected = composer.expect(steps(&pools), done, start: start, now: later, &pools)
        let found = try #require(expected)
        #expect(found.next == nil)
        #expect(found.last == [start.advanced(minutes: 10)])
    }

    @Test func aClosureHoldsWhatStandsAtThePlace() throws {
        let start = Instant(seconds: 1_000_000)
        var composer = Composer()
        var pools = Pools()
        let open = progress([.unset, .unset, .unset])
        let until = start.advanced(minutes: 20_000)
        let window = ClosureWindow(place: 1, mode: .rail, from: start, until: until)
        let expected = composer.expect(
            steps(&pools, [window]), open, start: start, now: start, &pools)
        let found = try #require(expected)
        #expect(found.last.allSatisfy { $0 > until })
    }
}
