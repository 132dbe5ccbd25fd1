import Forecast
import Tracking

/// Where the ways part that a journey may take.
struct Crossing {
    let way: Way
    /// The plan's own way.
    let own: Way

    /// The next place to which a way leads from a milestone, by the plan where it is one of the plan's.
    func next(after at: Int) -> UInt32? {
        let place = way.milestones[at].place
        if way.planned.isEmpty || way.planned[at] >= 0 {
            let from = way.planned.isEmpty ? at : Int(way.planned[at])
            return own.milestones.dropFirst(from + 1).first { $0.place != place }?.place
        }
        return way.milestones.indices.dropFirst(at + 1).first {
            way.planned[$0] >= 0 && way.milestones[$0].place != place
        }.map { way.milestones[$0].place }
    }

    /// What a journey shows of where boxes go, by what it has reached.
    func partings(_ reached: [Instant]) -> [Parting] {
        // Of another version of its plan, or another build's.
        guard reached.count == way.milestones.count else { return [] }
        var found: [Parting] = []
        var last = -1
        for at in reached.indices where reached[at] != .unset {
            defer { last = at }
            guard last >= 0, way.milestones[at].place != way.milestones[last].place else {
                continue
            }
            note(from: last, to: at, &found)
        }
        return found
    }

    private func note(from last: Int, to at: Int, _ found: inout [Parting]) {
        func planned(_ at: Int) -> Int { way.planned.isEmpty ? at : Int(way.planned[at]) }
        let place = way.milestones[last].place
        guard planned(at) >= 0 else {
            // Back where the plan began, or had been, is no turn.
            let behind = way.furthestPlanned(through: last)
            let seen = way.milestones[at].place
            let isBack = own.milestones.prefix(behind + 1).contains { $0.place == seen }
            if !isBack, let next = next(after: last) {
                found.append(Parting(at: place, next: next, taken: seen))
            }
            return
        }
        let (from, to) = (planned(last), planned(at))
        if from < 0 {
            // Back on the way, be it further on.
            if next(after: last) == way.milestones[at].place {
                found.append(Parting(at: place, next: way.milestones[at].place))
            }
            return
        }
        // What it passed without a word it passed, too; where it came back it did not go on.
        guard to > from, to < own.milestones.count else { return }
        var stood = place
        for step in from + 1...to where own.milestones[step].place != stood {
            found.append(Parting(at: stood, next: own.milestones[step].place))
            stood = own.milestones[step].place
        }
    }
}

