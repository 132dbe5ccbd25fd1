import Tracking
import Wire

/// Which box a damaged number may be: asked of what is expected where it was read.
extension Engine {
    /// Candidates that are told.
    private static let candidatesTold = 5

    /// A refusal of a container's number with the boxes that it may be, those that are expected at the
    /// place first. Nothing is rewritten: somebody has to say so.
    func withCandidates(
        _ reject: LineReject, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> LineReject {
        guard reject.field == "container", reject.code == .checkDigit || reject.code == .container,
            let line = FlatObject(Array(bytes)), let text = line.text("container")
        else { return reject }
        let place = line.text("place").flatMap { network.place(meant: $0) }
        var ranked: [(rank: Int, candidate: NumberRepair.Candidate)] = []
        for candidate in NumberRepair.candidates(text) {
            guard let slot = register.slots[candidate.number] else { continue }
            ranked.append((expectation(of: slot, at: place), candidate))
        }
        ranked.sort {
            ($0.rank, $0.candidate.slip, $0.candidate.number)
                < ($1.rank, $1.candidate.slip, $1.candidate.number)
        }
        guard let best = ranked.first else { return reject }
        let names = ranked.prefix(Engine.candidatesTold).map { "\($0.candidate.number)" }
        var told = reject
        told.suggest = names + reject.suggest.filter { !names.contains($0) }
        let what =
            best.rank == 0 ? "is expected here" : best.rank == 1 ? "comes by here" : "is under way"
        told.detail += "; \(names[0]) \(what)"
        return told
    }

    /// 0: its next milestones are at the place; 1: it passes it, or was there last; 2: it is known.
    private func expectation(of slot: Int, at place: Int?) -> Int {
        guard let place else { return 2 }
        let area = network.area(of: place)
        func isHere(_ symbol: UInt32) -> Bool {
            guard symbol != 0, let other = network.place(register.symbols[symbol]) else {
                return false
            }
            return other == place || area != 0 && network.area(of: other) == area
        }
        var best = 2
        for journey in register.records[slot].journeys {
            let ahead = journey.way.milestones.dropFirst(journey.progress.furthest + 1)
            if ahead.prefix(3).contains(where: { isHere($0.place) }) { return 0 }
            if isHere(journey.progress.lastPlace) || ahead.contains(where: { isHere($0.place) }) {
                best = 1
            }
        }
        return best
    }
}
