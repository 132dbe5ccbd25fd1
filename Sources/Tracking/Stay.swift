/// A box at one place, from the first report there on.
public struct Stay: Hashable, Sendable {
    public var place: UInt32
    /// Unset: it was not reported before it left.
    public var came: Instant
    /// When it was last reported to leave; unset: it was not.
    public var left: Instant

    public init(place: UInt32, came: Instant, left: Instant = .unset) {
        self.place = place
        self.came = came
        self.left = left
    }

    /// Takes the next sign of a box, in the order of time.
    public static func note(
        _ code: EventCode, at place: UInt32, _ time: Instant, in stays: inout [Stay]
    ) {
        let left = code.isDeparture ? time : Instant.unset
        if let last = stays.indices.last, stays[last].place == place {
            if left != .unset { stays[last].left = left }
        } else {
            stays.append(
                Stay(place: place, came: code.isDeparture ? .unset : time, left: left))
        }
    }
}

extension EventHistory {
    /// The stays that the last `count` reports of where it was tell of, up to `until`; those whose time is
    /// not known well enough are left out.
    public func stays(last count: Int, until: Instant) -> [Stay] {
        let signs = events.filter {
            $0.isEvidence && Evidence.isSign($0.code) && $0.place != 0 && $0.time <= until
        }
        var stays: [Stay] = []
        for event in signs.suffix(count) where !event.flags.isVague {
            Stay.note(event.code, at: event.place, event.time, in: &stays)
        }
        return stays
    }
}
