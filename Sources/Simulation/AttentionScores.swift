import Tracking

/// Whether what was said was worth a person's attention: how often it spoke, how much what it said
/// was worth until the next word, and what became of its alerts.
public struct AttentionScores: Sendable {
    /// Journeys that were delivered.
    public private(set) var journeys = 0
    public private(set) var etasPerJourney = 0.0
    /// Pinball (p10, p50, p90) of what was published last, over that of the forecast of the moment: at
    /// each event and every six hours, every journey counting the same.
    public private(set) var publishedPinballRatio = 0.0
    /// Share of the changes of a published p50 that the next one takes back by half or more.
    public private(set) var takenBackShare = 0.0
    /// Of journeys that were late by a level, or of which the box was held: those with an alert before
    /// the delivery.
    public private(set) var recall = 0.0
    public private(set) var alertsPerJourney = 0.0
    public private(set) var types: [Row] = []

    /// What became of the alerts of one type.
    public struct Row: Sendable {
        public var type: AlertType
        public var raised = 0
        /// Per journey; a convoy counts once.
        public var perJourney = 0.0
        /// Share that was real by its type's meaning, of those that can be judged.
        public var precision: Double?
        /// From the alert to the delivery.
        public var medianLeadMinutes = 0.0
        /// Median time that it was open.
        public var medianOpenMinutes = 0.0
        public var ended = 0
    }

    /// A forecast of the moment.
    public struct Sample: Sendable {
        public var at: Instant
        public var p10: Instant
        public var p50: Instant
        public var p90: Instant
        /// Made because of news.
        public var isNews: Bool
    }

    /// What the truth says of a shipment.
    public struct Truth: Sendable {
        public var delivered: Instant
        public var promised: Instant?
        /// The box was held somewhere for days.
        public var isHeld = false

        public init(delivered: Instant, promised: Instant? = nil, isHeld: Bool = false) {
            self.delivered = delivered
            self.promised = promised
            self.isHeld = isHeld
        }
    }

    private struct Life {
        var type: AlertType
        /// "": of a post or a place.
        var shipment: String
        /// What it is counted with: its parent, or the boxes that it travels with.
        var group: String?
        var raised: Instant
        var ended: Instant?
    }

    /// Delay from which on a shift of the delivery matters: the lowest level.
    private static let levelMinutes = 30.0

    init(
        events: [OutputEvent], samples: [String: [Sample]], truth: [String: Truth]
    ) {
        journeys = truth.count
        guard journeys > 0 else { return }
        scoreEtas(events, samples, truth)
        scoreAlerts(events, samples, truth)
    }

    private mutating func scoreEtas(
        _ events: [OutputEvent], _ samples: [String: [Sample]], _ truth: [String: Truth]
    ) {
        var said: [String: [EtaEvent]] = [:]
        var lines = 0
        for case .eta(let eta) in events {
            guard let shipment = eta.shipment, truth[shipment] != nil else { continue }
            lines += 1
            if eta.unknown == nil, eta.actual == nil { said[shipment, default: []].append(eta) }
        }
        etasPerJourney = Double(lines) / Double(journeys)
        var (changes, takenBack) = (0, 0)
        var (published, live) = (0.0, 0.0)
        for (shipment, etas) in said.sorted(by: { $0.key < $1.key }) {
            let moves = zip(etas.dropFirst(), etas).map { $0.p50.minutes(since: $1.p50) }
            for (move, next) in zip(moves, moves.dropFirst()) where move != 0 {
                changes += 1
                if move * next < 0, abs(next) >= abs(move) / 2 { takenBack += 1 }
            }
            guard let actual = truth[shipment]?.delivered else { continue }
            var sums = (published: 0.0, live: 0.0, count: 0.0)
            var at = -1
            for sample in samples[shipment] ?? [] where sample.at < actual {
                while at + 1 < etas.count, etas[at + 1].time <= sample.at { at += 1 }
                guard at >= 0 else { continue }
                sums.published += AttentionScores.pinball(
                    etas[at].p10, etas[at].p50, etas[at].p90, actual)
                sums.live += AttentionScores.pinball(sample.p10, sample.p50, sample.p90, actual)
                sums.count += 1
            }
            guard sums.count > 0 else { continue }
            published += sums.published / sums.count
            live += sums.live / sums.count
        }
        takenBackShare = Double(takenBack) / Double(max(changes, 1))
        publishedPinballRatio = live > 0 ? published / live : 0
    }

