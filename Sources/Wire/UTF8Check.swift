/// Says whether bytes are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no
/// surrogates, nothing beyond U+10FFFF.
public enum UTF8Check {
    /// Offset of the first byte that is wrong; nil where all is well.
    public static func firstFlaw(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let raw = UnsafeRawBufferPointer(bytes)
        var at = 0
        while at + 8 <= raw.count {
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if word & 0x8080_8080_8080_8080 != 0 { return slow(bytes, from: at) }
            at += 8
        }
        return slow(bytes, from: at)
    }

    static func slow(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var at = start
        let end = bytes.count
        func isTail(_ index: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
            index < end && bytes[index] >= low && bytes[index] <= high
        }
        while at < end {
            let lead = bytes[at]
            switch lead {
            case 0x00...0x7F: at += 1
            case 0xC2...0xDF:
                guard isTail(at + 1) else { return at }
                at += 2
            case 0xE0...0xEF:
                let low: UInt8 = lead == 0xE0 ? 0xA0 : 0x80
                let high: UInt8 = lead == 0xED ? 0x9F : 0xBF
                guard isTail(at + 1, low, high), isTail(at + 2) else { return at }
                at += 3
            case 0xF0...0xF4:
                let low: UInt8 = lead == 0xF0 ? 0x90 : 0x80
                let high: UInt8 = lead == 0xF4 ? 0x8F : 0xBF
                guard isTail(at + 1, low, high), isTail(at + 2), isTail(at + 3) else { return at }
                at += 4
            default: return at
            }
        }
        return nil
    }
}
