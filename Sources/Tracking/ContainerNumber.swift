/// An ISO 6346 container number, or an EN 13044 swap-body number (fourth letter A, B, D, E or K),
/// packed into one integer: four letters of five bits, seven digits as a number.
public struct ContainerNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let packed: UInt64

    @inlinable public init(packed: UInt64) { self.packed = packed }

    @inlinable public static func < (a: ContainerNumber, b: ContainerNumber) -> Bool {
        a.packed < b.packed
    }

    /// Why bytes are not a container number.
    public enum Flaw: Error, Equatable {
        /// Not four letters and seven digits, or a category letter that no standard knows.
        case form
        /// The form is right, the check digit is not; `expected` would be.
        case checkDigit(expected: Int)
    }

    /// Reads a number from ASCII bytes; spaces, hyphens and lower case are forgiven.
    @inlinable
    public static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Result<ContainerNumber, Flaw> {
        var letters: UInt64 = 0
        var digits: UInt64 = 0
        var count = 0
        var sum = 0
        var category: UInt8 = 0
        var checkDigit = 0
        for byte in bytes {
            if byte == 0x20 || byte == 0x2D { continue }
            if count >= 11 { return .failure(.form) }
            if count < 4 {
                let upper = byte & 0xDF
                guard upper >= 0x41, upper <= 0x5A else { return .failure(.form) }
                letters = letters << 5 | UInt64(upper - 0x41)
                sum += ContainerNumber.letterValue(upper) << count
                category = upper
            } else {
                guard byte >= 0x30, byte <= 0x39 else { return .failure(.form) }
                let digit = Int(byte - 0x30)
                digits = digits * 10 + UInt64(digit)
                if count < 10 { sum += digit << count } else { checkDigit = digit }
            }
            count += 1
        }
        guard count == 11 else { return .failure(.form) }
        switch category {
        case 0x55, 0x4A, 0x5A: break  // U, J, Z: ISO 6346
        case 0x41, 0x42, 0x44, 0x45, 0x4B: break  // A, B, D, E, K: EN 13044
        default: return .failure(.form)
        }
        let expected = sum % 11 % 10
        guard expected == checkDigit else { return .failure(.checkDigit(expected: expected)) }
        return .success(ContainerNumber(packed: letters << 24 | digits))
    }

    public static func parse(_ text: String) -> Result<ContainerNumber, Flaw> {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    /// A number from its text, nil where the text is none.
    public init?(_ text: String) {
        guard case .success(let number) = ContainerNumber.parse(text) else { return nil }
        self = number
    }

    /// The number of `owner` (four letters) and `serial` (0…999999) with its check digit.
    public init?(owner: String, serial: Int) {
        guard serial >= 0, serial <= 999_999 else { return nil }
        let digits = String(serial)
        let stem = owner + String(repeating: "0", count: 6 - digits.count) + digits
        switch ContainerNumber.parse(stem + "0") {
        case .success(let number): self = number
        case .failure(.checkDigit(let expected)):
            guard let number = ContainerNumber(stem + String(expected)) else { return nil }
            self = number
        case .failure(.form): return nil
        }
    }

    /// ISO 6346 annex A: letters count 10 to 38, leaving out the multiples of 11.
    @inlinable static func letterValue(_ upper: UInt8) -> Int {
        let index = Int(upper) - 0x41
        return index + 10 + (index + 9) / 10
    }

    /// The eleven ASCII bytes, in order.
    @inlinable public func withASCII<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 11) { out in
            var letters = packed >> 24
            var index = 3
            while index >= 0 {
                out[index] = UInt8(truncatingIfNeeded: letters & 31) + 0x41
                letters >>= 5
                index -= 1
            }
            var digits = packed & 0xFF_FFFF
            index = 10
            while index >= 4 {
                out[index] = UInt8(truncatingIfNeeded: digits % 10) + 0x30
                digits /= 10
                index -= 1
            }
            return body(UnsafeBufferPointer(out))
        }
    }

    public var description: String {
        withASCII { String(decoding: $0, as: UTF8.self) }
    }

    /// The number with the check digit that its first ten characters ask for.
    public static func corrected(_ text: String) -> ContainerNumber? {
        guard case .failure(.checkDigit(let expected)) = parse(text) else { return nil }
        let kept = text.filter { $0 != " " && $0 != "-" }
        return ContainerNumber(String(kept.dropLast()) + String(expected))
    }

    /// The text without what separates its parts, whatever spaces and hyphens those are, and with
    /// full-width letters and digits as plain ones.
    public static func plain(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars where !Separators.contains(scalar) {
            if (0xFF01...0xFF5E).contains(scalar.value),
                let narrow = Unicode.Scalar(scalar.value - 0xFEE0)
            {
                out.unicodeScalars.append(narrow)
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// The number that was meant where letters of other alphabets, or letters and digits that look
    /// alike, stand in the place of the right ones; nil where that is none either.
    public static func meant(_ text: String) -> ContainerNumber? {
        let digits: [Character: Character] = [
            "O": "0", "Q": "0", "D": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "B": "8",
        ]
        let letters: [Character: Character] = [
            "0": "O", "1": "I", "2": "Z", "5": "S", "8": "B",
        ]
        let latin = Array(LookAlike.latin(plain(text)).uppercased())
        guard latin.count == 11 else { return nil }
        var out = ""
        for (index, character) in latin.enumerated() {
            out.append((index < 4 ? letters : digits)[character] ?? character)
        }
        return ContainerNumber(out)
    }
}