    private static func pinball(
        _ p10: Instant, _ p50: Instant, _ p90: Instant, _ actual: Instant
    ) -> Double {
        var sum = 0.0
        for (share, quantile) in [(0.1, p10), (0.5, p50), (0.9, p90)] {
            let gap = actual.minutes(since: quantile)
            sum += max(share * gap, (share - 1) * gap)
        }
        return sum / 3
    }

    // MARK: Alerts

    private static func lives(_ events: [OutputEvent]) -> [Life] {
        var lives: [Life] = []
        var known: [String: Int] = [:]
        for case .alert(let alert) in events {
            if let at = known[alert.alert] {
                if alert.state == .cleared || alert.state == .withdrawn {
                    lives[at].ended = alert.time
                }
                continue
            }
            guard alert.state == .raised, alert.shipment != nil || alert.container == nil else {
                continue
            }
            known[alert.alert] = lives.count
            lives.append(
                Life(
                    type: alert.type, shipment: alert.shipment ?? "",
                    group: alert.incident ?? alert.convoy?.name
                        ?? (alert.container == nil ? alert.alert : nil),
                    raised: alert.time))
        }
        return lives
    }

    private mutating func scoreAlerts(
        _ events: [OutputEvent], _ samples: [String: [Sample]], _ truth: [String: Truth]
    ) {
        let lives = AttentionScores.lives(events).filter {
            $0.shipment.isEmpty || truth[$0.shipment] != nil
        }
        var all: Set<String> = []
        for (index, life) in lives.enumerated() { all.insert(life.group ?? "\(index)") }
        alertsPerJourney = Double(all.count) / Double(journeys)
        for type in AlertType.allCases {
            let own = lives.filter { $0.type == type }
            guard !own.isEmpty else { continue }
            var row = Row(type: type)
            row.raised = own.count
            var heads: Set<String> = []
            for (index, life) in own.enumerated() { heads.insert(life.group ?? "\(index)") }
            row.perJourney = Double(heads.count) / Double(journeys)
            let verdicts = own.compactMap { life in
                truth[life.shipment].flatMap {
                    AttentionScores.isReal(life, $0, samples[life.shipment] ?? [])
                }
            }
            if !verdicts.isEmpty {
                row.precision = Double(verdicts.count { $0 }) / Double(verdicts.count)
            }
            row.ended = own.count { $0.ended != nil }
            row.medianLeadMinutes = AttentionScores.median(
                own.compactMap { truth[$0.shipment]?.delivered.minutes(since: $0.raised) })
            row.medianOpenMinutes = AttentionScores.median(
                own.compactMap { $0.ended?.minutes(since: $0.raised) })
            types.append(row)
        }
        let mattered = truth.filter { entry in
            let late = entry.value.promised.map { entry.value.delivered.minutes(since: $0) } ?? 0
            return entry.value.isHeld || late >= AttentionScores.levelMinutes
        }
        let warned = Set(
            lives.filter { life in
                truth[life.shipment].map { life.raised < $0.delivered } ?? false
            }.map(\.shipment))
        recall =
            Double(mattered.keys.count { warned.contains($0) }) / Double(max(mattered.count, 1))
    }

    /// Whether an alert was worth its line; nil where its type cannot be judged by a delivery.
    private static func isReal(_ life: Life, _ truth: Truth, _ samples: [Sample]) -> Bool? {
        switch life.type {
        case .late: return truth.promised.map { truth.delivered > $0 }
        case .offRoute, .impossible, .seal, .customsHold, .postSilent, .postClock, .closure:
            return nil
        case .overdue, .stuck:
            if truth.isHeld { return true }
            guard let before = samples.last(where: { $0.isNews && $0.at <= life.raised }) else {
                return nil
            }
            return truth.delivered.minutes(since: before.p50) >= levelMinutes
        }
    }

    private static func median(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.sorted()[values.count / 2]
    }
}
