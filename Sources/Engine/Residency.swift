import Forecast
import Log
import Tracking
import Wire

/// What is to be loaded from the store before a batch can be decided.
public struct Wanted: Sendable, Equatable {
    /// Containers whose records rest.
    public var containers: [ContainerNumber] = []
    /// Plans that rest, by name; those of the containers above come along by themselves.
    public var shipments: [String] = []

    public init(containers: [ContainerNumber] = [], shipments: [String] = []) {
        self.containers = containers
        self.shipments = shipments
    }

    public var isEmpty: Bool { containers.isEmpty && shipments.isEmpty }
}

/// What was loaded: encoded records (`RecordCoding`), and the lines of plans.
public struct Loaded: Sendable {
    public var journeys: [[UInt8]] = []
    public var shipments: [SourceLine] = []

    public init(journeys: [[UInt8]] = [], shipments: [SourceLine] = []) {
        self.journeys = journeys
        self.shipments = shipments
    }
}

/// What may leave memory once a checkpoint is durable.
public struct Quiet: Sendable {
    public var containers: [ContainerNumber]
    /// Plans all of whose containers rest then.
    public var shipments: [String]
}

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
        if resting.isEmpty, restingShipments.isEmpty { return Wanted() }
        var containers: Set<ContainerNumber> = []
        var names: Set<String> = []
        for chunk in chunks {
            for line in chunk.lines {
                switch line.value {
                case .event(let event):
                    if resting.contains(event.container) { containers.insert(event.container) }
                    if let was = event.was, resting.contains(was) { containers.insert(was) }
                    if let slot = slots[event.container] {
                        for symbol in records[slot].plans {
                            guard let shipment = shipments[symbol], shipment.graph != nil else {
                                continue
                            }
                            containers.formUnion(shipment.plan.containers.filter(resting.contains))
                        }
                    }
                case .plan(let plan):
                    containers.formUnion(plan.containers.filter(resting.contains))
                    if let old = symbols.known(plan.shipment).flatMap({ shipments[$0] }) {
                        containers.formUnion(old.plan.containers.filter(resting.contains))
                    } else if restingShipments.contains(Engine.hash(plan.shipment)) {
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

    func isLive(_ record: borrowing ContainerRecord, _ now: Instant) -> Bool {
        record.isQuiet ? now < restsAt(record) : true
    }

    /// When a record of which nothing is expected may leave memory.
    private func restsAt(_ record: borrowing ContainerRecord) -> Instant {
        var last = record.history.events.last?.time ?? .unset
        if last == .unset {
            for symbol in record.plans { last = max(last, shipments[symbol]?.received ?? .unset) }
        }
        return last.advanced(minutes: Engine.restAfterDays * 1_440)
    }

    /// Notes when a record wants to be looked at; one that never does, when it may rest.
    mutating func schedule(_ slot: Int, dueAt: Instant) {
        due.schedule(slot, at: dueAt)
        restDue.schedule(slot, at: dueAt == .never ? restsAt(records[slot]) : .never)
    }

    /// The plans of containers that rest from now on, all of whose containers do.
    func restingShipments(_ quiet: [ContainerRecord]) -> [String] {
        let resters = Set(quiet.map(\.number))
        var found: Set<String> = []
        for record in quiet {
            for symbol in record.plans {
                guard let shipment = shipments[symbol], !found.contains(shipment.plan.shipment)
                else { continue }
                let doAll = shipment.plan.containers.allSatisfy {
                    resters.contains($0) || slots[$0] == nil
                }
                if doAll { found.insert(shipment.plan.shipment) }
            }
        }
        return found.sorted()
    }

    /// Lets finished containers and plans go that are in a durable checkpoint.
    public mutating func rest(_ quiet: Quiet) {
        for container in quiet.containers {
            guard let slot = slots[container], !dirtyRecords.contains(slot) else { continue }
            slots[container] = nil
            resting.insert(container)
            records[slot] = ContainerRecord(number: container)
            due.schedule(slot, at: .never)
            restDue.schedule(slot, at: .never)
            freeSlots.append(slot)
        }
        for name in quiet.shipments {
            guard let symbol = symbols.known(name), let shipment = shipments[symbol] else {
                continue
            }
            if unsavedPlans[symbol] == nil,
                shipment.plan.containers.allSatisfy({ slots[$0] == nil })
            {
                shipments[symbol] = nil
                restingShipments.insert(Engine.hash(name))
                looseSymbols.append(symbol)
            } else {
                // It has been spoken of since: the store believes that it rests.
                revived.insert(name)
            }
        }
        if looseSymbols.count >= max(sweepFrom, symbols.texts.count / 4) { sweepSymbols() }
    }

    /// Takes back what rested.
    public mutating func admit(_ loaded: Loaded) throws(CodingFlaw) {
        for line in loaded.shipments {
            let symbol = symbols.number(line.key)
            guard shipments[symbol] == nil else { continue }
            guard case .plan(let plan) = parse(line.line) else {
                throw CodingFlaw("the plan \(line.key) cannot be read")
            }
            let reading = try LineReading(line.reading)
            shipments[symbol] = Shipment(
                plan: reread(plan, reading), reading, received: line.received, &chains, &symbols,
                &pools)
            restingShipments.remove(Engine.hash(line.key))
            revived.insert(line.key)
        }
        for bytes in loaded.journeys {
            let record = try RecordCoding.decode(bytes, &symbols)
            guard slots[record.number] == nil else { continue }
            resting.remove(record.number)
            place(record)
            // What comes of it may be nothing: then it rests again with the next checkpoint.
            if let slot = slots[record.number] { dirtyRecords.insert(slot) }
        }
    }

    // MARK: Symbols

    /// Forgets the names of plans that left memory and that nothing else refers to.
    mutating func sweepSymbols() {
        var used = [Bool](repeating: false, count: symbols.texts.count)
        func use(_ symbol: UInt32) { if Int(symbol) < used.count { used[Int(symbol)] = true } }
        for slot in slots.values {
            for event in records[slot].history.events {
                use(event.place)
                use(event.shipment)
            }
            for symbol in records[slot].plans { use(symbol) }
            for journey in records[slot].journeys {
                use(journey.shipment)
                use(journey.progress.lastPlace)
                for alert in journey.publication.alerts { use(alert.place) }
            }
        }
        for symbol in shipments.symbols {
            use(symbol)
            for milestone in shipments[symbol]?.chain ?? [] {
                use(milestone.place)
                use(milestone.fromPlace)
            }
        }
        for place in chains.places + pools.places + windows.map(\.place) { use(place) }
        for place in intervals.places.keys { use(place) }
        for place in intervals.steps.keys { use(place) }
        symbols.release(looseSymbols.filter { !used[Int($0)] })
        looseSymbols = looseSymbols.filter { used[Int($0)] }
    }
}
