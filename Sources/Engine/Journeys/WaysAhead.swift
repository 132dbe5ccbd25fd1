import Forecast
import Tracking

/// Which ways a box may take instead of its own.
extension Engine {
    /// Ways that are less likely are not looked at, nor more than so many.
    private static let leastShare = 0.08
    private static let mostWays = 3
    /// Of what follows on another way the likeliest is taken, so often.
    private static let mostTurns = 8

    /// The ways that a box may take instead of its own, by what others did where ways part.
    mutating func others(
        _ journey: Journey, _ shipment: Shipment, now: Instant
    ) -> [OtherWay] {
        guard shipment.made.kind != 0, !without.contains(.ways),
            !forecasting.partings.isEmpty || !shipment.made.turns.isEmpty
        else { return [] }
        let (turns, stays) = turns(journey.way, shipment, after: journey.progress.furthest)
        let kept = turns.filter { $0.turn.share >= Engine.leastShare }.sorted {
            ($1.turn.share, $0.after, register.symbols[$0.turn.to])
                < ($0.turn.share, $1.after, register.symbols[$1.turn.to])
        }.prefix(Engine.mostWays)
        // What goes some other way still goes some way.
        let all = kept.reduce(stays) { $0 + $1.turn.share }
        return kept.map { after, turn in
            var turn = turn
            turn.share /= all
            return other(journey, shipment, after, turn, now)
        }
    }

    /// The turns that are possible on a way, each with the last milestone before it, and the share that takes
    /// none of them. Turns to one area, from wherever, are one.
    private mutating func turns(
        _ way: Way, _ shipment: Shipment, after furthest: Int
    ) -> (turns: [(after: Int, turn: Turn)], stays: Double) {
        let crossing = Crossing(way: way, own: shipment.made.way)
        var found: [(after: Int, turn: Turn)] = []
        var on = 1.0
        var at = max(furthest, 0)
        while at < way.milestones.count, on >= Engine.leastShare {
            let place = way.milestones[at].place
            while at + 1 < way.milestones.count, way.milestones[at + 1].place == place { at += 1 }
            defer { at += 1 }
            let assumed = shipment.made.turns.filter { $0.place == place }
            guard !assumed.isEmpty || forecasting.partings.isTurning(at: place),
                at + 1 < way.milestones.count, let next = crossing.next(after: at)
            else { continue }
            let turns = forecasting.partings.turns(
                at: place, next: next, shipment.plan.mode, kind: shipment.made.kind,
                shipment.made.said(at: place),
                assumed: assumed.map { Turn(to: $0.to, share: $0.share) })
            var stays = on
            for turn in turns where turn.share > 0.01 {
                let share = on * turn.share
                if !ways.book.geography.knows(turn.to) { ways.note(turn.to, register.symbols) }
                let isAhead = way.milestones[at...].contains {
                    ways.book.geography.areOne($0.place, turn.to)
                }
                if isAhead { continue }
                stays -= share
                let same = found.firstIndex {
                    ways.book.geography.areOne($0.turn.to, turn.to)
                }
                if let same {
                    if share > found[same].turn.share { found[same].after = at }
                    found[same].turn.share += share
                    found[same].turn.boxes += turn.boxes
                } else {
                    found.append((at, Turn(to: turn.to, share: share, boxes: turn.boxes)))
                }
            }
            on = stays
        }
        return (found, on)
    }

    /// The way that a turn leads to, and on from there as most go.
    private mutating func other(
        _ journey: Journey, _ shipment: Shipment, _ after: Int, _ turn: Turn, _ now: Instant
    ) -> OtherWay {
        var way = imagine(Detour(way: journey.way, after: after, place: turn.to), shipment)
        var (at, boxes) = (after + 1, turn.boxes)
        for _ in 1..<Engine.mostTurns {
            let next = turns(way, shipment, after: at).turns.first { $0.turn.share > 0.5 }
            guard let next, next.after > after else { break }
            boxes = min(boxes, next.turn.boxes)
            way = imagine(Detour(way: way, after: next.after, place: next.turn.to), shipment)
            at = next.after + 1
        }
        let count = journey.way.milestones.count
        var places = [Int](repeating: -1, count: count)
        for at in 0...after { places[at] = at }
        for at in way.milestones.indices.dropFirst(after + 1) where way.planned[at] >= 0 {
            let own = journey.way.planned
            let mine =
                own.isEmpty ? Int(way.planned[at]) : own.firstIndex(of: way.planned[at]) ?? -1
            if mine > after, mine < count { places[mine] = at }
        }
        places[count - 1] = way.milestones.count - 1
        return OtherWay(
            steps(way, moved(journey.progress, to: places), now: now), way: way,
            share: turn.share, boxes: boxes, after: after, places: places)
    }

    /// What was said of milestones is said of them on another way, too.
    private func moved(_ progress: Journey.Progress, to places: [Int]) -> Journey.Progress {
        var moved = progress
        moved.words = progress.words.compactMap { statement in
            guard statement.milestone < places.count, places[statement.milestone] >= 0 else {
                return nil
            }
            var said = statement
            said.milestone = places[statement.milestone]
            return said
        }
        return moved
    }

    private mutating func imagine(_ detour: Detour, _ shipment: Shipment) -> Way {
        ways.imagine(detour, shipment, &register.symbols, &forecasting.pools)
    }
}
