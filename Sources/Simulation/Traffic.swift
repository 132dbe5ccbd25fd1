import Forecast
import Tracking
import Wire

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
    /// How it left its plan, and from when on that can be seen.
    public var stray: Stray?
    public var strayedAt: Instant?
    /// For how long it was held somewhere; 0: it was not.
    public var heldMinutes = 0.0

    public enum Stray: String, Sendable {
        case otherWay = "other-way"
        case neighbour, returned
    }
}

/// Corridor traffic with its truth: block trains and trucks over the network's corridors that meet
/// in the same queues, and boxes that are held.
public struct Traffic: Sendable {
    public private(set) var lines: [TimedLine] = []
    public private(set) var truths: [ShipmentTruth] = []

    private var random: SeededGenerator
    /// What strays do is drawn by itself, so that without them the world is the same.
    private var luck: SeededGenerator
    /// Who says nothing.
    private var hush: SeededGenerator
    /// Whose plans leave the way open.
    private var doors: SeededGenerator
    /// Whose plans nobody sends.
    private var post: SeededGenerator
    private var isMuted = false
    /// As is what carriers say.
    private var voices: Voices
    private let options: TrafficOptions
    private let network: Network
    private var symbols = Symbols()
    private var serial = 0
    private var trips: [Trip] = []
    /// Trips that the agenda has.
    private var known = 0
    /// The train of each relation that still takes boxes.
    private var open: [Int: Int] = [:]
    private var world: World
    /// The chain of each relation: the same for all its shipments.
    private var chains: [Int: [Milestone]] = [:]

    /// Everything at once, in the order in which it reaches the feed.
    public init(_ options: TrafficOptions, network: Network = NetworkFile.shipped) {
        self.options = options
        self.network = network
        random = SeededGenerator(seed: options.seed)
        luck = SeededGenerator(seed: options.seed ^ 0x57A4)
        hush = SeededGenerator(seed: options.seed ^ 0x5115)
        doors = SeededGenerator(seed: options.seed ^ 0xD008)
        post = SeededGenerator(seed: options.seed ^ 0x9057)
        voices = Voices(
            share: options.estimated, seed: options.seed,
            turnsAt: options.start.advanced(minutes: options.days * 720))
        world = World(
            seed: options.seed, start: options.start, days: options.days, network: network)
        let total = Int((options.days * options.shipmentsPerDay).rounded(.up))
        for number in 0..<total {
            let share = (Double(number) + random.share()) / Double(max(total, 1))
            let start = options.start.advanced(minutes: share * options.days * 1_440)
            addShipment(number, start: start)
        }
        run()
        announce()
        lines.sort { ($0.at, $0.line.count) < ($1.at, $1.line.count) }
    }

    private struct Relation {
        var from: String
        var to: String
        var mode: TransportMode
        var via: [String]
        /// Share of the shipments, in hundredths or so.
        var weight: Int

        /// The way over another border.
        var otherVia: [String] {
            if mode == .rail {
                return via.contains("CNHRS") ? ["CNAKL", "KZDOS"] : ["CNHRS", "KZALA"]
            }
            return via.contains("TORUGART") ? ["IRKESHTAM"] : ["CNDLT", "KALZHAT"]
        }
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

    /// Closures that somebody knew of come as lines, two days before.
    private mutating func announce() {
        guard options.announcesClosures else { return }
        for (number, shut) in world.shuts.enumerated() where shut.isAnnounced {
            let known = max(options.start, shut.from.advanced(minutes: -2_880))
            guard shut.from < options.start.advanced(minutes: options.days * 1_440) else {
                continue
            }
            var out = JSONWriter()
            out.begin()
            out.field("closure", "SIM-\(options.seed)-C\(number + 1)")
            out.field("place", shut.place)
            out.field("from", Instant(seconds: shut.from.microseconds / 1_000_000))
            out.field("until", Instant(seconds: shut.until.microseconds / 1_000_000))
            out.field("updated", Instant(seconds: known.microseconds / 1_000_000))
            out.end()
            send(out.bytes, at: known)
        }
    }

