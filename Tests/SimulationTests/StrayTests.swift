import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Boxes that leave their plans are forecast from where they are.
@Suite struct StrayTests {
    private struct Run {
        let predictions: [Backtest.Prediction]
        /// Shipments of which it was ever said that they will be late.
        let late: Set<String>
        var raisedAt: [String: Instant] = [:]
    }

    private func options(stating: Bool) -> TrafficOptions {
        var options = TrafficOptions(start: Instant(seconds: 1_767_225_600))
        options.seed = 21
        options.days = 40
        options.shipmentsPerDay = 20
        options.strays = Strays(
            otherWay: 0.2, neighbour: 0.1, returned: 0.02, skipped: 0.02, doubled: 0.01)
        options.plansStateTheWay = stating
        return options
    }

    private func run(_ traffic: Traffic) -> Run {
        var backtest = Backtest()
        for line in traffic.lines { backtest.replay(line.line) }
        var late: Set<String> = []
        var raisedAt: [String: Instant] = [:]
        for case .alert(let alert) in backtest.notices where alert.type == .late {
            guard let shipment = alert.shipment else { continue }
            late.insert(shipment)
            if raisedAt[shipment] == nil { raisedAt[shipment] = alert.time }
        }
        return Run(predictions: backtest.predictions, late: late, raisedAt: raisedAt)
    }

    @Test func offItsWayIsForecastAsIfThePlanHadSaidSo() {
        let assumed = Traffic(options(stating: false))
        let stated = Traffic(options(stating: true))
        print("seed 21, 20 shipments a day, \(assumed.truths.count) shipments")
        // The same world, whatever the plans say of it.
        #expect(assumed.truths.map(\.plan) == stated.truths.map(\.plan))
        #expect(assumed.truths.map(\.delivered) == stated.truths.map(\.delivered))
        let (own, told) = (run(assumed), run(stated))
        let truths = Dictionary(
            uniqueKeysWithValues: assumed.truths.map { ($0.plan, $0) })
        func error(_ run: Run, _ isMeant: (ShipmentTruth, Instant) -> Bool) -> (Double, Int) {
            var sum = 0.0
            var count = 0
            for prediction in run.predictions {
                guard let truth = truths[prediction.shipment], isMeant(truth, prediction.at) else {
                    continue
                }
                sum += abs(prediction.p50.minutes(since: truth.delivered))
                count += 1
            }
            return (sum / Double(max(count, 1)), count)
        }
        for stray in [ShipmentTruth.Stray.otherWay, .neighbour] {
            func isMeant(_ truth: ShipmentTruth, _ at: Instant) -> Bool {
                truth.stray == stray
                    && (stray != .otherWay || truth.strayedAt.map { at >= $0 } ?? false)
            }
            let (ours, count) = error(own, isMeant)
            let (theirs, _) = error(told, isMeant)
            print("\(stray.rawValue): \(count) forecasts, \(ours) and \(theirs) min")
            #expect(count > 300)
            #expect(ours <= theirs * 1.10)
        }
        // That a box will be late is not said because of the way alone.
        let others = assumed.truths.filter { $0.stray == .otherWay }
        let wrongly = others.filter {
            own.late.contains($0.plan) && !told.late.contains($0.plan)
                && $0.delivered <= $0.promised
        }
        // Before it is seen there nobody can know; and one or the other is called late by chance.
        let seen = wrongly.filter { truth in
            own.raisedAt[truth.plan].map { $0 >= truth.strayedAt ?? .never } ?? false
        }
        // How many that are is seen where the plan says the way: of those nobody can blame it.
        let chance = others.filter {
            told.late.contains($0.plan) && !own.late.contains($0.plan)
                && $0.delivered <= $0.promised
        }
        print(
            "of \(others.count) on another way \(wrongly.count) were called late by that alone, "
                + "\(seen.count) of them after they had been seen there, \(chance.count) where the plan said it"
        )
        #expect((seen.count - chance.count) * 100 <= others.count)
        #expect(wrongly.count * 20 <= others.count)
    }
}
