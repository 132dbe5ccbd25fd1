import Forecast
import Tracking
import Wire

/// What a simulated day of the corridor looks like.
public struct TrafficOptions: Sendable {
    public var seed: UInt64 = 1
    public var start: Instant
    public var days: Double = 1
    /// Shipments that set out each day.
    public var shipmentsPerDay: Double = 40
    /// Of all lines: sent twice, sent late, without an offset, with a wrong check digit.
    public var duplicateShare = 0.01
    public var lateShare = 0.02
    public var wrongDigitShare = 0.002
    /// Shipments held up somewhere for days.
    public var heldShare = 0.08

    public init(start: Instant) { self.start = start }
}

/// One line and when it reaches the feed.
public struct TimedLine: Sendable {
    public var at: Instant
    public var line: [UInt8]

    public init(at: Instant, line: [UInt8]) {
        self.at = at
        self.line = line
    }
}

/// What really happened to a shipment.
public struct ShipmentTruth: Sendable {
    public var plan: String
    public var events: Int
    public var start: Instant
    public var promised: Instant
    public var delivered: Instant
}

/// Corridor traffic with its truth: block trains, trucks and ships over the network's corridors,
/// dwells that swell and shrink in waves at the borders, and boxes that are held.
public struct Traffic: Sendable {
    public private(set) var lines: [TimedLine] = []
    public private(set) var truths: [ShipmentTruth] = []

    private var random: SeededGenerator
    private let options: TrafficOptions
    private let network: Network
    private var symbols = Symbols()
    private var serial = 0

    /// Everything at once, in the order in which it reaches the feed.
    public init(_ options: TrafficOptions, network: Network = NetworkFile.shipped) {
        self.options = options
        self.network = network
        random = SeededGenerator(seed: options.seed)
        let total = Int((options.days * options.shipmentsPerDay).rounded(.up))
        for number in 0..<total {
            let share = (Double(number) + random.share()) / Double(max(total, 1))
            let start = options.start.advanced(minutes: share * options.days * 1_440)
            addShipment(number, start: start)
        }
        lines.sort { ($0.at, $0.line.count) < ($1.at, $1.line.count) }
    }

    private struct Relation {
        var from: String
        var to: String
        var mode: TransportMode
        var via: [String]
        /// Share of the shipments, in hundredths or so.
        var weight: Int
    }

    /// Most go through Khorgos, some through Alashankou, trucks over the road post.
    private static let relations: [Relation] = [
        Relation(from: "CNXIA", to: "DEDUI", mode: .rail, via: ["CNHRS", "KZALA"], weight: 18),
        Relation(from: "CNCQI", to: "DEDUI", mode: .rail, via: ["CNHRS", "KZALA"], weight: 13),
        Relation(from: "CNCDU", to: "PLLOD", mode: .rail, via: ["CNAKL", "KZDOS"], weight: 12),
        Relation(from: "CNYIU", to: "DEHAM", mode: .rail, via: ["CNHRS", "KZALA"], weight: 8),
        Relation(from: "CNSGH", to: "DEHAM", mode: .rail, via: ["CNHRS", "KZALA"], weight: 6),
        Relation(from: "CNXIA", to: "KZALA", mode: .rail, via: ["CNHRS", "KZHOR"], weight: 18),
        Relation(from: "CNURM", to: "KZALA", mode: .road, via: ["CNHRS"], weight: 15),
        Relation(from: "CNLYG", to: "KZALA", mode: .road, via: ["CNHRS"], weight: 6),
        Relation(from: "CNKSS", to: "KGFRU", mode: .road, via: ["TORUGART"], weight: 4),
    ]

    private mutating func relation() -> Relation {
        let total = Traffic.relations.reduce(0) { $0 + $1.weight }
        var pick = Int(random.share() * Double(total))
        var found = Traffic.relations[0]
        for relation in Traffic.relations where pick >= 0 {
            pick -= relation.weight
            found = relation
        }
        return found
    }