    private mutating func relation() -> (index: Int, relation: Relation) {
        let total = Traffic.relations.reduce(0) { $0 + $1.weight }
        var pick = Int(random.share() * Double(total))
        var found = 0
        for (index, relation) in Traffic.relations.enumerated() where pick >= 0 {
            pick -= relation.weight
            found = index
        }
        return (found, Traffic.relations[found])
    }

    private mutating func addShipment(_ number: Int, start: Instant) {
        let (planned, relation) = self.relation()
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
        let plannedChain = chain(planned, plan, container)
        let stray = drawStray(relation)
        // Those that go another way have trains of their own.
        var index = planned
        var chain = plannedChain
        if stray == .otherWay {
            index += Traffic.relations.count
            var taken = plan
            taken.via = relation.otherVia
            chain = self.chain(index, taken, container)
            if options.plansStateTheWay { plan.via = taken.via }
        }
        if doors.chance(options.open) { plan.via = [] }
        guard !chain.isEmpty, !plannedChain.isEmpty else { return }
        let typical = plannedChain.reduce(0) { $0 + Traffic.typicalMinutes($1) }
        plan.promised = start.advanced(minutes: typical * (1.25 + 0.15 * random.share()) + 1_440)
        let held = random.chance(options.heldShare) ? Int(random.share() * Double(chain.count)) : -1
        var load = Load(plan: plan, start: start, heldAt: held, stray: stray)
        if stray == .returned {
            let transits = chain.indices.filter { $0 > 0 && chain[$0].kind == .transit }.dropLast()
            load.returnsAt =
                transits.isEmpty
                ? -1 : Array(transits)[Int(luck.share() * Double(transits.count))]
        }
        if stray == .otherWay {
            let own = Set(plannedChain.map { symbols[$0.place] })
            load.seenOffAt = chain.firstIndex { !own.contains(symbols[$0.place]) } ?? -1
        }
        guard relation.mode == .rail else {
            announce(plan, start)
            return trips.append(Trip(loads: [load], chain: chain, start: start))
        }
        // By the next train that has room for it.
        if let train = open[index], trips[train].start >= start,
            trips[train].loads.count < Traffic.boxesPerTrain
        {
            trips[train].loads.append(load)
            return announce(plan, start, leaving: leaving(trips[train]))
        }
        let every = Traffic.trainEvery(index, options) * 1_440
        let after = options.start.minutes(since: start).magnitude
        let wait = every - after.truncatingRemainder(dividingBy: every)
        open[index] = trips.count
        trips.append(
            Trip(loads: [load], chain: chain, start: start.advanced(minutes: max(wait, 30))))
        announce(plan, start, leaving: leaving(trips[trips.count - 1]))
    }

    private mutating func announce(
        _ plan: ShipmentPlan, _ start: Instant, leaving: Instant? = nil
    ) {
        if post.chance(options.unplanned) { return }
        send(planLine(plan, start, leaving: leaving), at: start)
    }

    private mutating func drawStray(_ relation: Relation) -> ShipmentTruth.Stray? {
        let share = luck.share()
        let strays = options.strays
        if share < strays.otherWay { return .otherWay }
        if share < strays.otherWay + strays.neighbour { return .neighbour }
        if share < strays.otherWay + strays.neighbour + strays.returned { return .returned }
        return nil
    }

    /// By the timetable.
    private func leaving(_ train: Trip) -> Instant {
        let minutes =
            train.start.microseconds / 60_000_000
            + Int64(Traffic.typicalMinutes(train.chain[0]))
        return Instant(seconds: minutes / 15 * 15 * 60)
    }

    private static let boxesPerTrain = 50

    private static func share(_ index: Int) -> Double {
        Double(relations[index % relations.count].weight)
            / Double(relations.reduce(0) { $0 + $1.weight })
    }

