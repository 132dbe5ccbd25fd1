/// A place that a network file knows.
public struct Place: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case terminal, seaport, border, station, checkpoint, zone, waypoint
    }

    /// Canonical id: the UN/LOCODE where there is one.
    public var id: String
    public var name: String
    public var aliases: [String]
    public var country: String
    public var latitude: Double
    public var longitude: Double
    public var zone: ZoneRule
    public var kind: Kind
    /// Track gauges in mm; empty where no railway is.
    public var gauges: [Int]
    public var certainty: String
    public var source: String

    public init(
        id: String, name: String, aliases: [String] = [], country: String, latitude: Double = 0,
        longitude: Double = 0, zone: ZoneRule = .utc, kind: Kind = .waypoint, gauges: [Int] = [],
        certainty: String = "", source: String = ""
    ) {
        self.id = id
        self.name = name
        self.aliases = aliases
        self.country = country
        self.latitude = latitude
        self.longitude = longitude
        self.zone = zone
        self.kind = kind
        self.gauges = gauges
        self.certainty = certainty
        self.source = source
    }
}

/// A way from one place to the next, in one direction.
public struct Leg: Sendable, Equatable {
    /// Indices into `Network.places`.
    public var from: Int
    public var to: Int
    public var mode: TransportMode
    /// Tells legs between the same two places apart, such as "Suez" and "Cape".
    public var label: String
    /// mm; 0 off rails.
    public var gauge: Int
    public var distanceKm: Double
    public var hoursP50: Double
    public var hoursP90: Double
    /// In units of one container by sea from Shanghai to Hamburg.
    public var relativeCost: Double
    /// Road: what the road allows without stops; 0 where it is not stated.
    public var freeFlowKmh: Double
    public var certainty: String
    public var source: String

    public init(
        from: Int, to: Int, mode: TransportMode, label: String = "", gauge: Int = 0,
        distanceKm: Double, hoursP50: Double, hoursP90: Double, relativeCost: Double,
        freeFlowKmh: Double = 0, certainty: String = "", source: String = ""
    ) {
        self.from = from
        self.to = to
        self.mode = mode
        self.label = label
        self.gauge = gauge
        self.distanceKm = distanceKm
        self.hoursP50 = hoursP50
        self.hoursP90 = hoursP90
        self.relativeCost = relativeCost
        self.freeFlowKmh = freeFlowKmh
        self.certainty = certainty
        self.source = source
    }
}

/// Typical time that containers of a mode spend at a place, by what is done with them there.
public struct Dwell: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Handling before departure or after arrival at an end of the journey.
        case terminal
        /// Customs and border control; ends with CUSR.
        case border
        /// Change of wagons between gauges; ends with DISC.
        case gauge
        /// Change between modes under way; ends with DISC.
        case transfer
    }

    public enum Direction: String, Sendable, CaseIterable {
        case any
        case into = "in"
        case out
    }

    public var place: Int
    public var mode: TransportMode
    public var kind: Kind
    /// Seen from the place's own country.
    public var direction: Direction
    public var hoursP50: Double
    public var hoursP90: Double
    public var certainty: String
    public var source: String

    public init(
        place: Int, mode: TransportMode, kind: Kind, direction: Direction = .any, hoursP50: Double,
        hoursP90: Double, certainty: String = "", source: String = ""
    ) {
        self.place = place
        self.mode = mode
        self.kind = kind
        self.direction = direction
        self.hoursP50 = hoursP50
        self.hoursP90 = hoursP90
        self.certainty = certainty
        self.source = source
    }
}

/// Months, and hours of the local day, in which a place takes traffic of a mode.
public struct OpeningHours: Sendable, Equatable {
    public var place: Int
    public var mode: TransportMode
    /// 1…12, both included; from > until wraps over the new year.
    public var fromMonth: Int
    public var untilMonth: Int
    public var fromHour: Int
    public var untilHour: Int
    public var certainty: String
    public var source: String

    public init(
        place: Int, mode: TransportMode, fromMonth: Int, untilMonth: Int, fromHour: Int,
        untilHour: Int, certainty: String = "", source: String = ""
    ) {
        self.place = place
        self.mode = mode
        self.fromMonth = fromMonth
        self.untilMonth = untilMonth
        self.fromHour = fromHour
        self.untilHour = untilHour
        self.certainty = certainty
        self.source = source
    }
}

/// A named chain of places that the network promises to connect.
public struct Corridor: Sendable, Equatable {
    public var name: String
    public var modes: [TransportMode]
    public var places: [Int]

    public init(name: String, modes: [TransportMode], places: [Int]) {
        self.name = name
        self.modes = modes
        self.places = places
    }
}