extension Forecasting {
    /// Learns which way a journey took where ways part, and takes back what it no longer shows.
    mutating func learnWays(
        _ journey: Journey, _ shipment: Shipment, from known: [Instant], to reached: [Instant]
    ) {
        // Of several plans of one trip one tells.
        guard shipment.made.kind != 0, journey.trip == journey.shipment else { return }
        let crossing = Crossing(way: journey.way, own: shipment.made.way)
        let (old, new) = (crossing.partings(known), crossing.partings(reached))
        let same = zip(old, new).prefix { $0 == $1 }.count
        let (made, mode) = (shipment.made, shipment.plan.mode)
        for parting in old.dropFirst(same) {
            partings.unlearn(
                parting, mode, kind: made.kind, made.said(at: parting.place))
        }
        for parting in new.dropFirst(same) {
            partings.learn(
                parting, mode, kind: made.kind, made.said(at: parting.place))
        }
    }
}

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
        var way = lead(Detour(way: journey.way, after: after, place: turn.to), shipment)
        var (at, boxes) = (after + 1, turn.boxes)
        for _ in 1..<Engine.mostTurns {
            let next = turns(way, shipment, after: at).turns.first { $0.turn.share > 0.5 }
            guard let next, next.after > after else { break }
            boxes = min(boxes, next.turn.boxes)
            way = lead(Detour(way: way, after: next.after, place: next.turn.to), shipment)
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
        let words = words(way, journey.progress.words, places, now)
        return OtherWay(
            Composer.Steps(
                way.milestones, way.ids, closures: closureBook.windows(along: way.milestones),
                words: words, restated: way.restated, habits: forecasting.habits), way: way,
            share: turn.share, boxes: boxes, after: after, places: places)
    }

    private mutating func lead(_ detour: Detour, _ shipment: Shipment) -> Way {
        ways.imagine(detour, shipment, &register.symbols, &forecasting.pools)
    }

    /// What was said of milestones is said of them on another way, too.
    private func words(
        _ way: Way, _ statements: [Statement], _ places: [Int], _ now: Instant
    ) -> [Word] {
        if statements.isEmpty { return [] }
        return statements.compactMap { statement in
            guard statement.saidAt <= now, statement.milestone < places.count,
                places[statement.milestone] >= 0
            else { return nil }
            var said = statement
            said.milestone = places[statement.milestone]
            return forecasting.pools.word(said, way.milestones[said.milestone], now: now)
        }
    }

    /// Ways that are told apart by a place: the shares of those that have it, the first of them first.
    private struct Group {
        var place: UInt32
        var share: Double
        /// 0: the own way, then each of the others.
        var members: [Int]
    }

    /// By which gates ways lead that are likely. Told apart are the own way and the likeliest of the others;
    /// what follows either of them there counts to it. Fewer than two: they are not told apart.
    private func groups(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> [Group] {
        guard shares.count == others.count + 1, let likeliest = others.first else { return [] }
        func places(_ way: Way, _ after: Int) -> [UInt32] {
            way.milestones.dropFirst(after + 1).map(\.place)
        }
        let geography = ways.book.geography
        func via(_ way: [UInt32], notOn other: [UInt32]) -> UInt32? {
            let new = way.filter { place in !other.contains { geography.areOne($0, place) } }
            return new.first { geography.place($0).map(ways.builder.isGate) ?? false } ?? new.first
        }
        let first = likeliest.after
        let (mine, theirs) = (places(own, first), places(likeliest.way, first))
        // Where nothing else tells them apart it is where the one would be seen first.
        let gates = [via(mine, notOn: theirs), via(theirs, notOn: mine)]
        guard let here = gates[0] ?? mine.first, let there = gates[1] ?? theirs.first,
            here != there
        else { return [] }
        var found = [
            Group(place: here, share: shares[0], members: [0]),
            Group(place: there, share: shares[1], members: [1]),
        ]
        for (at, other) in others.enumerated().dropFirst() {
            let on = places(other.way, -1)
            let told = gates.compactMap { $0 }.first { place in
                on.contains { geography.areOne($0, place) }
            }
            let beyond = places(other.way, other.after)
            let place = told ?? via(beyond, notOn: places(own, other.after)) ?? here
            if let known = found.firstIndex(where: { $0.place == place }) {
                found[known].share += shares[at + 1]
                found[known].members.append(at + 1)
            } else {
                found.append(Group(place: place, share: shares[at + 1], members: [at + 1]))
            }
        }
        return found
    }

    /// The ways that are likely, each with its share, the likeliest first.
    func named(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> [LikelyWay] {
        let named = groups(shares, others, own).filter { $0.share >= 0.01 }.map {
            LikelyWay(
                via: register.symbols[$0.place], share: $0.share, isOwn: $0.members.contains(0))
        }
        return named.count < 2 ? [] : named.sorted { ($1.share, $0.via) < ($0.share, $1.via) }
    }

    /// The likeliest of the ways by the gate that most take; nil: it is the own.
    func likeliest(_ shares: [Double], _ others: [OtherWay], _ own: Way) -> Int? {
        let most = groups(shares, others, own).max {
            ($0.share, $1.members[0]) < ($1.share, $0.members[0])
        }
        guard let most, !most.members.contains(0) || shares[0] == 0 else { return nil }
        return most.members.max { shares[$0] < shares[$1] }.map { $0 - 1 }
    }

    /// The timeline of the way that is likeliest: of what lies on it alone as if it went there, and of what all
    /// ways have in common as it is expected by any.
    mutating func likeliest(
        _ own: Timeline, _ journey: Journey, _ shipment: Shipment, _ others: [OtherWay],
        _ shares: [Double], _ now: Instant
    ) -> Timeline {
        var shown = own
        shown.ways = named(shares, others, journey.way)
        guard let most = likeliest(shares, others, journey.way) else { return shown }
        let other = others[most]
        shown.way = other.way
        shown.parted = other.after
        shown.reached = Array(own.reached.prefix(other.after + 1))
        shown.reached += repeatElement(
            .unset, count: other.way.milestones.count - shown.reached.count)
        shown.points = forecasting.composer.timeline(
            other, journey.progress, start: shipment.startedAt, now: now, &forecasting.pools)
        for (mine, theirs) in other.places.enumerated()
        where theirs >= 0 && (mine <= other.after || theirs == shown.points.count - 1) {
            shown.points[theirs] = own.points[mine]
        }
        Composer.order(&shown.points)
        for at in shown.ways.indices { shown.ways[at].isOwn = false }
        let on = other.way.milestones.dropFirst(other.after + 1).map { register.symbols[$0.place] }
        let name = shown.ways.firstIndex { on.contains($0.via) }
        if let name { shown.ways[name].isOwn = true }
        if let passed = own.probablyPassed, passed > other.after {
            shown.probablyPassed = other.after
        }
        return shown
    }
}
