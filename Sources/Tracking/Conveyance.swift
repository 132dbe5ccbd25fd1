/// What a report tells of the ship, the train or the truck, and not of the box.
extension JourneyWalk {
    /// A ship stays in port for less than this.
    private static let callMinutes = 3.0 * 1_440

    /// Whether a departure is only that of what has brought the box: of the same vehicle after the box was
    /// unloaded; of the ship before it was; of whatever is no truck, long before the box is to be loaded or to
    /// leave by the gate. Once it was loaded it departs with that.
    func departsWithoutIt(_ event: EventRecord, _ place: UInt32, isStill: Bool) -> Bool {
        guard event.code == .depa, isStill, progress.furthest >= 0,
            progress.lastCode != .load
        else { return false }
        let isOther =
            event.vehicle != 0 && seat.vehicle != 0 && event.vehicle != seat.vehicle
        let ahead = stayAhead(place)
        if endsByGate(at: place) {
            if event.mode == .road || event.mode == .unknown && !cameByShip { return false }
            // What has come by ship and is to be unloaded is aboard until it is.
            if seat.unloaded == .unset {
                return !isOther && cameByShip && event.mode != .barge
                    && ahead.contains { $0.code == .disc }
                    && event.time.minutes(since: progress.lastTime) < JourneyWalk.callMinutes
            }
            let isItself = event.vehicle != 0 && event.vehicle == seat.vehicle && cameByShip
            return isItself || ahead.last.map { isLongBefore($0.planned, event.time) } ?? false
        }
        guard seat.unloaded != .unset, event.time >= seat.unloaded else { return false }
        let load = ahead.first { $0.code == .load }
        let planned = load?.planned ?? .unset
        let isEarly = isLongBefore(
            planned != .unset ? planned : ahead.last?.planned ?? .unset, event.time)
        if event.vehicle != 0, event.vehicle == seat.vehicle { return cameByShip || isEarly }
        guard !isOther, load != nil, isByShip(way.milestones.dropFirst(progress.furthest + 1)),
            event.mode == .unknown || event.mode == .sea || event.mode == .barge
        else { return false }
        return isEarly
    }

    /// Whether of the time for which it is to stay after it was unloaded more than half is to come, and a day.
    private func isLongBefore(_ planned: Instant, _ time: Instant) -> Bool {
        guard planned != .unset, seat.unloaded != .unset else { return false }
        return planned.minutes(since: time) > max(1_440, planned.minutes(since: seat.unloaded) / 2)
    }

    /// Whether its way ends at a place, and not by its leaving that as it came.
    private func endsByGate(at place: UInt32) -> Bool {
        let chain = way.milestones
        let begins = chain.endingStay
        guard chain.last?.place == place,
            progress.furthest >= begins - 1
                || !chain.prefix(begins).contains(where: { $0.place == place })
        else { return false }
        return !chain[begins...].contains { $0.code == .depa || $0.code == .load }
    }

    /// Whether it goes out by the gate where it is to be loaded onto a ship: to another terminal, or away;
    /// it is not aboard.
    func isShunted(_ event: EventRecord, _ place: UInt32, isStill: Bool) -> Bool {
        guard event.code == .gtot, isStill, progress.furthest >= 0,
            event.mode == .unknown || event.mode == .road
        else { return false }
        let ahead = stayAhead(place)
        // About when it is to sail that may be what is meant.
        if event.mode == .unknown, let planned = ahead.last?.planned, planned != .unset,
            abs(planned.minutes(since: event.time)) < 1_440
        {
            return false
        }
        return ahead.contains { $0.code == .load } && !ahead.contains { $0.code == .gtot }
            && isByShip(way.milestones.dropFirst(progress.furthest + 1))
    }

    /// Where it was to be loaded, if it is loaded there after it had been taken to have departed: that was
    /// what had brought it.
    func loadedAfterAll(_ read: ReadEvent, _ event: EventRecord, _ place: UInt32) -> Int? {
        guard event.code == .load, place == seat.place, seat.hasLeft, seat.unloaded != .unset,
            progress.lastCode == .depa,
            read.time.minutes(since: progress.lastTime) > Geography.slackMinutes
        else { return nil }
        let chain = way.milestones
        var at = progress.furthest
        while at >= 0, chain[at].place == place {
            if chain[at].code == .load { return progress.reached[at] == .unset ? at : nil }
            at -= 1
        }
        return nil
    }

    private var cameByShip: Bool {
        let leg = way.milestones.prefix(progress.furthest + 1).last { $0.kind == .transit }
        return leg?.mode == .sea || leg?.mode == .barge
    }

    /// What is ahead of the stay at a place.
    private func stayAhead(_ place: UInt32) -> ArraySlice<Milestone> {
        way.milestones.dropFirst(progress.furthest + 1).prefix { $0.place == place }
    }

    private func isByShip(_ ahead: ArraySlice<Milestone>) -> Bool {
        let mode = ahead.first { $0.kind == .transit }?.mode ?? .unknown
        return mode == .sea || mode == .barge
    }
}
