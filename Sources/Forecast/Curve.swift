/// A distribution of minutes as 64 values at the middles of 64 equal shares, ascending. Its points
/// lie inline: a curve is copied without counting references.
public struct Curve: Sendable {
    public static let count = 64

    /// `points[j]` is the quantile at (j + ½) / 64; minutes.
    public var points: InlineArray<64, Float>

    @inlinable public init(points: InlineArray<64, Float>) { self.points = points }

    /// Of 64 values.
    public init(values: [Float]) {
        points = InlineArray(repeating: 0)
        for j in 0..<Curve.count { points[j] = values[j] }
    }

    /// Of 64 values elsewhere.
    init(copying values: UnsafePointer<Float>) {
        points = InlineArray(repeating: 0)
        for j in 0..<Curve.count { points[j] = values[j] }
    }

    public var values: [Float] { (0..<Curve.count).map { points[$0] } }

    /// The quantile at `share` (0…1), linear between the points, flat beyond the outermost.
    public func quantile(_ share: Double) -> Double {
        let at = share * Double(Curve.count) - 0.5
        if at <= 0 { return Double(points[0]) }
        if at >= Double(Curve.count - 1) { return Double(points[Curve.count - 1]) }
        let low = Int(at)
        let part = at - Double(low)
        return Double(points[low]) * (1 - part) + Double(points[low + 1]) * part
    }

    /// What its deciles lose where `value` comes true (pinball), minutes.
    func loss(_ value: Float) -> Float {
        var sum = 0.0
        for decile in 1...9 {
            let share = Double(decile) / 10
            let gap = Double(value) - quantile(share)
            sum += max(share * gap, (share - 1) * gap)
        }
        return Float(sum / 9)
    }

    /// How far its points lie from its middle, on average; minutes.
    var meanDistance: Double {
        let middle = (points[31] + points[32]) / 2
        var sum: Float = 0
        for j in 0..<Curve.count { sum += abs(points[j] - middle) }
        return Double(sum) / Double(Curve.count)
    }

    /// The same of shares of `minutes`.
    func times(_ minutes: Float) -> Curve {
        var out = points
        for j in 0..<Curve.count { out[j] *= minutes }
        return Curve(points: out)
    }

    /// Standard normal quantiles at the 64 points.
    static let normalPoints: [Double] = (0..<count).map {
        PortableMath.normalQuantile((Double($0) + 0.5) / Double(count))
    }

    /// A log-normal with these quantiles, moved by `shift` minutes.
    /// `below`: so many times as wide below the middle as above it.
    public static func logNormal(
        p50: Double, p90: Double, shift: Double = 0, below: Double = 1
    ) -> Curve {
        let low = max(p50, 0.01)
        let sigma = PortableMath.ln(max(p90, low * 1.02) / low) / 1.2815515655446004
        let mu = PortableMath.ln(low)
        return Curve(
            values: normalPoints.map {
                Float(PortableMath.exp(mu + sigma * ($0 < 0 ? below : 1) * $0) + shift)
            })
    }

    /// The 64 points of a sample, sorted already; needs at least one value.
    public static func ofSorted(_ sample: [Float]) -> Curve {
        let n = sample.count
        var points = InlineArray<64, Float>(repeating: 0)
        for j in 0..<count {
            let at = (Double(j) + 0.5) / Double(count) * Double(n) - 0.5
            if at <= 0 {
                points[j] = sample[0]
            } else if at >= Double(n - 1) {
                points[j] = sample[n - 1]
            } else {
                let low = Int(at)
                let part = Float(at - Double(low))
                points[j] = sample[low] * (1 - part) + sample[low + 1] * part
            }
        }
        return Curve(points: points)
    }

    /// The mixture of curves with weights that add up to about one.
    public static func mixture(_ parts: [(curve: Curve, weight: Double)]) -> Curve {
        var mixer = Mixer()
        for part in parts { mixer.add(part.curve, part.weight) }
        return mixer.mixed()
    }

    /// What is left to expect, as values from the same origin, given that `elapsed` minutes have
    /// passed without the end and that things go at `pace` now: the points beyond `elapsed`
    /// stretched over the whole range, and beyond everything known an exponential tail as wide as
    /// the upper part of the curve.
    public func conditioned(elapsed: Double, pace: Pace = .usual) -> Curve {
        if elapsed <= Double(points[0]), pace == .usual { return self }
        var out = self
        var kept = points
        out.withPoints { out in
            withUnsafePointer(to: &kept) { kept in
                kept.withMemoryRebound(to: Float.self, capacity: Curve.count) {
                    Curve.condition($0, elapsed: elapsed, pace: pace, into: out)
                }
            }
        }
        return out
    }

    private mutating func withPoints(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        withUnsafeMutablePointer(to: &points) {
            $0.withMemoryRebound(to: Float.self, capacity: Curve.count, body)
        }
    }

