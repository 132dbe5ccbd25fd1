import Foundation
import Simulation
import TestKit
import Tracking
import Wire

/// Corridor traffic up to now, ready to be sent: the plans first, so that every event finds one.
struct Load {
    let bytes: [UInt8]
    /// Where each line ends, its LF included.
    let ends: [Int]
    let plans: Int
    let events: Int
    let containers: Int

    var lines: Int { ends.count }

    /// Three weeks of a corridor on which many set out each day.
    init(events wanted: Int, seed: UInt64) {
        let days = 21.0
        let now = wallNow()
        var options = TrafficOptions(start: now.advanced(minutes: -days * 1_440))
        options.seed = seed
        options.days = days
        // So many events of each shipment have happened by now, on average.
        options.shipmentsPerDay = Double(wanted) / 10 / days
        var bytes: [UInt8] = []
        var ends: [Int] = []
        var plans = 0
        var events = 0
        var containers: Set<ContainerNumber> = []
        let traffic = Traffic(options).lines
        let parser = FeedParser()
        for wantsPlans in [true, false] {
            for timed in traffic where timed.at <= now && events < wanted {
                let value = timed.line.withUnsafeBufferPointer { parser.parse($0) }
                var isPlan = false
                if case .plan = value { isPlan = true }
                guard isPlan == wantsPlans else { continue }
                bytes += timed.line
                if bytes.last != 0x0A { bytes.append(0x0A) }
                ends.append(bytes.count)
                if isPlan {
                    plans += 1
                } else {
                    events += 1
                    if case .event(let event) = value { containers.insert(event.container) }
                }
            }
        }
        self.bytes = bytes
        self.ends = ends
        self.plans = plans
        self.events = events
        self.containers = containers.count
    }

    /// How many bytes the plans take.
    var planBytes: Int { plans == 0 ? 0 : ends[plans - 1] }

    func line(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }
}
