import Tracking

/// What a forecast looks at besides how a step has gone: each by its record.
extension Pools {
    // MARK: Levels

    /// Observations at which a level and all that is more general weigh the same.
    static func weight(_ level: PoolKey.Level) -> Double {
        switch level {
        case .planned: plannedWeight
        case .place, .moved: placeWeight
        default: generalWeight
        }
    }

    /// What of a step's value a level keeps.
    static func value(_ value: Float, _ step: Milestone, _ level: PoolKey.Level) -> Float {
        switch level {
        case .share: value / Float(step.plannedMinutes)
        case .scaled: multiple(value / Float(StepValue.scaleMinutes(step)))
        default: value
        }
    }

    private static func multiple(_ times: Float) -> Float {
        abs(times) <= mostMultiple ? times : .nan
    }

    // MARK: Timetables

    /// The number of a departure's step where its timetable moved as its leg's beginning did; nil where
    /// it is no such departure.
    public func moved(_ id: StepID) -> StepID? { models[Int(id.number)].moved }

    /// Departures seen behind joins before it is judged whether their timetables are kept, and as how many
    /// at one place they count.
    private static let judgedFrom = 10
    private static let sideWeight = 20.0

    /// How the stated time of a departure is to be taken.
    enum Timetable {
        /// Whoever comes early waits for it.
        case kept
        /// With its leg, of which the step tells what it deviates by then.
        case moved(StepID)
        /// One or the other: too few were seen.
        case undecided
    }

    /// How departures there have kept to what was stated, and how to that moved: by how far they lay from
    /// the middle of their like, at the place and, as long as little is known of it, anywhere.
    func timetable(_ id: StepID) -> Timetable {
        guard !without.contains(.timetables), let moved = moved(id) else { return .kept }
        guard let stated = distance(id, at: 1), let other = distance(moved, at: 1) else {
            return .undecided
        }
        return other < stated ? .moved(moved) : .kept
    }

    private func distance(_ id: StepID, at side: Int) -> Double? {
        let model = models[Int(id.number)]
        guard let slot = slots[model.keys[side]], pools[slot].drawn >= Pools.judgedFrom,
            let general = pools[slot].curve
        else { return nil }
        guard let own = slots[model.keys[0]], let curve = pools[own].curve else {
            return general.meanDistance
        }
        let known = Double(pools[own].drawn)
        return (known * curve.meanDistance + Pools.sideWeight * general.meanDistance)
            / (known + Pools.sideWeight)
    }

    /// The calendar's keys of a step that began at `start`, or leaves by its timetable.
    func calendarKeys(_ id: StepID, _ step: Milestone, _ start: Instant) -> [PoolKey] {
        let model = models[Int(id.number)]
        let place = model.keys[model.placeAt]
        switch model.calendar {
        case .none: return []
        case .timetable:
            return step.planned == .unset ? [] : [place.at(.hour, PoolKey.part(step.planned))]
        case .border:
            return start == .unset
                ? []
                : [
                    place.at(.hour, PoolKey.part(start)),
                    place.at(.weekday, PoolKey.weekday(start)),
                ]
        }
    }

    /// Whether hour and weekday have made a step's forecasts better: at its place, or as long as little is
    /// known of that, where there is such a step.
    mutating func countsCalendar(_ id: StepID) -> Bool {
        let model = Int(id.number)
        guard models[model].calendar != .none, !without.contains(.calendar) else { return false }
        // Looked up: which pools a step has looked at already is no fact.
        if let own = existing(id, models[model].placeAt), pools[own].worth.isKnown {
            return pools[own].worth.isWorthwhile
        }
        guard let general = existing(id, models[model].keys.count - 1) else { return false }
        return pools[general].worth.isWorthwhile
    }

    /// Before a step itself is learned: what the calendar would have told of it.
    mutating func learnCalendar(_ id: StepID, _ step: Milestone, _ lesson: Lesson) {
        guard models[Int(id.number)].calendar != .none, lesson.start != .unset,
            let with = blend(id, step, start: lesson.start, lead: 0, calendar: true),
            let without = blend(id, step, start: lesson.start, lead: 0, calendar: false),
            with != without
        else { return }
        let value = Float(StepValue.observed(step, start: lesson.start, end: lesson.end))
        let (expected, other) = (curve(without), curve(with))
        let width = max(expected.points[57] - expected.points[6], 1)
        let (lost, saved) = (expected.loss(value), other.loss(value))
        for at in [models[Int(id.number)].placeAt, models[Int(id.number)].keys.count - 1] {
            let slot = slot(id, at)
            pools[slot].worth.learn(without: lost, with: saved, width: width)
            changed.insert(slot)
        }
    }

    // MARK: Beginnings

    /// What the beginning of a step tells, where that has been worth it.
    func tendency(_ id: StepID) -> Tendency? {
        guard !without.contains(.deviation), let slot = models[Int(id.number)].slots.last, slot >= 0
        else { return nil }
        let known = pools[Int(slot)].tendency
        return known.worth.isWorthwhile ? known : nil
    }

    /// Before a step itself is learned: what its beginning has told of it.
    mutating func learnBeginning(_ id: StepID, _ step: Milestone, _ lesson: Lesson) {
        guard let late = lesson.lateMinutes,
            let blend = blend(id, step, start: lesson.start, lead: 0)
        else { return }
        let value = StepValue.observed(step, start: lesson.start, end: lesson.end)
        let expected = curve(blend)
        let general = slot(id, models[Int(id.number)].keys.count - 1)
        pools[general].tendency.learn(Float(value), after: Float(late), expected)
        changed.insert(general)
    }
}
