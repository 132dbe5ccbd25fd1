/// Counts of observations under fixed bounds, as Prometheus has them.
struct Histogram: Sendable {
    /// Upper bounds of the buckets, inclusive and ascending; one more bucket has no bound.
    let bounds: [Double]
    private(set) var counts: [Int]
    private(set) var sum = 0.0

    init(bounds: [Double]) {
        self.bounds = bounds
        counts = [Int](repeating: 0, count: bounds.count + 1)
    }

    mutating func observe(_ value: Double, times: Int = 1) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts[bucket] &+= times
        sum += value * Double(times)
    }

    /// From a tenth of a millisecond, an fsync of a fast disk, to half a minute, when senders give up.
    static let seconds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
    static let lines: [Double] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 50_000]
}
