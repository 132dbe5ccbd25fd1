import Tracking

/// What slows traffic down, and is not told to the forecast: waves of congestion, seasons, holidays,
/// winter at the passes, closures, queues that open and close, wagon sets that are somewhere else,
/// posts that are cut off, clocks that are wrong. All of it follows from the seed.
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
    /// When the queue of each road border lets the next one pass.
    private var gates: [String: Instant] = [:]
    private let network: Network

    private static let borders = [
        "CNHRS", "KZHOR", "CNAKL", "KZDOS", "BYBQT", "PLMAA", "TORUGART",
    ]
    private static let passes: Set<String> = ["TORUGART", "IRKESHTAM", "KULMA", "MURGHAB", "KGFRU"]
    /// Sets of wagons at a change of gauge, and hours until a set is back.
    private static let wagonSets = 14
    private static let wagonHours = 9.0
    /// Trucks that a road border lets pass in an hour while it is open, and when that is.
    private static let trucksPerHour = 9.0
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
    }

    // MARK: Time

    private func day(_ at: Instant) -> Double { Double(at.microseconds) / 86_400_000_000 }

    private func dayOfYear(_ at: Instant) -> Double {
        let years = day(at) / 365.2425
        return (years - years.rounded(.down)) * 365.2425
    }

    /// How much longer than usual a step takes that begins now.
    private func factor(_ step: Milestone, _ place: String, _ at: Instant) -> Double {
        let number = Double(step.place)
        let ofYear = dayOfYear(at)
        // Traffic swells in autumn, the same everywhere but not at once.
        let season = 1 + 0.12 * World.wave(ofYear / 365.2425 + number * 0.07)
        if step.kind == .transit {
            let isWinter = ofYear < 75 || ofYear > 335
            return season * (isWinter && World.passes.contains(place) ? 1.7 : 1)
        }
        let phase = day(at) / 13 + number * 0.37
        let congestion = 1.05 + 0.35 * World.wave(phase)
        return season * congestion * holiday(place, ofYear)
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
        case 40..<50 where isChinese: return 2.2  // around the lunar new year
        case 120..<125 where isChinese || isKazakh: return 1.5  // the first of May
        case 79..<84 where isKazakh: return 1.8  // Nauryz
        case 273..<280 where isChinese: return 2.0  // the golden week
        default: return 1
        }
    }

    // MARK: Steps

    /// When a step that begins at `start` and would usually take `minutes` is over.
    mutating func pass(
        _ step: Milestone, _ place: String, start: Instant, minutes: Double
    ) -> Instant {
        var end = start.advanced(minutes: minutes * factor(step, place, start))
        if step.kind == .dwell, step.code == .disc, step.mode == .rail {
            end = waitForWagons(place, start: start, end: end)
        }
        if step.kind != .transit {
            for shut in shuts where shut.place == place && end >= shut.from && start < shut.until {
                // What has gathered goes in the order in which it came, one after the other.
                end = max(end, shut.until.advanced(minutes: start.minutes(since: shut.from) * 0.05))
            }
        }
        if step.kind == .dwell, step.code == .cusr, step.mode == .road {
            end = queue(place, end)
        }
        return end
    }

    private mutating func waitForWagons(_ place: String, start: Instant, end: Instant) -> Instant {
        var sets = wagons[place] ?? Array(repeating: .unset, count: World.wagonSets)
        let first = sets.indices.min { sets[$0] < sets[$1] } ?? 0
        let ready = max(start, sets[first])
        let over = max(end, ready.advanced(minutes: end.minutes(since: start) * 0.4))
        sets[first] = ready.advanced(minutes: World.wagonHours * 60)
        wagons[place] = sets
        return over
    }

    /// Passes a road border: within its hours, one truck after the other.
    private mutating func queue(_ place: String, _ ready: Instant) -> Instant {
        let free = gates[place] ?? .unset
        var at = max(ready, free)
        let zone = network.place(place).map { network.places[$0].zone }
        let offset = Double(zone?.offset(at: at) ?? 0)
        let local = day(at) * 24 + offset / 60
        let hour = local - (local / 24).rounded(.down) * 24
        if hour < World.opensAt {
            at = at.advanced(minutes: (World.opensAt - hour) * 60)
        } else if hour >= World.closesAt {
            at = at.advanced(minutes: (24 - hour + World.opensAt) * 60)
        }
        gates[place] = at.advanced(minutes: 60 / World.trucksPerHour)
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
