import Forecast
import Tracking

/// What others say of milestones ahead: heeded as far as their record deserves it, and remembered until
/// it can be judged.
extension Engine {
    /// Statements of one journey that wait for what they speak of.
    private static let mostHeard = 32

    /// What stands of what was said, as a composition seen from `now` is to heed it.
    /// `until`: what was said later is not heard; nil: than `now`.
    func words(
        _ chain: [Milestone], _ progress: Journey.Progress, now: Instant, until: Instant? = nil
    ) -> [Word] {
        // Nearly always nobody has said anything.
        if progress.words.isEmpty { return [] }
        // Whoever looks from earlier has not heard what was said later.
        return progress.words.filter { $0.saidAt <= until ?? now }.map {
            forecasting.pools.word($0, chain[$0.milestone], now: now)
        }
    }

    /// Keeps what the forecast would have been without each statement: once for each time ahead at which
    /// it is looked at, since a word grows stale and a forecast better. However often a source speaks of one
    /// milestone, it is judged by that as often.
    /// `own`: what was said of this box itself.
    func note(_ heard: [Heard], of own: [Statement], _ journey: inout Journey) {
        // Of several plans of one trip one judges.
        if heard.isEmpty || journey.trip != journey.shipment { return }
        for new in heard where own.contains(new.statement) {
            let known = journey.publication.heard.firstIndex {
                $0.statement.source == new.statement.source && $0.isAsFarAhead(as: new)
                    && $0.statement.milestone == new.statement.milestone
            }
            guard let known else {
                journey.publication.heard.append(new)
                continue
            }
            // What it said last, as it was looked at first.
            if journey.publication.heard[known].statement != new.statement {
                journey.publication.heard[known] = new
            }
        }
        let excess = journey.publication.heard.count - Engine.mostHeard
        if excess > 0 { journey.publication.heard.removeFirst(excess) }
    }

    /// Milestones have been reached of which something had been said.
    mutating func judgeWords(_ journey: inout Journey, _ shipment: Shipment) {
        guard !journey.publication.heard.isEmpty else { return }
        let progress = journey.progress
        let chain = journey.way.milestones
        for at in Set(journey.publication.heard.map(\.statement.milestone)).sorted()
        where at < chain.count && progress.reached[at] != .unset && !progress.vague.contains(at) {
            forecasting.pools.learn(
                journey.publication.heard.filter { $0.statement.milestone == at }, chain[at],
                actual: progress.reached[at])
        }
        // Where ways join, what happened last is not the furthest of all.
        let behind = shipment.graph == nil ? progress.furthest : -1
        journey.publication.heard.removeAll {
            let at = $0.statement.milestone
            return at >= chain.count || at <= behind || progress.reached[at] != .unset
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
                stated: of.time, saidAt: of.saidAt, p50: word.p50(now: now),
                weight: word.weight(among: rivals), judged: word.judged,
                isKnown: word.isKnown)
        }.sorted {
            ($1.weight, $0.source, $0.saidAt) < ($0.weight, $1.source, $1.saidAt)
        }
    }
}
