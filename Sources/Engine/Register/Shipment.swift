import Forecast
import Tracking

/// A plan in force, with its chains of milestones. Never changed, so that many may hold on to it at
/// the cost of one reference.
final class Shipment: Sendable {
    let plan: ShipmentPlan
    /// When the line came (the engine's time).
    let received: Instant
    let reading: LineReading
    let version: PlanVersion
    /// When it begins by its own line; `.unset`: that does not say.
    private let statedStart: Instant
    /// Its milestones: one chain, or what their graph says.
    let made: SharedChain
    /// Where there is a graph: for each container that has milestones of its own the milestones with
    /// those of others blanked out, and for those that have none what is nobody's own.
    private let masked: [ContainerNumber: [Milestone]]
    private let common: [Milestone]
    /// How long its way may take by what the network says of it, and a day.
    private let wayMinutesP90: Double
    /// How long it usually takes.
    private let wayMinutesP50: Double

    init(
        plan: ShipmentPlan, _ reading: LineReading, received: Instant, _ ways: inout Ways,
        _ symbols: inout Symbols, _ pools: inout Pools
    ) {
        var version = PlanVersion(plan, ways.network)
        if reading.isOld { version.civil = nil }
        self.version = version
        self.reading = reading
        var plan = plan
        statedStart = plan.start ?? .unset
        plan.milestones = reading.kept.map(\.planned) + plan.milestones
        if reading.keptStart != .unset { plan.start = reading.keptStart }
        var made = ways.make(plan, &symbols, &pools)
        if !reading.restated.isEmpty { made = made.restated(reading.restated, &pools) }
        plan.via = made.via
        plan.milestones = made.stated
        self.plan = plan
        self.received = received
        self.made = made
        var masked: [ContainerNumber: [Milestone]] = [:]
        var common = made.way.milestones
        if let graph = made.graph {
            func without(_ isOthers: (ContainerNumber) -> Bool) -> [Milestone] {
                var own = made.way.milestones
                for (index, owner) in graph.owners.enumerated() {
                    if let owner, isOthers(owner) { own[index].place = Milestone.elsewhere }
                }
                return own
            }
            common = without { _ in true }
            let owners = Set(graph.owners.compactMap { $0 })
            for owner in owners { masked[owner] = without { $0 != owner } }
        }
        self.masked = masked
        self.common = common
        wayMinutesP50 = Shipment.usualMinutes(made)
        wayMinutesP90 = made.way.milestones.reduce(1_440) { sum, step in
            let known = step.priorMinutesP90
            return sum + (known == known ? known : 1_440)
        }
    }

    /// The plan as its line states it, without what is kept of earlier versions.
    var own: ShipmentPlan {
        var own = plan
        own.milestones = Array(plan.milestones.dropFirst(reading.kept.count))
        own.start = statedStart == .unset ? nil : statedStart
        return own
    }

    /// The milestones of its own way.
    var chain: [Milestone] { made.way.milestones }
    var graph: JoinGraph? { made.graph }

    /// Whether a milestone's step is taught by this container's journey: its own, and of those that
    /// are nobody's the first container's.
    func teaches(_ container: ContainerNumber, _ index: Int) -> Bool {
        guard let graph else { return true }
        guard index < graph.owners.count else { return false }
        return graph.owners[index].map { $0 == container } ?? (plan.containers.first == container)
    }

    /// Whether this container's journey says what is expected of the whole shipment: where boxes
    /// join one of them does, the one with which it ends.
    func speaks(_ container: ContainerNumber) -> Bool {
        guard let graph else { return true }
        return (graph.ends.last.flatMap { graph.owners[$0] } ?? plan.containers.first) == container
    }

    /// When the step to a milestone began, by what was reached; nil where that is not known.
    func began(_ index: Int, _ reached: [Instant]) -> Instant? {
        guard let graph else {
            let began = index > 0 ? reached[index - 1] : plan.start ?? .unset
            return began == .unset ? nil : began
        }
        if graph.before[index].isEmpty { return plan.start }
        var latest = Instant.unset
        for earlier in graph.before[index] {
            guard reached[earlier] != .unset else { return nil }
            latest = max(latest, reached[earlier])
        }
        return latest
    }

