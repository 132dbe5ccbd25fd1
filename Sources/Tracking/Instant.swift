/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds folded as POSIX does.
public struct Instant: Hashable, Comparable, Sendable {
    public var microseconds: Int64

    @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }
    @inlinable public init(seconds: Int64) { self.microseconds = seconds * 1_000_000 }

    @inlinable public static func < (a: Instant, b: Instant) -> Bool {
        a.microseconds < b.microseconds
    }

    /// Later than anything that a line can say; used for "no timer".
    public static let never = Instant(microseconds: .max)
    /// Earlier than anything that a line can say; used for "not yet".
    public static let unset = Instant(microseconds: .min)

    public static let microsecondsPerMinute: Int64 = 60_000_000

    /// This instant moved by `minutes`, held within the range of the type.
    @inlinable public func advanced(minutes: Double) -> Instant {
        if self == .never || self == .unset { return self }
        let moved = Double(microseconds) + minutes * 60_000_000
        if moved >= 9.2e18 { return .never }
        if moved <= -9.2e18 { return .unset }
        return Instant(microseconds: microseconds &+ Int64(minutes * 60_000_000))
    }

    /// Minutes from `earlier` to this instant; of `.unset` and `.never` nothing that means anything.
    @inlinable public func minutes(since earlier: Instant) -> Double {
        Double(microseconds &- earlier.microseconds) / 60_000_000
    }
}

/// A date and time of day as the civil calendar writes them, without a zone.
public struct CivilTime: Hashable, Sendable {
    public var year: Int, month: Int, day: Int
    public var hour: Int, minute: Int, second: Int, microsecond: Int

    public init(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0,
        microsecond: Int = 0
    ) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.microsecond = microsecond
    }

    /// The civil time `offsetMinutes` east of UTC at `instant`.
    public init(_ instant: Instant, offsetMinutes: Int = 0) {
        let total = instant.microseconds &+ Int64(offsetMinutes) * Instant.microsecondsPerMinute
        var days = total / 86_400_000_000
        var rest = total % 86_400_000_000
        if rest < 0 {
            rest += 86_400_000_000
            days -= 1
        }
        let (year, month, day) = CivilTime.civil(fromDays: Int(days))
        self.init(
            year: year, month: month, day: day,
            hour: Int(rest / 3_600_000_000), minute: Int(rest / 60_000_000 % 60),
            second: Int(rest / 1_000_000 % 60), microsecond: Int(rest % 1_000_000))
    }

    /// The instant at which a clock `offsetMinutes` east of UTC shows this.
    public func instant(offsetMinutes: Int) -> Instant {
        let days = CivilTime.days(year: year, month: month, day: day)
        let seconds =
            Int64(days) * 86_400 + Int64(hour) * 3_600 + Int64(minute - offsetMinutes) * 60
            + Int64(second)
        return Instant(microseconds: seconds * 1_000_000 + Int64(microsecond))
    }

    /// Days since 1970-01-01 of a proleptic Gregorian date
    /// (method: Hinnant, "chrono-compatible low-level date algorithms").
    @inlinable public static func days(year: Int, month: Int, day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    /// 0 = Sunday … 6 = Saturday.
    public var weekday: Int {
        let days = CivilTime.days(year: year, month: month, day: day)
        return ((days + 4) % 7 + 7) % 7
    }

    /// Days in `month` of `year`, 0 for a month that does not exist.
    @inlinable public static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 1, 3, 5, 7, 8, 10, 12: 31
        case 4, 6, 9, 11: 30
        case 2: (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) ? 29 : 28
        default: 0
        }
    }
}

/// A time zone as a network file states it: an offset, one past change of it, and the European
/// summer-time rule where it applies. Enough for the corridor, and the same on every machine.
public struct ZoneRule: Hashable, Sendable {
    /// IANA name, for people.
    public var name: String
    public var offsetMinutes: Int
    /// Before this instant the offset was `formerOffsetMinutes`.
    public var changedAt: Instant
    public var formerOffsetMinutes: Int
    /// One hour more from the last Sunday of March to that of October, 01:00 UTC (2000/84/EC).
    public var europeanSummerTime: Bool

    public init(
        name: String, offsetMinutes: Int, changedAt: Instant = .unset,
        formerOffsetMinutes: Int = 0, europeanSummerTime: Bool = false
    ) {
        self.name = name
        self.offsetMinutes = offsetMinutes
        self.changedAt = changedAt
        self.formerOffsetMinutes = formerOffsetMinutes
        self.europeanSummerTime = europeanSummerTime
    }

    public static let utc = ZoneRule(name: "UTC", offsetMinutes: 0)

    /// Minutes east of UTC at `instant`.
    public func offset(at instant: Instant) -> Int {
        let base = instant < changedAt ? formerOffsetMinutes : offsetMinutes
        guard europeanSummerTime else { return base }
        let year = CivilTime(instant).year
        let start = ZoneRule.lastSunday(year: year, month: 3)
        let end = ZoneRule.lastSunday(year: year, month: 10)
        return start <= instant && instant < end ? base + 60 : base
    }

    /// How often a clock shows a civil time.
    public enum Showing: Sendable {
        case once, twice, never
    }

    /// The instant at which clocks in this zone show `civil`: of two the earlier, and where they never
    /// do (the hour that is left out) as much later as they are put forward.
    public func instant(_ civil: CivilTime) -> Instant { reading(civil).instant }

    public func reading(_ civil: CivilTime) -> (instant: Instant, showing: Showing) {
        let near = civil.instant(offsetMinutes: 0)
        let before = offset(at: near.advanced(minutes: -1_440))
        let after = offset(at: near.advanced(minutes: 1_440))
        let early = civil.instant(offsetMinutes: before)
        guard before != after else { return (early, .once) }
        let late = civil.instant(offsetMinutes: after)
        switch (offset(at: early) == before, offset(at: late) == after) {
        case (true, true): return (min(early, late), .twice)
        case (true, false): return (early, .once)
        case (false, true): return (late, .once)
        case (false, false): return (early, .never)
        }
    }

    static func lastSunday(year: Int, month: Int) -> Instant {
        let last = CivilTime(year: year, month: month, day: 31, hour: 1)
        let back = last.weekday
        return CivilTime(year: year, month: month, day: 31 - back, hour: 1)
            .instant(offsetMinutes: 0)
    }
}
