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
        var mayChange = true
        for event in events {
            if event.code == .rmvd || event.code == .rsea {
                isExplained = changedAt != nil
                changedAt = nil
                mayChange = true
            }
            guard event.seals != 0 else { continue }
            if let last, last.seals != event.seals, !mayChange {
                changedAt = (event.time, event.place)
                before = (last.time, last.place)
                isExplained = false
            }
            mayChange = false
            last = event
        }
    }

    public static func == (a: SealTrail, b: SealTrail) -> Bool {
        a.changedAt?.time == b.changedAt?.time && a.changedAt?.place == b.changedAt?.place
            && a.isExplained == b.isExplained
    }
}
