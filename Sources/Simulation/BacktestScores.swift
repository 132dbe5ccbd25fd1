import Tracking

/// How good forecasts and alerts were.
public struct BacktestScores: Sendable {
    public struct Row: Sendable {
        public var name: String
        public var count = 0
        public var maeMinutes = 0.0
        /// Mean error of "plan + current delay" on those forecasts for which the plan has times, and
        /// our own on the same ones.
        public var naiveMaeMinutes = 0.0
        public var ownMaeMinutes = 0.0
        public var naiveCount = 0
        /// The same for "medians of the steps ahead".
        public var mediansMaeMinutes = 0.0
        public var ownBesideMediansMinutes = 0.0
        public var mediansCount = 0
        public var medianErrorMinutes = 0.0
        /// Mean over the nine deciles.
        public var pinballMinutes = 0.0
        /// Share of deliveries between p10 and p90.
        public var coverage = 0.0
        public var widthMinutes = 0.0
        public var brier = 0.0
        /// Of the verdict "late" at probability > 0.5.
        public var mcc = 0.0
        public var precision = 0.0
        public var recall = 0.0
    }

    public struct Alerts: Sendable {
        public var raised = 0
        public var precision = 0.0
        public var recall = 0.0
        public var medianLeadMinutes = 0.0
        public var togglesPerShipment = 0.0
    }

    public private(set) var rows: [Row] = []
    /// Of the shipments that were the first to be forecast: what an empty daemon is worth.
    public private(set) var first: Row
    public static let firstShipments = 100
    public private(set) var alerts = Alerts()
    public private(set) var shipments = 0
    /// Mean absolute step between the published p50s of one shipment.
    public private(set) var meanStepMinutes = 0.0

    init(
        predictions: [Backtest.Prediction], notices: [OutputEvent], actual: [String: Instant],
        promised: [String: Instant]
    ) {
        var early: Set<String> = []
        for prediction in predictions where actual[prediction.shipment] != nil {
            if early.count >= BacktestScores.firstShipments { break }
            early.insert(prediction.shipment)
        }
        first = BacktestScores.row(
            "first", predictions.filter { early.contains($0.shipment) }, actual)
        for stage in Backtest.Stage.allCases {
            rows.append(
                BacktestScores.row(
                    stage.rawValue, predictions.filter { $0.stage == stage }, actual))
        }
        rows.append(BacktestScores.row("all", predictions, actual))
        shipments = actual.count
        scoreAlerts(notices, actual, promised)
        scoreSteps(notices)
    }

    private static func row(
        _ name: String, _ predictions: [Backtest.Prediction], _ actual: [String: Instant]
    ) -> Row {
        var row = Row(name: name)
        var errors: [Double] = []
        var table = (tp: 0.0, fp: 0.0, fn: 0.0, tn: 0.0)
        var verdicts = 0.0
        for prediction in predictions {
            guard let happened = actual[prediction.shipment] else { continue }
            row.count += 1
            errors.append(abs(prediction.p50.minutes(since: happened)))
            if let naive = prediction.naive {
                row.naiveCount += 1
                row.naiveMaeMinutes += abs(naive.minutes(since: happened))
                row.ownMaeMinutes += abs(prediction.p50.minutes(since: happened))
            }
            if let medians = prediction.medians {
                row.mediansCount += 1
                row.mediansMaeMinutes += abs(medians.minutes(since: happened))
                row.ownBesideMediansMinutes += abs(prediction.p50.minutes(since: happened))
            }
            var pinball = 0.0
            for (index, decile) in prediction.deciles.enumerated() {
                let share = Double(index + 1) / 10
                let gap = happened.minutes(since: decile)
                pinball += max(share * gap, (share - 1) * gap)
            }
            row.pinballMinutes += pinball / 9
            if prediction.p10 <= happened, happened <= prediction.p90 { row.coverage += 1 }
            row.widthMinutes += prediction.p90.minutes(since: prediction.p10)
            guard let probability = prediction.lateProbability,
                let promised = prediction.promised
            else { continue }
            let late = happened > promised
            verdicts += 1
            row.brier += (probability - (late ? 1 : 0)) * (probability - (late ? 1 : 0))
            switch (probability > 0.5, late) {
            case (true, true): table.tp += 1
            case (true, false): table.fp += 1
            case (false, true): table.fn += 1
            case (false, false): table.tn += 1
            }
        }
        guard row.count > 0 else { return row }
        let n = Double(row.count)
        errors.sort()
        row.maeMinutes = errors.reduce(0, +) / n
        row.naiveMaeMinutes /= Double(max(row.naiveCount, 1))
        row.ownMaeMinutes /= Double(max(row.naiveCount, 1))
        row.mediansMaeMinutes /= Double(max(row.mediansCount, 1))
        row.ownBesideMediansMinutes /= Double(max(row.mediansCount, 1))
        row.medianErrorMinutes = errors[errors.count / 2]
        row.pinballMinutes /= n
        row.coverage /= n
        row.widthMinutes /= n
        row.brier /= max(verdicts, 1)
        row.precision = table.tp / max(table.tp + table.fp, 1)
        row.recall = table.tp / max(table.tp + table.fn, 1)
        let spread =
            (table.tp + table.fp) * (table.tp + table.fn) * (table.tn + table.fp)
            * (table.tn + table.fn)
        row.mcc =
            spread > 0
            ? (table.tp * table.tn - table.fp * table.fn) / spread.squareRoot() : 0
        return row
    }

    private mutating func scoreAlerts(
        _ notices: [OutputEvent], _ actual: [String: Instant], _ promised: [String: Instant]
    ) {
        // A toggle is a change of mind: a clear before the arrival, and a raise after one.
        var raisedAt: [String: Instant] = [:]
        var toggles = 0
        for case .alert(let alert) in notices where alert.type == .late {
            guard let shipment = alert.shipment else { continue }
            switch alert.state {
            case .raised:
                alerts.raised += 1
                if raisedAt[shipment] == nil {
                    raisedAt[shipment] = alert.time
                } else {
                    toggles += 1
                }
            case .cleared, .withdrawn:
                if let arrival = actual[shipment], alert.time < arrival { toggles += 1 }
            case .updated, .acknowledged: break
            }
        }
        let late = Set(
            actual.compactMap { name, time in promised[name].map { time > $0 } == true ? name : nil
            })
        let hits = raisedAt.keys.filter { late.contains($0) }
        alerts.precision = Double(hits.count) / Double(max(raisedAt.count, 1))
        alerts.recall = Double(hits.count) / Double(max(late.count, 1))
        let leads = hits.compactMap { name -> Double? in
            guard let raised = raisedAt[name], let time = actual[name] else { return nil }
            return time.minutes(since: raised)
        }.sorted()
        if !leads.isEmpty { alerts.medianLeadMinutes = leads[leads.count / 2] }
        alerts.togglesPerShipment = Double(toggles) / Double(max(actual.count, 1))
    }

    private mutating func scoreSteps(_ notices: [OutputEvent]) {
        var last: [String: Instant] = [:]
        var sum = 0.0
        var count = 0
        for case .eta(let eta) in notices where eta.actual == nil && eta.unknown == nil {
            guard let shipment = eta.shipment else { continue }
            if let before = last[shipment] {
                sum += abs(eta.p50.minutes(since: before))
                count += 1
            }
            last[shipment] = eta.p50
        }
        meanStepMinutes = count > 0 ? sum / Double(count) : 0
    }
}
