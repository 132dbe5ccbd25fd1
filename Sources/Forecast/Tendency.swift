import Tracking

/// What a step's beginning tells of how it goes: whether what is late catches up, and what is early
/// loses what it gained. Beginnings are classed by how far they are from the plan, in widths of what the
/// step itself spreads over; of each class the mean normal score of what followed is kept. It counts only
/// where it has made the forecasts of such steps better.
public struct Tendency: Sendable, Equatable {
    /// Where classes end: shares of p10–p90.
    private static let bounds: [Float] = [-1 / 3, 1 / 3, 1, 2, 4]
    public static let classes = bounds.count + 1
    /// Observations of a class at which it counts half.
    private static let halfKnown: Float = 20
    /// How much a new observation counts at least.
    private static let rate: Float = 0.004

    /// By class: mean normal score, and observations.
    public internal(set) var scores = SIMD8<Float>.zero
    public internal(set) var counts = SIMD8<Float>.zero
    public internal(set) var worth = Worth()

    public init() {}

    public init(scores: SIMD8<Float>, counts: SIMD8<Float>, worth: Worth) {
        self.scores = scores
        self.counts = counts
        self.worth = worth
    }

    /// The width by which deviations are classed.
    static func width(_ curve: UnsafePointer<Float>) -> Float { max(curve[57] - curve[6], 1) }

    /// `deviation`: minutes by which the step began later than planned.
    @inline(__always)
    static func number(_ deviation: Float, _ width: Float) -> Int {
        var found = 0
        for bound in bounds where deviation > bound * width { found += 1 }
        return found
    }

    /// A curve as it is after each of 64 beginnings, so many minutes later than planned. `order`: which of
    /// its points each gets; nil: its own.
    func bend(
        _ curve: UnsafePointer<Float>, _ order: [UInt8]?, late: (Int) -> Float,
        into out: UnsafeMutablePointer<Float>
    ) {
        let width = Tendency.width(curve)
        var rows = SIMD8<Int32>.zero
        for number in 0..<Tendency.classes {
            rows[number] = Int32(NormalShift.table(shift(number)) * Curve.count)
        }
        NormalShift.withTables { tables in
            for j in 0..<Curve.count {
                let row = Int(rows[Tendency.number(late(j), width)])
                let place = tables[row + (order.map { Int($0[j]) } ?? j)]
                out[j] = NormalShift.value(curve, at: place)
            }
        }
    }

    /// By how much the normal scores of a class move.
    func shift(_ number: Int) -> Float {
        scores[number] * counts[number] / (counts[number] + Tendency.halfKnown)
    }

    /// A step that began so many minutes late and of which `curve` was expected has taken `value`.
    mutating func learn(_ value: Float, after deviation: Float, _ curve: borrowing Curve) {
        let width = max(curve.points[57] - curve.points[6], 1)
        let number = Tendency.number(deviation, width)
        let table = NormalShift.table(shift(number))
        var moved = Curve(points: InlineArray(repeating: 0))
        for j in 0..<Curve.count { moved.points[j] = NormalShift.value(curve, table, j) }
        worth.learn(without: curve.loss(value), with: moved.loss(value), width: width)
        let gain = max(1 / (counts[number] + 1), Tendency.rate)
        scores[number] += (NormalShift.score(value, curve) - scores[number]) * gain
        counts[number] += 1
    }
}

/// Curves whose points are moved by normal scores: in tables, as it is done for each point.
enum NormalShift {
    /// Steps of a twentieth, up to two each way.
    private static let steps: Float = 20
    private static let most = 40

    /// For each point of a curve where it comes to lie, counted in points; one row for each step.
    private static let tables: [Float] = (-most...most).flatMap { step in
        Curve.normalPoints.map { score in
            let share = normalShare(score + Double(step) / Double(steps))
            return Float(min(max(share * Double(Curve.count) - 0.5, 0), Double(Curve.count - 1)))
        }
    }

    static func table(_ shift: Float) -> Int {
        let step = (shift * steps).rounded()
        return Int(min(max(step, Float(-most)), Float(most))) + most
    }

    static func withTables<R>(_ body: (UnsafePointer<Float>) -> R) -> R {
        // As many as were made.
        tables.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }

    /// The value of a curve at a place between its points.
    @inline(__always)
    static func value(_ curve: UnsafePointer<Float>, at place: Float) -> Float {
        let low = min(Int(place), Curve.count - 2)
        let part = place - Float(low)
        return curve[low] * (1 - part) + curve[low + 1] * part
    }

    /// The point of a moved curve.
    static func value(_ curve: borrowing Curve, _ table: Int, _ j: Int) -> Float {
        let place = tables[table * Curve.count + j]
        let low = min(Int(place), Curve.count - 2)
        let part = place - Float(low)
        return curve.points[low] * (1 - part) + curve.points[low + 1] * part
    }

    /// The normal score of a value in a curve.
    static func score(_ value: Float, _ curve: borrowing Curve) -> Float {
        var low = 0
        while low < Curve.count, curve.points[low] < value { low += 1 }
        if low == 0 { return Float(Curve.normalPoints[0]) }
        if low == Curve.count { return Float(Curve.normalPoints[Curve.count - 1]) }
        let (below, above) = (curve.points[low - 1], curve.points[low])
        let part = above > below ? Double((value - below) / (above - below)) : 0.5
        return Float(
            Curve.normalPoints[low - 1] * (1 - part) + Curve.normalPoints[low] * part)
    }

    /// The share of a standard normal below `x`: Abramowitz and Stegun 26.2.17, error under 7.5e-8.
    private static func normalShare(_ x: Double) -> Double {
        let t = 1 / (1 + 0.2316419 * abs(x))
        let series =
            t
            * (0.319381530
                + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
        let above = PortableMath.exp(-x * x / 2) * 0.3989422804014327 * series
        return x > 0 ? 1 - above : above
    }
}
