/// exp, ln and the normal quantile, without a C library: the same bits on every machine, which is
/// what lets a replay be compared byte by byte.
public enum PortableMath {
    static let ln2 = 0.693147180559945309417232121458

    /// e^x, relative error under 1e-15 for |x| < 700.
    public static func exp(_ x: Double) -> Double {
        if x > 709 { return .infinity }
        if x < -745 { return 0 }
        let k = (x / ln2).rounded()
        let r = x - k * ln2
        var term = 1.0
        var sum = 1.0
        for n in 1...14 {
            term *= r / Double(n)
            sum += term
        }
        return Double(sign: .plus, exponent: Int(k), significand: sum)
    }

    /// ln x for x > 0; -infinity at 0.
    public static func ln(_ x: Double) -> Double {
        guard x > 0 else { return -.infinity }
        var m = x.significand
        var e = Double(x.exponent)
        if m > 1.41421356237309504880 {
            m /= 2
            e += 1
        }
        let s = (m - 1) / (m + 1)
        let s2 = s * s
        var sum = 0.0
        var n = 25
        while n >= 1 {
            sum = sum * s2 + 1 / Double(n)
            n -= 2
        }
        return e * ln2 + 2 * s * sum
    }

    /// Quantile of the standard normal at 0 < p < 1, absolute error under 5e-9 in p's middle
    /// (P. J. Acklam's rational approximation, one Newton-free pass).
    public static func normalQuantile(_ p: Double) -> Double {
        let a = [
            -3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02,
            1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00,
        ]
        let b = [
            -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
            6.680131188771972e+01, -1.328068155288572e+01,
        ]
        let c = [
            -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
            -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00,
        ]
        let d = [
            7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
            3.754408661907416e+00,
        ]
        func tail(_ q: Double) -> Double {
            let top = ((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]
            return top / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1)
        }
        if p < 0.02425 { return tail((-2 * ln(p)).squareRoot()) }
        if p > 1 - 0.02425 { return -tail((-2 * ln(1 - p)).squareRoot()) }
        let q = p - 0.5
        let r = q * q
        let top = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q
        return top / (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1)
    }
}
