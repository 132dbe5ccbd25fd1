import Testing
import Tracking
import Wire

/// What boxes have really done as the text of a network file.
@Suite struct LearnedNetworkTests {
    private func move(
        _ from: String, _ to: String, _ mode: TransportMode = .rail, boxes: Int = 7,
        _ p50: Double = 30, _ p90: Double = 44
    ) -> LearnedMove {
        LearnedMove(from: from, to: to, mode: mode, boxes: boxes, hoursP50: p50, hoursP90: p90)
    }

    private func text(_ moves: [LearnedMove], new: Bool = false) -> String {
        var learned = LearnedNetwork(NetworkFile.shipped, moves, includesShipped: true)
        learned.leavesKnownOut = new
        return learned.text
    }

    @Test func aKnownLegGetsTheHoursThatWereMeasured() throws {
        let shipped = NetworkFile.shipped
        let leg = try #require(shipped.legs.first { $0.mode == .rail && $0.label.isEmpty })
        let (from, to) = (shipped.places[leg.from].id, shipped.places[leg.to].id)
        let written = text([move(from, to, leg.mode, boxes: 12, 71.26, 95)])
        let read = try NetworkFile.parse(Array(written.utf8))
        #expect(read.places.count == shipped.places.count && read.legs.count == shipped.legs.count)
        let now = try #require(
            read.legs.first {
                $0.from == leg.from && $0.to == leg.to && $0.mode == leg.mode
                    && $0.label == leg.label
            })
        #expect(now.hoursP50 == 71.3 && now.hoursP90 == 95 && now.certainty == "M")
        #expect(abs(now.distanceKm - leg.distanceKm) <= 0.05 && now.gauge == leg.gauge)
        #expect(now.source.hasPrefix("12 boxes, was "))
        #expect(!text([move(from, to, leg.mode)], new: true).contains("\nleg |"))
    }

    @Test func aNewLegBetweenKnownPlacesIsAdded() throws {
        let shipped = NetworkFile.shipped
        let (from, to) = ("CNKSS", "CNXIA")
        let (a, b) = (try #require(shipped.place(from)), try #require(shipped.place(to)))
        #expect(!shipped.outgoing[a].contains { shipped.legs[$0].to == b })
        let read = try NetworkFile.parse(Array(text([move(from, to, .road)]).utf8))
        #expect(read.legs.count == shipped.legs.count + 1)
        let leg = try #require(read.legs.last)
        #expect(leg.from == a && leg.to == b && leg.hoursP50 == 30)
        // Some 2,900 km lie between them in a straight line.
        #expect((3_400...3_900).contains(leg.distanceKm) && leg.relativeCost > 0)
        // By no mode it is said and not stated.
        let bare = text([move(from, to, .unknown)])
        #expect(bare.contains("# leg | CNKSS | CNXIA | ?"))
        #expect(try NetworkFile.parse(Array(bare.utf8)).legs.count == shipped.legs.count)
    }

    @Test func whatNobodyKnowsIsAComment() throws {
        let moves = [
            move("ZQQ", "CNXIA"), move("BAD|#\nNAME", "ZQQ"), move("CNXIA", "CNXIA"),
        ]
        let learned = LearnedNetwork(NetworkFile.shipped, moves, includesShipped: true)
        #expect(learned.strangers == ["BAD|#\nNAME", "ZQQ"])
        #expect(learned.text.contains("# place | BAD___NAME |"))
        let read = try NetworkFile.parse(Array(learned.text.utf8))
        #expect(read.legs.count == NetworkFile.shipped.legs.count)
        #expect(learned.text.contains("# leg | ZQQ | CNXIA | RAIL |"))
        // A file that is compared with another is no scenario of the shipped one.
        let own = LearnedNetwork(NetworkFile.shipped, moves, includesShipped: false)
        #expect(!own.text.contains("include"))
    }
}
