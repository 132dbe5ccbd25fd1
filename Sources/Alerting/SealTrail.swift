import Tracking

/// What the reports of a journey say of its seals.
public struct SealTrail: Sendable, Equatable {
    /// The report in which the seals are others than before, though nobody told of a new one.
    public private(set) var changedAt: (time: Instant, place: UInt32)?
    /// The report before it that named seals.
    public private(set) var before: (time: Instant, place: UInt32)?
    /// Somebody told of a removal or a new seal.
    public private(set) var isExplained = false

    /// `events`: the evidence of one journey, in order of time.
    public init(_ events: some Sequence<EventRecord>) {
        var last: EventRecord?
        for event in events {
            if event.code == .rmvd || event.code == .rsea {
                isExplained = true
                changedAt = nil
                // Of a removal the next seals are new ones, of a new seal its own.
                last = event.code == .rsea && event.seals != 0 ? event : nil
                continue
            }
            guard event.seals != 0 else { continue }
            if let last, last.seals != event.seals {
                changedAt = (event.time, event.place)
                before = (last.time, last.place)
            }
            last = event
        }
        if changedAt != nil { isExplained = false }
    }

    public static func == (a: SealTrail, b: SealTrail) -> Bool {
        a.changedAt?.time == b.changedAt?.time && a.changedAt?.place == b.changedAt?.place
            && a.isExplained == b.isExplained
    }
}
