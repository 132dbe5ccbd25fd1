import Forecast
import Tracking

/// What finished steps teach, and what is taken back when they turn out otherwise.
extension Engine {
    /// Teaches the pools what this journey's finished steps say, and takes back what they no
    /// longer do. A step that another journey of the container has taught is not taught again.
    mutating func learn(
        _ journey: inout Journey, _ shipment: Shipment, _ context: ReviewContext,
        _ draft: inout Draft
    ) {
        let container = context.container
        let reached = journey.progress.teachable
        let known = journey.publication.taught
        var elsewhere: [UInt32] = []
        if context.isOneOfSeveral {
            elsewhere = claim(shipment, reached, container, &draft)
        }
        let wasElsewhere = journey.publication.taughtElsewhere
        if reached == known, elsewhere == wasElsewhere {
            // One array for both.
            if journey.progress.vague.isEmpty { journey.progress.reached = known }
            return
        }
        func lesson(_ at: Int, _ reached: [Instant], _ elsewhere: [UInt32]) -> QueuePace.Passage? {
            elsewhere.contains(UInt32(at)) ? nil : shipment.lesson(at, reached)
        }
        // A step's lesson changes where its end did or its beginning: of a chain, the end before.
        let isComparable =
            shipment.graph == nil && known.count == reached.count && elsewhere == wasElsewhere
        func isSame(_ at: Int) -> Bool {
            isComparable && reached[at] == known[at]
                && (at == 0 || reached[at - 1] == known[at - 1])
        }
        if !known.isEmpty {
            for at in shipment.chain.indices where !isSame(at) && shipment.teaches(container, at) {
                guard let old = lesson(at, known, wasElsewhere),
                    lesson(at, reached, elsewhere) != old
                else { continue }
                unlearn(at, shipment, old)
            }
        }
        for at in shipment.chain.indices
        where reached[at] != .unset && !isSame(at) && shipment.teaches(container, at) {
            guard let new = lesson(at, reached, elsewhere),
                lesson(at, known, wasElsewhere) != new
            else { continue }
            let step = shipment.chain[at]
            forecasting.pools.learn(
                shipment.made.ids[at], step,
                value: StepValue.observed(step, start: new.start, end: new.end),
                start: new.start, end: new.end)
        }
        journey.publication.taught = reached
        journey.publication.taughtElsewhere = elsewhere
    }

    /// Takes the lessons of a journey for its own; returns the steps that others of the same container
    /// have taken before.
    private func claim(
        _ shipment: Shipment, _ reached: [Instant], _ container: ContainerNumber,
        _ draft: inout Draft
    ) -> [UInt32] {
        var elsewhere: [UInt32] = []
        for at in shipment.chain.indices where shipment.teaches(container, at) {
            guard let lesson = shipment.lesson(at, reached) else { continue }
            let claim = Claim(
                step: shipment.made.ids[at], start: lesson.start, end: lesson.end)
            if !draft.claims.insert(claim).inserted { elsewhere.append(UInt32(at)) }
        }
        return elsewhere
    }

    private mutating func unlearn(_ at: Int, _ shipment: Shipment, _ lesson: QueuePace.Passage) {
        let step = shipment.chain[at]
        forecasting.pools.unlearn(
            shipment.made.ids[at], step,
            value: StepValue.observed(step, start: lesson.start, end: lesson.end),
            start: lesson.start, end: lesson.end)
    }

    mutating func forgetLessons(
        _ journey: inout Journey, _ shipment: Shipment, _ container: ContainerNumber
    ) {
        for at in shipment.chain.indices
        where shipment.teaches(container, at)
            && !journey.publication.taughtElsewhere.contains(UInt32(at))
        {
            if let lesson = shipment.lesson(at, journey.publication.taught) {
                unlearn(at, shipment, lesson)
            }
        }
        journey.publication.taught = []
        journey.publication.taughtElsewhere = []
    }

    /// Takes back what a container's journeys taught, before their chains change.
    mutating func forgetLessons(_ slot: Int, shipment only: UInt32? = nil) {
        for index in register.records[slot].journeys.indices {
            let symbol = register.records[slot].journeys[index].shipment
            if let only, only != symbol { continue }
            guard let shipment = register.shipments[symbol] else { continue }
            var journey = register.records[slot].journeys[index]
            forgetLessons(&journey, shipment, register.records[slot].number)
            register.records[slot].journeys[index] = journey
        }
    }
}
