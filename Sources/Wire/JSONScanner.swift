import Tracking

/// Where a value stands in a line, and what it is.
public struct JSONSlot: Sendable {
    public enum Kind: UInt8, Sendable {
        case absent, string, number, `true`, `false`, null, object, array
    }

    public var kind: Kind = .absent
    /// A string holds backslashes.
    public var escaped = false
    /// Of the bytes between the quotes of a string, of all bytes of anything else.
    public var start: Int32 = 0
    public var end: Int32 = 0

    public init() {}

    var range: Range<Int> { Int(start)..<Int(end) }
}

/// A strict JSON reader (RFC 8259) over bytes that are known to be UTF-8. It allocates nothing:
/// values are found, not built. Every read is behind a comparison with `end`.
public struct JSONScanner {
    let bytes: UnsafeBufferPointer<UInt8>
    var at: Int
    let end: Int

    /// Deepest nesting that is read; deeper is refused.
    public static let maxDepth = 32

    public init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        at = 0
        end = bytes.count
    }

    public init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    static func flaw(_ detail: String) -> LineReject { LineReject(.json, detail: detail) }

    func unexpected(_ wanted: String) -> LineReject {
        guard at < end else { return JSONScanner.flaw("line ends where \(wanted) should be") }
        let byte = bytes[at]
        if byte == 0x7D || byte == 0x5D, let comma = commaBefore() {
            return JSONScanner.flaw("a comma too many at byte \(comma + 1)")
        }
        if byte == 0x27
            || byte == 0xE2 && at + 2 < end && bytes[at + 1] == 0x80
                && (0x98...0x9F).contains(bytes[at + 2])
            || byte == 0xC2 && at + 1 < end
                && (bytes[at + 1] == 0xAB || bytes[at + 1] == 0xBB)
        {
            return JSONScanner.flaw(
                "a quotation mark of another kind at byte \(at + 1): JSON knows only \"")
        }
        let shown =
            byte > 0x20 && byte < 0x7F
            ? "'\(Character(UnicodeScalar(byte)))'" : "byte \(byte)"
        return JSONScanner.flaw("\(shown) at byte \(at + 1) where \(wanted) should be")
    }

    /// Where a comma stands right before here; nil where something else does.
    private func commaBefore() -> Int? {
        var before = at - 1
        while before >= 0, bytes[before] == 0x20 || bytes[before] == 0x09 { before -= 1 }
        return before >= 0 && bytes[before] == 0x2C ? before : nil
    }

    mutating func skipSpace() {
        while at < end {
            let byte = bytes[at]
            guard byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A else { return }
            at += 1
        }
    }

    /// Whether a value may begin with this byte, or with a word that JSON has.
    static func beginsValue(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x7B, 0x5B, 0x22, 0x2D, 0x30...0x39, 0x74, 0x66, 0x6E: true
        default: false
        }
    }

    /// Nothing but space is left.
    public mutating func finish() throws(LineReject) {
        skipSpace()
        if at < end { throw unexpected("the end of the line") }
    }

    /// Reads the object that begins here; `member` is called with each key and value.
    public mutating func object(
        depth: Int = 1, _ member: (JSONSlot, JSONSlot) throws(LineReject) -> Void
    ) throws(LineReject) {
        skipSpace()
        guard at < end, bytes[at] == 0x7B else { throw unexpected("'{'") }
        at += 1
        skipSpace()
        if at < end, bytes[at] == 0x7D {
            at += 1
            return
        }
        while true {
            skipSpace()
            guard at < end, bytes[at] == 0x22 else { throw unexpected("a key in quotes") }
            let key = try string()
            skipSpace()
            guard at < end, bytes[at] == 0x3A else { throw unexpected("':'") }
            at += 1
            let value = try value(depth: depth)
            try member(key, value)
            skipSpace()
            guard at < end else { throw unexpected("',' or '}'") }
            let byte = bytes[at]
            at += 1
            if byte == 0x7D { return }
            if byte != 0x2C {
                at -= 1
                throw unexpected("',' or '}'")
            }
        }
    }

    /// Reads the array that begins here; `element` is called with each value.
    public mutating func array(
        depth: Int = 1, _ element: (JSONSlot) throws(LineReject) -> Void
    ) throws(LineReject) {
        skipSpace()
        guard at < end, bytes[at] == 0x5B else { throw unexpected("'['") }
        at += 1
        skipSpace()
        if at < end, bytes[at] == 0x5D {
            at += 1
            return
        }
        while true {
            try element(try value(depth: depth))
            skipSpace()
            guard at < end else { throw unexpected("',' or ']'") }
            let byte = bytes[at]
            at += 1
            if byte == 0x5D { return }
            if byte != 0x2C {
                at -= 1
                throw unexpected("',' or ']'")
            }
        }
    }

    /// Reads one value of any kind.
    public mutating func value(depth: Int = 0) throws(LineReject) -> JSONSlot {
        skipSpace()
        guard at < end else { throw unexpected("a value") }
        var slot = JSONSlot()
        let begin = at
        switch bytes[at] {
        case 0x22: return try string()
        case 0x7B, 0x5B: return try nested(depth: depth)
        case 0x2D, 0x30...0x39:
            try number()
            slot.kind = .number
        case 0x74:
            try literal("true")
            slot.kind = .true
        case 0x66:
            try literal("false")
            slot.kind = .false
        case 0x6E:
            try literal("null")
            slot.kind = .null
        default: throw unexpected("a value")
        }
        slot.start = Int32(begin)
        slot.end = Int32(at)
        return slot
    }

    mutating func nested(depth: Int) throws(LineReject) -> JSONSlot {
        var slot = JSONSlot()
        slot.start = Int32(at)
        guard depth < JSONScanner.maxDepth else {
            throw JSONScanner.flaw("nested deeper than \(JSONScanner.maxDepth) levels")
        }
        if bytes[at] == 0x7B {
            slot.kind = .object
            var keys = KeySet()
            let bytes = bytes
            try object(depth: depth + 1) { (key, _) throws(LineReject) in
                try keys.insert(key, in: bytes)
            }
        } else {
            slot.kind = .array
            try array(depth: depth + 1) { _ throws(LineReject) in }
        }
        slot.end = Int32(at)
        return slot
    }

    mutating func literal(_ text: StaticString) throws(LineReject) {
        for offset in 0..<text.utf8CodeUnitCount {
            guard at < end, bytes[at] == text.utf8Start[offset] else { throw unexpected("a value") }
            at += 1
        }
    }

    mutating func digits() -> Int {
        let begin = at
        while at < end, bytes[at] >= 0x30, bytes[at] <= 0x39 { at += 1 }
        return at - begin
    }

    mutating func number() throws(LineReject) {
        if bytes[at] == 0x2D { at += 1 }
        guard at < end else { throw unexpected("a digit") }
        if bytes[at] == 0x30 {
            at += 1
            if at < end, bytes[at] >= 0x30, bytes[at] <= 0x39 {
                throw JSONScanner.flaw("a number begins with 0 at byte \(at)")
            }
        } else if digits() == 0 {
            throw unexpected("a digit")
        }
        if at < end, bytes[at] == 0x2E {
            at += 1
            if digits() == 0 { throw unexpected("a digit") }
        }
        if at < end, bytes[at] | 0x20 == 0x65 {
            at += 1
            if at < end, bytes[at] == 0x2B || bytes[at] == 0x2D { at += 1 }
            if digits() == 0 { throw unexpected("a digit") }
        }
    }

    /// Reads the string that begins here; its escapes are checked, not decoded.
    mutating func string() throws(LineReject) -> JSONSlot {
        var slot = JSONSlot()
        slot.kind = .string
        at += 1
        slot.start = Int32(at)
        while at < end {
            let byte = bytes[at]
            if byte == 0x22 {
                slot.end = Int32(at)
                at += 1
                return slot
            }
            if byte == 0x5C {
                slot.escaped = true
                try escape()
            } else if byte < 0x20 {
                throw JSONScanner.flaw("control byte \(byte) in a string at byte \(at + 1)")
            } else {
                at += 1
            }
        }
        throw JSONScanner.flaw("a string does not end")
    }

    mutating func escape() throws(LineReject) {
        guard at + 1 < end else { throw JSONScanner.flaw("a string does not end") }
        switch bytes[at + 1] {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: at += 2
        case 0x75:
            guard let unit = JSONScanner.hex(bytes, at + 2, end) else {
                throw JSONScanner.flaw("\\u without four hex digits at byte \(at + 1)")
            }
            at += 6
            if unit >= 0xDC00, unit <= 0xDFFF {
                throw JSONScanner.flaw("half a surrogate pair at byte \(at - 5)")
            }
            if unit >= 0xD800, unit <= 0xDBFF {
                guard at + 1 < end, bytes[at] == 0x5C, bytes[at + 1] == 0x75,
                    let low = JSONScanner.hex(bytes, at + 2, end), low >= 0xDC00, low <= 0xDFFF
                else { throw JSONScanner.flaw("half a surrogate pair at byte \(at - 5)") }
                at += 6
            }
        default: throw JSONScanner.flaw("unknown escape at byte \(at + 1)")
        }
    }

    /// Four hex digits from `start`, nil where they are none.
    static func hex(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> UInt32? {
        guard start + 4 <= end else { return nil }
        var unit: UInt32 = 0
        for offset in 0..<4 {
            let byte = bytes[start + offset]
            switch byte {
            case 0x30...0x39: unit = unit << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: unit = unit << 4 | UInt32(byte - 0x37)
            case 0x61...0x66: unit = unit << 4 | UInt32(byte - 0x57)
            default: return nil
            }
        }
        return unit
    }
}

