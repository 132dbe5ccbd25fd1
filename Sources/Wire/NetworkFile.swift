import Tracking

/// A flaw in a network file, with its line.
public struct NetworkFlaw: Error, Sendable, Equatable, CustomStringConvertible {
    public var line: Int
    public var detail: String

    public var description: String { "line \(line): \(detail)" }
}

/// A network and the bytes of the file that states it, which are what a log keeps.
public struct LoadedNetwork: Sendable {
    public let network: Network
    public let bytes: [UInt8]

    /// Of a file: one that names nothing is none.
    public init(file bytes: [UInt8]) throws(NetworkFlaw) {
        try self.init(bytes)
        if network.places.isEmpty { throw NetworkFlaw(line: 1, detail: "it names no place") }
    }

    /// The last line has no end: somebody's editor left it so, or the file was cut off.
    public var isCut: Bool { bytes.last.map { $0 != 0x0A } ?? false }

    public init(_ bytes: [UInt8]) throws(NetworkFlaw) {
        network = try NetworkFile.parse(bytes)
        self.bytes = bytes
    }

    private init(network: Network, bytes: [UInt8]) {
        self.network = network
        self.bytes = bytes
    }

    public static var shipped: LoadedNetwork {
        LoadedNetwork(network: NetworkFile.shipped, bytes: NetworkFile.shippedBytes)
    }
}

/// Reads network files. One statement per line, parts separated by `|`, `#` begins a comment:
///
///     network | name
///     include | shipped                                (a scenario begins from the shipped one)
///     zone | IANA name | +08:00 | [dst EU] | [until YYYY-MM-DD +06:00]
///     place | id | name | aliases | country | lat | lon | zone | kind | gauges | certainty | source
///     leg | from | to | mode | label | gauge | km | h p50 | h p90 | cost | km/h | certainty | source
///     way | … as leg, in both directions
///     dwell | place | mode | kind | direction | h p50 | h p90 | certainty | source
///     hours | place | mode | months a-b | hours a-b | certainty | source
///     corridor | name | modes | place place …
///     area | name | place place …                      (places that count as one for travel)
public struct NetworkFile {
    private var zones: [String: ZoneRule] = [:]
    private var places: [Place] = []
    private var index: [String: Int] = [:]
    private var legs: [Leg] = []
    private var dwells: [Dwell] = []
    private var hours: [OpeningHours] = []
    private var corridors: [Corridor] = []
    private var areas: [Area] = []
    private var name = "unnamed"
    private var line = 0

    private init() {}

    /// The network that a file describes.
    public static func parse(_ bytes: [UInt8]) throws(NetworkFlaw) -> Network {
        var file = NetworkFile()
        try file.read(bytes)
        return Network(
            name: file.name, places: file.places, legs: file.legs, dwells: file.dwells,
            hours: file.hours, corridors: file.corridors, areas: file.areas)
    }

    /// The Silk Road network that comes with the program, as the bytes of its file.
    public static var shippedBytes: [UInt8] { PackageResources.silk_road_network }

    public static let shipped: Network = {
        do { return try parse(shippedBytes) } catch {
            preconditionFailure("the shipped network: \(error)")
        }
    }()

