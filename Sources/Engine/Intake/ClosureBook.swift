import Forecast
import Tracking

/// The closures that are known, and the time windows that follow from them.
struct ClosureBook: Sendable {
    private(set) var closures: [String: StandingClosure] = [:]
    /// How many there are of each place.
    private var counts: [String: Int] = [:]
    var windows: [ClosureWindow] = []
    /// Of each window the closure that it is of.
    var windowIDs: [String] = []
    /// By the symbol of their place their indices in `windows`.
    var windowsAt: [UInt32: [Int]] = [:]
    var dirtyClosures: Set<String> = []

    struct StandingClosure: Sendable {
        var closure: Closure
        var reading: LineReading
        var received: Instant
        var line: [UInt8]

        var version: PlanVersion {
            var version = PlanVersion(closure)
            if reading.isOld { version.civil = nil }
            return version
        }
    }

    func count(at place: String) -> Int { counts[place] ?? 0 }

    mutating func put(_ standing: StandingClosure) {
        remove(standing.closure.id)
        closures[standing.closure.id] = standing
        counts[standing.closure.place, default: 0] += 1
    }

    mutating func remove(_ id: String) {
        guard let place = closures.removeValue(forKey: id)?.closure.place else { return }
        counts[place] = (counts[place] ?? 1) > 1 ? (counts[place] ?? 1) - 1 : nil
    }

    /// The closures that concern a way, in the order of all, seen from `now`. `after`: the milestone up to which it
    /// lies behind.
    func windows(
        along chain: [Milestone], after: Int = -1, now: Instant
    ) -> [ClosureWindow] {
        if windows.isEmpty { return [] }
        var found: [Int] = []
        var seen: [UInt32] = []
        // Nearly always a step begins where the one before it ended.
        var last = UInt32.max
        for milestone in chain {
            for place in [milestone.fromPlace, milestone.place] where place != last {
                last = place
                guard let here = windowsAt[place], !seen.contains(place) else { continue }
                seen.append(place)
                found += here
            }
        }
        let ahead = chain.dropFirst(after + 1)
        return found.sorted().map { windows[$0].along(ahead, now: now) }
    }

    /// Whether a closure that lasts beyond an instant holds a step of a way.
    func isShut(
        _ step: Milestone, of chain: [Milestone], after furthest: Int, at instant: Instant
    ) -> Bool {
        windows(along: chain, after: furthest, now: instant).contains {
            $0.holds(step) && $0.until > instant
        }
    }
}