    /// The milestone whose step comes before that of another; nil where several do, or none.
    func before(_ index: Int) -> Int? {
        guard let graph else { return index > 0 ? index - 1 : nil }
        return graph.before[index].count == 1 ? graph.before[index][0] : nil
    }

    /// What a finished step taught, or would teach: when it began and ended.
    func lesson(_ index: Int, _ way: Way, _ reached: [Instant]) -> Lesson? {
        guard index < reached.count, reached[index] != .unset,
            let began = began(index, reached), began <= reached[index]
        else { return nil }
        return Lesson(
            start: began, end: reached[index], lateMinutes: lateMinutes(index, way, began),
            movedMinutes: movedMinutes(index, reached))
    }

    /// By how much later than planned the step to a milestone began; nil where that is not known, or it
    /// began with the plan.
    private func lateMinutes(_ index: Int, _ way: Way, _ began: Instant) -> Double? {
        let planned = way.plannedStart(index, graph)
        return planned == .unset ? nil : began.minutes(since: planned)
    }

    /// By how much later than planned the leg of a milestone began; nil where that is not known, or it is
    /// the plan's beginning.
    private func movedMinutes(_ index: Int, _ reached: [Instant]) -> Double? {
        guard let graph, PoolKey.hasTwoTimetables(chain[index]) else { return nil }
        var (planned, actual) = (Instant.unset, Instant.unset)
        for entry in graph.before[graph.legs[index]] {
            guard reached[entry] != .unset else { return nil }
            actual = max(actual, reached[entry])
            planned = max(planned, made.way.asPlanned(entry).planned)
        }
        return planned == .unset ? nil : actual.minutes(since: planned)
    }

    /// The step that a container waits in, as far as its own reports tell: its index and when it
    /// began.
    func waiting(
        _ container: ContainerNumber, _ progress: Journey.Progress
    ) -> (index: Int, since: Instant)? {
        guard let graph else {
            let next = progress.furthest + 1
            guard next < progress.reached.count else { return nil }
            return began(next, progress.reached).map { (next, $0) }
        }
        for index in chain.indices
        where graph.owners[index] == container && progress.reached[index] == .unset
            && !graph.before[index].isEmpty
        {
            return began(index, progress.reached).map { (index, $0) }
        }
        return nil
    }

    /// How long its way usually takes; endless where a leg of it is one that nobody knows, where boxes join, or
    /// where it comes to its end on the way.
    private static func usualMinutes(_ made: SharedChain) -> Double {
        let steps = made.way.milestones
        guard made.graph == nil, let end = steps.last?.place else { return .infinity }
        let stay = steps.lastIndex { $0.place != end } ?? -1
        guard stay >= 0, !steps[...stay].contains(where: { $0.place == end }) else {
            return .infinity
        }
        return steps.reduce(0) { sum, step in
            if !step.priorMinutesP50.isNaN { return sum + step.priorMinutesP50 }
            if !step.plannedMinutes.isNaN { return sum + step.plannedMinutes }
            return step.fromPlace != step.place ? .infinity : sum + 1_440
        }
    }

    /// When the first step begins.
    var startedAt: Instant { plan.start ?? plan.updated ?? received }

    /// What an event of one of its containers costs at most, and what the plan itself does: milestones
    /// looked at.
    var work: Int { graph == nil ? chain.count : Shipment.work(plan, milestones: chain.count) }

    static func work(_ plan: ShipmentPlan, milestones: Int) -> Int {
        plan.containers.count * milestones
    }

    /// When it begins by its first milestone; `.unset`: that has no time, or is an arrival, before which it has
    /// been under way.
    private var firstPlanned: Instant {
        guard graph == nil, let first = chain.first else {
            return plan.milestones.first?.time ?? .unset
        }
        return first.code == .arri || first.code == .disc ? .unset : first.planned
    }

