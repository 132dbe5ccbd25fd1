import Engine
import Foundation
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// Ocean containers as carriers tell of them: a plan whose times are stated anew every few days, in which
/// what is past is stated, too, and reports of which a good part never comes. No file knows the ports.
struct OceanWorld {
    struct Milestone {
        var place: String
        var event: String
        /// Minutes since the world began.
        var planned: Double
        var actual: Double
        var isReported: Bool
    }

    struct Voyage {
        var name: String
        var box: String
        var booked: Double
        var milestones: [Milestone]
        var delivered: Double { milestones.last?.actual ?? 0 }
    }

    /// One plan of a voyage: when it is said, and what is said of each milestone.
    struct Version {
        var voyage: Int
        var at: Double
        var times: [Double]
    }

    static let epoch = Instant(seconds: 1_609_459_200)
    /// What is past is stated as it happened; else as it was said to be before it did.
    let statesActuals: Bool
    var random: SeededGenerator
    private(set) var voyages: [Voyage] = []
    private(set) var versions: [Version] = []

    /// Share of milestones that nobody reports.
    private static func silence(_ event: String) -> Double {
        switch event {
        case "LOAD", "DISC": 0.35
        case "ARRI": 0.2
        default: 0.1
        }
    }

    init(seed: UInt64, voyages count: Int, statesActuals: Bool) {
        random = SeededGenerator(seed: seed)
        self.statesActuals = statesActuals
        for number in 0..<count { voyages.append(voyage(number)) }
        for at in voyages.indices { state(at) }
    }

    private mutating func gauss() -> Double {
        let radius = (-2 * log(max(random.share(), 1e-12))).squareRoot()
        return radius * cos(2 * .pi * random.share())
    }

    private mutating func voyage(_ number: Int) -> Voyage {
        let booked = Double(number) * 0.35 * 1_440
        var stops = [Int(random.share() * 8)]
        if random.chance(0.4) { stops.append(20 + Int(random.share() * 4)) }
        stops.append(40 + Int(random.share() * 8))
        var (planned, actual) = (booked, booked)
        var milestones: [Milestone] = []
        func add(_ stop: Int, _ event: String, _ days: Double, _ took: Double, isLast: Bool = false)
        {
            planned += days * 1_440
            actual += max(took, 0.1) * 1_440
            let isReported = isLast || !random.chance(OceanWorld.silence(event))
            milestones.append(
                Milestone(
                    place: "ZZP\(10 + stop)", event: event, planned: planned, actual: actual,
                    isReported: isReported))
        }
        add(stops[0], "GTIN", 5, 5 + gauss())
        for (at, stop) in stops.dropLast().enumerated() {
            let (from, to) = (stop, stops[at + 1])
            // Ships come late and miss their berths; ports are slow.
            let wait = exp(0.6 * gauss())
            add(from, "LOAD", 4, 4 + 2.5 * wait * Double(from % 3))
            add(from, "DEPA", 1, 1 + 0.5 * wait)
            let sea = 8 + Double((from * 7 + to * 3) % 17)
            add(
                to, "ARRI", sea,
                sea * (1.04 + 0.08 * gauss()) + (random.chance(0.3) ? 4 * random.share() : 0))
            add(to, "DISC", 1.5, 1.5 * exp(0.5 * gauss()) + Double(to % 2))
        }
        add(stops[stops.count - 1], "GTOT", 4, 4 * exp(0.5 * gauss()), isLast: true)
        return Voyage(
            name: "V\(number)",
            box: ContainerNumber(owner: "OCNU", serial: number)?.description ?? "", booked: booked,
            milestones: milestones)
    }

    /// The carrier's seven words: the better the nearer.
    private mutating func state(_ at: Int) {
        let voyage = voyages[at]
        var known = voyage.milestones.map(\.planned)
        let length = voyage.delivered - voyage.booked
        for number in 0..<7 {
            let now = voyage.booked + length * Double(number) / 7
            if number > 0 {
                var last = 0.0
                let error = gauss()
                for (index, milestone) in voyage.milestones.enumerated() {
                    if milestone.actual <= now {
                        known[index] = statesActuals ? milestone.actual : min(known[index], now - 1)
                    } else {
                        let ahead = milestone.actual - now
                        known[index] =
                            milestone.actual + 0.22 * ahead * error - 0.06 * ahead
                        known[index] = max(known[index], now + 60)
                    }
                    known[index] = max(known[index], last)
                    last = known[index]
                }
            }
            versions.append(Version(voyage: at, at: now, times: known))
        }
    }

