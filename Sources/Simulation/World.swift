import Forecast
import Tracking

/// What slows traffic down, and is not told to the forecast: queues at borders that can take only so
/// many trains and trucks, in waves more or fewer of them, with opening hours; seasons, holidays,
/// winter at the passes, closures, wagon sets that are somewhere else, posts that are cut off, clocks
/// that are wrong. All of it follows from the seed.
struct World {
    /// A time in which a place lets nothing through.
    struct Shut {
        var place: String
        var from: Instant
        var until: Instant
        /// Whether a closure line says so two days before.
        var isAnnounced: Bool
    }

    private(set) var shuts: [Shut] = []
    /// For each place the times in which its post reports nothing; what it has to say comes in bulk
    /// afterwards.
    private var outages: [String: [(from: Instant, until: Instant)]] = [:]
    /// Minutes by which a post's clock is wrong.
    private var skews: [String: Double] = [:]
    /// Wagon sets at each gauge change: when each is there again.
    private var wagons: [String: [Instant]] = [:]
    /// When the queue of each border lets the next one pass.
    private var gates: [Gate: Instant] = [:]
    /// Trains or trucks that pass a border on a usual day.
    private var daily: [Gate: Double] = [:]
    private let network: Network
    private var random: SeededGenerator

    struct Gate: Hashable {
        var place: String
        var isRoad: Bool
    }

    private static let borders = [
        "CNHRS", "KZHOR", "ALTYNKOL", "CNAKL", "KZDOS", "BYBQT", "PLMAA", "TORUGART",
    ]
    private static let passes: Set<String> = ["TORUGART", "IRKESHTAM", "KULMA", "MURGHAB", "KGFRU"]
    /// Hours until a set of wagons of the other gauge is back at its gauge change.
    private static let wagonHours = 20.0
    /// How many more a border can let through than usually come, and how far that swings.
    private static let spareShare = 1.35
    private static let swing = 0.42
    /// Local hours in which trucks pass.
    private static let opensAt = 8.0
    private static let closesAt = 20.0

    init(seed: UInt64, start: Instant, days: Double, network: Network) {
        self.network = network
        var random = SeededGenerator(seed: seed ^ 0x5EED)
        for place in World.borders {
            var at = start.advanced(minutes: random.share() * 60 * 1_440)
            while at < start.advanced(minutes: (days + 40) * 1_440) {
                let until = at.advanced(minutes: (0.7 + 2 * random.share()) * 1_440)
                shuts.append(
                    Shut(
                        place: place, from: at, until: until, isAnnounced: random.chance(0.5)))
                at = until.advanced(minutes: (40 + 60 * random.share()) * 1_440)
            }
        }
        for place in network.places {
            // Its own luck, whatever other places a network has.
            var hash = StableHasher()
            hash.combine(seed)
            hash.combine(place.id)
            var random = SeededGenerator(seed: hash.identity().low)
            if random.chance(0.3) {
                var windows: [(Instant, Instant)] = []
                var at = start.advanced(minutes: random.share() * 30 * 1_440)
                while at < start.advanced(minutes: (days + 40) * 1_440) {
                    let until = at.advanced(minutes: 360 + random.share() * 1_080)
                    windows.append((at, until))
                    at = until.advanced(minutes: (15 + 30 * random.share()) * 1_440)
                }
                outages[place.id] = windows
            }
            if random.chance(0.06) { skews[place.id] = 24 * random.share() - 12 }
        }
        self.random = random
    }

    /// So many trains (or trucks) more pass a border on a usual day.
    mutating func expect(_ gate: Gate, perDay: Double) { daily[gate, default: 0] += perDay }

    // MARK: Time

    private func day(_ at: Instant) -> Double { Double(at.microseconds) / 86_400_000_000 }

    private func dayOfYear(_ at: Instant) -> Double {
        let years = day(at) / 365.2425
        return (years - years.rounded(.down)) * 365.2425
    }

    /// How much longer than usual a step takes that begins now.
    private func factor(_ step: Milestone, _ place: String, _ at: Instant) -> Double {
        let ofYear = dayOfYear(at)
        // Traffic swells in autumn, the same everywhere but not at once.
        let season = 1 + 0.12 * World.wave(ofYear / 365.2425 + World.phase(place))
        if step.kind == .transit {
            let isWinter = ofYear < 75 || ofYear > 335
            return season * (isWinter && World.passes.contains(place) ? 1.7 : 1)
        }
        return season * holiday(place, ofYear)
    }

