/// Sines without a mathematics library, the same on every machine.
enum Sphere {
    /// The point of a sphere of radius 1 at a latitude and a longitude in degrees.
    static func point(latitude: Double, longitude: Double) -> (x: Double, y: Double, z: Double) {
        let across = sine(latitude + 90)
        return (across * sine(longitude + 90), across * sine(longitude), sine(latitude))
    }

    /// Within 1e-9, by Taylor's series on ±90°.
    static func sine(_ degrees: Double) -> Double {
        var angle = degrees - (degrees / 360).rounded() * 360
        if angle > 90 { angle = 180 - angle } else if angle < -90 { angle = -180 - angle }
        let x = angle * .pi / 180
        var term = x
        var sum = x
        for n in stride(from: 2.0, through: 16, by: 2) {
            term *= -x * x / (n * (n + 1))
            sum += term
        }
        return sum
    }
}
