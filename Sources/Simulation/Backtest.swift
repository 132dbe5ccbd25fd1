import Engine
import Forecast
import Tracking
import Wire

/// Replays recorded lines through the engine in virtual time, asks for a forecast after every
/// event, and scores what it said against what happened.
public struct Backtest {
    /// One forecast of a shipment's last milestone.
    public struct Prediction: Sendable {
        public var event: String?
        public var shipment: String
        public var container: ContainerNumber
        public var at: Instant
        public var deciles: [Instant]
        public var p10: Instant
        public var p50: Instant
        public var p90: Instant
        public var lateProbability: Double?
        public var promised: Instant?
        /// By the plan and the delay so far.
        public var naive: Instant?
        /// By the medians of all that was ever seen of the steps ahead.
        public var medians: Instant?
        public var stage: Stage
    }

    public enum Stage: String, CaseIterable, Sendable {
        case booking
        case firstHalf = "first half"
        case secondHalf = "second half"
        case lastStep = "last step"
    }

    /// Called with each forecast.
    public typealias Sink = (Prediction) -> Void

    public private(set) var predictions: [Prediction] = []
    public private(set) var notices: [OutputEvent] = []
    public private(set) var lines = 0
    public private(set) var refused = 0
    /// Of boxes without a plan.
    public private(set) var guesses = GuessScores()
    private var engine: Engine
    private let network: Network
    private var medians = HistoricalMedians()
    private let parser = FeedParser()
    private var now: Instant = .unset
    /// Lines that came before the time was known.
    private var early: [[UInt8]] = []
    private var delivered: [String: Instant] = [:]
    private var promised: [String: Instant] = [:]
    /// Shipments under way, by the container that stands for them, and what was forecast of each when.
    private var underWay: [String: ContainerNumber] = [:]
    private var samples: [String: [AttentionScores.Sample]] = [:]
    private var sampledAt: Instant = .unset

    /// Called with what each step says, as lines of the output.
    private let sink: (([OutputLine]) -> Void)?

    public init(
        network: LoadedNetwork = .shipped, rules: AlertRules = AlertRules(), without: Views = [],
        output: (([OutputLine]) -> Void)? = nil
    ) {
        sink = output
        engine = Engine()
        engine.without = without
        self.network = network.network
        _ = engine.step([], changes: [.rules(rules), .network(network)], now: .unset)
    }

    /// Takes one line, after the timers that fall due before it.
    public mutating func replay(_ line: [UInt8], sink: Sink? = nil) {
        let value = line.withUnsafeBufferPointer { parser.parse($0) }
        guard let time = time(of: value) else {
            if case .reject = value { refused += 1 }
            return
        }
        // Before anything that has a time it waits for that.
        if time == .unset { return early.append(line) }
        if now == .unset, !early.isEmpty {
            (now, sampledAt) = (time, time)
            let first = early
            early = []
            for line in first { replay(line, sink: sink) }
        }
        lines += 1
        if time > now {
            watch(until: time)
            runTimers(until: time)
            now = time
        }
        if case .event(let event) = value, event.eventClass == .act, !event.retract {
            guesses.see(event.container, at: network.canonical(event.place), time)
        }
        let chunk = FeedChunk(
            source: 1, origin: Origin(), bytes: line,
            lines: [ParsedLine(number: 1, range: 0..<line.count, value: value)])
        let effects = engine.step([chunk], now: now)
        refused += effects.counts.quarantined
        hear(effects)
        guard effects.counts.stored == 1 else { return }
        predict(value, sink)
    }

    /// When a line speaks of: events by their time, plans by when they were made.
    private func time(of value: FeedLine) -> Instant? {
        switch value {
        // What will be is said now, or when its version says.
        case .event(let event) where event.eventClass != .act:
            event.updated ?? now
        case .event(let event) where event.time == .unset: event.updated
        case .event(let event):
            max(
                event.offsetMinutes == nil ? onClock(event.time, of: event.place) : event.time,
                event.updated.map {
                    event.isUpdatedCivil ? onClock($0, of: event.place) : $0
                } ?? .unset)
        case .plan(let plan):
            // One that says nothing of the time is of now, wherever it stands in the file.
            plan.updated ?? plan.start ?? plan.milestones.first?.time ?? now
        // It is announced before it begins.
        case .closure(let closure): closure.updated ?? min(closure.from, now)
        case .acknowledgement, .silence: now
        default: nil
        }
    }

    /// A time without offset is on the clock of its place, as the engine reads it: hours ahead it would
    /// make all that comes next look old.
    private func onClock(_ time: Instant, of place: String) -> Instant {
        guard let at = network.place(meant: place) else { return time }
        return network.places[at].zone.instant(CivilTime(time, offsetMinutes: 0))
    }

    private mutating func hear(_ effects: Effects) {
        guard let said = effects.commit?.said, !said.isEmpty else { return }
        notices += said
        for case .eta(let eta) in said { guesses.hear(eta) }
        sink?(effects.commit?.outputs ?? [])
    }

