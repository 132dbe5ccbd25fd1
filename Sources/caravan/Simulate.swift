import ArgumentParser
import FoundationEssentials
import Glibc
import Host
import Simulation
import Tracking
import Wire

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write seeded corridor traffic as feed lines, with the truth beside it.",
        discussion: """
            EXAMPLES
              caravan simulate --days 30 --out traffic.ndjson --truth truth.csv
              caravan simulate --seed 7 --days 1 --per-day 500 | caravan push
            """)

    @Option(name: .long, help: "The same seed gives the same world.")
    var seed: UInt64 = 1

    @Option(name: .long, help: "When it begins (RFC 3339).")
    var start = "2026-01-01T00:00:00Z"

    @Option(name: .long, help: "Days on which shipments set out.")
    var days = 1.0

    @Option(name: .long, help: "Shipments a day.")
    var perDay = 40.0

    @Option(name: .long, help: "Share of boxes that go over another border than their plan says.")
    var otherWay = Strays.usual.otherWay

    @Option(name: .long, help: "Share of boxes that are handled next to the planned place.")
    var neighbour = Strays.usual.neighbour

    @Option(name: .long, help: "Share of boxes that are sent back once.")
    var returned = Strays.usual.returned

    @Option(name: .long, help: "Share of reports that nobody sends.")
    var skipped = Strays.usual.skipped

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Share of reports that nobody sends of a place, an event, or both: KZHOR=0.3, DISC=0.4, KZHOR/DISC=0.5. As often as needed; of several that fit the last counts, and the last milestone of a shipment is always reported.",
            valueName: "what=share"))
    var silent: [String] = []

    @Option(name: .long, help: "Share of reports that two systems send, some minutes apart.")
    var doubled = Strays.usual.doubled

    @Option(
        name: .long,
        help:
            "Share of shipments of which one of five carriers says when they will arrive: a good one, a biased, a stale, a worthless and a changing one."
    )
    var estimated = 0.0

    @Flag(name: .long, help: "Plans name the way that is really taken: to compare with.")
    var plansStateTheWay = false

    @Option(
        name: .long,
        help: "Share of shipments whose plans say from where to where, and nothing of the way.")
    var open = 0.0

    @Option(name: .long, help: "Share of shipments whose plans nobody sends.")
    var unplanned = 0.0

    @Option(name: .long, help: "File for the lines; - for standard output.")
    var out = "-"

    @Option(name: .long, help: "File for what really happened (CSV).")
    var truth: String?

    private var begin: Instant? { TimeText.parse(start)?.instant }

    private func silences() throws -> [SilentMilestone] {
        try silent.map { text in
            guard let silent = SilentMilestone(text) else {
                throw ValidationError(
                    "--silent is '\(text)'; allowed is a place of the network, an event or PLACE/EVENT, = "
                        + "and a share from 0 to 1")
            }
            return silent
        }
    }

    func validate() throws {
        let shares = [
            ("other-way", otherWay), ("neighbour", neighbour), ("returned", returned),
            ("skipped", skipped), ("doubled", doubled), ("estimated", estimated), ("open", open),
            ("unplanned", unplanned),
        ]
        for (name, share) in shares where !(0...1).contains(share) {
            throw ValidationError("--\(name) is \(share); allowed is a share from 0 to 1")
        }
        _ = try silences()
        guard (1...3_650).contains(days), (1...1_000_000).contains(perDay) else {
            throw ValidationError("--days is 1 to 3650, and --per-day 1 to 1000000")
        }
        guard let begin, CivilTime(begin).year < 9_900 else {
            throw ValidationError(
                "--start is '\(start)'; allowed is an RFC 3339 time before the year 9900")
        }
        guard otherWay + neighbour + returned <= 1 else {
            throw ValidationError(
                "--other-way, --neighbour and --returned are more than 1 together")
        }
    }

    func run() async throws {
        try await Console.failing {
            guard let begin else { return }
            Console.error("seed \(seed), \(days) days from \(start), \(perDay) shipments a day")
            var options = TrafficOptions(start: begin)
            options.seed = seed
            options.days = days
            options.shipmentsPerDay = perDay
            options.strays = Strays(
                otherWay: otherWay, neighbour: neighbour, returned: returned, skipped: skipped,
                doubled: doubled)
            options.strays.silent = try silences()
            options.plansStateTheWay = plansStateTheWay
            options.open = open
            options.unplanned = unplanned
            options.estimated = estimated
            let traffic = Traffic(options)
            let progress = Progress()
            let file = out == "-" ? ByteFile.standardOutput : try ByteFile(writing: out)
            var buffer: [UInt8] = []
            for (index, line) in traffic.lines.enumerated() {
                buffer += line.line
                buffer.append(0x0A)
                if buffer.count > 1 << 20 {
                    try file.write(buffer)
                    buffer.removeAll(keepingCapacity: true)
                    progress.show("\(index) of \(traffic.lines.count) lines")
                }
            }
            try file.write(buffer)
            progress.end()
            if let truth { try write(traffic.truths, to: truth) }
            Console.error("\(traffic.lines.count) lines, \(traffic.truths.count) shipments")
        }
    }

    private func write(_ truths: [ShipmentTruth], to path: String) throws {
        var text = "plan,events,start,promised,delivered,stray,strayed,held\n"
        for truth in truths {
            text +=
                "\(truth.plan),\(truth.events),\(TimeText.string(truth.start)),"
                + "\(TimeText.string(truth.promised)),\(TimeText.string(truth.delivered)),"
                + "\(truth.stray?.rawValue ?? ""),"
                + "\(truth.strayedAt.map { TimeText.string($0) } ?? ""),"
                + "\(truth.heldMinutes > 0 ? "\(Int(truth.heldMinutes))" : "")\n"
        }
        do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
            throw Failure("\(path) cannot be written: \(error)")
        }
    }
}
