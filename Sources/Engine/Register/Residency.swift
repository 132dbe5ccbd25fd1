import Alerting
import Forecast
import Log
import Tracking
import Wire

/// The engine holds what matters now; the rest lies in the store, and comes back when it is spoken of.
///
/// A container rests `restAfterDays` after its last event (one that had none: after its plan came),
/// when nothing is expected of it any more; a plan when all its containers do. Texts that nothing in memory refers to any more are
/// forgotten when they are many.
extension Engine {
    /// Days after its last event that a finished container stays in memory.
    public static let restAfterDays = 14.0

    /// What a batch speaks of and what rests in the store.
    public func missing(_ chunks: [FeedChunk]) -> Wanted {
        if register.resting.isEmpty, register.restingShipments.isEmpty { return Wanted() }
        var containers: Set<ContainerNumber> = []
        var names: Set<String> = []
        for chunk in chunks {
            for line in chunk.lines {
                switch line.value {
                case .event(let event):
                    if register.resting.contains(event.container) {
                        containers.insert(event.container)
                    }
                    if let was = event.was, register.resting.contains(was) {
                        containers.insert(was)
                    }
                    if let slot = register.slots[event.container] {
                        for symbol in register.records[slot].plans {
                            guard let shipment = register.shipments[symbol], shipment.graph != nil
                            else {
                                continue
                            }
                            containers.formUnion(
                                shipment.plan.containers.filter(register.resting.contains))
                        }
                    }
                case .plan(let plan):
                    containers.formUnion(plan.containers.filter(register.resting.contains))
                    if let old = register.lastVersion(of: plan.shipment) {
                        containers.formUnion(old.plan.containers.filter(register.resting.contains))
                    } else if register.restingShipments.contains(Engine.hash(plan.shipment)) {
                        names.insert(plan.shipment)
                    }
                default: break
                }
            }
        }
        return Wanted(containers: containers.sorted(), shipments: names.sorted())
    }

    /// Of resting plans only this is kept: where two are alike, one is looked for in vain.
    static func hash(_ shipment: String) -> UInt64 {
        var hash = StableHasher()
        hash.combine(shipment)
        return hash.identity().low
    }

    /// The plans of containers that rest from now on, all of whose containers do.
    func restingShipments(_ quiet: [ContainerRecord]) -> [String] {
        let resters = Set(quiet.map(\.number))
        var found: Set<String> = []
        for record in quiet {
            for symbol in record.plans {
                guard let shipment = register.shipments[symbol],
                    !found.contains(shipment.plan.shipment)
                else { continue }
                let doAll = shipment.plan.containers.allSatisfy {
                    resters.contains($0) || register.slots[$0] == nil
                }
                if doAll { found.insert(shipment.plan.shipment) }
            }
        }
        return found.sorted()
    }

    /// Lets finished containers and plans go that are in a durable checkpoint.
    public mutating func rest(_ quiet: Quiet) {
        for container in quiet.containers {
            guard let slot = register.slots[container], !register.dirtyRecords.contains(slot) else {
                continue
            }
            register.slots[container] = nil
            register.resting.insert(container)
            register.records[slot] = ContainerRecord(number: container)
            register.due.schedule(slot, at: .never)
            register.restDue.schedule(slot, at: .never)
            register.freeSlots.append(slot)
        }
        for name in quiet.shipments {
            guard let symbol = register.symbols.known(name),
                let shipment = register.shipments[symbol] ?? register.retracted[symbol]
            else {
                continue
            }
            if register.unsavedPlans[symbol] == nil,
                shipment.plan.containers.allSatisfy({ register.slots[$0] == nil })
            {
                register.shipments[symbol] = nil
                register.retracted[symbol] = nil
                register.restingShipments.insert(Engine.hash(name))
                register.looseSymbols.append(symbol)
            } else {
                // It has been spoken of since: the store believes that it rests.
                register.revived.insert(name)
            }
        }
        if register.looseSymbols.count >= max(register.sweepFrom, register.symbols.texts.count / 4)
        {
            sweepSymbols()
        }
    }

    /// Takes back what rested.
    public mutating func admit(_ loaded: Loaded) throws(CodingFlaw) {
        for line in loaded.shipments {
            guard register.lastVersion(of: line.key) == nil else { continue }
            try restorePlan(line)
            register.restingShipments.remove(Engine.hash(line.key))
            register.revived.insert(line.key)
        }
        for bytes in loaded.journeys {
            let record = try RecordCoding.decode(bytes, &register.symbols)
            guard register.slots[record.number] == nil else { continue }
            register.resting.remove(record.number)
            place(record)
            // What comes of it may be nothing: then it rests again with the next checkpoint.
            if let slot = register.slots[record.number] { register.dirtyRecords.insert(slot) }
        }
    }

    mutating func restorePlan(_ line: SourceLine) throws(CodingFlaw) {
        guard case .plan(let plan) = parse(line.line) else {
            throw CodingFlaw("the plan \(line.key) cannot be read")
        }
        let symbol = register.symbols.number(plan.shipment)
        let reading = try LineReading(line.reading)
        let shipment = Shipment(
            plan: reread(plan, reading), reading, received: line.received, &ways,
            &register.symbols, &forecasting.pools)
        if shipment.plan.retract {
            register.retracted[symbol] = shipment
        } else {
            register.shipments[symbol] = shipment
        }
    }

    // MARK: Symbols

    /// Forgets the names of plans that left memory and that nothing else refers to.
    mutating func sweepSymbols() {
        var used = [Bool](repeating: false, count: register.symbols.texts.count)
        func use(_ symbol: UInt32) { if Int(symbol) < used.count { used[Int(symbol)] = true } }
        for slot in register.slots.values {
            for event in register.records[slot].history.events {
                use(event.place)
                use(event.shipment)
                use(event.post)
                use(event.source)
            }
            for symbol in register.records[slot].plans { use(symbol) }
            for journey in register.records[slot].journeys {
                use(journey.shipment)
                use(journey.progress.lastPlace)
                for alert in journey.publication.alerts { use(alert.place) }
                for heard in journey.publication.heard { use(heard.statement.source) }
                for stay in journey.publication.taughtStays { use(stay.place) }
                for milestone in journey.way.milestones where !journey.way.isPlans {
                    use(milestone.place)
                    use(milestone.fromPlace)
                }
            }
        }
        for symbol in register.retracted.keys { use(symbol) }
        for symbol in register.shipments.symbols {
            use(symbol)
            for place in register.shipments[symbol]?.made.places ?? [] { use(place) }
        }
        for place in ways.places + forecasting.pools.places + closureBook.windows.map(\.place) {
            use(place)
        }
        for party in alertBook.parties.keys {
            use(party.place)
            use(party.seenAt)
        }
        for habit in forecasting.habits.habits.keys { use(habit.place) }
        for place in forecasting.partings.places + forecasting.onward.places { use(place) }
        for case let habit? in reporters.habits {
            use(habit.key.post)
            use(habit.key.place)
            for milestone in habit.spoken.keys { use(milestone.place) }
        }
        for post in correcting.posts { use(post) }
        for incident in alertBook.incidents.values {
            for episode in incident.episodes { use(episode.place) }
        }
        for place in forecasting.intervals.places.keys { use(place) }
        for place in forecasting.intervals.steps.keys { use(place) }
        let unused = register.looseSymbols.filter { !used[Int($0)] }
        register.symbols.release(unused)
        ways.forget(unused)
        register.looseSymbols = register.looseSymbols.filter { used[Int($0)] }
    }
}
