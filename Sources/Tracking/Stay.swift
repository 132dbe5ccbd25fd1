/// A box at one place, from the first report there on.
public struct Stay: Hashable, Sendable {
    public var place: UInt32
    /// Unset: it was not reported before it left. As `left`: all that is known is that it was there by then.
    public var came: Instant
    /// When it was last reported to leave; unset: it was not.
    public var left: Instant

    public init(place: UInt32, came: Instant, left: Instant = .unset) {
        self.place = place
        self.came = came
        self.left = left
    }

    /// Takes the next sign of a box, in the order of time; `time` is unset where it is not known well enough.
    /// `isThere`: as good as its coming is any sign of it.
    static func note(
        _ code: EventCode, at place: UInt32, _ time: Instant, isThere: Bool = false,
        in stays: inout [Stay]
    ) {
        // What was loaded may stand there for days.
        let isGone = code == .depa || code == .gtot
        if let last = stays.indices.last, stays[last].place == place {
            if isGone {
                stays[last].left = time
            } else if code.isArrival {
                stays[last].left = .unset
            }
        } else {
            stays.append(
                Stay(
                    place: place, came: code.isDeparture && !isThere ? .unset : time,
                    left: isGone ? time : .unset))
        }
    }

    /// The stays that the milestones tell of that a way has reached.
    public static func all(_ way: [Milestone], _ reached: [Instant]) -> [Stay] {
        // Of another version of its plan, or another build's.
        guard reached.count == way.count else { return [] }
        var stays: [Stay] = []
        for at in reached.indices where reached[at] != .unset {
            note(way[at].code, at: way[at].place, reached[at], in: &stays)
        }
        return stays
    }
}
