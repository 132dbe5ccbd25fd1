import Tracking

/// What tells one set of seals from another, or one vehicle: not their order, nor how they are spelled.
enum SealHash {
    /// 0 where there are none.
    static func of(_ names: [String]) -> UInt32 {
        var sum: UInt32 = 0
        for name in names {
            let plain = name.uppercased().filter { $0.isLetter || $0.isNumber }
            if plain.isEmpty { continue }
            var hash = StableHasher()
            hash.combine(plain)
            sum &+= UInt32(truncatingIfNeeded: hash.identity().low) | 1
        }
        return names.isEmpty ? 0 : max(sum, 1)
    }
}
