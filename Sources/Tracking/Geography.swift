/// Where places lie, by their symbols: which of them count as one for travel, and from which to which a
/// box can have come in a time.
public struct Geography: Sendable {
    private struct Spot: Sendable {
        /// Index in the network; -1: it does not know the place; -2: nobody has looked.
        var place: Int32 = -2
        /// Of one that the network does not know: no code of a port or a town, but somebody's name for it.
        var isName = false
        /// 0: none.
        var area: Int32 = 0
        /// On a sphere of radius 1; all 0 where nobody knows.
        var x: Double = 0
        var y: Double = 0
        var z: Double = 0

        var isPlaced: Bool { x != 0 || y != 0 || z != 0 }
    }

    private var spots: [Spot] = []

    public init() {}

    /// Kilometres that a container moves in an hour at the most, in a straight line: the fastest freight
    /// trains run at 160 (China Railway Express; DB Cargo), aircraft at 900.
    static let groundKmh = 160.0
    static let airKmh = 900.0
    /// Minutes by which clocks may be off between any two places.
    static let skewMinutes = 45.0
    /// Minutes by which reports may disagree where the plan's order settles it: clocks that are wrong,
    /// lines typed in later.
    public static let slackMinutes = 180.0
    /// The same where only the day is known, or the zone is not.
    static let vagueMinutes = 26 * 60.0
    static let earthKm = 6_371.0

    @inline(__always)
    public func knows(_ symbol: UInt32) -> Bool {
        Int(symbol) < spots.count && spots[Int(symbol)].place != -2
    }

    /// The place's index in the network; nil where it does not know the place.
    public func place(_ symbol: UInt32) -> Int? {
        guard knows(symbol), spots[Int(symbol)].place >= 0 else { return nil }
        return Int(spots[Int(symbol)].place)
    }

    /// Looks a place up.
    public mutating func note(_ symbol: UInt32, _ id: String, _ network: Network) {
        if knows(symbol) { return }
        while spots.count <= Int(symbol) { spots.append(Spot()) }
        guard let at = network.place(id) else {
            spots[Int(symbol)].place = -1
            spots[Int(symbol)].isName = !Geography.isCode(id)
            return
        }
        var spot = Spot(place: Int32(at), area: Int32(network.area(of: at)))
        if let point = network.point(of: at) { (spot.x, spot.y, spot.z) = point }
        spots[Int(symbol)] = spot
    }

    /// Whether a place that the network does not know goes by a name, rather than by a UN/LOCODE.
    public func isName(_ symbol: UInt32) -> Bool {
        Int(symbol) < spots.count && spots[Int(symbol)].isName
    }

    private static func isCode(_ id: String) -> Bool {
        id.utf8.count == 5
            && id.utf8.allSatisfy {
                (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
            }
    }

    /// Symbols that will stand for other texts.
    public mutating func forget(_ symbols: [UInt32]) {
        for symbol in symbols where Int(symbol) < spots.count { spots[Int(symbol)] = Spot() }
    }

    /// Whether two places count as one for travel.
    @inline(__always)
    public func areOne(_ a: UInt32, _ b: UInt32) -> Bool {
        if a == b { return true }
        guard Int(a) < spots.count, Int(b) < spots.count else { return false }
        return spots[Int(a)].area != 0 && spots[Int(a)].area == spots[Int(b)].area
    }

    /// Whether a box that was at `a` can be at `b` so many minutes later, clocks being what they are.
    @inline(__always)
    func canReach(_ a: UInt32, _ b: UInt32, minutes: Double, byAir: Bool) -> Bool {
        if a == b { return true }
        guard Int(a) < spots.count, Int(b) < spots.count else { return true }
        let (from, to) = (spots[Int(a)], spots[Int(b)])
        guard from.isPlaced, to.isPlaced else { return true }
        let (dx, dy, dz) = (from.x - to.x, from.y - to.y, from.z - to.z)
        // The chord, which is shorter than the way over ground.
        let far =
            (minutes / 60) * (byAir ? Geography.airKmh : Geography.groundKmh) / Geography.earthKm
        return far > 0 && dx * dx + dy * dy + dz * dz <= far * far
    }
}
