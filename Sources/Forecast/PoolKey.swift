import Tracking

/// What a pool of observations is about; unused parts are 0, so that the same type serves every
/// level from the specific to the general.
public struct PoolKey: Hashable, Sendable {
    public enum Level: UInt8, Sendable, CaseIterable {
        /// One step at one place in one part of the day.
        case hour
        /// One step at one place (or between two) with one planned duration.
        case planned
        /// One step at one place or between two.
        case place
        /// One kind of step with one planned duration, anywhere.
        case plannedAnywhere
        /// One kind of step, anywhere.
        case kind
        /// One step at one place on one day of the week.
        case weekday
        /// One step at one place, its durations as shares of what was planned for them.
        case share
        /// One kind of departure on one side of a join or handover.
        case side
        /// As `place` and `side`, of departures whose timetable moved as the leg's beginning did.
        case moved
        case movedSide
        /// What a source (its place of departure) says of a milestone at one place, by how far ahead it
        /// said so and that is.
        case word
        /// What it says of any, and however far ahead.
        case wordAnywhere
        case source
        /// From when any box came to a place, or left it, until it was seen at the next.
        case onward
        /// One kind of step, anywhere, in multiples of its scale (`StepValue.scaleMinutes`).
        case scaled
    }

    public var level: Level
    public var kind: StepKind
    public var mode: TransportMode
    public var direction: StepDirection
    public var fromCode: EventCode
    public var toCode: EventCode
    public var fromPlace: UInt32
    public var toPlace: UInt32
    /// Planned minutes in classes of about 12 %; of `.hour` the part of the day, of `.weekday` the
    /// day from Monday (0); -1: none.
    public var plannedClass: Int16

    public init(
        level: Level, kind: StepKind, mode: TransportMode,
        direction: StepDirection = .straight, fromCode: EventCode, toCode: EventCode,
        fromPlace: UInt32 = 0, toPlace: UInt32 = 0, plannedClass: Int16 = -1
    ) {
        self.level = level
        self.kind = kind
        self.mode = mode
        self.direction = direction
        self.fromCode = fromCode
        self.toCode = toCode
        self.fromPlace = fromPlace
        self.toPlace = toPlace
        self.plannedClass = plannedClass
    }

    static func plannedClass(_ minutes: Double) -> Int16 {
        guard minutes == minutes, minutes >= 1 else { return -1 }
        return Int16((PortableMath.ln(minutes) * 9).rounded())
    }

    /// Hours in one part of the day.
    static let hoursPerPart = 3

    /// What of the calendar matters to a step.
    enum Calendar: Sendable {
        case none
        /// The part of the day of its timetable.
        case timetable
        /// At a border: the part of the day and the weekday on which the waiting began.
        case border
    }

    static func calendar(_ step: Milestone) -> Calendar {
        if step.kind == .departure, step.planned != .unset { return .timetable }
        switch step.code {
        case .cusr, .cuss, .cusi, .cros: return .border
        default: return .none
        }
    }

    /// The part of the day of an instant (UTC).
    static func part(_ instant: Instant) -> Int16 {
        let minute = instant.microseconds / 60_000_000
        let ofDay = ((minute % 1_440) + 1_440) % 1_440
        return Int16(ofDay / 60) / Int16(hoursPerPart)
    }

    /// The weekday of an instant (UTC), Monday 0.
    static func weekday(_ instant: Instant) -> Int16 {
        let day = (Double(instant.microseconds) / 86_400_000_000).rounded(.down)
        let shifted = Int64(day) + 3
        return Int16(((shifted % 7) + 7) % 7)
    }

    /// This key of a place for one part of the day, or one day of the week.
    func at(_ level: Level, _ number: Int16) -> PoolKey {
        var key = self
        key.level = level
        key.plannedClass = number
        return key
    }

    /// The most specific of the usual keys: what tells steps apart.
    static func first(_ step: Milestone) -> PoolKey {
        let isPlanned = StepValue.isStay(step) && plannedClass(step.plannedMinutes) >= 0
        return PoolKey(
            level: isPlanned ? .planned : .place, kind: step.kind, mode: step.mode,
            direction: step.direction, fromCode: step.fromCode, toCode: step.code,
            fromPlace: step.fromPlace, toPlace: step.place,
            plannedClass: isPlanned ? plannedClass(step.plannedMinutes) : -1)
    }

    /// A departure behind a join or a handover: its timetable may be kept whatever comes, or move with
    /// what comes.
    public static func hasTwoTimetables(_ step: Milestone) -> Bool {
        step.kind == .departure && step.isOnward && step.planned != .unset
    }

    /// The keys of such a departure where its timetable moved.
    static func moved(_ step: Milestone) -> [PoolKey] {
        let place = PoolKey(
            level: .moved, kind: step.kind, mode: step.mode, direction: step.direction,
            fromCode: step.fromCode, toCode: step.code, fromPlace: step.fromPlace,
            toPlace: step.place)
        var side = place
        (side.level, side.fromPlace, side.toPlace) = (.movedSide, 0, 0)
        return [place, side]
    }

    /// The keys of a step from the most specific to the most general, without the calendar's.
    static func usual(_ step: Milestone) -> [PoolKey] {
        let sort = (step.kind, step.mode, step.fromCode, step.code)
        func key(_ level: Level, places: Bool, planned: Int16 = -1) -> PoolKey {
            PoolKey(
                level: level, kind: sort.0, mode: sort.1,
                // What transits have in common they have on both sides of a join.
                direction: [.kind, .scaled].contains(level) && sort.0 != .dwell
                    ? .straight : step.direction,
                fromCode: sort.2, toCode: sort.3,
                fromPlace: places ? step.fromPlace : 0, toPlace: places ? step.place : 0,
                plannedClass: planned)
        }
        let (place, kind) = (key(.place, places: true), key(.kind, places: false))
        if hasTwoTimetables(step) { return [place, key(.side, places: false), kind] }
        let scaled = StepValue.scaleMinutes(step) > 0 ? [key(.scaled, places: false)] : []
        let planned = plannedClass(step.plannedMinutes)
        guard StepValue.isStay(step), planned >= 0 else { return [place] + scaled + [kind] }
        return [
            key(.planned, places: true, planned: planned), place, key(.share, places: true),
            key(.plannedAnywhere, places: false, planned: planned),
        ] + scaled + [kind]
    }

    /// Of the pool of one place that of its kind, anywhere.
    var general: PoolKey {
        PoolKey(
            level: .kind, kind: kind, mode: mode, direction: kind == .dwell ? direction : .straight,
            fromCode: fromCode, toCode: toCode)
    }
}
