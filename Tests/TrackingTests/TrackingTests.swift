import Simulation
import Testing
import Tracking
import Wire

@Suite struct ContainerNumberTests {
    @Test(arguments: ["MSKU0308961", "msku 030896-1", "CSQU3054383", "TOLU4734787", "FLTU0000018"])
    func acceptsKnownNumbers(_ text: String) {
        #expect(ContainerNumber(text) != nil)
    }

    @Test func saysWhatTheCheckDigitShouldBe() {
        #expect(ContainerNumber.parse("MSCU1234567") == .failure(.checkDigit(expected: 6)))
        #expect(ContainerNumber.corrected("MSCU1234567")?.description == "MSCU1234566")
    }

    @Test(arguments: [
        "", "MSKU030896", "MSKU03089611", "MS1U0308961", "MSKX0308961", "MSKU03O8961",
    ])
    func refusesOtherForms(_ text: String) {
        #expect(ContainerNumber.parse(text) == .failure(.form))
    }

    @Test func acceptsSwapBodies() {
        for category in ["A", "B", "D", "E", "K"] {
            let number = ContainerNumber(owner: "ABC" + category, serial: 123_456)
            #expect(number != nil)
            #expect(ContainerNumber(number?.description ?? "") == number)
        }
    }

    @Test func survivesItsText() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<1_000 {
            let serial = Int(random.next() % 1_000_000)
            let number = ContainerNumber(owner: "ARCU", serial: serial)
            #expect(number.flatMap { ContainerNumber($0.description) } == number)
        }
    }
}

@Suite struct TimeTests {
    @Test func civilTimeComesBack() {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<2_000 {
            let instant = Instant(
                microseconds: Int64(random.next() % 8_000_000_000_000_000) - 2_000_000_000_000_000)
            let offset = Int(random.next() % 1_680) - 840
            let civil = CivilTime(instant, offsetMinutes: offset)
            #expect(civil.instant(offsetMinutes: offset) == instant)
        }
    }

    @Test func almatyChangedItsClocks() throws {
        let network = NetworkFile.shipped
        let almaty = network.places[try #require(network.place("KZALA"))].zone
        let before = try #require(TimeText.parse("2024-02-29T17:59:59Z")).instant
        let after = try #require(TimeText.parse("2024-02-29T18:00:00Z")).instant
        #expect(almaty.offset(at: before) == 360)
        #expect(almaty.offset(at: after) == 300)
    }

    @Test func europeChangesTwiceAYear() throws {
        let zone = ZoneRule(name: "Europe/Berlin", offsetMinutes: 60, europeanSummerTime: true)
        for (text, offset) in [
            ("2026-03-29T00:59:59Z", 60), ("2026-03-29T01:00:00Z", 120),
            ("2026-10-25T00:59:59Z", 120), ("2026-10-25T01:00:00Z", 60),
        ] {
            let instant = try #require(TimeText.parse(text)).instant
            #expect(zone.offset(at: instant) == offset)
        }
    }

    @Test func namedUUIDIsTheStandards() {
        // RFC 9562, appendix A.4 gives the DNS name space; the property that matters here is that
        // the name alone decides, and that version and variant are set.
        let one = NamedUUID.version5("a|b")
        #expect(one == NamedUUID.version5("a|b"))
        #expect(one != NamedUUID.version5("a|c"))
        #expect(Array(one)[14] == "5")
        #expect("89ab".contains(Array(one)[19]))
    }
}

@Suite struct HistoryTests {
    /// One event in several versions, retractions among them.
    private func versions(_ random: inout SeededGenerator) -> [EventRecord] {
        var found: [EventRecord] = []
        for id in 0..<6 {
            let identity = Identity(high: UInt64(id), low: 7)
            for version in 0..<Int(1 + random.next() % 3) {
                found.append(
                    EventRecord(
                        identity: identity, content: random.next(),
                        time: Instant(seconds: Int64(random.next() % 1_000_000)),
                        updated: version == 0 ? .unset : Instant(seconds: Int64(version)),
                        place: UInt32(1 + random.next() % 4), code: .arri))
            }
            if random.chance(0.4) {
                found.append(
                    EventRecord(
                        identity: identity, content: random.next(), time: .unset,
                        updated: random.chance(0.5) ? .unset : Instant(seconds: 5), place: 0,
                        code: .insp, retracted: true))
            }
        }
        return found
    }

