import Tracking

/// RFC 3339 instants, read and written by hand.
public enum TimeText {
    /// An instant with the offset that the text gave; nil offset: it gave none, and the instant is
    /// the civil time read as UTC.
    public struct Read: Equatable, Sendable {
        public var instant: Instant
        public var offsetMinutes: Int16?
        /// The text gave a day and no time; the instant is its beginning.
        public var isDateOnly = false
    }

    /// Why a text is no time.
    public enum Flaw: Error, Equatable, Sendable {
        case form
        /// A 60th second where no leap second can be.
        case leapSecond
        /// An offset that no clock on earth shows.
        case offset
    }

    /// What a good one looks like.
    static let example = "2026-11-23T10:15:00+05:00"

    /// `25.11.2026 16:52` as RFC 3339 has it; nil where which is the day and which the month is a guess.
    static func meant(_ text: String) -> String? {
        let parts = text.split(separator: " ")
        let date = (parts.first ?? "").split(separator: ".").compactMap { Int($0) }
        guard date.count == 3, (1...31).contains(date[0]), (1...12).contains(date[1]),
            (1_970...9_999).contains(date[2])
        else { return nil }
        func two(_ value: Int) -> String { (value < 10 ? "0" : "") + String(value) }
        var meant = "\(date[2])-\(two(date[1]))-\(two(date[0]))"
        if parts.count > 1 {
            let clock = parts[1].split(separator: ":").compactMap { Int($0) }
            guard (2...3).contains(clock.count) else { return nil }
            meant += "T" + clock.map(two).joined(separator: ":") + (clock.count == 2 ? ":00" : "")
        }
        var copy = meant
        return copy.withUTF8 { try? read($0, strictly: true).get() } == nil ? nil : meant
    }

    /// Offsets that clocks show, in minutes east of UTC.
    static let offsets = Int16(-12 * 60)...Int16(14 * 60)

    /// nil where the bytes are no date and time. A missing offset is allowed; a leap second is read as
    /// the first second of the next minute.
    public static func parse(_ b: UnsafeBufferPointer<UInt8>) -> Read? {
        guard case .success(let read) = read(b, strictly: false), !read.isDateOnly else {
            return nil
        }
        return read
    }

