import Testing
import Tracking
import Wire

/// Places that count as one, and what a network file should not leave out.
@Suite struct AreaTests {
    private let head = """
        network | test
        zone | Asia/Almaty | +05:00
        place | AAA | Aa | | KZ | 44.20 | 80.24 | Asia/Almaty | terminal
        place | BBB | Bb | | KZ | 44.19 | 80.30 | Asia/Almaty | station
        place | CCC | Cc | | KZ | 43.25 | 76.95 | Asia/Almaty | terminal

        """

    private func parse(_ text: String) throws(NetworkFlaw) -> Network {
        try NetworkFile.parse(Array((head + text).utf8))
    }

    @Test func theShippedNetworkHasNoFlaw() throws {
        let network = NetworkFile.shipped
        #expect(network.flaws.isEmpty, "\(network.flaws)")
        let khorgos = try #require(network.areas.first { $0.name == "KHORGOS" })
        let ids = khorgos.places.map { network.places[$0].id }
        #expect(ids.contains("KZHOR") && ids.contains("ALTYNKOL") && ids.contains("NUR_ZHOLY"))
        // The border lies between these.
        let brest = try #require(network.place("BYBQT"))
        #expect(network.area(of: brest) == 0)
    }

    @Test func whatIsLeftOutIsFound() throws {
        let bare = try parse("leg | AAA | CCC | RAIL | | 1520 | 300 | 8 | 12 | 0.3")
        #expect(bare.flaws.count == 2, "\(bare.flaws)")
        #expect(
            bare.flaws[0].contains("AAA and BBB lie") && bare.flaws[0].contains("share no area"))
        #expect(bare.flaws[1].contains("AAA leads to CCC by RAIL"))
        let whole = try parse(
            "way | AAA | CCC | RAIL | | 1520 | 300 | 8 | 12 | 0.3\narea | ONE | AAA BBB")
        #expect(whole.flaws.isEmpty, "\(whole.flaws)")
    }

    @Test func anAreaThatIsNoneIsRefused() {
        for (text, words) in [
            ("area | ONE | AAA ZZZ", "no place ZZZ"), ("area | ONE | AAA", "two places"),
            ("area | ONE | AAA BBB\narea | TWO | BBB CCC", "belongs to the area ONE"),
            ("area | ONE", "places is missing"),
        ] {
            #expect(throws: NetworkFlaw.self) { try parse(text) }
            do { _ = try parse(text) } catch { #expect("\(error)".contains(words), "\(error)") }
        }
    }

    @Test func theWaysThatForwardersMissAreThere() throws {
        let network = NetworkFile.shipped
        func hours(_ places: [String], _ modes: Set<TransportMode>) throws -> Double {
            let at = try places.map { try #require(network.place($0), "\($0)") }
            return try #require(network.route(through: at, RouteOptions(modes: modes))).hoursP50
        }
        #expect(try hours(["CNBJS", "CNMLX", "ZABAIKALSK", "RUMOW"], [.rail]) < 400)
        #expect(try hours(["CNBJS", "CNERC", "ZAMYN_UUD", "MNULN", "RUMOW"], [.rail]) < 450)
        #expect(try hours(["CNURM", "CNDLT", "KALZHAT", "KZALA"], [.road]) < 120)
        #expect(try hours(["RUVYP", "RUMOW"], [.rail]) < 400)
        #expect(try hours(["CNSGH", "RUVYP"], [.sea]) < 300)
        #expect(try hours(["CNSGH", "GRPIR"], [.sea]) < 1_000)
        for (from, to) in [
            ("CNXIA", "ROCND"), ("CNXIA", "TRIST"), ("CNKSS", "UZAZN"), ("CNKSS", "UZTAS"),
            ("CNSGH", "RULED"), ("CNSGH", "PLGDN"), ("CNURM", "BAKHTY"), ("CNURM", "MAYKAPCHAGAY"),
        ] { #expect(try hours([from, to], []) > 0) }
    }
}
