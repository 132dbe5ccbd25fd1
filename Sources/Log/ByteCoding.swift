/// Why stored bytes could not be read back.
public struct CodingFlaw: Error, Sendable, Equatable {
    public var detail: String

    public init(_ detail: String) { self.detail = detail }
}

/// Appends values to bytes: integers as LEB128, signed ones zigzagged, texts with their length.
public struct ByteEncoder: Sendable {
    public var bytes: [UInt8] = []

    public init() {}

    public mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    public mutating func count(_ value: Int) { unsigned(UInt64(value)) }

    public mutating func signed(_ value: Int64) { unsigned(ByteEncoder.zigzag(value)) }

    /// Small where the number is, whatever its sign.
    @inlinable static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: value << 1 ^ value >> 63)
    }

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    public mutating func fixed(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func float(_ value: Float) {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func blob(_ value: [UInt8]) {
        count(value.count)
        bytes.append(contentsOf: value)
    }

    public mutating func text(_ value: String) {
        var value = value
        value.withUTF8 {
            count($0.count)
            bytes.append(contentsOf: $0)
        }
    }
}

/// Reads what `ByteEncoder` wrote.
public struct ByteDecoder: Sendable {
    private let bytes: [UInt8]
    private var at: Int
    private let end: Int

    public init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

    /// Reads a part of the bytes.
    public init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    public var isAtEnd: Bool { at == end }

    /// Bytes that are left.
    public var left: Int { end - at }

    /// The blob that comes next, to be read by itself.
    public mutating func part() throws(CodingFlaw) -> ByteDecoder {
        ByteDecoder(bytes, try blobRange())
    }

    /// One that counts something, or is an index.
    public mutating func number() throws(CodingFlaw) -> Int {
        guard let number = Int(exactly: try unsigned()) else {
            throw CodingFlaw("a number that is too large")
        }
        return number
    }

    public mutating func unsigned() throws(CodingFlaw) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 64 else { throw CodingFlaw("an integer of more than 64 bits") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    /// A count of things that each take a byte at least.
    public mutating func count() throws(CodingFlaw) -> Int {
        let value = try unsigned()
        guard value <= UInt64(end - at) else { throw CodingFlaw("a count beyond the end") }
        return Int(value)
    }

    public mutating func signed() throws(CodingFlaw) -> Int64 {
        let value = try unsigned()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    public mutating func byte() throws(CodingFlaw) -> UInt8 {
        guard at < end else { throw CodingFlaw("the bytes end early") }
        at += 1
        return bytes[at - 1]
    }

    public mutating func fixed() throws(CodingFlaw) -> UInt64 {
        var value: UInt64 = 0
        for shift in 0..<8 { value |= UInt64(try byte()) << UInt64(shift * 8) }
        return value
    }

    public mutating func float() throws(CodingFlaw) -> Float {
        var value: UInt32 = 0
        for shift in 0..<4 { value |= UInt32(try byte()) << UInt32(shift * 8) }
        return Float(bitPattern: value)
    }

    /// The range of a blob in the decoder's bytes.
    public mutating func blobRange() throws(CodingFlaw) -> Range<Int> {
        let length = try count()
        defer { at += length }
        return at..<(at + length)
    }

    public mutating func blob() throws(CodingFlaw) -> [UInt8] { Array(bytes[try blobRange()]) }

    public mutating func text() throws(CodingFlaw) -> String {
        String(decoding: bytes[try blobRange()], as: UTF8.self)
    }
}
