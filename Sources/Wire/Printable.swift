/// Strangers' text as it may go to a terminal or into a log: nothing in it acts on what shows it.
public enum Printable {
    /// Characters that act instead of being seen: C0, DEL, C1; marks and overrides of direction;
    /// separators of lines; what tags and annotates; a byte order mark; and what is not seen at all, so
    /// that two names would look alike.
    @inlinable public static func acts(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        if value < 0x20 { return true }
        if value < 0x7F { return false }
        switch value {
        case 0x7F...0x9F, 0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E,
            0x200B,
            0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0x2800, 0x3164,
            0xFEFF, 0xFFA0, 0xFFF9...0xFFFB, 0x1BCA0...0x1BCA3, 0x1D173...0x1D17A,
            0xE0000...0xE007F:
            return true
        default: return false
        }
    }

    /// The first such character of an identifier, as people name it.
    public static func firstActing(_ text: String) -> String? {
        // Nearly all identifiers are ASCII without any.
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return nil }
        return text.unicodeScalars.first(where: acts).map(name)
    }

    /// `U+001B`
    public static func name(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The text with each of them spelled out, as `\u{1b}`.
    public static func text(_ text: String, keepingLineFeeds: Bool = false) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if acts(scalar), !(keepingLineFeeds && scalar == "\n") {
                out += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// A line of JSON for a terminal: the same value, each of them as JSON escapes it.
    public static func json(_ line: String) -> String {
        if line.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return line }
        var out = ""
        for scalar in line.unicodeScalars {
            guard acts(scalar) else {
                out.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return out
    }
}