    public static func parse(_ text: String) -> Read? {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    /// Reads RFC 3339, and what people write instead: a space for the `T`, `+0500` or `+05`, no seconds,
    /// a day alone. `strictly`: a leap second only at the end of a day of UTC, and offsets between
    /// -12:00 and +14:00.
    public static func read(
        _ b: UnsafeBufferPointer<UInt8>, strictly: Bool
    ) -> Result<Read, Flaw> {
        guard let (read, second) = quick(b) ?? spelled(b) else { return .failure(.form) }
        if strictly {
            if let offset = read.offsetMinutes, !offsets.contains(offset) {
                return .failure(.offset)
            }
            if second == 60, !isDaysEnd(read) { return .failure(.leapSecond) }
        }
        return .success(read)
    }

    /// A leap second is the last of a day of UTC (ITU-R TF.460-6), so the instant after it begins one.
    private static func isDaysEnd(_ read: Read) -> Bool {
        guard read.offsetMinutes != nil else { return false }
        let civil = CivilTime(read.instant)
        return civil.hour == 0 && civil.minute == 0 && civil.second == 0
    }

    @inline(__always)
    private static func two(_ b: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
        let high = Int(b[at]) - 48
        let low = Int(b[at + 1]) - 48
        if high < 0 || high > 9 || low < 0 || low > 9 { return -1000 }
        return high * 10 + low
    }

    /// RFC 3339 to the letter, as nearly all lines have it.
    private static func quick(_ b: UnsafeBufferPointer<UInt8>) -> (Read, second: Int)? {
        guard b.count >= 19 else { return nil }
        let century = two(b, 0)
        let year = century * 100 + two(b, 2)
        let month = two(b, 5)
        let day = two(b, 8)
        let hour = two(b, 11)
        let minute = two(b, 14)
        let second = two(b, 17)
        guard b[4] == 0x2D, b[7] == 0x2D, b[13] == 0x3A, b[16] == 0x3A,
            b[10] | 0x20 == 0x74 || b[10] == 0x20,
            century >= 0, year >= 0, day >= 1, day <= CivilTime.daysIn(month: month, year: year),
            hour >= 0, hour < 24, minute >= 0, minute < 60, second >= 0, second <= 60
        else { return nil }
        var at = 19
        var micros: Int64 = 0
        if at < b.count, b[at] == 0x2E {
            at += 1
            let begin = at
            var scale: Int64 = 100_000
            while at < b.count, b[at] >= 0x30, b[at] <= 0x39 {
                micros += Int64(b[at] - 0x30) * scale
                scale /= 10
                at += 1
            }
            if at == begin { return nil }
        }
        var offset: Int16?
        if at < b.count {
            if b[at] | 0x20 == 0x7A, at + 1 == b.count {
                offset = 0
            } else {
                guard b.count - at == 6, b[at + 3] == 0x3A, b[at] == 0x2B || b[at] == 0x2D
                else { return nil }
                let hours = two(b, at + 1)
                let minutes = two(b, at + 4)
                guard hours >= 0, hours < 24, minutes >= 0, minutes < 60 else { return nil }
                let total = Int16(hours * 60 + minutes)
                offset = b[at] == 0x2D ? -total : total
            }
        }
        let days = Int64(CivilTime.days(year: year, month: month, day: day))
        let seconds =
            days * 86_400 + Int64(hour * 3_600 + minute * 60 + second)
            - Int64(offset ?? 0) * 60
        let instant = Instant(microseconds: seconds * 1_000_000 + micros)
        return (Read(instant: instant, offsetMinutes: offset), second)
    }

    /// What people write instead, made what it stands for.
    private static func spelled(_ b: UnsafeBufferPointer<UInt8>) -> (Read, second: Int)? {
        guard b.count <= 64 else { return nil }
        var text = Array(b)
        while text.last == 0x20 { text.removeLast() }
        while text.first == 0x20 { text.removeFirst() }
        guard text.count >= 10 else { return nil }
        if text.count == 10 {
            let day = text + Array("T00:00:00".utf8)
            guard var (read, _) = day.withUnsafeBufferPointer({ quick($0) }) else { return nil }
            read.isDateOnly = true
            return (read, 0)
        }
        var at = 11
        while at < text.count, text[at] == 0x20 { text.remove(at: at) }
        // The offset, and what stands before it.
        let sign = text.indices.dropFirst(11).first { index in
            text[index] == 0x2B || text[index] == 0x2D || text[index] | 0x20 == 0x7A
        }
        at = sign ?? text.count
        var clock = Array(text[11..<at])
        while clock.last == 0x20 { clock.removeLast() }
        if clock.count == 5 { clock += Array(":00".utf8) }
        if let comma = clock.firstIndex(of: 0x2C) { clock[comma] = 0x2E }
        var offset = Array(text[at...])
        if offset.count == 3 { offset += Array(":00".utf8) }
        if offset.count == 5, offset[3] != 0x3A { offset.insert(0x3A, at: 3) }
        let whole = Array(text[..<11]) + clock + offset
        return whole.withUnsafeBufferPointer { quick($0) }
    }

    public static func append(_ instant: Instant, offsetMinutes: Int = 0, to out: inout [UInt8]) {
        var civil = CivilTime(instant, offsetMinutes: offsetMinutes)
        // Years have four digits here.
        if !(0...9_999).contains(civil.year) {
            civil = CivilTime(year: civil.year < 0 ? 0 : 9_999, month: 12, day: 31)
        }
        func two(_ value: Int) {
            out.append(UInt8(48 + value / 10 % 10))
            out.append(UInt8(48 + value % 10))
        }
        two(civil.year / 100)
        two(civil.year % 100)
        out.append(0x2D)
        two(civil.month)
        out.append(0x2D)
        two(civil.day)
        out.append(0x54)
        two(civil.hour)
        out.append(0x3A)
        two(civil.minute)
        out.append(0x3A)
        two(civil.second)
        if civil.microsecond != 0 {
            out.append(0x2E)
            var rest = civil.microsecond
            var scale = 100_000
            while rest > 0 {
                out.append(UInt8(48 + rest / scale))
                rest %= scale
                scale /= 10
            }
        }
        guard offsetMinutes != 0 else { return out.append(0x5A) }
        out.append(offsetMinutes < 0 ? 0x2D : 0x2B)
        two(abs(offsetMinutes) / 60)
        out.append(0x3A)
        two(abs(offsetMinutes) % 60)
    }

    public static func string(_ instant: Instant, offsetMinutes: Int = 0) -> String {
        var out: [UInt8] = []
        append(instant, offsetMinutes: offsetMinutes, to: &out)
        return String(decoding: out, as: UTF8.self)
    }
}
