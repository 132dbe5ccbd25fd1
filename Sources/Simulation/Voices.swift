import Forecast
import Tracking
import Wire

/// Carriers who say when a box will arrive. What their word is worth nobody is told.
enum Voice: String, CaseIterable {
    /// Knows, within a twentieth of the time that is left.
    case good = "SIM-GOOD"
    /// As well, but ten hours late.
    case biased = "SIM-BIASED"
    /// Says it at the booking, and never again.
    case stale = "SIM-STALE"
    /// Days off, either way.
    case worthless = "SIM-WORTHLESS"
    /// As good, until half of the time is over: then two days early.
    case changing = "SIM-CHANGING"

    static let biasMinutes = 600.0
    private static let share = 0.05
    private static let leastMinutes = 60.0
    private static let worthlessMinutes = 5 * 1_440.0
    private static let changedMinutes = -2 * 1_440.0

    /// By how much what it says `remaining` minutes before the arrival is off; `normal`: a standard
    /// normal number.
    func error(remaining: Double, normal: Double, hasChanged: Bool) -> Double {
        let noise = normal * (Voice.leastMinutes + Voice.share * remaining)
        switch self {
        case .good, .stale: return noise
        case .biased: return noise + Voice.biasMinutes
        case .worthless: return normal * Voice.worthlessMinutes
        case .changing: return noise + (hasChanged ? Voice.changedMinutes : 0)
        }
    }
}

/// What carriers say of the shipments of a simulation: each of one, at the booking and whenever it leaves
/// somewhere.
struct Voices {
    let share: Double
    /// From when on the changing one is another.
    let turnsAt: Instant
    private var random: SeededGenerator
    private var departures: [String: [Instant]] = [:]

    init(share: Double, seed: UInt64, turnsAt: Instant) {
        self.share = share
        self.turnsAt = turnsAt
        random = SeededGenerator(seed: seed ^ 0xE57)
    }

    mutating func left(_ shipment: String, at: Instant) {
        guard share > 0 else { return }
        departures[shipment, default: []].append(at)
    }

    /// A shipment has arrived: what had been said of that meanwhile.
    mutating func speak(
        _ plan: ShipmentPlan, booked: Instant, arrived: Instant, place: String, code: EventCode
    ) -> [TimedLine] {
        guard share > 0, random.share() < share else { return [] }
        let voice = Voice.allCases[min(Int(random.share() * 5), 4)]
        let said = departures.removeValue(forKey: plan.shipment) ?? []
        let moments = [booked.advanced(minutes: 30)] + (voice == .stale ? [] : said.sorted())
        return moments.compactMap { at in
            let remaining = arrived.minutes(since: at)
            guard remaining > 0 else { return nil }
            let normal = PortableMath.normalQuantile(min(max(random.share(), 1e-6), 1 - 1e-6))
            let error = voice.error(
                remaining: remaining, normal: normal, hasChanged: at >= turnsAt)
            let stated = max(
                arrived.advanced(minutes: error), at.advanced(minutes: 30))
            return TimedLine(at: at, line: line(plan, voice, place, code, stated, at))
        }
    }

    private func line(
        _ plan: ShipmentPlan, _ voice: Voice, _ place: String, _ code: EventCode,
        _ stated: Instant, _ at: Instant
    ) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("id", "est-\(plan.shipment)")
        out.field("container", plan.containers[0].description)
        out.field("event", code.code)
        out.field("class", EventClass.est.code)
        out.field("place", place)
        out.field("time", Instant(seconds: stated.microseconds / 1_000_000))
        out.field("shipment", plan.shipment)
        out.field("source", voice.rawValue)
        out.field("updated", Instant(seconds: at.microseconds / 1_000_000))
        out.end()
        return out.bytes
    }
}