    /// Days between two trains of a relation: one a day, or as many as fill up.
    private static func trainEvery(_ index: Int, _ options: TrafficOptions) -> Double {
        let boxes = share(index) * options.shipmentsPerDay
        return min(1, Double(boxesPerTrain) * 0.8 / max(boxes, 0.001))
    }

    /// The chain of a relation: the same for all its shipments.
    private mutating func chain(
        _ index: Int, _ plan: ShipmentPlan, _ container: ContainerNumber
    ) -> [Milestone] {
        if let known = chains[index] { return known }
        let chain = ChainBuilder(network: network).chain(plan, container: container, &symbols)
        chains[index] = chain
        return chain
    }

    /// Before anything moves the borders know what to expect.
    private mutating func tellBorders() {
        for (index, chain) in chains.sorted(by: { $0.key < $1.key }) {
            let isOther = index >= Traffic.relations.count
            let boxes =
                Traffic.share(index) * options.shipmentsPerDay
                * (isOther ? options.strays.otherWay : 1)
            let relation = Traffic.relations[index % Traffic.relations.count]
            let isRoad = relation.mode == .road
            // A train that is not full leaves all the same, where there is a box for it.
            let trains = (1 - PortableMath.exp(-boxes)) / Traffic.trainEvery(index, options)
            for step in chain where step.code == .cusr || step.code == .disc {
                world.expect(
                    World.Gate(place: symbols[step.fromPlace], isRoad: isRoad),
                    perDay: isRoad ? boxes : step.code == .cusr ? trains : 0)
            }
        }
    }

    /// One box of a trip.
    private struct Load {
        var plan: ShipmentPlan
        /// When it was booked.
        var start: Instant
        /// The step at which it is held up for days; -1: none.
        var heldAt: Int
        var stray: ShipmentTruth.Stray?
        /// The step after which it is sent back; -1: none, or it was.
        var returnsAt = -1
        var hasReturned = false
        /// The first step that ends off the plan; -1: none.
        var seenOffAt = -1
        var strayedAt: Instant?
        var heldMinutes = 0.0
    }

    /// A train or a truck under way, or a box that was left behind.
    private struct Trip {
        var loads: [Load]
        var chain: [Milestone]
        var start: Instant
        var step = 0
        /// A box that was left behind and goes along with others.
        var isAlone = false
    }

    private static func typicalMinutes(_ step: Milestone) -> Double {
        step.priorMinutesP50 == step.priorMinutesP50 ? step.priorMinutesP50 : 60
    }

    /// Moves every trip from milestone to milestone in the order of time, so that they meet in the
    /// same queues.
    private mutating func run() {
        tellBorders()
        var agenda = Agenda()
        for index in trips.indices { agenda.add(trips[index].start, index) }
        known = trips.count
        while let (at, index) = agenda.next() {
            let step = trips[index].chain[trips[index].step]
            let place = symbols[step.kind == .transit ? step.place : step.fromPlace]
            let p50 = Traffic.typicalMinutes(step)
            let p90 = step.priorMinutesP90 == step.priorMinutesP90 ? step.priorMinutesP90 : p50 * 2
            // What a queue makes of it comes on top.
            let isQueue = step.code == .cusr || step.code == .disc
            let end = world.pass(
                step, place, start: at, minutes: p50 * noise(p90 / p50, isQueue ? 0.35 : 0.6),
                takesRoom: !trips[index].isAlone)
            leaveBehind(index, end)
            finish(index, step, end)
            sendBack(index, end)
            trips[index].step += 1
            if trips[index].step < trips[index].chain.count, !trips[index].loads.isEmpty {
                agenda.add(end, index)
            }
            while trips.count > known {
                agenda.add(trips[known].start, known)
                known += 1
            }
        }
    }

    /// A log-normal factor around one, `share` as wide as the network says.
    private mutating func noise(_ ratio: Double, _ share: Double) -> Double {
        let normal = PortableMath.normalQuantile(min(max(random.share(), 1e-6), 1 - 1e-6))
        let sigma = PortableMath.ln(max(ratio, 1.05)) / 1.2816 * share
        return PortableMath.exp(sigma * normal)
    }

