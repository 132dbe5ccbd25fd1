import Engine
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Carriers of whom nobody is told what their word is worth: each is followed as far as it deserves.
@Suite struct VoiceTests {
    private struct Key: Hashable {
        let shipment: String
        let event: String
        let at: Instant
    }

    /// What was forecast after each event, of those that are reported in both runs.
    private func errors(
        _ lines: some Sequence<TimedLine>, _ truths: [String: ShipmentTruth], from: Instant
    ) -> [Key: Double] {
        var backtest = Backtest()
        for line in lines { backtest.replay(line.line) }
        var found: [Key: Double] = [:]
        for prediction in backtest.predictions where prediction.at >= from {
            guard let event = prediction.event, let truth = truths[prediction.shipment] else {
                continue
            }
            let key = Key(
                shipment: prediction.shipment, event: event, at: prediction.at)
            found[key] = abs(
                prediction.p50.minutes(since: truth.delivered))
        }
        return found
    }

    @Test func eachIsFollowedAsFarAsItDeserves() throws {
        var options = TrafficOptions(start: Instant(seconds: 1_767_225_600))
        options.seed = 5
        options.days = 36
        options.shipmentsPerDay = 25
        options.estimated = 1
        let traffic = Traffic(options)
        print("seed 5, 25 shipments a day, \(traffic.truths.count) shipments")
        let truths = Dictionary(uniqueKeysWithValues: traffic.truths.map { ($0.plan, $0) })
        var sources: [String: String] = [:]
        var said: [String: [(at: Instant, time: Instant)]] = [:]
        var silent: [TimedLine] = []
        for line in traffic.lines {
            guard let object = FlatObject(line.line), object.text("class") == "EST",
                let shipment = object.text("shipment"), let time = object.instant("time")
            else {
                silent.append(line)
                continue
            }
            sources[shipment] = object.text("source")
            said[shipment, default: []].append((line.at, time))
        }
        #expect(Set(sources.values).count == 5)
        let from = options.start.advanced(minutes: 18 * 1_440)
        let with = errors(traffic.lines, truths, from: from)
        let without = errors(silent, truths, from: from)
        func mean(_ source: String, _ errors: [Key: Double]) -> Double {
            let own = without.keys.filter {
                sources[$0.shipment] == source && with[$0] != nil
            }
            return own.reduce(0) { $0 + (errors[$1] ?? 0) } / Double(max(own.count, 1))
        }
        func ratio(_ source: String) -> Double { mean(source, with) / mean(source, without) }
        /// Of somebody who knows the habit of the source, after each thing it says.
        func knower(_ source: String, late: Double) -> Double {
            var (sum, count) = (0.0, 0.0)
            for (shipment, said) in said where sources[shipment] == source {
                guard let truth = truths[shipment] else { continue }
                for (at, time) in said where at >= from {
                    sum += abs(time.minutes(since: truth.delivered) - late)
                    count += 1
                }
            }
            return sum / count
        }
        func told(_ source: String) -> Double {
            let own = with.keys.filter {
                sources[$0.shipment] == source && $0.event.hasPrefix("est-")
            }
            return own.reduce(0) { $0 + (with[$1] ?? 0) } / Double(max(own.count, 1))
        }
        for (source, late) in [("SIM-GOOD", 0.0), ("SIM-BIASED", 600)] {
            let share = told(source) / knower(source, late: late)
            print("\(source): \(share) of a knower, \(ratio(source)) of none")
            #expect(share < 1.15)
            #expect(ratio(source) < 0.7)
        }
        print("SIM-STALE: \(ratio("SIM-STALE")), SIM-WORTHLESS: \(ratio("SIM-WORTHLESS"))")
        #expect(ratio("SIM-STALE") < 0.95)
        #expect(ratio("SIM-WORTHLESS") < 1.01)
    }
}