    private mutating func addShipment(_ number: Int, start: Instant) {
        let relation = relation()
        let name = "SIM-\(options.seed)-\(number + 1)"
        let owners = ["ARCU", "BLXU", "CRVU", "DTSU"]
        serial += 1
        let owner = owners[Int(random.share() * 4)]
        let base = Int(options.seed % 97) * 10_000
        guard
            let container = ContainerNumber(owner: owner, serial: (base + serial) % 1_000_000)
        else { return }
        var plan = ShipmentPlan(
            shipment: name, containers: [container], origin: relation.from,
            destination: relation.to, mode: relation.mode, via: relation.via, start: start)
        let chain = ChainBuilder(network: network).chain(plan, container: container, &symbols)
        guard !chain.isEmpty else { return }
        let typical = chain.reduce(0) { $0 + Traffic.typicalMinutes($1) }
        plan.promised = start.advanced(minutes: typical * (1.12 + 0.1 * random.share()) + 720)
        send(planLine(plan, start), at: start)
        travel(plan, container, chain, start)
    }

    private static func typicalMinutes(_ step: Milestone) -> Double {
        step.priorMinutesP50 == step.priorMinutesP50 ? step.priorMinutesP50 : 60
    }

    private mutating func travel(
        _ plan: ShipmentPlan, _ container: ContainerNumber, _ chain: [Milestone], _ start: Instant
    ) {
        var at = start
        let held = random.chance(options.heldShare) ? Int(random.share() * Double(chain.count)) : -1
        for (index, step) in chain.enumerated() {
            let normal = Elementary.normalQuantile(min(max(random.share(), 1e-6), 1 - 1e-6))
            let p50 = Traffic.typicalMinutes(step)
            let p90 = step.priorMinutesP90 == step.priorMinutesP90 ? step.priorMinutesP90 : p50 * 2
            let sigma = Elementary.ln(max(p90 / p50, 1.05)) / 1.2816 * 0.6
            var minutes = p50 * Elementary.exp(sigma * normal)
            if step.kind != .transit { minutes *= congestion(step.place, at) }
            if index == held { minutes += 2_000 + 4_000 * random.share() }
            at = at.advanced(minutes: minutes)
            report(plan, container, step, at, index)
        }
        truths.append(
            ShipmentTruth(
                plan: plan.shipment, events: chain.count, start: start,
                promised: plan.promised ?? at, delivered: at))
    }

    /// A wave of some two weeks at each place, out of step with the others.
    private func congestion(_ place: UInt32, _ at: Instant) -> Double {
        let days = Double(at.microseconds) / 86_400_000_000
        let phase = days / 13 + Double(place) * 0.37
        let wave = phase - phase.rounded(.down)
        return 0.8 + 0.5 * (wave < 0.5 ? wave * 2 : 2 - wave * 2)
    }

    private mutating func report(
        _ plan: ShipmentPlan, _ container: ContainerNumber, _ step: Milestone, _ at: Instant,
        _ index: Int
    ) {
        var out = JSONWriter()
        let place = symbols[step.place]
        let offset = network.place(place).map { network.places[$0].zone.offset(at: at) } ?? 0
        let whole = Instant(seconds: at.microseconds / 1_000_000)
        var number = container.description
        if random.chance(options.wrongDigitShare) {
            let last = number.removeLast()
            number.append(last == "9" ? "0" : "9")
        }
        out.begin()
        out.field("id", "\(plan.shipment)-\(index + 1)")
        out.field("container", number)
        out.field("event", step.code.code)
        out.field("place", place)
        out.field("time", TimeText.string(whole, offsetMinutes: offset))
        if step.mode != .unknown { out.field("mode", step.mode.code) }
        out.field("shipment", plan.shipment)
        out.end()
        let delay =
            random.chance(options.lateShare)
            ? 60 + 600 * random.share() : 1 + 4 * random.share()
        let received = at.advanced(minutes: delay)
        send(out.bytes, at: received)
        if random.chance(options.duplicateShare) {
            send(out.bytes, at: received.advanced(minutes: 30 * random.share()))
        }
    }

    private func planLine(_ plan: ShipmentPlan, _ start: Instant) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("plan", plan.shipment)
        out.list("containers", plan.containers.map(\.description))
        out.field("from", plan.origin)
        out.field("to", plan.destination)
        out.field("mode", plan.mode.code)
        out.list("via", plan.via)
        out.field("start", Instant(seconds: start.microseconds / 1_000_000))
        out.field(
            "promised", plan.promised.map { Instant(seconds: $0.microseconds / 1_000_000) })
        out.field("updated", Instant(seconds: start.microseconds / 1_000_000))
        out.end()
        return out.bytes
    }

    private mutating func send(_ line: [UInt8], at: Instant) {
        lines.append(TimedLine(at: at, line: line))
    }
}
