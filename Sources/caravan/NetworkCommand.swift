import ArgumentParser
import FoundationEssentials
import Host
import Tracking
import Wire

struct NetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Look at a network file: places, legs, times, routes.",
        discussion: """
            A network file has one statement per line, parts separated by |, # begins a comment:

              network  | name
              include  | shipped                        a scenario begins from the shipped network
              zone     | IANA name | +08:00 | dst EU | until 2024-03-01 +06:00
              place    | id | name | aliases | country | lat | lon | zone | kind | gauges |
                       certainty | source
              leg, way | from | to | mode | label | gauge | km | hours p50 | hours p90 | cost |
                       free-flow km/h | certainty | source       (a way leads in both directions)
              dwell    | place | mode | kind | direction | hours p50 | hours p90 | certainty | source
              hours    | place | mode | months a-b | hours a-b | certainty | source
              corridor | name | modes | places

            EXAMPLES
              caravan network show
              caravan network check my.network
              caravan network route CNSGH DEHAM --mode RAIL
              caravan network route CNSGH DEHAM --mode SEA --label Cape
              caravan network route CNXIA DEDUI --avoid CNHRS
              caravan network learned > learned.network
            """,
        subcommands: [
            ShowNetwork.self, CheckNetwork.self, RouteCommand.self, LearnedNetworkCommand.self,
        ])

    static func load(_ path: String?) throws -> Network { try file(path).network }

    static func file(_ path: String?) throws -> LoadedNetwork {
        guard let path else { return .shipped }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure("\(path) cannot be read")
        }
        do { return try LoadedNetwork(file: Array(data)) } catch {
            throw Failure("\(path): \(error)")
        }
    }
}

struct ShowNetwork: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print places, legs and dwells.")

    @Option(name: .long, help: "A network file; the shipped one otherwise.")
    var file: String?

    func run() async throws {
        try await Console.failing {
            let network = try NetworkCommand.load(file)
            let terminal = Terminal()
            func pad(_ text: String, _ width: Int) -> String { Terminal.padded(text, width) }
            print(terminal.paint(network.name, .bold))
            print("\n\(network.places.count) places")
            for place in network.places {
                let gauges = place.gauges.map(String.init).joined(separator: "/")
                print(
                    "  \(pad(place.id, 13)) \(pad(place.name, 32)) \(place.country)  "
                        + "\(pad(place.kind.rawValue, 11)) \(pad(place.zone.name, 19)) "
                        + "\(pad(gauges, 10)) \(place.certainty)")
            }
            if !network.areas.isEmpty {
                print("\n\(network.areas.count) areas, whose places count as one for travel")
                for area in network.areas {
                    let ids = area.places.map { network.places[$0].id }.joined(separator: " ")
                    print("  \(pad(area.name, 13)) \(ids)")
                }
            }
            if !network.hours.isEmpty { print("\nhours in which places take traffic") }
            for hours in network.hours {
                print(
                    "  \(pad(network.places[hours.place].id, 13)) \(pad(hours.mode.code, 5)) "
                        + "months \(hours.fromMonth)-\(hours.untilMonth), "
                        + "\(hours.fromHour)-\(hours.untilHour) o'clock  \(hours.source)")
            }
            print("\n\(network.legs.count) legs")
            print(
                "  from          to            mode        gauge     km   p50 h   p90 h   cost"
                    + "  km/h  certainty")
            for leg in network.legs {
                let mode = leg.mode.code + (leg.label.isEmpty ? "" : " " + leg.label)
                print(
                    "  \(pad(network.places[leg.from].id, 13)) \(pad(network.places[leg.to].id, 13)) "
                        + pad(mode, 11) + pad(leg.gauge == 0 ? "    -" : " \(leg.gauge)", 6)
                        + String(
                            format: "%7.0f %7.1f %7.1f %6.2f", leg.distanceKm, leg.hoursP50,
                            leg.hoursP90, leg.relativeCost)
                        + (leg.freeFlowKmh > 0
                            ? String(format: " %5.0f", leg.freeFlowKmh) : "     -")
                        + "  \(pad(leg.certainty, 6)) \(leg.source)")
            }
            print("\n\(network.dwells.count) dwells")
            for dwell in network.dwells {
                print(
                    "  \(pad(network.places[dwell.place].id, 13)) \(pad(dwell.mode.code, 5)) "
                        + "\(pad(dwell.kind.rawValue, 9)) \(pad(dwell.direction.rawValue, 4))"
                        + String(format: "%7.1f %7.1f", dwell.hoursP50, dwell.hoursP90)
                        + "  \(dwell.certainty)  \(dwell.source)")
            }
        }
    }
}