    static func instant(_ minute: Double) -> Instant {
        Instant(seconds: epoch.advanced(minutes: minute).microseconds / 1_000_000)
    }

    private static func text(_ minute: Double) -> String { TimeText.string(instant(minute)) }

    var lines: [[UInt8]] {
        var all: [(minute: Double, text: String)] = []
        for version in versions {
            let voyage = voyages[version.voyage]
            let milestones = zip(voyage.milestones, version.times).map {
                "{\"place\":\"\($0.place)\",\"event\":\"\($0.event)\",\"time\":\""
                    + "\(OceanWorld.text($1))\"}"
            }
            all.append(
                (
                    version.at,
                    "{\"plan\":\"\(voyage.name)\",\"containers\":[\"\(voyage.box)\"],\"start\":\""
                        + "\(OceanWorld.text(voyage.booked))\",\"updated\":\""
                        + "\(OceanWorld.text(version.at))\",\"mode\":\"SEA\",\"milestones\":["
                        + milestones.joined(separator: ",") + "]}"
                ))
        }
        for voyage in voyages {
            for milestone in voyage.milestones where milestone.isReported {
                all.append(
                    (
                        milestone.actual,
                        "{\"container\":\"\(voyage.box)\",\"event\":\"\(milestone.event)\","
                            + "\"place\":\"\(milestone.place)\",\"time\":\""
                            + "\(OceanWorld.text(milestone.actual))\"}"
                    ))
            }
        }
        return all.sorted { $0.minute < $1.minute }.map { Array($0.text.utf8) }
    }

    /// What the carrier's latest word says of the delivery.
    func word(_ voyage: Int, at minute: Double) -> Double {
        versions.last { $0.voyage == voyage && $0.at <= minute + 1 }?.times.last ?? .nan
    }
}

@Suite struct OceanTests {
    /// What was said of the deliveries that lay ahead.
    private struct Score: CustomStringConvertible {
        var (count, own, word, covered) = (0.0, 0.0, 0.0, 0.0)
        var error: Double { own / count }
        var coverage: Double { covered / count }
        var description: String {
            "\(Int(count)) forecasts, mean error \(error) days, carrier's own \(word / count), "
                + "coverage \(coverage)"
        }
    }

    private func score(_ world: OceanWorld) throws -> [Score] {
        let byName = Dictionary(
            uniqueKeysWithValues: world.voyages.enumerated().map { ($0.element.name, $0.offset) })
        var backtest = Backtest()
        for line in world.lines { backtest.replay(line) }
        #expect(backtest.refused == 0)
        // All, and by the days to go: a week, two, four, more.
        var scores = [Score](repeating: Score(), count: 5)
        for said in backtest.predictions {
            let at = try #require(byName[said.shipment])
            let voyage = world.voyages[at]
            let minute = said.at.minutes(since: OceanWorld.epoch)
            guard minute < voyage.delivered - 1 else { continue }
            let delivered = OceanWorld.instant(voyage.delivered)
            let days = (voyage.delivered - minute) / 1_440
            for row in [0, 1 + [7.0, 14, 28].count { days >= $0 }] {
                scores[row].count += 1
                scores[row].own += abs(said.p50.minutes(since: delivered)) / 1_440
                scores[row].word +=
                    abs(world.word(at, at: minute) - voyage.delivered) / 1_440
                if said.p10 <= delivered, delivered <= said.p90 { scores[row].covered += 1 }
            }
        }
        for (row, score) in scores.enumerated() { print("ocean", row, score) }
        return scores
    }

    /// As good as the carrier's own latest word at every time ahead, from an empty database on, and sure
    /// of no more than it may be.
    @Test(arguments: [true, false])
    func whatCarriersStateAnewIsHeededAndNotBelieved(statesActuals: Bool) throws {
        let scores = try score(OceanWorld(seed: 21, voyages: 267, statesActuals: statesActuals))
        #expect(scores[0].count > 2_500)
        #expect(scores[0].own <= 0.92 * scores[0].word)
        for row in scores { #expect(row.own <= row.word) }
        #expect((0.75...0.85).contains(scores[0].coverage))
    }

    /// The more is known the better, and no surer than before: what a plan states of the past is no
    /// measure of it.
    @Test func whatIsStatedOfThePastTeachesNothing() throws {
        let scores = try score(OceanWorld(seed: 22, voyages: 800, statesActuals: true))
        #expect(scores[0].own <= 0.88 * scores[0].word)
        #expect((0.72...0.85).contains(scores[0].coverage))
    }
}
