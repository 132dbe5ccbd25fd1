import Tracking

/// The records of containers and the plans in force, and which of them are in memory.
struct Register: Sendable {
    var symbols = Symbols()
    var records: [ContainerRecord] = []
    var slots: [ContainerNumber: Int] = [:]
    var freeSlots: [Int] = []
    var shipments = ShipmentTable()
    /// Plans that were taken back, until the store has them: no journey knows of them.
    var retracted: [UInt32: Shipment] = [:]
    /// When each container wants to be looked at next.
    var due = DueHeap()

    /// Containers whose records rest in the store.
    var resting: Set<ContainerNumber> = []
    /// Hashes of the plans that do.
    var restingShipments: Set<UInt64> = []
    /// Plans that the store believes to rest, and that do not any more.
    var revived: Set<String> = []
    /// When containers of which nothing is expected any more may rest.
    var restDue = DueHeap()
    /// Symbols of plans that left memory; nothing else may refer to them.
    var looseSymbols: [UInt32] = []

    /// The symbol of who says something, however it is spelled.
    mutating func speaker(_ name: String) -> UInt32 {
        let plain = name.split(separator: " ").joined(separator: " ").uppercased()
        if let known = symbols.known(plain) { return known }
        let symbol = symbols.number(plain)
        looseSymbols.append(symbol)
        return symbol
    }
    /// They are looked through when they are so many, and a quarter of all.
    var sweepFrom = 1_000

    var dirtyRecords = SlotSet()
    /// Plans that no checkpoint has yet, with their lines.
    var unsavedPlans: [UInt32: [UInt8]] = [:]
    /// What was forgotten since the last checkpoint.
    var forgotten = Checkpoint.Forgotten()
    /// Slots that a plan no longer names, between `put` and the touches.
    var unnamed: [Int] = []

    /// The record of a container, made where there is none.
    mutating func slot(of container: ContainerNumber) -> Int {
        if let known = slots[container] { return known }
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            records[slot] = ContainerRecord(number: container)
        } else {
            slot = records.count
            records.append(ContainerRecord(number: container))
        }
        slots[container] = slot
        return slot
    }

    /// Notes when a record wants to be looked at; one that never does, when it may rest.
    mutating func schedule(_ slot: Int, dueAt: Instant) {
        due.schedule(slot, at: dueAt)
        restDue.schedule(slot, at: records[slot].isQuiet ? restsAt(records[slot]) : .never)
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

    /// The shipment that a journey belongs to, where its plan names the container: an event may
    /// state a shipment of which the container is no part.
    @inline(__always)
    func plan(of journey: borrowing Journey, _ plans: [UInt32]) -> Shipment? {
        guard plans.contains(journey.shipment), let shipment = shipments[journey.shipment],
            journey.progress.reached.count == journey.way.milestones.count
        else { return nil }
        return shipment
    }

    /// The way of a plan that names the box; nil for a journey without one, be its name that of a plan of others.
    func made(_ shipment: UInt32, _ plans: [UInt32]) -> SharedChain? {
        plans.contains(shipment) ? shipments[shipment]?.made : nil
    }

    func planViews(_ plans: [UInt32], _ container: ContainerNumber) -> [PlanView] {
        plans.compactMap { shipments[$0]?.view($0, for: container) }
    }

    /// The last version of a plan, be it that there is none any more.
    func lastVersion(of plan: String) -> Shipment? {
        symbols.known(plan).flatMap { shipments[$0] ?? retracted[$0] }
    }

    func name(of journey: Journey) -> String? {
        journey.shipment == 0 ? nil : symbols[journey.shipment]
    }

    /// The journey of a container under a shipment, with its plan.
    func journey(
        _ container: ContainerNumber, _ shipment: String
    ) -> (journey: Journey, plan: Shipment, symbol: UInt32)? {
        guard let slot = slots[container], let symbol = symbols.known(shipment),
            let journey = records[slot].journeys.first(where: { $0.shipment == symbol }),
            let plan = plan(of: journey, records[slot].plans)
        else { return nil }
        return (journey, plan, symbol)
    }
}