    private mutating func read(_ bytes: [UInt8]) throws(NetworkFlaw) {
        guard bytes.withUnsafeBufferPointer({ UTF8Check.firstFlaw($0) }) == nil else {
            throw NetworkFlaw(line: 0, detail: "the file is not UTF-8")
        }
        line = 0
        for text in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            line += 1
            let statement = text.prefix { $0 != 0x23 }
            if statement.allSatisfy({ $0 <= 0x20 }) { continue }
            let parts = String(decoding: statement, as: UTF8.self)
                .split(separator: "|", omittingEmptySubsequences: false)
                .map { NetworkFile.trimmed($0) }
            try add(parts)
        }
    }

    static func trimmed(_ text: Substring) -> String {
        let head = text.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
        return String(head.reversed().drop { $0 == " " || $0 == "\t" || $0 == "\r" }.reversed())
    }

    private func flaw(_ detail: String) -> NetworkFlaw { NetworkFlaw(line: line, detail: detail) }

    private mutating func add(_ parts: [String]) throws(NetworkFlaw) {
        switch parts[0] {
        case "network": name = try part(parts, 1, "name")
        case "include":
            guard try part(parts, 1, "name") == "shipped" else {
                throw flaw("only the shipped network can be included")
            }
            let here = line
            let own = name
            try read(NetworkFile.shippedBytes)
            line = here
            name = own
        case "zone": try addZone(parts)
        case "place": try addPlace(parts)
        case "leg": try addLeg(parts, both: false)
        case "way": try addLeg(parts, both: true)
        case "dwell": try addDwell(parts)
        case "hours": try addHours(parts)
        case "corridor": try addCorridor(parts)
        case "area": try addArea(parts)
        default: throw flaw("'\(parts[0])' is no statement of a network file")
        }
    }

    private func part(
        _ parts: [String], _ at: Int, _ name: String
    ) throws(NetworkFlaw) -> String {
        guard at < parts.count, !parts[at].isEmpty else { throw flaw("\(name) is missing") }
        return parts[at]
    }

    private func number(
        _ parts: [String], _ at: Int, _ name: String, _ range: ClosedRange<Double>
    ) throws(NetworkFlaw) -> Double {
        let text = try part(parts, at, name)
        guard let value = Double(text), range.contains(value) else {
            throw flaw("\(name) is \(text); allowed is \(range.lowerBound)…\(range.upperBound)")
        }
        return value
    }

    private func optional(_ parts: [String], _ at: Int) -> String {
        at < parts.count ? parts[at] : ""
    }

    private func place(_ parts: [String], _ at: Int) throws(NetworkFlaw) -> Int {
        let id = try part(parts, at, "place")
        guard let found = index[id] else { throw flaw("no place \(id) above this line") }
        return found
    }

    private func mode(_ text: String) throws(NetworkFlaw) -> TransportMode {
        if text == "ANY" { return .unknown }
        guard let mode = TransportMode(code: text) else { throw flaw("\(text) is no mode") }
        return mode
    }

    private func offset(_ text: String) throws(NetworkFlaw) -> Int {
        guard let read = TimeText.parse("2000-01-01T00:00:00" + text),
            let offset = read.offsetMinutes
        else { throw flaw("\(text) is no offset such as +05:00") }
        return Int(offset)
    }

    private mutating func addZone(_ parts: [String]) throws(NetworkFlaw) {
        let name = try part(parts, 1, "name")
        var zone = ZoneRule(name: name, offsetMinutes: try offset(try part(parts, 2, "offset")))
        for extra in parts.dropFirst(3) where !extra.isEmpty {
            if extra == "dst EU" {
                zone.europeanSummerTime = true
            } else if extra.hasPrefix("until "),
                let date = TimeText.parse(extra.dropFirst(6).prefix(10) + "T00:00:00Z")
            {
                let former = try offset(String(extra.dropFirst(17)))
                zone.formerOffsetMinutes = former
                zone.changedAt = date.instant.advanced(minutes: -Double(former))
            } else {
                throw flaw("'\(extra)' is neither 'dst EU' nor 'until DATE OFFSET'")
            }
        }
        zones[name] = zone
    }

    private mutating func addPlace(_ parts: [String]) throws(NetworkFlaw) {
        let id = try part(parts, 1, "id")
        let zoneName = try part(parts, 7, "zone")
        guard let zone = zones[zoneName] else { throw flaw("no zone \(zoneName) above this line") }
        guard let kind = Place.Kind(rawValue: try part(parts, 8, "kind")) else {
            let kinds = Place.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw flaw("\(parts[8]) is none of \(kinds)")
        }
        let gauges = optional(parts, 9).split(separator: "/").compactMap { Int($0) }
        let place = Place(
            id: id, name: try part(parts, 2, "name"),
            aliases: optional(parts, 3).split(separator: " ").map(String.init),
            country: try part(parts, 4, "country"),
            latitude: try number(parts, 5, "latitude", -90...90),
            longitude: try number(parts, 6, "longitude", -180...180), zone: zone, kind: kind,
            gauges: gauges, certainty: optional(parts, 10), source: optional(parts, 11))
        if let known = index[id] {
            places[known] = place
        } else {
            index[id] = places.count
            places.append(place)
        }
    }

    private mutating func addLeg(_ parts: [String], both: Bool) throws(NetworkFlaw) {
        let p50 = try number(parts, 7, "hours p50", 0.01...10_000)
        let leg = Leg(
            from: try place(parts, 1), to: try place(parts, 2),
            mode: try mode(try part(parts, 3, "mode")), label: optional(parts, 4),
            gauge: Int(optional(parts, 5)) ?? 0,
            distanceKm: try number(parts, 6, "km", 0.1...50_000), hoursP50: p50,
            hoursP90: try number(parts, 8, "hours p90", p50...20_000),
            relativeCost: try number(parts, 9, "cost", 0...1_000),
            freeFlowKmh: optional(parts, 10).isEmpty
                ? 0 : try number(parts, 10, "km/h", 1...500),
            certainty: optional(parts, 11), source: optional(parts, 12))
        guard leg.from != leg.to else { throw flaw("a leg leads from a place to itself") }
        add(leg)
        if both {
            var back = leg
            swap(&back.from, &back.to)
            add(back)
        }
    }

    /// A later statement about the same leg replaces the earlier: that is what scenarios do.
    private mutating func add(_ leg: Leg) {
        let same = legs.firstIndex {
            $0.from == leg.from && $0.to == leg.to && $0.mode == leg.mode && $0.label == leg.label
                && $0.gauge == leg.gauge
        }
        if let same { legs[same] = leg } else { legs.append(leg) }
    }

    private mutating func addDwell(_ parts: [String]) throws(NetworkFlaw) {
        guard let kind = Dwell.Kind(rawValue: try part(parts, 3, "kind")) else {
            throw flaw("\(parts[3]) is none of terminal, border, gauge, transfer")
        }
        guard let direction = Dwell.Direction(rawValue: try part(parts, 4, "direction")) else {
            throw flaw("\(parts[4]) is none of any, in, out")
        }
        let p50 = try number(parts, 5, "hours p50", 0.01...10_000)
        let dwell = Dwell(
            place: try place(parts, 1), mode: try mode(try part(parts, 2, "mode")), kind: kind,
            direction: direction, hoursP50: p50,
            hoursP90: try number(parts, 6, "hours p90", p50...20_000),
            certainty: optional(parts, 7), source: optional(parts, 8))
        dwells.removeAll {
            $0.place == dwell.place && $0.mode == dwell.mode && $0.kind == dwell.kind
                && $0.direction == dwell.direction
        }
        dwells.append(dwell)
    }

    private func span(
        _ parts: [String], _ at: Int, _ name: String, _ range: ClosedRange<Int>
    ) throws(NetworkFlaw) -> (Int, Int) {
        let text = try part(parts, at, name)
        let ends = text.split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, range.contains(ends[0]), range.contains(ends[1]) else {
            throw flaw("\(name) is \(text); allowed is a-b in \(range)")
        }
        return (ends[0], ends[1])
    }

    private mutating func addHours(_ parts: [String]) throws(NetworkFlaw) {
        let months = try span(parts, 3, "months", 1...12)
        let day = try span(parts, 4, "hours", 0...24)
        hours.append(
            OpeningHours(
                place: try place(parts, 1), mode: try mode(try part(parts, 2, "mode")),
                fromMonth: months.0, untilMonth: months.1, fromHour: day.0, untilHour: day.1,
                certainty: optional(parts, 5), source: optional(parts, 6)))
    }

    private mutating func addArea(_ parts: [String]) throws(NetworkFlaw) {
        var area = Area(name: try part(parts, 1, "name"), places: [])
        for id in try part(parts, 2, "places").split(separator: " ") {
            guard let place = index[String(id)] else {
                throw flaw("no place \(id) above this line")
            }
            if let other = areas.first(where: { $0.places.contains(place) }) {
                throw flaw("\(id) belongs to the area \(other.name) already")
            }
            area.places.append(place)
        }
        guard area.places.count >= 2 else { throw flaw("an area has two places at least") }
        areas.append(area)
    }

    private mutating func addCorridor(_ parts: [String]) throws(NetworkFlaw) {
        let name = try part(parts, 1, "name")
        var modes: [TransportMode] = []
        for text in try part(parts, 2, "modes").split(separator: ",") {
            modes.append(try mode(String(text)))
        }
        var chain: [Int] = []
        for id in try part(parts, 3, "places").split(separator: " ") {
            guard let found = index[String(id)] else { throw flaw("no place \(id)") }
            chain.append(found)
        }
        corridors.removeAll { $0.name == name }
        corridors.append(Corridor(name: name, modes: modes, places: chain))
    }
}