    /// What is held at this step goes on by itself, days later.
    private mutating func leaveBehind(_ index: Int, _ end: Instant) {
        let step = trips[index].step
        guard trips[index].loads.contains(where: { $0.heldAt == step }) else { return }
        for load in trips[index].loads where load.heldAt == step {
            let late = end.advanced(minutes: 2_000 + 4_000 * random.share())
            var load = load
            load.heldMinutes = late.minutes(since: end)
            var alone = Trip(loads: [load], chain: trips[index].chain, start: late)
            alone.step = step + 1
            alone.isAlone = true
            finish(alone, trips[index].chain[step], late, at: step)
            if alone.step < alone.chain.count { trips.append(alone) }
        }
        trips[index].loads.removeAll { $0.heldAt == step }
    }

    /// What is sent back from here goes to where it came from, and comes again.
    private mutating func sendBack(_ index: Int, _ end: Instant) {
        let number = trips[index].step
        let step = trips[index].chain[number]
        for load in trips[index].loads where load.returnsAt == number {
            var load = load
            load.returnsAt = -1
            load.hasReturned = true
            let minutes = Traffic.typicalMinutes(step)
            let back = end.advanced(minutes: minutes * (1 + luck.share()) + 240)
            let leave = back.advanced(minutes: 360 + 1_440 * luck.share())
            load.strayedAt = back
            for (code, at) in [(EventCode.arri, back), (.depa, leave)] {
                var seen = step
                seen.place = step.fromPlace
                seen.code = code
                report(load, seen, at, number)
            }
            var alone = Trip(loads: [load], chain: trips[index].chain, start: leave)
            alone.step = number
            alone.isAlone = true
            trips.append(alone)
        }
        trips[index].loads.removeAll { $0.returnsAt == number }
    }

    private mutating func finish(_ index: Int, _ step: Milestone, _ end: Instant) {
        let number = trips[index].step
        for load in trips[index].loads.indices
        where trips[index].loads[load].seenOffAt == number {
            trips[index].loads[load].strayedAt = end
        }
        finish(trips[index], step, end, at: number)
    }

    /// Reports the end of a step for every box: of a train almost at once, at the last gate one by
    /// one.
    private mutating func finish(_ trip: Trip, _ step: Milestone, _ end: Instant, at number: Int) {
        let isLast = number == trip.chain.count - 1
        for load in trip.loads {
            var time = end
            if isLast {
                time = end.advanced(minutes: Traffic.typicalMinutes(step) * 0.5 * random.share())
            } else if trip.loads.count > 1 {
                time = end.advanced(minutes: -random.share())
            }
            report(load, step, time, number)
            if isLast {
                lines += voices.speak(
                    load.plan, booked: load.start, arrived: time,
                    place: load.stray == .neighbour
                        ? neighbour(of: symbols[step.place]) : symbols[step.place], code: step.code)
                truths.append(
                    ShipmentTruth(
                        plan: load.plan.shipment, events: trip.chain.count, start: load.start,
                        promised: load.plan.promised ?? time, delivered: time,
                        stray: load.stray, strayedAt: load.strayedAt,
                        heldMinutes: load.heldMinutes))
            }
        }
    }

    /// The place next to a planned one.
    private func neighbour(of place: String) -> String {
        guard let at = network.place(place), network.area(of: at) != 0 else { return place }
        let area = network.areas[network.area(of: at) - 1].places
        let next = area.first { $0 != at && network.places[$0].kind != network.places[at].kind }
        return next.map { network.places[$0].id } ?? place
    }

