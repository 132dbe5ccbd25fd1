import Forecast
import Tracking

/// What a source's statements have been worth, of those that were made, and looked at, about so far ahead.
public struct SourceRecord: Sendable {
    /// Who said so; "": nobody in particular.
    public var source: String
    /// All of them, however far ahead, a milestone once.
    public var isWhole: Bool
    /// How far ahead they were said, and looked at, at the most: minutes; nil: farther than any class.
    public var saidAheadMinutes: Double?
    public var seenAheadMinutes: Double?
    /// Statements judged by, the latest at most forty.
    public var count: Int
    /// By how much later than stated things came to pass: minutes.
    public var p10: Double
    public var p50: Double
    public var p90: Double
    /// What its word loses, its habits known, as a share of what the forecast loses without it (pinball);
    /// nil: too few to tell.
    public var loss: Double?
}

extension Engine {
    /// What sources have said so far ahead, and how it came out: by source, farthest first.
    public var sourceRecords: [SourceRecord] {
        forecasting.pools.wordRecords.compactMap { key, pool -> (order: Int, SourceRecord)? in
            guard let curve = pool.curve else { return nil }
            let isWhole = key.level == .source
            let (said, seen) = isWhole ? (nil, nil) : WordRecord.horizons(key.plannedClass)
            return (
                isWhole ? .min : -Int(key.plannedClass),
                SourceRecord(
                    source: register.symbols[key.fromPlace], isWhole: isWhole,
                    saidAheadMinutes: said, seenAheadMinutes: seen, count: pool.values.count,
                    p10: curve.quantile(0.1), p50: curve.quantile(0.5), p90: curve.quantile(0.9),
                    loss: pool.worth.judged > 0 ? Double(pool.worth.ratio) : nil)
            )
        }.sorted { ($0.1.source, $0.order) < ($1.1.source, $1.order) }.map(\.1)
    }
}
