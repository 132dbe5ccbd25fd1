import Engine
import Forecast
import Log
import Simulation
import TestKit
import Testing
import Tracking
import Wire

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func at(_ hours: Double) -> Instant { start.advanced(minutes: hours * 60) }

private func box(_ number: Int) -> String {
    ContainerNumber(owner: "JOIU", serial: number)?.description ?? ""
}

/// Two boxes come to the hub HUB1 and go on as a third; places that no network knows.
private func plan(_ name: String = "J1", boxes: [String]) -> String {
    func milestone(
        _ id: String, _ box: String, _ place: String, _ event: String, _ hours: Double,
        _ after: [String]
    ) -> String {
        let list = after.map { "\"\($0)\"" }.joined(separator: ",")
        return "{\"id\":\"\(id)\",\"container\":\"\(box)\",\"place\":\"\(place)\","
            + "\"event\":\"\(event)\",\"time\":\"\(TimeText.string(at(hours)))\",\"after\":[\(list)]}"
    }
    let list = [
        milestone("a1", boxes[0], "ORIG1", "DEPA", 10, []),
        milestone("a2", boxes[0], "HUB1", "ARRI", 20, ["a1"]),
        milestone("b1", boxes[1], "ORIG2", "DEPA", 12, []),
        milestone("b2", boxes[1], "HUB1", "ARRI", 24, ["b1"]),
        milestone("o1", boxes[2], "HUB1", "DEPA", 30, ["a2", "b2"]),
        milestone("o2", boxes[2], "DEST1", "ARRI", 50, ["o1"]),
    ]
    return
        "{\"plan\":\"\(name)\",\"containers\":[\(boxes.map { "\"\($0)\"" }.joined(separator: ","))],"
        + "\"start\":\"\(TimeText.string(at(0)))\",\"promised\":\"\(TimeText.string(at(52)))\","
        + "\"updated\":\"\(TimeText.string(at(0)))\",\"milestones\":[\(list.joined(separator: ","))]}"
}

private func event(
    _ id: String, _ box: String, _ place: String, _ code: String, _ hours: Double,
    shipment: String = "J1", extra: String = ""
) -> String {
    "{\"id\":\"\(id)\",\"container\":\"\(box)\",\"event\":\"\(code)\",\"place\":\"\(place)\","
        + "\"time\":\"\(TimeText.string(at(hours)))\",\"shipment\":\"\(shipment)\"\(extra)}"
}

@Suite struct HandoverTests {
    private let symbolsBefore = Symbols()

    private func made(_ line: String) throws -> (milestones: [Milestone], graph: JoinGraph) {
        let bytes = Array(line.utf8)
        guard case .plan(let plan) = bytes.withUnsafeBufferPointer({ FeedParser().parse($0) })
        else { throw CodingFlaw("no plan") }
        var symbols = symbolsBefore
        return try #require(ChainBuilder(network: Network()).graph(plan, &symbols))
    }

    private func milestone(
        _ id: String, _ box: String?, _ place: String, _ event: String, after: [String]
    ) -> String {
        let owner = box.map { "\"container\":\"\($0)\"," } ?? ""
        return "{\"id\":\"\(id)\",\(owner)\"place\":\"\(place)\",\"event\":\"\(event)\",\"time\":\""
            + "\(TimeText.string(at(Double(id.utf8.last ?? 48) - 48)))\",\"after\":["
            + after.map { "\"\($0)\"" }.joined(separator: ",") + "]}"
    }

