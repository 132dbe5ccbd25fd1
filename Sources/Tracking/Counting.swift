extension FixedWidthInteger {
    /// Counts one more; at its end a counter stays there. For counters that input drives and that
    /// are kept: one that trapped would trap again at each start.
    @inlinable public mutating func countOn() {
        if self < .max { self += 1 }
    }
}