    /// What a border can take compared with what comes on a usual day: crews, wagons and officers
    /// come and go in waves of some weeks.
    private func capacity(_ place: String, _ at: Instant) -> Double {
        let slow = World.wave(day(at) / 47 + World.phase(place))
        let quick = World.wave(day(at) / 11 + 3 * World.phase(place))
        let share = World.spareShare * (1 + World.swing * slow * 0.75 + World.swing * quick * 0.25)
        return share / holiday(place, dayOfYear(at))
    }

    /// Where in its waves a place is: by its name, so that it does not depend on who comes first.
    private static func phase(_ place: String) -> Double {
        Double(place.utf8.reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) } % 1_000) / 1_000
    }

    /// A triangle between -1 and 1.
    private static func wave(_ phase: Double) -> Double {
        let share = phase - phase.rounded(.down)
        return 1 - 4 * abs(share - 0.5)
    }

    private func holiday(_ place: String, _ ofYear: Double) -> Double {
        let isChinese = place.hasPrefix("CN")
        let isKazakh = place.hasPrefix("KZ") || place == "ALTYNKOL"
        switch ofYear {
        case 40..<50 where isChinese: return 1.8  // around the lunar new year
        case 120..<125 where isChinese || isKazakh: return 1.5  // the first of May
        case 79..<84 where isKazakh: return 1.6  // Nauryz
        case 273..<280 where isChinese: return 1.8  // the golden week
        default: return 1
        }
    }

    // MARK: Steps

    /// When a step that begins at `start` and takes `minutes` by itself is over for a train or a
    /// truck; `takesRoom`: not a single box that goes along with others.
    mutating func pass(
        _ step: Milestone, _ place: String, start: Instant, minutes: Double, takesRoom: Bool
    ) -> Instant {
        let needed = minutes * factor(step, place, start)
        var begun = start
        if step.kind == .dwell, step.code == .cusr {
            begun = queue(Gate(place: place, isRoad: step.mode == .road), start, takesRoom)
        }
        var end = begun.advanced(minutes: needed)
        if step.kind == .dwell, step.code == .disc, step.mode == .rail {
            end = waitForWagons(place, start.advanced(minutes: needed), takesRoom)
        }
        if step.kind != .transit {
            for shut in shuts where shut.place == place && end >= shut.from && start < shut.until {
                end = max(end, shut.until.advanced(minutes: 30 + 60 * random.share()))
            }
        }
        return end
    }

    /// What is ready to go on leaves with the next set of wagons that is there.
    private mutating func waitForWagons(
        _ place: String, _ ready: Instant, _ takesRoom: Bool
    ) -> Instant {
        let perDay = daily[Gate(place: place, isRoad: false)] ?? 4
        let count = max(2, Int((perDay * World.wagonHours / 24 * World.spareShare).rounded(.up)))
        var sets = wagons[place] ?? Array(repeating: .unset, count: count)
        let first = sets.indices.min { sets[$0] < sets[$1] } ?? 0
        let over = max(ready, sets[first])
        guard takesRoom else { return over }
        let share = capacity(place, over) / World.spareShare
        sets[first] = over.advanced(minutes: World.wagonHours * 60 / share)
        wagons[place] = sets
        return over
    }

    /// When the border takes the next one: one after the other, while it is open.
    private mutating func queue(
        _ gate: Gate, _ ready: Instant, _ takesRoom: Bool
    ) -> Instant {
        var at = max(ready, gates[gate] ?? .unset)
        for shut in shuts where shut.place == gate.place && at >= shut.from && at < shut.until {
            at = shut.until
        }
        var openShare = 1.0
        if gate.isRoad {
            openShare = (World.closesAt - World.opensAt) / 24
            let zone = network.place(gate.place).map { network.places[$0].zone }
            let offset = Double(zone?.offset(at: at) ?? 0)
            let local = day(at) * 24 + offset / 60
            let hour = local - (local / 24).rounded(.down) * 24
            if hour < World.opensAt {
                at = at.advanced(minutes: (World.opensAt - hour) * 60)
            } else if hour >= World.closesAt {
                at = at.advanced(minutes: (24 - hour + World.opensAt) * 60)
            }
        }
        guard takesRoom else { return at }
        let perDay = max(1, daily[gate] ?? 1) * capacity(gate.place, at)
        gates[gate] = at.advanced(minutes: 1_440 * openShare / perDay)
        return at
    }

    // MARK: Reports

    /// What the clock of a place's post shows.
    func shown(_ at: Instant, _ place: String) -> Instant {
        at.advanced(minutes: skews[place] ?? 0)
    }

    /// When a report sent at `at` gets through.
    func delivered(_ at: Instant, _ place: String) -> Instant {
        for window in outages[place] ?? [] where at >= window.from && at < window.until {
            return window.until
        }
        return at
    }
}
