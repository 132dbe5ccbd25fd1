import Tracking

/// Finds members of a JSON object as bytes, for whoever changes a line without rewriting it.
public enum JSONMember {
    /// The line with another text in its first top-level member named `name`; nil where there is none
    /// that is a string, or the bytes are no object.
    public static func replacing(_ name: String, by text: String, in line: [UInt8]) -> [UInt8]? {
        let wanted = Array(name.utf8)
        var value: Range<Int>?
        line.withUnsafeBufferPointer { bytes in
            var scanner = JSONScanner(bytes)
            try? scanner.object { (key, slot) throws(LineReject) in
                guard value == nil, slot.kind == .string,
                    bytes[key.range].elementsEqual(wanted)
                else { return }
                value = slot.range
            }
        }
        return value.map {
            Array(line[..<$0.lowerBound]) + Array(text.utf8) + line[$0.upperBound...]
        }
    }

    /// The bytes of the first top-level member named `name` with one comma beside it; nil where
    /// there is none, or the bytes are no object.
    public static func range(of name: String, in line: [UInt8]) -> Range<Int>? {
        let wanted = Array(name.utf8)
        var found: Range<Int>?
        line.withUnsafeBufferPointer { bytes in
            var scanner = JSONScanner(bytes)
            try? scanner.object { (key, value) throws(LineReject) in
                guard found == nil, bytes[key.range].elementsEqual(wanted) else { return }
                let end = Int(value.end) + (value.kind == .string ? 1 : 0)
                found = Int(key.start) - 1..<end
            }
        }
        guard let member = found else { return nil }
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        var after = member.upperBound
        while after < line.count, isSpace(line[after]) { after += 1 }
        if after < line.count, line[after] == 0x2C { return member.lowerBound..<after + 1 }
        var before = member.lowerBound
        while before > 0, isSpace(line[before - 1]) { before -= 1 }
        if before > 0, line[before - 1] == 0x2C { return before - 1..<member.upperBound }
        return member
    }
}