    /// The same of points in memory, as it is made for every event: not where they are to stay as they
    /// are. `out`: other memory.
    static func condition(
        _ points: UnsafePointer<Float>, elapsed: Double, pace: Pace,
        into out: UnsafeMutablePointer<Float>
    ) {
        // The share still open: of the whole at the start, less with every point passed.
        var open = 1.0
        if elapsed > Double(points[0]) {
            var passed = 0
            while passed < Curve.count, Double(points[passed]) <= elapsed { passed += 1 }
            if passed == Curve.count {
                let spread = spread(points)
                let shares = pace.logarithms
                for j in 0..<Curve.count { out[j] = Float(elapsed - spread * shares[j]) }
                return
            }
            let below = Double(points[passed - 1])
            let above = Double(points[passed])
            let part = above > below ? (elapsed - below) / (above - below) : 1
            open = 1 - (Double(passed) - 0.5 + part) / Double(Curve.count)
        }
        let floor = elapsed > 0 ? Float(elapsed) : -Float.infinity
        pace.shares.withUnsafeBufferPointer { shares in
            for j in 0..<Curve.count {
                let at = (1 - open * shares[j]) * Double(Curve.count) - 0.5
                let value: Float
                if at <= 0 {
                    value = points[0]
                } else if at >= Double(Curve.count - 1) {
                    value = tail(points, open * shares[j])
                } else {
                    let low = Int(at)
                    let part = Float(at - Double(low))
                    value = points[low] * (1 - part) + points[low + 1] * part
                }
                out[j] = value < floor ? floor : value
            }
        }
    }

    /// Minutes in which what outlasts the curve shrinks to 1/e.
    static func spread(_ points: UnsafePointer<Float>) -> Double {
        max(Double(points[57]) - Double(points[32]), 0.1 * abs(Double(points[32])), 1)
    }

    /// The value that only `share` of the curve outlasts, less than the last point's own.
    private static func tail(_ points: UnsafePointer<Float>, _ share: Double) -> Float {
        let last = 0.5 / Double(Curve.count)
        if share >= last { return points[Curve.count - 1] }
        return points[Curve.count - 1]
            + Float(spread(points) * PortableMath.ln(last / max(share, 1e-9)))
    }
}

/// Mixes curves: a merge of their points, each with its part's weight, cut into 64 equal shares. Used
/// again and again, so that it takes no memory of its own each time.
struct Mixer: Sendable {
    private static let most = 12
    private var points = [Float](repeating: 0, count: most * Curve.count)
    private var weights: [Double] = []

    var isEmpty: Bool { weights.isEmpty }

    mutating func clear() { weights.removeAll(keepingCapacity: true) }

    mutating func add(_ curve: borrowing Curve, _ weight: Double) {
        guard weights.count < Mixer.most else { return }
        let start = weights.count * Curve.count
        for j in 0..<Curve.count { points[start + j] = curve.points[j] }
        weights.append(weight)
    }

    func mixed() -> Curve {
        var out = InlineArray<64, Float>(repeating: 0)
        let parts = weights.count
        if parts == 1 {
            for j in 0..<Curve.count { out[j] = points[j] }
            return Curve(points: out)
        }
        let step = weights.reduce(0, +) / Double(Curve.count)
        points.withUnsafeBufferPointer { points in
            // The next value of each part, where it is, and what each of its points counts.
            var heads = InlineArray<12, Float>(repeating: .infinity)
            var places = InlineArray<12, Int>(repeating: 0)
            var shares = InlineArray<12, Double>(repeating: 0)
            for part in 0..<parts {
                places[part] = part * Curve.count
                heads[part] = points[part * Curve.count]
                shares[part] = weights[part] / Double(Curve.count)
            }
            var passed = 0.0
            var target = 0.5 * step
            var filled = 0
            var value: Float = 0
            while filled < Curve.count {
                var least = 0
                for part in 1..<parts where heads[part] < heads[least] { least = part }
                // All taken: what is left of the rounding goes to the last value.
                if heads[least] == .infinity {
                    out[filled] = value
                    filled += 1
                    continue
                }
                value = heads[least]
                passed += shares[least]
                let next = places[least] + 1
                places[least] = next
                heads[least] = next < (least + 1) * Curve.count ? points[next] : .infinity
                while filled < Curve.count, passed >= target {
                    out[filled] = value
                    filled += 1
                    target += step
                }
            }
        }
        return Curve(points: out)
    }
}

extension Curve: Equatable {
    public static func == (a: Curve, b: Curve) -> Bool {
        for j in 0..<count where a.points[j] != b.points[j] { return false }
        return true
    }
}

/// How fast things end compared with the usual: a factor on the rate at which what is open ends
/// (a proportional hazard), in steps of a tenth of its logarithm, so that its powers are tables.
public struct Pace: Equatable, Sendable {
    let step: Int

    public static let usual = Pace(step: 0)
    /// From a sixth of the usual rate to three times it.
    static let lowest = -18
    static let highest = 11

    init(step: Int) { self.step = min(max(step, Pace.lowest), Pace.highest) }

    public init(factor: Double) {
        self.init(step: Int((PortableMath.ln(max(factor, 1e-3)) * 10).rounded()))
    }

    public var factor: Double { PortableMath.exp(Double(step) / 10) }

    /// (1 - u)^(1 / factor) at the 64 points, and its logarithm.
    var shares: [Double] { Pace.tables[step - Pace.lowest].shares }
    var logarithms: [Double] { Pace.tables[step - Pace.lowest].logarithms }

    private static let tables: [(shares: [Double], logarithms: [Double])] = (lowest...highest).map {
        step in
        let factor = PortableMath.exp(Double(step) / 10)
        let logarithms = (0..<Curve.count).map { j in
            PortableMath.ln(1 - (Double(j) + 0.5) / Double(Curve.count)) / factor
        }
        return (
            step == 0
                ? (0..<Curve.count).map { 1 - (Double($0) + 0.5) / Double(Curve.count) }
                : logarithms.map { PortableMath.exp($0) },
            logarithms
        )
    }
}
