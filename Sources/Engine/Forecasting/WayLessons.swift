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
        _ journey: borrowing Journey, _ shipment: Shipment, from known: [Instant],
        to reached: [Instant]
    ) {
        // Of several plans of one trip one tells.
        guard journey.trip == journey.shipment, shipment.graph == nil else { return }
        let way = journey.way.milestones
        learnMoves(from: Stay.all(way, known), to: Stay.all(way, reached))
        guard shipment.made.kind != 0 else { return }
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

    /// Learns how boxes went on, and takes back what was otherwise; what stands is not touched.
    mutating func learnMoves(from known: [Stay], to now: [Stay]) {
        if known == now { return }
        let (old, new) = (Move.all(known), Move.all(now))
        let same = zip(old, new).prefix { $0 == $1 }.count
        let (gone, come) = (Set(old.dropFirst(same)), Set(new.dropFirst(same)))
        for move in old.dropFirst(same) where !come.contains(move) {
            onward.unlearn(move)
            pools.unlearn(move)
        }
        for move in new.dropFirst(same) where !gone.contains(move) {
            onward.learn(move)
            pools.learn(move)
        }
    }
}
