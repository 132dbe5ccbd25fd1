import Tracking

/// RFC 3339 instants, read and written by hand.
public enum TimeText {
    /// An instant with the offset that the text gave; nil offset: it gave none, and the instant is
    /// the civil time read as UTC.
    public struct Read: Equatable, Sendable {
        public var instant: Instant
        public var offsetMinutes: Int16?
    }

    /// nil where the bytes are no RFC 3339 date and time. A missing offset is allowed; a leap
    /// second is read as the first second of the next minute.
    public static func parse(_ b: UnsafeBufferPointer<UInt8>) -> Read? {
        guard b.count >= 19 else { return nil }
        @inline(__always) func two(_ at: Int) -> Int {
            let high = Int(b[at]) - 48
            let low = Int(b[at + 1]) - 48
            if high < 0 || high > 9 || low < 0 || low > 9 { return -1000 }
            return high * 10 + low
        }
        let century = two(0)
        let year = century * 100 + two(2)
        let month = two(5)
        let day = two(8)
        let hour = two(11)
        let minute = two(14)
        let second = two(17)
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
                let hours = two(at + 1)
                let minutes = two(at + 4)
                guard hours >= 0, hours < 24, minutes >= 0, minutes < 60 else { return nil }
                let total = Int16(hours * 60 + minutes)
                offset = b[at] == 0x2D ? -total : total
            }
        }
        let days = Int64(CivilTime.days(year: year, month: month, day: day))
        let seconds =
            days * 86_400 + Int64(hour * 3_600 + minute * 60 + second)
            - Int64(offset ?? 0) * 60
        return Read(
            instant: Instant(microseconds: seconds * 1_000_000 + micros), offsetMinutes: offset)
    }

    public static func parse(_ text: String) -> Read? {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    /// Appends an instant as UTC ("…Z") or with an offset; fractions only where there are any.
    public static func append(_ instant: Instant, offsetMinutes: Int = 0, to out: inout [UInt8]) {
        let civil = CivilTime(instant, offsetMinutes: offsetMinutes)
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
