import Tracking

/// A move that a box made, whether a plan named it or not: from where it stayed to where it was seen next.
public struct Move: Hashable, Sendable {
    public var place: UInt32
    /// Where it had been before that; 0: nobody knows.
    public var before: UInt32
    /// 0: it is still there.
    public var to: UInt32
    /// When it came, left, and came to the next; unset: that is not known.
    public var came: Instant
    public var left: Instant
    public var seen: Instant

    /// Those between stays, and the last stay.
    public static func all(_ stays: [Stay]) -> [Move] {
        stays.indices.map { at in
            let next = at + 1 < stays.count ? stays[at + 1] : Stay(place: 0, came: .unset)
            // Where it stays, when that began is of no matter.
            let isOver = next.place != 0
            return Move(
                place: stays[at].place, before: at > 0 ? stays[at - 1].place : 0, to: next.place,
                came: isOver ? stays[at].came : .unset, left: isOver ? stays[at].left : .unset,
                seen: next.came)
        }
    }
}

/// Where boxes went on to, whoever they were, and how long that took: what there is to go by where no plan
/// tells. In a table of its own: of a key `next` is where they had been before (0: anywhere), `on` counts those
/// that stayed, and those that went where few do.
extension Partings {
    /// So many boxes must have gone on from a place, and such a share of all that came there to the place to
    /// which most did.
    public static let leastOnward = 5.0
    static let leastOnwardShare = 0.3
    static let anyBox: UInt64 = 0

    public mutating func learn(_ move: Move) {
        count(move, 1)
        if records.count > Partings.most { makeRoom() }
    }

    public mutating func unlearn(_ move: Move) { count(move, -1) }

    private mutating func count(_ move: Move, _ boxes: Double) {
        func count(_ before: UInt32) {
            add(
                Parting(at: move.place, next: before, taken: move.to), Partings.anyBox, boxes,
                .nothing)
        }
        count(0)
        if move.before != 0 { count(move.before) }
    }

    /// Where boxes went on from a place: those that had come the same way, or where few had, all but back
    /// there. Empty: too few have, or not to one place more than to others.
    public func onward(from place: UInt32, before: UInt32) -> [Turn] {
        for came in before == 0 ? [0] : [before, 0] {
            guard
                let record = records[Key(place: place, next: came, kind: Partings.anyBox)]
            else { continue }
            var turns = record.turns
            if came == 0, before != 0 { turns.removeAll { $0.to == before } }
            let sum = turns.reduce(0) { $0 + $1.boxes }
            guard sum >= Partings.leastOnward else { continue }
            let most = turns.reduce(0) { max($0, $1.boxes) }
            guard most >= Partings.leastOnwardShare * (sum + record.on) else { return [] }
            return turns.map { Turn(to: $0.to, share: $0.boxes / sum, boxes: $0.boxes) }
        }
        return []
    }
}

extension Pools {
    /// Moves at which what few boxes took and a wide guess around it weigh the same, and how wide that is.
    private static let guessedMoves = 8.0
    private static let guessedSpread = 2.5

    public mutating func learn(_ move: Move) {
        each(move) { pool, minutes in
            guard pool.admits(at: move.seen, perDay: Pools.perDay) else { return }
            pool.learn(minutes, limit: Pools.limit)
        }
    }

    public mutating func unlearn(_ move: Move) { each(move) { $0.readmit($1) } }

    private mutating func each(_ move: Move, _ body: (inout Pool, Float) -> Void) {
        guard move.seen != .unset else { return }
        func take(_ since: Instant, _ isGone: Bool) {
            guard since != .unset, since <= move.seen else { return }
            let minutes = Float(move.seen.minutes(since: since))
            change(Pools.onward(move.place, move.to, isGone)) { body(&$0, minutes) }
        }
        if move.came != move.left { take(move.came, false) }
        take(move.left, true)
    }

    private static func onward(_ place: UInt32, _ to: UInt32, _ isGone: Bool) -> PoolKey {
        PoolKey(
            level: .onward, kind: .transit, mode: .unknown, fromCode: isGone ? .depa : .arri,
            toCode: .arri, fromPlace: place, toPlace: to)
    }

    /// Minutes from when a box came to a place, or left it, until it was seen at the next; nil: nobody knows.
    public func onward(from place: UInt32, to: UInt32, isGone: Bool) -> Curve? {
        guard let slot = slots[Pools.onward(place, to, isGone)], let curve = pools[slot].curve
        else { return nil }
        let known = Double(pools[slot].drawn)
        let middle = max(curve.quantile(0.5), 1)
        return .mixture([
            (curve, known / (known + Pools.guessedMoves)),
            (
                .logNormal(p50: middle, p90: middle * Pools.guessedSpread),
                Pools.guessedMoves / (known + Pools.guessedMoves)
            ),
        ])
    }
}
