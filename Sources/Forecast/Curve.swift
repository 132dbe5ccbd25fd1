/// A distribution of minutes as 64 values at the middles of 64 equal shares, ascending.
public struct Curve: Sendable, Equatable {
    public static let count = 64

    /// `values[j]` is the quantile at (j + ½) / 64; minutes.
    public var values: [Float]

    @inlinable public init(values: [Float]) { self.values = values }

    /// The quantile at `share` (0…1), linear between the points, flat beyond the outermost.
    @inlinable public func quantile(_ share: Double) -> Double {
        let at = share * Double(Curve.count) - 0.5
        if at <= 0 { return Double(values[0]) }
        if at >= Double(Curve.count - 1) { return Double(values[Curve.count - 1]) }
        let low = Int(at)
        let part = at - Double(low)
        return Double(values[low]) * (1 - part) + Double(values[low + 1]) * part
    }

    /// Standard normal quantiles at the 64 points.
    static let normalPoints: [Double] = (0..<count).map {
        Elementary.normalQuantile((Double($0) + 0.5) / Double(count))
    }

    /// A log-normal with these quantiles, moved by `shift` minutes.
    public static func logNormal(p50: Double, p90: Double, shift: Double = 0) -> Curve {
        let low = max(p50, 0.01)
        let sigma = Elementary.ln(max(p90, low * 1.02) / low) / 1.2815515655446004
        let mu = Elementary.ln(low)
        return Curve(
            values: normalPoints.map { Float(Elementary.exp(mu + sigma * $0) + shift) })
    }

    /// The 64 points of a sample, sorted already; needs at least one value.
    public static func ofSorted(_ sample: [Float]) -> Curve {
        let n = sample.count
        return Curve(
            values: (0..<count).map { j in
                let at = (Double(j) + 0.5) / Double(count) * Double(n) - 0.5
                if at <= 0 { return sample[0] }
                if at >= Double(n - 1) { return sample[n - 1] }
                let low = Int(at)
                let part = Float(at - Double(low))
                return sample[low] * (1 - part) + sample[low + 1] * part
            })
    }

    /// The mixture of curves with weights that add up to about one.
    public static func mixture(_ parts: [(curve: Curve, weight: Double)]) -> Curve {
        if parts.count == 1 { return parts[0].curve }
        var at = [Int](repeating: 0, count: parts.count)
        let total = parts.reduce(0) { $0 + $1.weight }
        var out: [Float] = []
        out.reserveCapacity(count)
        var passed = 0.0
        var target = 0.5 / Double(count) * total
        while out.count < count {
            var least = -1
            for part in parts.indices where at[part] < count {
                if least < 0
                    || parts[part].curve.values[at[part]] < parts[least].curve.values[at[least]]
                {
                    least = part
                }
            }
            guard least >= 0 else {
                out.append(out.last ?? 0)
                continue
            }
            let value = parts[least].curve.values[at[least]]
            passed += parts[least].weight / Double(count)
            at[least] += 1
            while out.count < count, passed >= target {
                out.append(value)
                target += total / Double(count)
            }
        }
        return Curve(values: out)
    }

    /// What is left to expect, as values from the same origin, given that `elapsed` minutes have
    /// passed without the end: the points beyond it stretched over the whole range, and beyond
    /// everything known an exponential tail as wide as the upper part of the curve.
    public func conditioned(elapsed: Double) -> Curve {
        let values = values
        guard elapsed > Double(values[0]) else { return self }
        let spread = max(
            Double(values[57]) - Double(values[32]), 0.1 * abs(Double(values[32])), 1)
        if elapsed >= Double(values[Curve.count - 2]) {
            return Curve(
                values: (0..<Curve.count).map { j in
                    let share = (Double(j) + 0.5) / Double(Curve.count)
                    return Float(elapsed - spread * Elementary.ln(1 - share))
                })
        }
        var passed = 0
        while Double(values[passed]) <= elapsed { passed += 1 }
        let below = Double(values[passed - 1])
        let above = Double(values[passed])
        let part = above > below ? (elapsed - below) / (above - below) : 1
        let start = (Double(passed) - 0.5 + part) / Double(Curve.count)
        return Curve(
            values: (0..<Curve.count).map { j in
                let share = start + (1 - start) * (Double(j) + 0.5) / Double(Curve.count)
                return Float(max(quantile(share), elapsed))
            })
    }
}
