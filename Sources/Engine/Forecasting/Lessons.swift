import Forecast
import Tracking

/// What finished steps teach, and what is taken back when they turn out otherwise.
extension Forecasting {
    /// Teaches the pools what this journey's finished steps say, and takes back what they no
    /// longer do. A step that another journey of the container has taught is not taught again.
    mutating func learn(
        _ journey: inout Journey, _ shipment: Shipment, _ context: ReviewContext,
        _ claims: inout Set<Claim>
    ) {
        let way = journey.way
        let container = context.container
        let reached = journey.progress.teachable
        let known = journey.publication.taught
        var elsewhere: [UInt32] = []
        if context.isOneOfSeveral {
            elsewhere = claim(way, shipment, reached, container, &claims)
        }
        let wasElsewhere = journey.publication.taughtElsewhere
        if reached == known, elsewhere == wasElsewhere {
            // One array for both.
            if journey.progress.vague.isEmpty { journey.progress.reached = known }
            return
        }
        func lesson(_ at: Int, _ reached: [Instant], _ elsewhere: [UInt32]) -> Lesson? {
            elsewhere.contains(UInt32(at)) ? nil : shipment.lesson(at, way, reached)
        }
        // A step's lesson changes where its end did or its beginning: of a chain, the end before.
        let isComparable =
            shipment.graph == nil && known.count == reached.count && elsewhere == wasElsewhere
        func isSame(_ at: Int) -> Bool {
            isComparable && reached[at] == known[at]
                && (at == 0 || reached[at - 1] == known[at - 1])
        }
        // Nearly always all but the latest report is known.
        var first = 0
        if isComparable {
            while first < known.count, reached[first] == known[first] { first += 1 }
        }
        let steps = first..<way.milestones.count
        if !known.isEmpty {
            for at in steps where !isSame(at) && shipment.teaches(container, at) {
                guard let old = lesson(at, known, wasElsewhere),
                    lesson(at, reached, elsewhere) != old
                else { continue }
                unlearn(at, way, old)
            }
        }
        for at in steps
        where reached[at] != .unset && !isSame(at) && shipment.teaches(container, at) {
            guard let new = lesson(at, reached, elsewhere),
                lesson(at, known, wasElsewhere) != new
            else { continue }
            // Another version of its plan teaches all of it anew.
            let (step, id) = pools.step(way, at)
            if known.count == reached.count, known[at] == .unset, let earlier = shipment.before(at),
                let before = shipment.lesson(earlier, way, reached)
            {
                let (first, firstID) = pools.step(way, earlier)
                pools.learnPair((first, firstID, before), (step, id, new))
            }
            pools.learn(id, step, new, isNews: !known.isEmpty)
        }
        learnWays(journey, shipment, from: known, to: reached)
        journey.publication.taught = reached
        journey.publication.taughtElsewhere = elsewhere
    }

    /// Takes the lessons of a journey for its own; returns the steps that others of the same container
    /// have taken before.
    private mutating func claim(
        _ way: Way, _ shipment: Shipment, _ reached: [Instant], _ container: ContainerNumber,
        _ claims: inout Set<Claim>
    ) -> [UInt32] {
        var elsewhere: [UInt32] = []
        for at in way.milestones.indices where shipment.teaches(container, at) {
            guard let lesson = shipment.lesson(at, way, reached) else { continue }
            let claim = Claim(
                step: pools.step(way, at).id, start: lesson.start, end: lesson.end)
            if !claims.insert(claim).inserted { elsewhere.append(UInt32(at)) }
        }
        return elsewhere
    }

    private mutating func unlearn(_ at: Int, _ way: Way, _ lesson: Lesson) {
        let (step, id) = pools.step(way, at)
        pools.unlearn(id, step, lesson)
    }

    mutating func forgetLessons(
        _ journey: inout Journey, _ shipment: Shipment, _ container: ContainerNumber
    ) {
        // Of another version of its plan, of which it may be the way, all has been taken back already.
        guard !journey.publication.taught.isEmpty else {
            journey.publication.taughtElsewhere = []
            return
        }
        learnWays(journey, shipment, from: journey.publication.taught, to: [])
        let way = journey.way
        for at in way.milestones.indices
        where shipment.teaches(container, at)
            && !journey.publication.taughtElsewhere.contains(UInt32(at))
        {
            if let lesson = shipment.lesson(at, way, journey.publication.taught) {
                unlearn(at, way, lesson)
            }
        }
        journey.publication.taught = []
        journey.publication.taughtElsewhere = []
    }

    /// The milestone that was next has been reached: was it when it was expected?
    mutating func judgeNext(_ journey: inout Journey) {
        guard let next = journey.publication.next else { return }
        let index = Int(next.milestone)
        guard index < journey.way.milestones.count, journey.progress.reached[index] != .unset
        else { return }
        defer { journey.publication.next = nil }
        // Which day it was says little about an interval of hours.
        if journey.progress.vague.contains(index) { return }
        intervals.learn(
            next: next.interval, reached: journey.progress.reached[index],
            place: journey.way.milestones[index].place)
        intervalsDirty = true
    }
}

extension Engine {
    /// Takes back what a container's journeys taught, before their chains change.
    mutating func forgetLessons(_ slot: Int, shipment only: UInt32? = nil) {
        for index in register.records[slot].journeys.indices {
            let symbol = register.records[slot].journeys[index].shipment
            if let only, only != symbol { continue }
            guard let shipment = register.shipments[symbol] else { continue }
            var journey = register.records[slot].journeys[index]
            forecasting.forgetLessons(&journey, shipment, register.records[slot].number)
            register.records[slot].journeys[index] = journey
        }
    }
}
