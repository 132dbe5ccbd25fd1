import Tracking

/// A move that a box made, whether a plan named it or not: from where it stayed to where it was seen next.
public struct Move: Sendable, Equatable {
    public var place: UInt32
    /// Where it had been before that; 0: nobody knows.
    public var before: UInt32
    public var to: UInt32
    /// When it came, left, and came to the next; unset: that was not reported.
    public var came: Instant
    public var left: Instant
    public var seen: Instant

    /// Those between stays.
    public static func all(_ stays: [Stay]) -> [Move] {
        stays.indices.dropFirst().map { at in
            Move(
                place: stays[at - 1].place, before: at > 1 ? stays[at - 2].place : 0,
                to: stays[at].place, came: stays[at - 1].came, left: stays[at - 1].left,
                seen: stays[at].came)
        }
    }
}

/// Where boxes went on to, whoever they were, and how long that took: what there is to go by where no plan
/// tells.
extension Partings {
    /// So many boxes must have gone on from a place.
    public static let leastOnward = 5.0

    public mutating func learn(_ move: Move) {
        addOnward(move, 1)
        if records.count > Partings.most { makeRoom() }
    }

    public mutating func unlearn(_ move: Move) { addOnward(move, -1) }

    private mutating func addOnward(_ move: Move, _ boxes: Double) {
        func count(_ before: UInt32) {
            add(
                Parting(at: move.place, next: before, taken: move.to), Key.onward, boxes, .nothing)
        }
        count(0)
        if move.before != 0 { count(move.before) }
    }

    /// Where boxes went on from a place: those that had come the same way, or where few had, all but back
    /// there. Empty: too few have.
    public func onward(from place: UInt32, before: UInt32) -> [Turn] {
        var turns: [(to: UInt32, boxes: Double)] = []
        for came in before == 0 ? [0] : [before, 0] {
            turns = records[Key(place: place, next: came, kind: Key.onward)]?.turns ?? []
            if came == 0, before != 0 { turns.removeAll { $0.to == before } }
            let sum = turns.reduce(0) { $0 + $1.boxes }
            if sum >= Partings.leastOnward {
                return turns.map { Turn(to: $0.to, share: $0.boxes / sum, boxes: $0.boxes) }
            }
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

    public mutating func unlearn(_ move: Move) { each(move) { $0.unlearn($1) } }

    private mutating func each(_ move: Move, _ body: (inout Pool, Float) -> Void) {
        guard move.seen != .unset else { return }
        func take(_ since: Instant, _ isGone: Bool) {
            guard since != .unset, since <= move.seen else { return }
            let minutes = Float(move.seen.minutes(since: since))
            change(Pools.onward(move.place, move.to, isGone)) { body(&$0, minutes) }
        }
        take(move.came, false)
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
