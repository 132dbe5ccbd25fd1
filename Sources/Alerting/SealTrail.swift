import Tracking

/// What the reports of a journey say of its seals.
public struct SealTrail: Sendable, Equatable {
    /// The report in which the seals are others than before, though nobody told of a new one.
    public private(set) var changedAt: (time: Instant, place: UInt32)?
    /// The report before it that named seals.
    public private(set) var before: (time: Instant, place: UInt32)?
    /// Somebody told of a removal or a new seal.
    public private(set) var isExplained = false
    /// It has seals again that it had before: one of two had not been read.
    public private(set) var isBack = false

    /// `events`: the evidence of one journey, in order of time.
    public init(_ events: some Sequence<EventRecord>) {
        var last: EventRecord?
        var known: [UInt32] = []
        for event in events {
            if event.code == .rmvd || event.code == .rsea {
                (isExplained, isBack) = (true, false)
                changedAt = nil
                known = []
                // Of a removal the next seals are new ones, of a new seal its own.
                last = event.code == .rsea && event.seals != 0 ? event : nil
                if let last { known = [last.seals] }
                continue
            }
            guard event.seals != 0 else { continue }
            if let last, last.seals != event.seals {
                isBack = known.contains(event.seals)
                changedAt = isBack ? nil : (event.time, event.place)
                before = (last.time, last.place)
            }
            // What nobody has explained does not become its own.
            if changedAt == nil { known.append(event.seals) }
            last = event
        }
        if changedAt != nil { isExplained = false }
    }

    /// When a journey begins as far as seals go, whose first milestone was reached at an instant: with the gate
    /// in before it, where that is at the same place. What was sealed there before is of another journey.
    public static func begin(_ events: [EventRecord], before first: Instant) -> Instant {
        let earlier = events.filter { $0.isEvidence && $0.time <= first }
        guard let place = earlier.last?.place else { return first }
        for event in earlier.reversed() {
            guard event.place == place else {
                // Nobody gates a box in, and sends it there with other goods.
                if event.code == .gtin || event.code == .stuf { return event.time }
                break
            }
            if event.code == .gtin || event.code == .stuf { return event.time }
            // It had come with other goods.
            let isOther = [.arri, .disc, .drop, .strp, .depa, .gtot].contains(event.code)
            if event.time < first, isOther { break }
        }
        return first
    }

    public static func == (a: SealTrail, b: SealTrail) -> Bool {
        a.changedAt?.time == b.changedAt?.time && a.changedAt?.place == b.changedAt?.place
            && a.isExplained == b.isExplained && a.isBack == b.isBack
    }
}