/// The text of a checked string, escapes decoded.
public enum JSONText {
    public static func decode(
        _ bytes: UnsafeBufferPointer<UInt8>, _ slot: JSONSlot
    ) -> String {
        let raw = UnsafeBufferPointer(rebasing: bytes[slot.range])
        if !slot.escaped { return String(decoding: raw, as: UTF8.self) }
        return String(decoding: unescaped(raw), as: UTF8.self)
    }

    public static func unescaped(_ raw: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(raw.count)
        var at = 0
        while at < raw.count {
            guard raw[at] == 0x5C, at + 1 < raw.count else {
                out.append(raw[at])
                at += 1
                continue
            }
            let kind = raw[at + 1]
            at += 2
            switch kind {
            case 0x62: out.append(0x08)
            case 0x66: out.append(0x0C)
            case 0x6E: out.append(0x0A)
            case 0x72: out.append(0x0D)
            case 0x74: out.append(0x09)
            case 0x75:
                var scalar = JSONScanner.hex(raw, at, raw.count) ?? 0xFFFD
                at += 4
                if scalar >= 0xD800, scalar <= 0xDBFF,
                    let low = JSONScanner.hex(raw, at + 2, raw.count)
                {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    at += 6
                }
                out.append(contentsOf: String(UnicodeScalar(scalar) ?? "\u{FFFD}").utf8)
            default: out.append(kind)
            }
        }
        return out
    }
}

/// Finds a key that stands twice in one object.
struct KeySet {
    var slots: [JSONSlot] = []
    var large: Set<String> = []

    init() {}

    mutating func insert(
        _ key: JSONSlot, in bytes: UnsafeBufferPointer<UInt8>
    ) throws(LineReject) {
        if slots.count < 16 {
            for known in slots where equal(known, key, bytes) { throw duplicate(key, bytes) }
            slots.append(key)
            return
        }
        if large.isEmpty { for known in slots { large.insert(JSONText.decode(bytes, known)) } }
        if !large.insert(JSONText.decode(bytes, key)).inserted { throw duplicate(key, bytes) }
    }

    private func equal(
        _ a: JSONSlot, _ b: JSONSlot, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        if a.escaped || b.escaped {
            return JSONText.decode(bytes, a).utf8.elementsEqual(JSONText.decode(bytes, b).utf8)
        }
        guard a.end - a.start == b.end - b.start else { return false }
        return bytes[a.range].elementsEqual(bytes[b.range])
    }

    private func duplicate(
        _ key: JSONSlot, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> LineReject {
        LineReject(
            .json, field: JSONText.decode(bytes, key), detail: "the key stands twice in one object")
    }
}