/// Places that count as one for travel: the terminals of one town, the two sides of one crossing.
public struct Area: Sendable, Equatable {
    public var name: String
    public var places: [Int]

    public init(name: String, places: [Int]) {
        self.name = name
        self.places = places
    }
}

/// Places and the ways between them: what the world is expected to look like before any evidence.
public struct Network: Sendable, Equatable {
    public var name: String
    public var places: [Place]
    public var legs: [Leg]
    public var dwells: [Dwell]
    public var hours: [OpeningHours]
    public var corridors: [Corridor]
    public var areas: [Area]
    /// For each place the number of its area, from 1; 0: none.
    private var areaOf: [Int]
    /// Ids and aliases, upper case, to index.
    public private(set) var index: [String: Int]
    /// Legs out of each place.
    public private(set) var outgoing: [[Int]]
    private var dwellIndex: [Int: [Int]]
    /// Ids, aliases and names as `PlaceSpelling.key` spells them; -1 where two places are spelled so.
    private var spelled: [String: Int]
    /// Those of one place each, with their letters; and how many bytes the longest has.
    private var spellings: [Spelled] = []
    private var longestSpelling = 0

    public init(
        name: String = "empty", places: [Place] = [], legs: [Leg] = [], dwells: [Dwell] = [],
        hours: [OpeningHours] = [], corridors: [Corridor] = [], areas: [Area] = []
    ) {
        self.name = name
        self.places = places
        self.legs = legs
        self.dwells = dwells
        self.hours = hours
        self.corridors = corridors
        self.areas = areas
        areaOf = Array(repeating: 0, count: places.count)
        for (position, area) in areas.enumerated() {
            for place in area.places { areaOf[place] = position + 1 }
        }
        index = [:]
        for (position, place) in places.enumerated() {
            for alias in place.aliases where index[alias] == nil { index[alias] = position }
        }
        for (position, place) in places.enumerated() { index[place.id] = position }
        outgoing = Array(repeating: [], count: places.count)
        for (position, leg) in legs.enumerated() { outgoing[leg.from].append(position) }
        dwellIndex = [:]
        for (position, dwell) in dwells.enumerated() {
            dwellIndex[dwell.place, default: []].append(position)
        }
        spelled = [:]
        // Names first: an id or an alias that is spelled like another place's name is meant before it.
        var names: [String: Int] = [:]
        for (position, place) in places.enumerated() {
            let key = PlaceSpelling.key(place.name)
            names[key] = names[key] == nil ? position : -1
        }
        spelled = names
        var codes: [String: Int] = [:]
        for (code, position) in index {
            let key = PlaceSpelling.key(code)
            codes[key] = codes[key].map { $0 == position ? position : -1 } ?? position
        }
        spelled.merge(codes) { _, code in code }
        // As it stands an id is never in doubt.
        for (code, position) in index { spelled[code] = position }
        spellings = spelled.filter { $0.value >= 0 }.sorted { $0.key < $1.key }.map {
            Spelled(spelling: $0.key, position: $0.value, letters: Network.letters($0.key))
        }
        longestSpelling = spellings.reduce(0) { max($0, $1.spelling.utf8.count) }
    }

    /// The number of a place's area, from 1; 0: it has none.
    public func area(of place: Int) -> Int { areaOf[place] }

    /// Where a place lies on a sphere of radius 1; nil where the file does not say.
    func point(of place: Int) -> (x: Double, y: Double, z: Double)? {
        let (latitude, longitude) = (places[place].latitude, places[place].longitude)
        if latitude == 0, longitude == 0 { return nil }
        return Sphere.point(latitude: latitude, longitude: longitude)
    }

    /// Kilometres between two places through the earth, which for near ones is the distance; nil where
    /// the file does not say where they lie.
    public func chordKm(_ a: Int, _ b: Int) -> Double? {
        guard let from = point(of: a), let to = point(of: b) else { return nil }
        let (dx, dy, dz) = (from.x - to.x, from.y - to.y, from.z - to.z)
        return (dx * dx + dy * dy + dz * dz).squareRoot() * Geography.earthKm
    }

    /// The place of an id, UN/LOCODE or alias in upper case.
    public func place(_ code: String) -> Int? { index[code] }

    /// The place that a text means, whatever its spaces, hyphens and case, by id, alias or name.
    public func place(meant text: String) -> Int? {
        if let known = index[text] { return known }
        let found = spelled[PlaceSpelling.key(text)]
        return found == -1 ? nil : found
    }

    /// The id of the place that a text means; of a place that the network does not know, the text as
    /// codes are written.
    public func canonical(_ text: String) -> String {
        if let known = place(meant: text) { return places[known].id }
        return PlaceSpelling.code(text)
    }