struct CheckNetwork: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Read a network file and say what is wrong with it.")

    @Argument(help: "A network file; the shipped one otherwise.")
    var file: String?

    func run() async throws {
        try await Console.failing {
            let loaded = try NetworkCommand.file(file)
            let network = loaded.network
            var flaws: [String] = []
            if loaded.isCut {
                flaws.append("the last line has no line feed at its end: the file may be cut off")
            }
            let touched = Set(network.legs.flatMap { [$0.from, $0.to] })
            for (index, place) in network.places.enumerated() where !touched.contains(index) {
                flaws.append("\(place.id) has no leg")
            }
            flaws += network.flaws
            for corridor in network.corridors {
                let options = RouteOptions(modes: Set(corridor.modes))
                if network.route(through: corridor.places, options) == nil {
                    flaws.append("the corridor \(corridor.name) does not connect")
                }
            }
            for flaw in flaws { print(flaw) }
            print(
                "\(network.name): \(network.places.count) places, \(network.legs.count) legs, "
                    + "\(network.dwells.count) dwells, \(network.corridors.count) corridors, "
                    + "\(flaws.count) flaws")
            if !flaws.isEmpty { throw ExitCode(1) }
        }
    }
}

struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "The quickest way between two places, with time and cost.")

    @Argument(help: "Where it begins.")
    var from: String

    @Argument(help: "Where it ends.")
    var to: String

    @Option(name: .long, help: "RAIL, ROAD, SEA, BARGE, AIR, several with commas; all otherwise.")
    var mode: String?

    @Option(name: .long, parsing: .upToNextOption, help: "Places on the way, in order.")
    var via: [String] = []

    @Option(name: .long, parsing: .upToNextOption, help: "Places to keep out of.")
    var avoid: [String] = []

    @Option(name: .long, help: "Only sea legs of this label, such as Cape.")
    var label: String?

    @Option(name: .long, help: "A network file; the shipped one otherwise.")
    var file: String?

    @Option(name: .long, help: "A scenario file to compare with.")
    var scenario: String?

    func run() async throws {
        try await Console.failing {
            let network = try NetworkCommand.load(file)
            let route = try find(network)
            draw(route, network)
            guard let scenario else { return }
            let other = try NetworkCommand.load(scenario)
            let changed = try find(other)
            print("")
            draw(changed, other)
            let hours = changed.hoursP50 - route.hoursP50
            let cost = changed.relativeCost - route.relativeCost
            print(
                String(
                    format: "\nthe scenario: %+.0f h (%+.1f days), cost %+.2f", hours, hours / 24,
                    cost))
        }
    }

    private func find(_ network: Network) throws -> Route {
        func place(_ code: String) throws -> Int {
            guard let found = network.place(code.uppercased()) else {
                throw Failure("the network knows no place \(code); see caravan network show")
            }
            return found
        }
        var options = RouteOptions()
        for code in (mode ?? "").uppercased().split(separator: ",") {
            guard let mode = TransportMode(code: String(code)) else {
                throw Failure("--mode is \(code); allowed is RAIL, ROAD, SEA, BARGE or AIR")
            }
            options.modes.insert(mode)
        }
        options.avoiding = Set(try avoid.map(place))
        options.seaLabel = label
        let chain = try [place(from)] + via.map(place) + [place(to)]
        guard let route = network.route(through: chain, options) else {
            throw Failure("no way from \(from) to \(to)" + (mode.map { " by \($0)" } ?? ""))
        }
        return route
    }

    private func draw(_ route: Route, _ network: Network) {
        let terminal = Terminal()
        print(terminal.paint(network.name, .bold))
        var zone: Int?
        for stop in route.stops {
            if let arriving = stop.arrivingBy { drawLeg(network.legs[arriving], terminal) }
            let place = network.places[stop.place]
            var line =
                terminal.paint(Terminal.padded(place.name, 30), .bold)
                + " \(Terminal.padded(place.id, 13)) \(place.country)"
            let now = Instant(seconds: 1_767_225_600)
            let offset = place.zone.offset(at: now)
            if let before = zone, before != offset {
                let jump = Double(offset - before) / 60
                line += terminal.paint(
                    String(format: "  clocks %+g h", jump), .cyan)
            }
            zone = offset
            print(line)
            for dwell in stop.dwells { drawDwell(dwell, stop, network, terminal) }
        }
        print(
            String(
                format: "%.0f km, %.0f h (%.1f days), relative cost %.2f", route.distanceKm,
                route.hoursP50, route.hoursP50 / 24, route.relativeCost))
    }

    private func drawLeg(_ leg: Leg, _ terminal: Terminal) {
        var text =
            "  │ \(Terminal.padded(leg.mode.code + (leg.label.isEmpty ? "" : " \(leg.label)"), 12))"
            + String(format: "%6.0f km %6.1f h", leg.distanceKm, leg.hoursP50)
        if leg.gauge > 0 { text += "  \(leg.gauge) mm" }
        if leg.freeFlowKmh > 0 { text += String(format: "  free flow %.0f km/h", leg.freeFlowKmh) }
        text += String(format: "  cost %.2f", leg.relativeCost)
        print(terminal.paint(text, .grey))
    }

    private func drawDwell(
        _ dwell: Dwell, _ stop: RouteStop, _ network: Network, _ terminal: Terminal
    ) {
        var what = "\(dwell.kind.rawValue)"
        if dwell.kind == .gauge, let a = stop.arrivingBy, let b = stop.leavingBy {
            what = "gauge change \(network.legs[a].gauge) → \(network.legs[b].gauge) mm"
        }
        print(
            terminal.paint(
                "  ◌ \(Terminal.padded(what, 28))"
                    + String(format: "%5.1f h (p90 %.0f h)", dwell.hoursP50, dwell.hoursP90),
                .yellow))
    }
}
