import Tracking

/// What boxes have really done, as the text of a network file: measured hours on legs that a network has,
/// legs that it lacks, and as comments what it cannot state, because a place is unknown to it.
public struct LearnedNetwork {
    private let network: Network
    private let moves: [LearnedMove]
    private let includesShipped: Bool
    /// Only legs that the network lacks.
    public var leavesKnownOut = false

    /// Roads and rails are longer than the straight line by about so much.
    private static let detour = 1.25

    public init(_ network: Network, _ moves: [LearnedMove], includesShipped: Bool) {
        self.network = network
        self.moves = moves
        self.includesShipped = includesShipped
    }

    /// Places of which boxes told and the network does not.
    public var strangers: [String] {
        let names = Set(moves.flatMap { [$0.from, $0.to] })
        return names.filter { network.place($0) == nil }.sorted()
    }

    public var text: String {
        var lines = ["# What boxes have really done. M: measured.", "network | learned"]
        if includesShipped { lines.append("include | shipped") }
        if !includesShipped {
            lines.append("# Zones and places are those of the file that it was compared with.")
        }
        let strangers = strangers
        if !strangers.isEmpty {
            lines += [
                "", "# To be completed, with a zone above:",
                "# place | id | name | aliases | country | lat | lon | zone | kind | gauges | certainty | source",
            ]
            lines += strangers.map {
                "# place | \(LearnedNetwork.plain($0)) | \(LearnedNetwork.plain($0)) |  | ? | ? | ? | ? | terminal"
            }
        }
        lines += [
            "",
            "# leg | from | to | mode | label | gauge | km | hours p50 | hours p90 | cost | km/h | certainty | source",
        ]
        for move in moves { if let line = line(move) { lines.append(line) } }
        return lines.joined(separator: "\n")
    }

    private func line(_ move: LearnedMove) -> String? {
        let p50 = max(move.hoursP50, 0.01)
        let p90 = max(move.hoursP90, p50)
        let hours = "\(LearnedNetwork.tenths(p50)) | \(LearnedNetwork.tenths(p90))"
        let ends = "\(LearnedNetwork.plain(move.from)) | \(LearnedNetwork.plain(move.to))"
        let source = "\(move.boxes) boxes"
        guard let from = network.place(move.from), let to = network.place(move.to) else {
            let mode = move.mode == .unknown ? "?" : move.mode.code
            return "# leg | \(ends) | \(mode) |  |  | ? | \(hours) | ? |  | M | \(source)"
        }
        guard from != to else { return nil }
        let known = network.outgoing[from].map { network.legs[$0] }.first {
            $0.to == to && (move.mode == .unknown || $0.mode == move.mode)
        }
        if let known {
            if leavesKnownOut { return nil }
            let gauge = known.gauge == 0 ? "" : "\(known.gauge)"
            let speed = known.freeFlowKmh == 0 ? "" : LearnedNetwork.tenths(known.freeFlowKmh)
            let before = "was \(LearnedNetwork.tenths(known.hoursP50))"
            return "leg | \(ends) | \(known.mode.code) | \(known.label) | \(gauge) | "
                + "\(LearnedNetwork.tenths(known.distanceKm)) | \(hours) | "
                + "\(LearnedNetwork.hundredths(known.relativeCost)) | \(speed) | M | \(source), \(before)"
        }
        guard move.mode != .unknown else {
            return "# leg | \(ends) | ? |  |  | ? | \(hours) | ? |  | M | \(source), by no mode"
        }
        let km = distanceKm(from, to)
        return
            "leg | \(ends) | \(move.mode.code) |  |  | \(LearnedNetwork.tenths(km)) | \(hours) | "
            + "\(LearnedNetwork.hundredths(km * costPerKm(move.mode))) |  | M | \(source), km and cost estimated"
    }

    private func distanceKm(_ from: Int, _ to: Int) -> Double {
        max(0.1, (network.chordKm(from, to) ?? 0) * LearnedNetwork.detour)
    }

    /// As on the network's other legs of the mode.
    private func costPerKm(_ mode: TransportMode) -> Double {
        let rates = network.legs.filter { $0.mode == mode && $0.distanceKm > 0 }
            .map { $0.relativeCost / $0.distanceKm }.sorted()
        return rates.isEmpty ? 0 : rates[rates.count / 2]
    }

    /// Names come from whoever reported: nothing in them ends a part or a line.
    private static func plain(_ name: String) -> String {
        String(name.map { $0 == "|" || $0 == "#" || $0.isNewline ? "_" : $0 })
    }

    private static func tenths(_ value: Double) -> String { rounded(value, 10) }

    private static func hundredths(_ value: Double) -> String { rounded(value, 100) }

    private static func rounded(_ value: Double, _ parts: Double) -> String {
        "\(max(1 / parts, (value * parts).rounded() / parts))"
    }
}