    /// From when on events without a shipment belong to this one.
    var anchor: Instant {
        // One that should have ended before it was stated is of then.
        if let start = plan.start { return start }
        if firstPlanned != .unset { return firstPlanned }
        guard let first = plan.milestones.first?.time else {
            return placed(plan.updated ?? received)
        }
        // It names what comes later alone, and was on its way when that was said, or before.
        return max(min(first, placed(firstStatedAt)), earliest)
    }

    /// When it begins at the soonest where it states an arrival alone, by how long the way there may take; `.unset`:
    /// it states more, or less.
    private var earliest: Instant {
        guard graph == nil, plan.start == nil, firstPlanned == .unset,
            let at = chain.firstIndex(where: { $0.planned != .unset })
        else { return .unset }
        let steps = chain[...at].map(\.priorMinutesP90)
        let isKnown = at > 0 && steps.allSatisfy { !$0.isNaN }
        return chain[at].planned.advanced(
            minutes: isKnown ? -1.1 * steps.reduce(1_440, +) : Shipment.longestMinutes)
    }

    /// What nobody knows takes two months at the most.
    private static let longestMinutes = -60.0 * 1_440

    /// Where the promise was passed when it was stated, the promise; one of half a year before is a slip of the pen.
    private func placed(_ statedAt: Instant) -> Instant {
        guard let promised = plan.promised,
            statedAt.minutes(since: promised) < Shipment.longAgoMinutes
        else { return statedAt }
        return min(statedAt, promised)
    }

    private static let longAgoMinutes = 180.0 * 1_440

    private var firstStatedAt: Instant {
        reading.versions.reduce(plan.updated ?? received) { min($0, $1.at) }
    }

    /// Versions before the one in force.
    var earlier: [PlanVersion] { reading.earlier }

    /// Until when it may last by what it says, else by what the network says of its way.
    private var ends: Instant {
        let stated = chain.reduce(plan.promised ?? .unset) { max($0, $1.planned) }
        if stated > anchor { return stated }
        return anchor.advanced(minutes: wayMinutesP90)
    }

    /// One that came when its boxes were on their way already does not say since when.
    private var lead: Int64 {
        plan.start != nil || firstPlanned != .unset || graph != nil
            ? JourneyFold.leadMicroseconds
            : max(JourneyFold.leadMicroseconds, Int64(min(wayMinutesP90, 527_040)) * 60_000_000)
    }

    func view(_ symbol: UInt32, for container: ContainerNumber) -> PlanView {
        var view = PlanView(
            shipment: symbol, anchor: anchor, ends: ends,
            begins: plan.start ?? (firstPlanned == .unset ? earliest : firstPlanned),
            way: made.way, chain: graph == nil ? nil : masked[container] ?? common,
            isChain: graph == nil, statedAt: plan.updated ?? received, lead: lead)
        view.firstStatedAt = firstStatedAt
        view.promisedBy = plan.promised ?? plan.milestones.last?.time ?? .unset
        view.usualMinutes = wayMinutesP50
        return view
    }
}

/// The plans in force by the symbols of their shipments, in an array: asked for several times with
/// each event.
struct ShipmentTable: Sendable {
    private var items: [Shipment?] = []
    /// Whether ways of containers have ever joined in one of them.
    private(set) var hasJoins = false

    /// Symbols, ascending.
    var symbols: [UInt32] {
        items.indices.compactMap { items[$0] == nil ? nil : UInt32($0) }
    }

    subscript(symbol: UInt32) -> Shipment? {
        @inline(__always) get { symbol < items.count ? items[Int(symbol)] : nil }
        set {
            let at = Int(symbol)
            if at >= items.count {
                guard newValue != nil else { return }
                items += repeatElement(nil, count: at + 1 - items.count)
            }
            items[at] = newValue
            if newValue?.graph != nil { hasJoins = true }
        }
    }
}