    private func plan(_ boxes: [String], _ milestones: [String]) -> String {
        "{\"plan\":\"H1\",\"containers\":[\(boxes.map { "\"\($0)\"" }.joined(separator: ","))],"
            + "\"milestones\":[\(milestones.joined(separator: ","))]}"
    }

    /// From one box into the next, and from that into a third: two handovers, three legs.
    @Test func eachHandoverBeginsALeg() throws {
        let boxes = [box(1), box(2), box(3)]
        let (milestones, graph) = try made(
            plan(
                boxes,
                [
                    milestone("m1", boxes[0], "A", "DEPA", after: []),
                    milestone("m2", boxes[0], "B", "ARRI", after: ["m1"]),
                    milestone("m3", boxes[1], "B", "DEPA", after: ["m2"]),
                    milestone("m4", boxes[1], "C", "ARRI", after: ["m3"]),
                    milestone("m5", boxes[2], "C", "DEPA", after: ["m4"]),
                    milestone("m6", boxes[2], "D", "ARRI", after: ["m5"]),
                ]))
        #expect(graph.legs == [-1, -1, 2, 2, 4, 4])
        #expect(
            milestones.map(\.direction)
                == [.inbound, .inbound, .inbound, .inbound, .outbound, .outbound])
        // The one in the middle may move with its leg as the last one may.
        #expect(
            milestones.map { PoolKey.hasTwoTimetables($0) }
                == [false, false, true, false, true, false])
    }

    /// A plan of one box hands nothing over, whichever of its milestones name it.
    @Test func oneBoxHandsNothingOver() throws {
        let (milestones, graph) = try made(
            plan(
                [box(1)],
                [
                    milestone("m1", box(1), "A", "GTIN", after: []),
                    milestone("m2", nil, "A", "DEPA", after: ["m1"]),
                    milestone("m3", box(1), "B", "GTOT", after: ["m2"]),
                ]))
        #expect(graph.legs == [-1, -1, -1])
        #expect(milestones.allSatisfy { $0.direction == .straight && !$0.isOnward })
    }

    /// A plan that changes nothing but its minutes is another one.
    @Test func minutesAreAPartOfThePlan() throws {
        var engine = freshEngine(now: start)
        func send(_ minutes: String) -> Int {
            let line =
                "{\"plan\":\"M1\",\"containers\":[\"\(box(9))\"],\"start\":\"\(TimeText.string(at(0)))\","
                + "\"milestones\":[{\"place\":\"A1\",\"event\":\"DEPA\"\(minutes)},"
                + "{\"place\":\"B1\",\"event\":\"ARRI\",\"minutes\":600}]}"
            return engine.step([chunk([line])], now: at(0)).counts.stored
        }
        func p50() -> Double {
            engine.outlook(ContainerNumber(box(9))!, shipment: "M1", now: at(0))?.shares[4]
                .minutes(since: at(0)) ?? .nan
        }
        #expect(send(",\"minutes\":600") == 1)
        let first = p50()
        #expect((1_000...1_600).contains(first))
        #expect(send(",\"minutes\":600") == 0)
        #expect(send(",\"minutes\":2400") == 1)
        #expect(p50() > first + 1_500)
    }

    /// On a way through the network there may be more between two milestones than the plan names.
    @Test func minutesOfARouteAreNotThoseOfItsLastHop() throws {
        var engine = freshEngine(now: start)
        func p50(_ name: String, _ milestones: String) -> Double {
            let line =
                "{\"plan\":\"\(name)\",\"containers\":[\"\(box(9))\"],\"from\":\"CNXIA\",\"to\":\"DEDUI\","
                + "\"mode\":\"RAIL\",\"start\":\"\(TimeText.string(at(0)))\",\"milestones\":[\(milestones)]}"
            _ = engine.step([chunk([line])], now: at(0))
            return engine.outlook(ContainerNumber(box(9))!, shipment: name, now: at(0))?.shares[4]
                .minutes(since: at(0)) ?? .nan
        }
        let bare = p50("R1", "")
        let stated = p50("R2", "{\"place\":\"PLMAA\",\"event\":\"ARRI\",\"minutes\":14400}")
        #expect(abs(stated - bare) < 0.02 * bare)
    }
}

@Suite struct JoinTests {
    private let boxes = [box(1), box(2), box(3)]

    private func p50(_ engine: inout Engine, _ hours: Double) -> Double {
        let found = engine.outlook(
            ContainerNumber(boxes[2])!, shipment: "J1", now: at(hours))
        return found?.shares[4].minutes(since: start) ?? .nan
    }

