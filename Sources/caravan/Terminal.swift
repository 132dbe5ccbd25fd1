import FoundationEssentials
import Glibc
import Host
import Tracking
import Wire

/// Colours where there is a terminal that shows them.
struct Terminal: Sendable {
    let isColoured: Bool

    init(_ descriptor: Int32 = 1) {
        isColoured =
            isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
            && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    static var isTerminal: Bool { isatty(1) == 1 }

    enum Ink: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case blue = "34"
        case cyan = "36"
        case grey = "90"
        case bold = "1"
    }

    func paint(_ text: String, _ ink: Ink) -> String {
        isColoured ? "\u{1B}[\(ink.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// An instant on the clocks of a zone: `23 Nov 10:15+05`, and the year where it is not that of `now`.
    static func local(
        _ instant: Instant, _ zone: ZoneRule, day: Bool = true, now: Instant = wallNow()
    ) -> String {
        let offset = zone.offset(at: instant)
        let civil = CivilTime(instant, offsetMinutes: offset)
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let clock = String(format: "%02d:%02d", civil.hour, civil.minute)
        let sign = offset < 0 ? "-" : "+"
        let hours = abs(offset) / 60
        let minutes = abs(offset) % 60
        let zone =
            sign + String(format: "%02d", hours)
            + (minutes == 0 ? "" : String(format: ":%02d", minutes))
        var date = String(format: "%2d ", civil.day) + months[civil.month - 1]
        if civil.year != CivilTime(now, offsetMinutes: offset).year {
            date += String(format: " %04d", civil.year)
        }
        return day ? "\(date) \(clock)\(zone)" : "\(clock)\(zone)"
    }

    /// Minutes as people say them: `45 min`, `7 h`, `3.5 d`.
    static func span(_ minutes: Double) -> String {
        let size = abs(minutes)
        let sign = minutes < 0 ? "-" : ""
        if size < 90 { return "\(sign)\(Int(size.rounded())) min" }
        if size < 48 * 60 { return sign + String(format: "%.0f h", size / 60) }
        return sign + String(format: "%.1f d", size / 1_440)
    }

    /// `9 h late`, `2 h early`, `on time`.
    static func lateness(_ minutes: Double) -> String {
        if abs(minutes.rounded()) < 1 { return "on time" }
        return span(abs(minutes)) + (minutes > 0 ? " late" : " early")
    }

    /// Padded or cut to a width.
    static func fitted(_ text: String, _ width: Int) -> String {
        let text = Printable.text(text)
        return text.count > width ? text.prefix(width - 1) + "…" : padded(text, width)
    }

    /// Padded to a width; what is shown so may be a stranger's.
    static func padded(_ text: String, _ width: Int) -> String {
        let text = Printable.text(text)
        let missing = width - text.count
        return missing > 0 ? text + String(repeating: " ", count: missing) : text
    }
}

/// A line of progress on stderr, rewritten in place; silent where stderr is no terminal.
final class Progress {
    private let isShown = isatty(2) == 1
    private var last = 0.0

    func show(_ text: @autoclosure () -> String, force: Bool = false) {
        guard isShown else { return }
        let now = Date().timeIntervalSinceReferenceDate
        guard force || now - last > 0.1 else { return }
        last = now
        ByteFile.standardError.say("\r\u{1B}[K\(text())")
    }

    func end() {
        if isShown { ByteFile.standardError.say("\r\u{1B}[K") }
    }
}

/// The current time.
func wallNow() -> Instant { Instant(microseconds: HostClock.wallMicroseconds) }
