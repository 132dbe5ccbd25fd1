/// Says whether bytes are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no
/// surrogates, nothing beyond U+10FFFF.
public enum UTF8Check {
    /// Offset of the first byte that is wrong; nil where all is well.
    public static func firstFlaw(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let raw = UnsafeRawBufferPointer(bytes)
        var at = 0
        while at + 8 <= raw.count {
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if word & 0x8080_8080_8080_8080 != 0 { return validated(bytes, from: at) }
            at += 8
        }
        while at < raw.count, raw[at] < 0x80 { at += 1 }
        if at == raw.count { return nil }
        return validated(bytes, from: at)
    }

    private static func validated(
        _ bytes: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        let rest = Span<UInt8>(_unsafeElements: UnsafeBufferPointer(rebasing: bytes[start...]))
        do {
            _ = try UTF8Span(validating: rest)
            return nil
        } catch { return start + error.byteOffsets.lowerBound }
    }
}
