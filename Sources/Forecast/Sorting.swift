extension Curve {
    /// Of 64 values in any order.
    init(sorting values: [Float]) {
        points = InlineArray(repeating: 0)
        var sorted = points
        values.withUnsafeBufferPointer { Curve.sort($0, &sorted) }
        points = sorted
    }

    /// Sorts 64 values into `out`, with each forecast: first by where they lie between the least and
    /// the greatest, which leaves little out of order, then by insertion.
    private static func sort(
        _ values: UnsafeBufferPointer<Float>, _ out: inout InlineArray<64, Float>
    ) {
        var least = values[0]
        var greatest = values[0]
        for value in values {
            least = value < least ? value : least
            greatest = value > greatest ? value : greatest
        }
        let width = greatest - least
        let scale = width > 0 && width.isFinite ? Float(count) * 0.9999 / width : 0
        var keys = InlineArray<64, UInt8>(repeating: 0)
        // Where the next value of each share goes.
        var places = InlineArray<65, UInt8>(repeating: 0)
        if scale > 0 {
            for j in 0..<count {
                let key = Int32((values[j] - least) * scale)
                keys[j] = UInt8(truncatingIfNeeded: min(key, 63))
                places[Int(keys[j]) + 1] &+= 1
            }
            for key in 1...count { places[key] &+= places[key - 1] }
        }
        for j in 0..<count {
            let place = places[Int(keys[j])]
            places[Int(keys[j])] = place &+ 1
            out[Int(place)] = values[j]
        }
        var span = out.mutableSpan
        Sorting.byInsertion(&span)
    }
}

enum Sorting {
    /// For a few values, or such as are nearly in order, the quickest.
    static func byInsertion(_ values: inout MutableSpan<Float>) {
        for index in values.indices.dropFirst() {
            let value = values[index]
            var at = index
            while at > 0, value < values[at - 1] {
                values[at] = values[at - 1]
                at -= 1
            }
            values[at] = value
        }
    }
}

extension Array {
    /// The first index whose element is not `before`; what is before comes first.
    @inline(__always)
    func firstIndex(notBefore isBefore: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Array where Element: Comparable {
    /// How many of ascending elements are smaller.
    func rank(_ element: Element) -> Int { firstIndex(notBefore: { $0 < element }) }

    /// Puts one element in the place of another: only what lies between the two moves.
    mutating func exchange(_ old: Element, for new: Element) {
        var at = rank(old)
        let end = rank(new)
        withUnsafeMutableBufferPointer { all in
            while at + 1 < end {
                all[at] = all[at + 1]
                at += 1
            }
            while at > end {
                all[at] = all[at - 1]
                at -= 1
            }
            all[at] = new
        }
    }
}
