import Simulation
import TestKit
import Testing
import Tracking

/// Stories that nobody thought of: plans of every shape, and boxes that go anywhere.
struct AnyStoryTests {
    private static let places = [
        "CNXIA", "CNSGH", "CNURM", "CNHRS", "KZHOR", "ALTYNKOL", "CNAKL", "KZDYK", "KZALA", "RUMOW",
        "PLMAA", "DEDUI", "DEHAM", "NLRTM", "SGSIN", "XAA", "XBB",
    ]
    private static let codes = [
        "ARRI", "DEPA", "GTIN", "GTOT", "LOAD", "DISC", "CUSI", "CUSR", "CROS", "STUF", "STRP",
        "PICK", "DROP",
    ]

    private static func days(_ random: inout SeededGenerator, from: Double, over: Double) -> String
    {
        "\((from * 100 + random.share() * over * 100).rounded() / 100)"
    }

    /// A plan: a way, some milestones, or both.
    private static func plan(_ random: inout SeededGenerator) -> String {
        func place() -> String { places[Int(random.next() % UInt64(places.count))] }
        var words = ["plan"]
        let isRouted = random.chance(0.6)
        if isRouted { words.append("\(place()) > \(place())") }
        if random.chance(0.7) {
            words.append("by \(["RAIL", "ROAD", "SEA", "AIR"][Int(random.next() % 4)])")
        }
        if isRouted, random.chance(0.3) { words.append("via \(place()) \(place())") }
        var at = 1.0
        if !isRouted || random.chance(0.4) {
            for _ in 0..<(1 + Int(random.next() % 6)) {
                at = ((at + random.share() * 6) * 100).rounded() / 100
                let code = codes[Int(random.next() % UInt64(codes.count))]
                words.append("\(code) \(place()) \(at),")
            }
        }
        if random.chance(0.6) { words.append("promised \(days(&random, from: 5, over: 30))") }
        return words.joined(separator: " ")
    }

    static func story(_ random: inout SeededGenerator) -> String {
        var lines = [plan(&random)]
        var now = 0.0
        for _ in 0..<(2 + Int(random.next() % 14)) {
            now = ((now + random.share() * 4) * 100).rounded() / 100
            let place = places[Int(random.next() % UInt64(places.count))]
            switch random.next() % 20 {
            case 0: lines.append("now \(now)\n" + plan(&random))
            case 1: lines.append("now \(now)\nclose \(place) \(now) \(now + 3)")
            case 2: lines.append("now \(now)\nclose \(place) \(now) -")
            case 3: lines.append("now \(now)\ncancel")
            case 4:
                let early = ((now - random.share() * 3) * 100).rounded() / 100
                lines.append("\(max(0, early)) ARRI \(place) heard \(now)")
            default:
                let code = codes[Int(random.next() % UInt64(codes.count))]
                lines.append("\(now) \(code) \(place)")
                if random.chance(0.05) { lines.append("retract \(code) \(place)") }
            }
        }
        lines.append("now \(now + 60)")
        return lines.joined(separator: "\n")
    }

    @Test func anyStoryIsToldToItsEnd() {
        var random = SeededGenerator(seed: testSeed("anyStoryIsToldToItsEnd"))
        for _ in 0..<400 {
            let story = AnyStoryTests.story(&random)
            let failures = Story.run(story).filter { !$0.contains("is known") }
            #expect(failures.isEmpty, "\(story)")
        }
    }
}