    private mutating func report(
        _ load: Load, _ step: Milestone, _ at: Instant, _ index: Int
    ) {
        let plan = load.plan
        let container = plan.containers[0]
        var out = JSONWriter()
        var place = symbols[step.place]
        if load.stray == .neighbour { place = neighbour(of: place) }
        let offset = network.place(place).map { network.places[$0].zone.offset(at: at) } ?? 0
        let shown = world.shown(at, place)
        let whole = Instant(seconds: shown.microseconds / 1_000_000)
        var number = container.description
        if random.chance(options.wrongDigitShare) {
            let last = number.removeLast()
            number.append(last == "9" ? "0" : "9")
        }
        out.begin()
        let again = load.hasReturned ? "-again-\(step.code.code)-\(place)" : ""
        out.field("id", "\(plan.shipment)-\(index + 1)\(again)")
        out.field("container", number)
        out.field("event", step.code.code)
        out.field("place", place)
        var time = TimeText.string(whole, offsetMinutes: offset)
        // Without an offset it is the place's own time.
        if random.chance(options.noOffsetShare) { time = String(time.prefix(19)) }
        out.field("time", time)
        if step.mode != .unknown { out.field("mode", step.mode.code) }
        out.field("shipment", plan.shipment)
        out.end()
        let delay =
            random.chance(options.lateShare)
            ? 60 + 600 * random.share() : 1 + 4 * random.share()
        let received = world.delivered(at.advanced(minutes: delay), place)
        // Of the last report depends what the truth can be held against.
        let isLast = index == (chainLength(load) - 1)
        if step.code == .depa { voices.left(plan.shipment, at: received) }
        if !isLast, luck.chance(options.strays.skipped) { return }
        // Everything else goes on as if it were sent.
        let silent = options.strays.silent.last { $0.fits(place, step.code) }
        isMuted = !isLast && hush.chance(silent?.share ?? 0)
        defer { isMuted = false }
        send(out.bytes, at: received)
        if luck.chance(options.strays.doubled) {
            sendOtherwise(plan, container, step, place, whole, "\(index + 1)\(again)", received)
        }
        if random.chance(options.duplicateShare) {
            send(out.bytes, at: received.advanced(minutes: 30 * random.share()))
        }
    }

    private func chainLength(_ load: Load) -> Int {
        let plan = load.plan
        let index =
            Traffic.relations.firstIndex {
                $0.from == plan.origin && $0.to == plan.destination && $0.mode == plan.mode
            } ?? 0
        let isOther = load.stray == .otherWay
        return chains[isOther ? index + Traffic.relations.count : index]?.count ?? 0
    }

    /// The same, as another system says it some minutes later.
    private mutating func sendOtherwise(
        _ plan: ShipmentPlan, _ container: ContainerNumber, _ step: Milestone, _ place: String,
        _ shown: Instant, _ number: String, _ received: Instant
    ) {
        var out = JSONWriter()
        out.begin()
        out.field("id", "other-\(plan.shipment)-\(number)")
        out.field("container", container.description)
        out.field("event", step.code.code)
        out.field("place", place)
        let minutes = 1 + 20 * luck.share()
        out.field(
            "time", Instant(seconds: shown.advanced(minutes: minutes).microseconds / 1_000_000))
        out.field("shipment", plan.shipment)
        out.end()
        send(out.bytes, at: received.advanced(minutes: minutes))
    }

    private func planLine(
        _ plan: ShipmentPlan, _ start: Instant, leaving: Instant? = nil
    ) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("plan", plan.shipment)
        out.list("containers", plan.containers.map(\.description))
        out.field("from", plan.origin)
        out.field("to", plan.destination)
        out.field("mode", plan.mode.code)
        out.list("via", plan.via)
        out.field("start", Instant(seconds: start.microseconds / 1_000_000))
        if let leaving, let origin = plan.origin {
            out.objects("milestones", [leaving]) { leaving, out in
                out.field("place", origin)
                out.field("event", EventCode.depa.code)
                out.field("time", leaving)
            }
        }
        out.field(
            "promised", plan.promised.map { Instant(seconds: $0.microseconds / 1_000_000) })
        out.field("updated", Instant(seconds: start.microseconds / 1_000_000))
        out.end()
        return out.bytes
    }

    private mutating func send(_ line: [UInt8], at: Instant) {
        if isMuted { return }
        lines.append(TimedLine(at: at, line: line))
    }
}