    @Test func everyOrderEndsInTheSameHistory() {
        let seed: UInt64 = .random(in: 1...1_000_000_000)
        print("everyOrderEndsInTheSameHistory: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let news = versions(&random)
            var reference = EventHistory()
            for record in news { _ = reference.fold(record) }
            for _ in 0..<5 {
                var history = EventHistory()
                for record in (news + news).shuffled(using: &random) { _ = history.fold(record) }
                #expect(history == reference, "seed \(seed)")
            }
        }
    }

    @Test func aDuplicateChangesNothing() {
        let record = EventRecord(
            identity: Identity(high: 1, low: 1), content: 9, time: Instant(seconds: 1), place: 1,
            code: .arri)
        var history = EventHistory()
        #expect(history.fold(record) == .added(newest: true))
        let before = history
        #expect(history.fold(record) == .duplicate)
        #expect(history == before)
    }

    @Test func otherContentWithoutALaterVersionIsAConflict() {
        var record = EventRecord(
            identity: Identity(high: 1, low: 1), content: 9, time: Instant(seconds: 1), place: 1,
            code: .arri)
        var history = EventHistory()
        _ = history.fold(record)
        record.content = 10
        #expect(history.fold(record) == .conflict)
        record.updated = Instant(seconds: 3)
        #expect(history.fold(record) == .replaced)
        #expect(history.events.count == 1)
    }
}

@Suite struct NetworkTests {
    private let network = NetworkFile.shipped

