import Forecast
import Tracking

/// Which journeys a container's events are evidence of, and how far it has come on each.
extension Engine {
    /// Cuts a container's history into journeys anew, because of news.
    mutating func refold(_ slot: Int, _ draft: inout Draft) {
        var record = ContainerRecord(number: register.records[slot].number)
        swap(&record, &register.records[slot])
        let before = register.shipments.hasJoins ? joinedProgress(record) : []
        refold(&record, draft.touched[slot], &draft)
        register.records[slot] = record
        if register.shipments.hasJoins { noteJoinedNews(slot, before, &draft) }
    }

    /// What a container has reached in each of its shipments that join containers.
    private func joinedProgress(
        _ record: borrowing ContainerRecord
    ) -> [(shipment: UInt32, reached: [Instant])] {
        var found: [(shipment: UInt32, reached: [Instant])] = []
        for at in record.journeys.indices {
            let symbol = record.journeys[at].shipment
            guard register.shipments[symbol]?.graph != nil else { continue }
            found.append((symbol, record.journeys[at].progress.reached))
        }
        return found
    }

    /// Notes the joined shipments in which something is not as before.
    private func noteJoinedNews(
        _ slot: Int, _ before: [(shipment: UInt32, reached: [Instant])], _ draft: inout Draft
    ) {
        let after = joinedProgress(register.records[slot])
        let touch = draft.touched[slot]
        let isAnyway = touch?.planChanged == true || touch?.closed == true
        for (symbol, reached) in after {
            let known = before.first { $0.shipment == symbol }?.reached ?? []
            if isAnyway || known.count != reached.count {
                draft.join(symbol, slot, changed: nil)
            } else if known != reached {
                let changed = reached.indices.filter { reached[$0] != known[$0] }
                draft.join(symbol, slot, changed: changed)
            }
        }
        for (symbol, _) in before where !after.contains(where: { $0.shipment == symbol }) {
            draft.join(symbol, slot, changed: nil)
        }
    }

    /// What settles the order of events that their times leave open.
    func guide(_ record: ContainerRecord) -> PlaceGuide {
        PlaceGuide(
            chains: record.plans.compactMap { register.shipments[$0]?.chain },
            leads: { [network, symbols = register.symbols] from, to in
                guard let here = network.place(symbols[from]) else { return false }
                return network.outgoing[here].contains {
                    network.places[network.legs[$0].to].id == symbols[to]
                }
            }, name: { [symbols = register.symbols] in symbols[$0] })
    }

    /// Cuts the history into journeys anew; each keeps what was said about it.
    private mutating func refold(
        _ record: inout ContainerRecord, _ touch: Change?, _ draft: inout Draft
    ) {
        if record.plans.count == 1, record.journeys.count == 1,
            record.journeys[0].shipment == record.plans[0],
            let view = register.shipments[record.plans[0]]?.view(
                record.plans[0], for: record.number),
            let progress = JourneyFold.progress(
                record.history, only: view, by: guide(record))
        {
            record.journeys[0].progress = progress
            return
        }
        var folded = JourneyFold.journeys(
            record.history, plans: register.planViews(record), by: guide(record))
        var old: [Journey] = []
        swap(&old, &record.journeys)
        for index in folded.indices {
            let same = old.firstIndex {
                $0.shipment == folded[index].shipment && $0.ordinal == folded[index].ordinal
            }
            guard let same else { continue }
            folded[index].publication = old.remove(at: same).publication
        }
        for var gone in old {
            let context = ReviewContext(record: record, touch: touch, now: draft.now)
            if let shipment = register.shipments[gone.shipment] {
                forgetLessons(&gone, shipment, record.number)
            }
            withdrawAll(&gone, "the journey is no longer known", context, &draft)
        }
        record.journeys = folded
    }
}
