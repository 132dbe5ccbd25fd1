import Engine
import Tracking

/// The forecast that a spreadsheet would make: of every step the median of all that was ever seen of
/// it, added up from what happened last. It knows nothing of how long the present step has lasted, of
/// congestion or of closures; what the engine says is measured against it.
struct HistoricalMedians {
    private struct Key: Hashable {
        var fromPlace: UInt32
        var place: UInt32
        var fromCode: EventCode
        var code: EventCode
        var mode: TransportMode

        init(_ step: Milestone) {
            fromPlace = step.fromPlace
            place = step.place
            fromCode = step.fromCode
            code = step.code
            mode = step.mode
        }
    }

    /// Minutes, ascending.
    private var seen: [Key: [Float]] = [:]
    /// How far each shipment's steps have been taken in.
    private var taken: [String: Int] = [:]

    /// Takes in what has happened since, and says when the last milestone will; nil where nothing is
    /// known of a step.
    mutating func expect(_ shipment: String, _ steps: StepsAhead) -> Instant? {
        let chain = steps.milestones
        var done = -1
        for index in chain.indices where steps.reached[index] != .unset { done = index }
        var next = taken[shipment] ?? 0
        while next <= done {
            let began = next == 0 ? steps.startedAt : steps.reached[next - 1]
            let minutes = steps.reached[next].minutes(since: began)
            if began != .unset, steps.reached[next] != .unset, minutes >= 0 {
                add(Float(minutes), Key(chain[next]))
            }
            next += 1
        }
        taken[shipment] = next
        var at = done >= 0 ? steps.reached[done] : steps.startedAt
        for step in chain.dropFirst(done + 1) {
            if let all = seen[Key(step)], all.count >= 3 {
                at = at.advanced(minutes: Double(all[all.count / 2]))
            } else if step.plannedMinutes == step.plannedMinutes {
                at = at.advanced(minutes: step.plannedMinutes)
            } else if step.priorMinutesP50 == step.priorMinutesP50 {
                at = at.advanced(minutes: step.priorMinutesP50)
            } else {
                return nil
            }
        }
        return at
    }

    private mutating func add(_ minutes: Float, _ key: Key) {
        var all = seen.removeValue(forKey: key) ?? []
        var low = 0
        var high = all.count
        while low < high {
            let middle = (low + high) / 2
            if all[middle] < minutes { low = middle + 1 } else { high = middle }
        }
        all.insert(minutes, at: low)
        seen[key] = all
    }
}