    @Test func aShipmentWaitsForTheLastOfItsBoxes() {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan(boxes: boxes)])], now: at(0))
        let booked = p50(&engine, 0)
        // One box a day late: the shipment is, though the other came early.
        _ = engine.step(
            [chunk([event("1", boxes[0], "ORIG1", "DEPA", 9)])], now: at(9))
        _ = engine.step(
            [chunk([event("2", boxes[1], "ORIG2", "DEPA", 36)])], now: at(36))
        let late = p50(&engine, 36)
        #expect(late > booked + 18 * 60)
        _ = engine.step(
            [chunk([event("3", boxes[0], "HUB1", "ARRI", 37)])], now: at(37))
        // The second box still decides.
        #expect(abs(p50(&engine, 37) - late) < 6 * 60)
        _ = engine.step(
            [
                chunk([
                    event("4", boxes[1], "HUB1", "ARRI", 48),
                    event("5", boxes[2], "HUB1", "DEPA", 54),
                ])
            ], now: at(54))
        _ = engine.step([chunk([event("6", boxes[2], "DEST1", "ARRI", 75)])], now: at(75))
        let done = engine.outlook(ContainerNumber(boxes[0])!, shipment: "J1", now: at(76))
        #expect(done?.expected.next == nil)
        #expect(done?.expected.last == [at(75)])
    }

    @Test func oneBoxSpeaksForAll() throws {
        var engine = freshEngine(now: start)
        _ = engine.step([chunk([plan(boxes: boxes)])], now: at(0))
        let effects = engine.step(
            [chunk([event("late-one", boxes[1], "ORIG2", "DEPA", 40)])], now: at(40))
        let outputs = effects.commit?.outputs ?? []
        let etas = outputs.filter { $0.kind == "eta" }.compactMap { FlatObject($0.bytes) }
        #expect(etas.count == 1)
        #expect(etas.first?.text("container") == boxes[2])
        #expect(etas.first?.text("event") == "late-one")
        #expect(outputs.filter { $0.type == "late" }.allSatisfy { $0.container == boxes[2] })
    }

    @Test func theOrderOfTheNewsDoesNotCount() {
        let seed = testSeed("theOrderOfTheNewsDoesNotCount")
        let news = [
            event("1", boxes[0], "ORIG1", "DEPA", 11), event("2", boxes[0], "HUB1", "ARRI", 22),
            event("3", boxes[1], "ORIG2", "DEPA", 13), event("4", boxes[1], "HUB1", "ARRI", 25),
            event("5", boxes[2], "HUB1", "DEPA", 31),
        ]
        var random = SeededGenerator(seed: seed)
        var states: Set<[UInt8]> = []
        var forecasts: Set<Double> = []
        for _ in 0..<20 {
            var engine = freshEngine(now: start)
            var lines = news + [plan(boxes: boxes)]
            lines.shuffle(using: &random)
            for line in lines { _ = engine.step([chunk([line])], now: at(32)) }
            states.insert(engine.trackedState())
            forecasts.insert(p50(&engine, 33))
        }
        #expect(states.count == 1)
        #expect(forecasts.count == 1)
    }

    @Test func aRingOfMilestonesIsRefused() {
        let line =
            "{\"plan\":\"R\",\"containers\":[\"\(boxes[0])\"],\"milestones\":["
            + "{\"id\":\"a\",\"place\":\"X\",\"event\":\"DEPA\",\"after\":[\"b\"]},"
            + "{\"id\":\"b\",\"place\":\"Y\",\"event\":\"ARRI\",\"after\":[\"a\"]}]}"
        let value = Array(line.utf8).withUnsafeBufferPointer { FeedParser().parse($0) }
        guard case .reject(let reject) = value else {
            Issue.record("accepted: \(value)")
            return
        }
        #expect(reject.field == "after" && reject.detail.contains("ring"))
    }

    @Test func becauseAddsUpToTheChange() {
        var options = TrafficOptions(start: start)
        options.days = 20
        options.shipmentsPerDay = 8
        options.strays = Strays(
            otherWay: 0.2, neighbour: 0.1, returned: 0.1, skipped: 0.05, doubled: 0.05)
        var engine = freshEngine(now: start)
        var changes = 0
        var several = 0
        for line in Traffic(options).lines {
            let effects = engine.step(
                [chunk([String(decoding: line.line, as: UTF8.self)])], now: line.at)
            for output in effects.commit?.outputs ?? [] where output.kind == "eta" {
                guard let object = FlatObject(output.bytes),
                    let change = object.integer("changeMinutes"), change != 0
                else { continue }
                let parts = object.objects("because")
                changes += 1
                if parts.count > 1 { several += 1 }
                #expect(parts.reduce(0) { $0 + ($1.integer("minutes") ?? 0) } == change)
                #expect(parts.allSatisfy { $0.text("place") != nil && $0.text("cause") != nil })
            }
        }
        #expect(changes > 300)
        #expect(several > 30)
    }

    @Test func aRestartForecastsIdentically() async throws {
        let log = MemoryLog()
        var engine = try await Recovery.run(log).engine
        var lines = [plan(boxes: boxes)]
        for (index, hours) in [11.0, 22, 13, 25, 31].enumerated() {
            let places = ["ORIG1", "HUB1", "ORIG2", "HUB1", "HUB1"]
            let codes = ["DEPA", "ARRI", "DEPA", "ARRI", "DEPA"]
            lines.append(
                event(
                    "\(index)", boxes[[0, 0, 1, 1, 2][index]], places[index], codes[index], hours))
        }
        for (index, line) in lines.enumerated() {
            let effects = engine.step([chunk([line])], now: at(32))
            if let commit = effects.commit { try await log.commit(commit) }
            if index == 3 { try await log.checkpoint(engine.cut(now: at(32))) }
        }
        var again = try await Recovery.run(log).engine
        #expect(again.canonicalState() == engine.canonicalState())
        #expect(p50(&again, 40) == p50(&engine, 40))
    }
}