    private func route(_ from: String, _ to: String, _ modes: Set<TransportMode>) throws -> Route {
        let ends = [try #require(network.place(from)), try #require(network.place(to))]
        return try #require(network.route(through: ends, RouteOptions(modes: modes)))
    }

    @Test func everyCorridorConnects() {
        #expect(network.corridors.count >= 15)
        for corridor in network.corridors {
            let options = RouteOptions(modes: Set(corridor.modes))
            #expect(network.route(through: corridor.places, options) != nil, "\(corridor.name)")
        }
    }

    @Test func railBeatsSeaByTenDaysAtFiveTimesTheCost() throws {
        let rail = try route("CNSGH", "DEHAM", [.rail])
        let sea = try route("CNSGH", "DEHAM", [.sea])
        #expect(sea.hoursP50 - rail.hoursP50 >= 240)
        let ratio = rail.relativeCost / sea.relativeCost
        #expect(ratio > 4.5 && ratio < 5.5)
    }

    @Test func roadsAreFastBeforeKhorgosAndSlowAfter() throws {
        let road = try route("CNLYG", "KZALA", [.road])
        let speeds = road.stops.compactMap(\.arrivingBy).map { network.legs[$0] }
        #expect(speeds.first?.freeFlowKmh == 120)
        #expect(speeds.last?.freeFlowKmh == 50)
    }

    @Test func gaugeChangesAreDwellsOfTheirOwn() throws {
        let through = ["CNXIA", "CNHRS", "KZALA", "RUMOW", "PLMAA", "DEDUI"]
        let places = try through.map { try #require(network.place($0)) }
        let found = try #require(network.route(through: places, RouteOptions(modes: [.rail])))
        let gauges = found.stops.filter { $0.dwells.contains { $0.kind == .gauge } }
        #expect(gauges.count == 2)
    }

    @Test func aliasesLeadToThePlace() {
        #expect(network.place("CNSHA") == network.place("CNSGH"))
        #expect(network.place("KHORGOS_KTZE") == network.place("KZHOR"))
    }

    @Test func closedKhorgosHasAWayRound() throws {
        let ends = [try #require(network.place("CNXIA")), try #require(network.place("DEDUI"))]
        let closed = Set(["CNHRS", "KZHOR", "ALTYNKOL"].compactMap { network.place($0) })
        let options = RouteOptions(modes: [.rail], avoiding: closed)
        let round = try #require(network.route(through: ends, options))
        let alashankou = network.place("CNAKL")
        #expect(round.stops.contains { $0.place == alashankou })
    }
}

@Suite struct ZoneTests {
    private let berlin = ZoneRule(
        name: "Europe/Berlin", offsetMinutes: 60, europeanSummerTime: true)

    @Test func eachCivilTimeIsOneInstant() {
        // Every quarter of an hour of a year, read and shown again.
        for step in 0..<(366 * 96) {
            let instant = Instant(seconds: 1_767_225_600 + Int64(step) * 900)
            let shown = CivilTime(instant, offsetMinutes: berlin.offset(at: instant))
            let (read, showing) = berlin.reading(shown)
            #expect(showing != .never)
            // Of two the earlier.
            #expect(read == instant || showing == .twice && instant.minutes(since: read) == 60)
        }
    }

    @Test func theHourThatIsLeftOutMovesForward() {
        let civil = CivilTime(year: 2026, month: 3, day: 29, hour: 2, minute: 30)
        let (instant, showing) = berlin.reading(civil)
        #expect(showing == .never)
        #expect(CivilTime(instant, offsetMinutes: 120).hour == 3)
        let twice = berlin.reading(CivilTime(year: 2026, month: 10, day: 25, hour: 2, minute: 30))
        #expect(twice.showing == .twice && CivilTime(twice.instant).hour == 0)
    }

    @Test func aZoneThatChangedItsOffset() {
        // Almaty went from +06:00 to +05:00 on 1 March 2024: the last hour of February came twice.
        let changed = CivilTime(year: 2024, month: 3, day: 1).instant(offsetMinutes: 360)
        let almaty = ZoneRule(
            name: "Asia/Almaty", offsetMinutes: 300, changedAt: changed, formerOffsetMinutes: 360)
        let twice = almaty.reading(CivilTime(year: 2024, month: 2, day: 29, hour: 23, minute: 30))
        #expect(twice.showing == .twice && twice.instant < changed)
        #expect(almaty.reading(CivilTime(year: 2024, month: 2, day: 29, hour: 22)).showing == .once)
        #expect(almaty.reading(CivilTime(year: 2024, month: 3, day: 1, hour: 1)).showing == .once)
    }
}

@Suite struct SpellingTests {
    @Test func slipsAreCounted() {
        #expect(Slips.between("KZHOR", "KZHRO", atMost: 1) == 1)
        #expect(Slips.between("KZHOR", "KZHR", atMost: 1) == 1)
        #expect(Slips.between("shipment", "shipement", atMost: 2) == 1)
        #expect(Slips.between("KZHOR", "CNHRS", atMost: 2) == nil)
        #expect(Slips.between("", "", atMost: 0) == 0 && Slips.between("", "A", atMost: 1) == 1)
    }

    @Test func placesAreSpelledInOneWay() {
        #expect(PlaceSpelling.key("Małaszewicze") == "MALASZEWICZE")
        #expect(
            PlaceSpelling.key("kz\u{A0}hor") == "KZHOR"
                && PlaceSpelling.key("KZ\u{2011}HOR") == "KZHOR")
        #expect(PlaceSpelling.code(" sg sin ") == "SGSIN")
        #expect(PlaceSpelling.code("depot  7") == "DEPOT 7")
        #expect(LookAlike.latin("\u{41A}ZH\u{41E}R") == "KZHOR")
        #expect(LookAlike.words(about: "KZHOR") == nil)
    }
}
