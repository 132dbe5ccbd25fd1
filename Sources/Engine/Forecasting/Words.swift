import Forecast
import Tracking

/// What others say of milestones ahead: heeded as far as their record deserves it, and remembered until
/// it can be judged.
extension Engine {
    /// Statements of one journey that wait for what they speak of.
    private static let mostHeard = 32

    /// What stands of what was said, as a composition seen from `now` is to heed it.
    func words(_ chain: [Milestone], _ progress: Journey.Progress, now: Instant) -> [Word] {
        // Nearly always nobody has said anything.
        if progress.words.isEmpty { return [] }
        return progress.words.map {
            forecasting.pools.word($0, chain[$0.milestone], now: now)
        }
    }

    /// Keeps what the forecast would have been without each statement: once for each time ahead at which
    /// it is looked at, since a word grows stale and a forecast better.
    func note(_ heard: [Heard], _ journey: inout Journey) {
        for new in heard where journey.progress.words.contains(new.statement) {
            let isKnown = journey.publication.heard.contains {
                $0.statement == new.statement && $0.horizon == new.horizon
            }
            if !isKnown { journey.publication.heard.append(new) }
        }
        let excess = journey.publication.heard.count - Engine.mostHeard
        if excess > 0 { journey.publication.heard.removeFirst(excess) }
    }

    /// Milestones have been reached of which something had been said.
    mutating func judgeWords(_ journey: inout Journey) {
        guard !journey.publication.heard.isEmpty else { return }
        let progress = journey.progress
        let chain = journey.way.milestones
        for heard in journey.publication.heard where heard.statement.milestone < chain.count {
            let at = heard.statement.milestone
            guard progress.reached[at] != .unset, !progress.vague.contains(at) else { continue }
            forecasting.pools.learn(heard, chain[at], actual: progress.reached[at])
        }
        journey.publication.heard.removeAll {
            $0.statement.milestone >= chain.count || $0.statement.milestone <= progress.furthest
        }
    }

    /// What others say of what lies ahead of a journey, those first of whose word most is made.
    func estimates(
        _ journey: Journey, _ progress: Journey.Progress, now: Instant
    ) -> [Estimate] {
        let chain = journey.way.milestones
        let words = words(chain, progress, now: now)
        return words.map { word in
            let of = word.statement
            let rivals = words.filter { $0.statement.milestone == of.milestone }
            return Estimate(
                source: register.symbols[of.source],
                place: register.symbols[chain[of.milestone].place],
                code: chain[of.milestone].code, isLast: of.milestone == chain.count - 1,
                isPlan: of.isPlan, stated: of.time, saidAt: of.saidAt, p50: word.p50(now: now),
                weight: word.weight(among: rivals), judged: word.judged)
        }.sorted {
            ($1.weight, $0.source, $0.saidAt) < ($0.weight, $1.source, $1.saidAt)
        }
    }
}
