import Tracking

/// A day without a time.
public enum DayText {
    /// The date that calendars show in a zone: `2026-11-25`.
    public static func of(_ instant: Instant, _ zone: ZoneRule) -> String {
        let offset = zone.offset(at: instant)
        return String(TimeText.string(instant, offsetMinutes: offset).prefix(10))
    }
}
