/// The 128-bit identity of an event within its container: of its `id`, or of its content where the
/// sender gave none. Two lines with one identity are one event.
public struct Identity: Hashable, Comparable, Sendable {
    public var high: UInt64
    public var low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    @inlinable public static func < (a: Identity, b: Identity) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }
}

/// A streaming 128-bit mixing hash, the same on every machine and in every run (Swift's own Hasher
/// is seeded per process). Two lanes of multiply-fold; not meant to withstand an attacker, who
/// could only collide with events of the same container that he reports himself.
public struct StableHasher: Sendable {
    @usableFromInline var a: UInt64 = 0x9E37_79B9_7F4A_7C15
    @usableFromInline var b: UInt64 = 0xD1B5_4A32_D192_ED03

    @inlinable public init() {}

    @inlinable static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: y)
        return product.high ^ product.low
    }

    @inlinable public mutating func combine(_ value: UInt64) {
        a = StableHasher.fold(a ^ value, 0xA076_1D64_78BD_642F)
        b = StableHasher.fold(b &+ value, 0xE703_7ED1_A0B4_28DB) ^ a.byteSwapped
    }

    /// Adds bytes and their count, so that ("ab","c") and ("a","bc") differ.
    @inlinable public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index + 8 <= bytes.count {
            combine(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
            index += 8
        }
        var tail: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count {
            tail |= UInt64(bytes[index]) << shift
            shift += 8
            index += 1
        }
        combine(tail ^ UInt64(bytes.count) << 56)
    }

    @inlinable public mutating func combine(_ text: String) {
        var text = text
        text.withUTF8 { combine(UnsafeRawBufferPointer($0)) }
    }

    @inlinable public mutating func combine(_ text: String?) {
        guard let text else { return combine(0x6E6F_6E65_6E6F_6E65) }
        combine(text)
    }

    @inlinable public func identity() -> Identity {
        var last = self
        last.combine(0x5851_F42D_4C95_7F2D)
        return Identity(high: last.a, low: last.b)
    }
}
