import Engine
import Foundation
import Simulation
import TestKit
import Testing
import Tracking
import Wire

private let start = Instant(seconds: 1_767_225_600)

@Suite struct SimulationTests {
    @Test func theSameSeedGivesTheSameWorld() {
        var options = TrafficOptions(start: start)
        options.days = 2
        let one = Traffic(options).lines.map(\.line)
        let same = Traffic(options).lines.map(\.line)
        #expect(one == same)
        options.seed = 2
        #expect(Traffic(options).lines.map(\.line) != one)
        #expect(one.count > 500)
    }

    @Test func everyLineOfTheWorldIsReadOrMeantToBeWrong() {
        var options = TrafficOptions(start: start)
        options.days = 5
        let parser = FeedParser()
        var wrong = 0
        let lines = Traffic(options).lines
        for line in lines {
            let read = line.line.withUnsafeBufferPointer { parser.parse($0) }
            if case .reject(let reject) = read {
                #expect(reject.code == .checkDigit)
                wrong += 1
            }
        }
        #expect(Double(wrong) < 0.01 * Double(lines.count))
    }

    @Test func backtestsAreDeterministicAndScore() {
        var options = TrafficOptions(start: start)
        options.days = 30
        options.shipmentsPerDay = 10
        let traffic = Traffic(options)
        let truth = Dictionary(
            uniqueKeysWithValues: traffic.truths.map { ($0.plan, $0.delivered) })
        func run() -> BacktestScores {
            var backtest = Backtest()
            for line in traffic.lines { backtest.replay(line.line) }
            return backtest.scores(truth: truth)
        }
        let scores = run()
        let all = scores.rows.last
        #expect(all?.name == "all")
        #expect((all?.count ?? 0) > 3_000)
        #expect((all?.coverage ?? 0) > 0.5 && (all?.coverage ?? 0) <= 1)
        #expect((all?.mcc ?? 0) > 0.3)
        // An empty daemon is humble, and learns within its first hundred.
        #expect((0.75...0.95).contains(scores.first.coverage), "\(scores.first)")
        #expect(scores.rows.map(\.maeMinutes) == run().rows.map(\.maeMinutes))
    }

    /// Without a plan boxes go on as those with one do; by the network alone half of these are wrong.
    @Test func boxesWithoutAPlanAreExpectedWhereOthersWent() {
        var options = TrafficOptions(start: start)
        options.seed = 78
        options.days = 30
        options.unplanned = 0.5
        options.strays = .usual
        var backtest = Backtest()
        for line in Traffic(options).lines { backtest.replay(line.line) }
        let guesses = backtest.guesses
        #expect(guesses.judged > 1_000)
        #expect(guesses.rightShare > 0.8, "\(guesses.rightShare)")
        #expect((0.7...0.87).contains(guesses.coverage), "\(guesses.coverage)")
        // As many plans are sent as are meant to be.
        let plans = backtest.predictions.count { $0.stage == .booking }
        #expect((420...780).contains(plans), "\(plans)")
    }

    /// The forecasts of a small day of the corridor, to the second. Where a change means to change
    /// them, `CARAVAN_TEST_GOLDEN=write` writes the file anew.
    @Test func aSmallDayIsForecastAsEver() throws {
        var options = TrafficOptions(start: start)
        options.seed = 77
        options.shipmentsPerDay = 12
        var backtest = Backtest()
        var text = ""
        for line in Traffic(options).lines {
            backtest.replay(line.line) { prediction in
                let shown = [prediction.p10, prediction.p50, prediction.p90].map {
                    TimeText.string(Instant(seconds: $0.microseconds / 1_000_000))
                }
                let late = prediction.lateProbability.map { String(Int($0 * 1_000)) } ?? "-"
                text +=
                    "\(prediction.event ?? prediction.shipment) \(shown.joined(separator: " ")) "
                    + "\(late)\n"
            }
        }
        let file = packageFolder + "/Tests/SimulationTests/golden-forecasts.txt"
        if ProcessInfo.processInfo.environment["CARAVAN_TEST_GOLDEN"] == "write" {
            try text.write(toFile: file, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOfFile: file, encoding: .utf8)
        let pairs = zip(text.split(separator: "\n"), golden.split(separator: "\n"))
        if let first = pairs.first(where: { $0.0 != $0.1 }) {
            Issue.record("forecast: \(first.0), golden: \(first.1)")
        }
        #expect(text == golden)
    }

    /// Crashes at random commits, answers lost, restarts from any snapshot: nothing acknowledged is
    /// lost, nothing is published twice. The control breaks the rule and must be caught.
    @Test(arguments: [false, true])
    func crashesLoseNothing(_ isControl: Bool) async throws {
        let seed = testSeed("crashesLoseNothing")
        var lost = 0
        let isSoak = ProcessInfo.processInfo.environment["CARAVAN_TEST_SOAK"] != nil
        for round in 0..<(isSoak ? 20_000 : 500) {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            var options = TrafficOptions(start: start)
            options.seed = seed &+ UInt64(round)
            options.shipmentsPerDay = 3
            let lines = Traffic(options).lines
            let log = MemoryLog()
            var engine = try await Recovery.run(log).engine
            var acknowledged: Set<String> = []
            var now = start
            var at = 0
            while at < lines.count {
                let next = min(lines.count, at + 1 + Int(random.next() % 30))
                let part = lines[at..<next]
                now = max(now, part.last?.at ?? now)
                let chunk = FeedChunk(
                    source: 1, origin: Origin(),
                    text: Array(part.map(\.line).joined(separator: [0x0A])), parser: FeedParser())
                let effects = engine.step(
                    [chunk], changes: [.network(.shipped)], now: now)
                if random.chance(0.2) {
                    log.inject([random.chance(0.5) ? .refused : .unknownOutcome])
                }
                var durable = true
                if let commit = effects.commit {
                    do { try await log.commit(commit) } catch { durable = false }
                }
                if durable || isControl {
                    for line in part {
                        if let id = FlatObject(line.line)?.text("id") { acknowledged.insert(id) }
                    }
                    at = next
                    if random.chance(0.05) { try await log.checkpoint(engine.cut(now: now)) }
                }
                // A failed commit ends the process; so do some good ones. What was not acknowledged
                // is sent again.
                if !durable || random.chance(0.05) { engine = try await Recovery.run(log).engine }
            }
            let stored = log.commits.flatMap(\.events).compactMap(\.event.id)
            #expect(stored.count == Set(stored).count, "seed \(seed), round \(round): twice")
            let refused = log.commits.flatMap(\.quarantined).compactMap {
                FlatObject($0.bytes)?.text("id")
            }
            lost += acknowledged.subtracting(stored).subtracting(refused).count
            let numbers = log.commits.flatMap(\.outputs).map(\.seq)
            #expect(numbers == Array(1..<(numbers.count + 1)), "seed \(seed), round \(round)")
        }
        if isControl {
            #expect(lost > 0, "seed \(seed): the control lost nothing, so the test sees nothing")
        } else {
            #expect(lost == 0, "seed \(seed)")
        }
    }
}
