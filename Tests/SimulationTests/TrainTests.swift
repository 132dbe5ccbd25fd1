import Engine
import Forecast
import Foundation
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Trains with timetables between places that no network file knows: late ones catch up, early ones lose
/// what they gained; or nothing of the kind (`habit` 0).
private struct TrainWorld {
    static let epoch = Instant(seconds: 1_767_225_600)
    static let stops = 10
    /// How much of a delay is made up for on each step.
    let habit: Double
    private(set) var lines: [[UInt8]] = []
    private(set) var arrivals: [String: Instant] = [:]

    init(seed: UInt64, trains: Int, habit: Double) {
        self.habit = habit
        var random = SeededGenerator(seed: seed)
        func gauss() -> Double {
            let radius = (-2 * log(max(random.share(), 1e-12))).squareRoot()
            return radius * cos(2 * .pi * random.share())
        }
        var all: [(minute: Double, text: String)] = []
        for number in 0..<trains {
            let name = "T\(number)"
            let box = ContainerNumber(owner: "TRTU", serial: number)?.description ?? ""
            let line = Int(random.share() * 12)
            let start = Double(number) * 9
            var planned = start
            var late = 3 * gauss() + (random.chance(0.25) ? 8 * random.share() : 0)
            var milestones: [String] = []
            for stop in 0..<TrainWorld.stops {
                if stop > 0 {
                    planned += 8 + Double((line * 7 + stop * 5) % 13)
                    // What is late by more than a little makes up for a part of it, what is early waits.
                    late += -habit * late + 1.6 * gauss()
                }
                let place = "L\(line)S\(stop)"
                let event = stop == 0 ? "DEPA" : "ARRI"
                milestones.append(
                    "{\"place\":\"\(place)\",\"event\":\"\(event)\",\"time\":\""
                        + TimeText.string(TrainWorld.instant(planned)) + "\"}")
                let happened = planned + late
                all.append(
                    (
                        happened,
                        "{\"id\":\"\(name)-\(stop)\",\"container\":\"\(box)\",\"event\":\"\(event)\","
                            + "\"place\":\"\(place)\",\"time\":\""
                            + TimeText.string(TrainWorld.instant(happened))
                            + "\",\"shipment\":\"\(name)\"}"
                    ))
                arrivals[name] = TrainWorld.instant(happened)
            }
            let begins = TimeText.string(TrainWorld.instant(start - 60))
            all.append(
                (
                    start - 60,
                    "{\"plan\":\"\(name)\",\"containers\":[\"\(box)\"],\"start\":\"\(begins)\","
                        + "\"updated\":\"\(begins)\",\"promised\":\""
                        + TimeText.string(TrainWorld.instant(planned + 5))
                        + "\",\"mode\":\"RAIL\",\"milestones\":[\(milestones.joined(separator: ","))]}"
                ))
        }
        lines = all.sorted { $0.minute < $1.minute }.map { Array($0.text.utf8) }
    }

    static func instant(_ minute: Double) -> Instant { epoch.advanced(minutes: minute) }

    func scores(without: Views) -> BacktestScores {
        var backtest = Backtest(without: without)
        for line in lines { backtest.replay(line) }
        return backtest.scores(truth: arrivals)
    }
}

@Suite struct TrainTests {
    /// Where what is late catches up the forecast knows it after some days, by more than chance; where
    /// nothing of the kind is to be learned, having looked for it costs nothing.
    @Test(arguments: [0.18, 0])
    func howLateAStepBeginsCountsWhereItTells(habit: Double) throws {
        let world = TrainWorld(seed: 3, trains: 900, habit: habit)
        let with = try #require(world.scores(without: []).rows.last)
        let without = try #require(world.scores(without: .deviation).rows.last)
        print(
            "trains, habit \(habit): pinball \(with.pinballMinutes) with, \(without.pinballMinutes) "
                + "without the view; MAE \(with.maeMinutes), \(without.maeMinutes); coverage "
                + "\(with.coverage), \(without.coverage)")
        #expect(with.count > 5_000)
        let ratio = with.pinballMinutes / without.pinballMinutes
        if habit > 0 {
            #expect(ratio < 0.97)
        } else {
            #expect((0.99...1.003).contains(ratio))
        }
        #expect((0.75...0.85).contains(with.coverage))
    }
}