    /// The zone of an IANA name that one of the places has, or of a fixed offset such as `+05:00`.
    public func zone(named name: String) -> ZoneRule? {
        if name == "UTC" { return .utc }
        if let known = places.first(where: { $0.zone.name.lowercased() == name.lowercased() }) {
            return known.zone
        }
        let bytes = Array(name.utf8)
        guard bytes.count == 6, bytes[0] == 0x2B || bytes[0] == 0x2D, bytes[3] == 0x3A,
            let hours = Int(name.dropFirst().prefix(2)), let minutes = Int(name.suffix(2)),
            minutes < 60
        else { return nil }
        let offset = (hours * 60 + minutes) * (bytes[0] == 0x2D ? -1 : 1)
        guard (-12 * 60...14 * 60).contains(offset) else { return nil }
        return ZoneRule(name: name, offsetMinutes: offset)
    }

    /// Ids of places that are spelled nearly so: at most three, the nearest first.
    public func places(near text: String) -> [String] {
        let key = PlaceSpelling.key(text)
        let plain = LookAlike.latin(key)
        if plain != key, let meant = spelled[plain], meant >= 0 { return [places[meant].id] }
        guard key.utf8.count >= 4, key.utf8.count <= longestSpelling + Network.mostSlips else {
            return []
        }
        let letters = Network.letters(key)
        var found: [(distance: Int, id: String)] = []
        for spelled in spellings
        where (letters & ~spelled.letters).nonzeroBitCount <= Network.mostSlips {
            let (spelling, position) = (spelled.spelling, spelled.position)
            // A slip in a short code; two in a long name.
            let most = min(key.utf8.count, spelling.utf8.count) >= 9 ? 2 : 1
            // A part of a name, such as that of the town.
            if key.utf8.count >= 5, spelling.utf8.count > key.utf8.count, spelling.contains(key) {
                found.append((3, places[position].id))
                continue
            }
            if let distance = Slips.between(key, spelling, atMost: most) {
                found.append((distance, places[position].id))
            } else if key.utf8.count >= 6, Network.begins(spelling, nearly: key) {
                found.append((4, places[position].id))
            }
        }
        found.sort { ($0.distance, $0.id) < ($1.distance, $1.id) }
        var ids: [String] = []
        for (_, id) in found where !ids.contains(id) { ids.append(id) }
        return Array(ids.prefix(3))
    }

    private struct Spelled: Equatable {
        let spelling: String
        let position: Int
        let letters: UInt64
    }

    /// No slip brings in more than one letter that a spelling has not.
    private static let mostSlips = 2

    /// Which letters stand in a text, each a bit.
    private static func letters(_ text: String) -> UInt64 {
        text.utf8.reduce(0) { $0 | 1 << UInt64($1 & 63) }
    }

    /// A part of a name with a slip in it: the town's is what a name begins with.
    private static func begins(_ spelling: String, nearly key: String) -> Bool {
        (-1...1).contains { more in
            let head = spelling.prefix(key.count + more)
            return head.count < spelling.count
                && Slips.between(key, String(head), atMost: 1) != nil
        }
    }

    /// The dwell of `kind` at `place`, the one for this direction before the one for any.
    public func dwell(
        at place: Int, mode: TransportMode, kind: Dwell.Kind, direction: Dwell.Direction
    ) -> Dwell? {
        guard let candidates = dwellIndex[place] else { return nil }
        var fallback: Dwell?
        for position in candidates {
            let dwell = dwells[position]
            guard dwell.kind == kind, dwell.mode == mode || dwell.mode == .unknown else { continue }
            if dwell.direction == direction { return dwell }
            if dwell.direction == .any { fallback = dwell }
        }
        return fallback
    }
}

extension Network {
    /// Kilometres within which two places of one country are taken for one by people.
    static let nearKm = 15.0

    /// What looks wrong: neighbours that do not count as one, ways from which none leads back, places
    /// on nobody's clock.
    public var flaws: [String] {
        var found: [String] = []
        for a in places.indices {
            for b in places.indices where b > a && places[a].country == places[b].country {
                guard let km = chordKm(a, b), km <= Network.nearKm else { continue }
                if area(of: a) != 0, area(of: a) == area(of: b) { continue }
                found.append(
                    "\(places[a].id) and \(places[b].id) lie \(Int(km.rounded(.up))) km from each "
                        + "other and share no area")
            }
        }
        for leg in legs where !legs.contains(where: { $0.from == leg.to && $0.to == leg.from }) {
            found.append(
                "\(places[leg.from].id) leads to \(places[leg.to].id) by \(leg.mode.code), and no way "
                    + "leads back")
        }
        for place in places where place.zone == .utc { found.append("\(place.id) has no zone") }
        return found
    }
}