    /// Minutes between two looks at the forecast of the moment, where nothing happens.
    private static let watchMinutes = 360.0

    /// What is forecast of each shipment under way, every so often.
    private mutating func watch(until time: Instant) {
        guard now != .unset else {
            sampledAt = time
            return
        }
        while sampledAt.advanced(minutes: Backtest.watchMinutes) < time {
            let at = sampledAt.advanced(minutes: Backtest.watchMinutes)
            runTimers(until: at)
            now = max(now, at)
            for (shipment, container) in underWay.sorted(by: { $0.key < $1.key }) {
                guard let found = engine.outlook(container, shipment: shipment, now: at) else {
                    continue
                }
                sample(found, shipment, isNews: false)
            }
            sampledAt = at
        }
    }

    private mutating func sample(_ found: ShipmentOutlook, _ shipment: String, isNews: Bool) {
        samples[shipment, default: []].append(
            AttentionScores.Sample(
                at: now, p10: found.shares[0], p50: found.shares[4], p90: found.shares[8],
                isNews: isNews))
    }

    private mutating func runTimers(until time: Instant) {
        guard now != .unset else { return }
        while engine.nextDue < time {
            let effects = engine.step([], now: max(now, engine.nextDue))
            hear(effects)
        }
    }

    private mutating func predict(_ value: FeedLine, _ sink: Sink?) {
        switch value {
        case .event(let event):
            guard let shipment = event.shipment ?? engine.latestShipment(event.container) else {
                return
            }
            predict(shipment, event.container, event.id, sink)
        case .plan(let plan):
            if let promise = plan.promised { promised[plan.shipment] = promise }
            // A shipment whose boxes join is forecast as one.
            let containers =
                engine.isJoined(plan.shipment)
                ? Array(plan.containers.prefix(1)) : plan.containers
            for container in containers { predict(plan.shipment, container, nil, sink) }
        default: break
        }
    }

    private mutating func predict(
        _ shipment: String, _ container: ContainerNumber, _ event: String?, _ sink: Sink?
    ) {
        guard let found = engine.outlook(container, shipment: shipment, now: now) else { return }
        let historical = engine.stepsAhead(container, shipment: shipment)
            .flatMap { medians.expect(shipment, $0) }
        if found.expected.next == nil {
            delivered[shipment] = max(delivered[shipment] ?? .unset, found.expected.origin)
            underWay[shipment] = nil
            return
        }
        underWay[shipment] = container
        sample(found, shipment, isNews: true)
        let stage: Stage
        if event == nil {
            stage = .booking
        } else if engine.stepsLeft(container, shipment: shipment) == 1 {
            stage = .lastStep
        } else {
            stage = found.stage <= 0.5 ? .firstHalf : .secondHalf
        }
        let prediction = Prediction(
            event: event, shipment: shipment, container: container, at: now,
            deciles: found.shares, p10: found.shares[0], p50: found.shares[4],
            p90: found.shares[8],
            lateProbability: found.lateProbability,
            promised: found.promised, naive: found.naive, medians: historical,
            stage: stage)
        predictions.append(prediction)
        sink?(prediction)
    }

    /// The score that the engine kept itself, by class of horizon.
    public var ownScores: IntervalCalibrator { engine.intervals }

    /// The same for the milestones that were next, by place.
    public var ownStepScores: [(place: String, tally: IntervalCalibrator.Tally)] {
        engine.stepScores
    }

    /// One forecast as the line of `--forecasts`.
    public static func line(_ prediction: Prediction) -> [UInt8] {
        var out = JSONWriter(reserving: 500)
        out.begin()
        out.field("event", prediction.event)
        out.field("shipment", prediction.shipment)
        out.field("container", prediction.container)
        out.field("at", prediction.at)
        out.list("deciles", prediction.deciles.map { TimeText.string($0) })
        out.field("p10", prediction.p10)
        out.field("p50", prediction.p50)
        out.field("p90", prediction.p90)
        out.share("lateProbability", prediction.lateProbability)
        out.endLine()
        return out.bytes
    }

    /// Deliveries by truth, else by the lines themselves.
    public func scores(truth: [String: Instant]) -> BacktestScores {
        let actual = delivered.merging(truth) { _, told in told }
        return BacktestScores(
            predictions: predictions, notices: notices, actual: actual, promised: promised)
    }

    /// What the output was worth a person's attention. `held`: shipments of which a box was held.
    public func attention(truth: [String: Instant], held: Set<String> = []) -> AttentionScores {
        var known: [String: AttentionScores.Truth] = [:]
        for (shipment, time) in delivered.merging(truth, uniquingKeysWith: { $1 }) {
            known[shipment] = AttentionScores.Truth(
                delivered: time, promised: promised[shipment], isHeld: held.contains(shipment))
        }
        return AttentionScores(events: notices, samples: samples, truth: known)
    }
}
