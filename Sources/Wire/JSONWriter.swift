import Tracking

/// Appends JSON to bytes. The caller keeps the order; nothing is built in between.
public struct JSONWriter: Sendable {
    public var bytes: [UInt8]
    private var needsComma = false

    public init(reserving capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    public mutating func raw(_ text: StaticString) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    public mutating func begin() {
        bytes.append(0x7B)
        needsComma = false
    }

    /// Ends the object.
    public mutating func end() {
        bytes.append(0x7D)
        needsComma = true
    }

    public mutating func endLine() {
        end()
        bytes.append(0x0A)
        needsComma = false
    }

    public mutating func key(_ name: StaticString) {
        if needsComma { bytes.append(0x2C) }
        needsComma = true
        bytes.append(0x22)
        raw(name)
        bytes.append(0x22)
        bytes.append(0x3A)
    }

    public mutating func field(_ name: StaticString, _ value: Int) {
        key(name)
        number(value)
    }

    public mutating func field(_ name: StaticString, _ value: Int?) {
        if let value { field(name, value) }
    }

    public mutating func field(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
    }

    public mutating func field(_ name: StaticString, _ value: String?) {
        if let value { field(name, value) }
    }

    public mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        if value { raw("true") } else { raw("false") }
    }

    /// An instant as UTC.
    public mutating func field(_ name: StaticString, _ value: Instant) {
        key(name)
        bytes.append(0x22)
        TimeText.append(value, to: &bytes)
        bytes.append(0x22)
    }

    public mutating func field(_ name: StaticString, _ value: Instant?) {
        if let value { field(name, value) }
    }

    public mutating func field(_ name: StaticString, _ value: ContainerNumber) {
        key(name)
        bytes.append(0x22)
        value.withASCII { bytes.append(contentsOf: $0) }
        bytes.append(0x22)
    }

    /// A share of 1 with at most four decimals.
    public mutating func share(_ name: StaticString, _ value: Double?) {
        guard let value else { return }
        key(name)
        let scaled = Int((min(max(value, 0), 1) * 10_000).rounded())
        number(scaled / 10_000)
        var rest = scaled % 10_000
        guard rest > 0 else { return }
        bytes.append(0x2E)
        var scale = 1_000
        while rest > 0 {
            bytes.append(UInt8(48 + rest / scale))
            rest %= scale
            scale /= 10
        }
    }

    public mutating func list(_ name: StaticString, _ values: [String]) {
        key(name)
        bytes.append(0x5B)
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            string(value)
        }
        bytes.append(0x5D)
    }

    /// A list of objects.
    public mutating func object(_ name: StaticString, _ fill: (inout JSONWriter) -> Void) {
        key(name)
        begin()
        fill(&self)
        end()
    }

    public mutating func objects<T>(
        _ name: StaticString, _ values: [T], _ each: (T, inout JSONWriter) -> Void
    ) {
        key(name)
        bytes.append(0x5B)
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            begin()
            each(value, &self)
            end()
        }
        bytes.append(0x5D)
        needsComma = true
    }

    public mutating func number(_ value: Int) {
        if value < 0 { bytes.append(0x2D) }
        var rest = value.magnitude
        if rest < 10 { return bytes.append(UInt8(48 + rest)) }
        let start = bytes.count
        while rest > 0 {
            bytes.append(UInt8(48 + rest % 10))
            rest /= 10
        }
        bytes[start...].reverse()
    }

    public mutating func string(_ value: String) {
        bytes.append(0x22)
        var value = value
        value.withUTF8 { utf8 in
            var plain = true
            for byte in utf8 where byte < 0x20 || byte == 0x22 || byte == 0x5C { plain = false }
            if plain { return bytes.append(contentsOf: utf8) }
            for byte in utf8 { escape(byte) }
        }
        bytes.append(0x22)
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22: raw("\\\"")
        case 0x5C: raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        case 0..<0x20:
            raw("\\u00")
            HexDigits.append(byte, to: &bytes)
        default: bytes.append(byte)
        }
    }
}
