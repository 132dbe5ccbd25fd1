import Forecast
import Simulation
import TestKit
import Testing
import Tracking
import Wire

@testable import Engine

private let start = Instant(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z
private let box = "QZTU0000016"

private func hour(_ hours: Double) -> Instant { start.advanced(minutes: hours * 60) }

/// `DEPA KZHOR 10` is a milestone, or an event, of hour 10.
private func parts(_ text: String) -> (code: String, place: String, hours: Double) {
    let parts = text.split(separator: " ").map(String.init)
    return (parts[0], parts[1], Double(parts[2]) ?? 0)
}

private func plan(_ name: String, _ milestones: [String], promised: Double? = nil) -> String {
    let list = milestones.map { text in
        let (code, place, hours) = parts(text)
        return "{\"place\":\"\(place)\",\"event\":\"\(code)\",\"time\":\""
            + "\(TimeText.string(hour(hours)))\"}"
    }
    let promise = promised.map { ",\"promised\":\"\(TimeText.string(hour($0)))\"" } ?? ""
    return "{\"plan\":\"\(name)\",\"containers\":[\"\(box)\"],\"milestones\":["
        + list.joined(separator: ",") + "]\(promise)}"
}

private func seen(_ text: String, shipment: String? = nil, day: Bool = false) -> String {
    let (code, place, hours) = parts(text)
    let time = TimeText.string(hour(hours))
    let named = shipment.map { ",\"shipment\":\"\($0)\"" } ?? ""
    return "{\"container\":\"\(box)\",\"event\":\"\(code)\",\"place\":\"\(place)\",\"time\":\""
        + "\(day ? String(time.prefix(10)) : time)\"\(named)}"
}

/// What each plan of the box has come to: `KZHOR DEPA 10`, in the order of the plan's milestones.
private func story(_ lines: [String], after hours: Double = 1_000) -> [String: [String]] {
    var engine = freshEngine(now: start)
    _ = engine.step([chunk(lines)], now: hour(hours))
    return story(engine)
}

private func story(_ engine: Engine) -> [String: [String]] {
    var found: [String: [String]] = [:]
    for journey in engine.register.records[0].journeys where journey.shipment != 0 {
        guard let shipment = engine.register.shipments[journey.shipment] else { continue }
        found[engine.register.symbols[journey.shipment]] = zip(
            shipment.chain, journey.progress.reached
        ).map { milestone, reached in
            let what = "\(milestone.code.code) \(engine.register.symbols[milestone.place])"
            guard reached != .unset else { return what + " -" }
            let hours = reached.minutes(since: start) / 60
            return what + " " + (hours == hours.rounded() ? "\(Int(hours))" : "\(hours)")
        }
    }
    return found
}

private let way = ["DEPA CNXIA 10", "ARRI KZHOR 100", "ARRI DEDUI 400"]
private let back = ["DEPA DEDUI 500", "ARRI KZHOR 800", "ARRI CNXIA 900"]

/// A box in two plans: one trip, or two.
@Suite struct TripTests {
    private let house = plan(
        "HOUSE",
        ["GTIN CNXIA 5", "DEPA CNXIA 10", "ARRI KZHOR 100", "ARRI DEDUI 400", "GTOT DEDUI 410"])
    private let master = plan("MASTER", way)
    private let events = [
        "GTIN CNXIA 6", "DEPA CNXIA 12", "ARRI KZHOR 101", "ARRI DEDUI 405", "GTOT DEDUI 420",
    ]

    @Test func plansOfOneTripShareItsEvents() {
        let whole = [
            "HOUSE": [
                "GTIN CNXIA 6", "DEPA CNXIA 12", "ARRI KZHOR 101", "ARRI DEDUI 405",
                "GTOT DEDUI 420",
            ],
            "MASTER": ["DEPA CNXIA 12", "ARRI KZHOR 101", "ARRI DEDUI 405"],
        ]
        for name in [nil, "HOUSE", "MASTER"] {
            let lines = events.map { seen($0, shipment: name) }
            #expect(story([house, master] + lines) == whole, "\(name ?? "-")")
            #expect(story(lines + [master, house]) == whole)
        }
        // Now the one is named, now the other.
        let mixed = zip(events, ["HOUSE", "MASTER", nil, "MASTER", nil]).map {
            seen($0, shipment: $1)
        }
        #expect(story([house, master] + mixed) == whole)
    }

    @Test func lessonsOfOneTripCountOnce() {
        var both = freshEngine(now: start)
        _ = both.step([chunk([house, master] + events.map { seen($0) })], now: hour(1_000))
        var alone = freshEngine(now: start)
        _ = alone.step([chunk([house] + events.map { seen($0) })], now: hour(1_000))
        func observations(_ engine: Engine) -> Int {
            engine.forecasting.pools.pools.reduce(0) { $0 + $1.values.count }
        }
        #expect(observations(both) == observations(alone) && observations(alone) > 0)
        // A correction is learned and unlearned once, too, and a plan that goes takes nothing along.
        _ = both.step(
            [chunk([plan("HOUSE", ["DEPA AAAAA 1", "ARRI BBBBB 2"])])], now: hour(1_001))
        var master = freshEngine(now: start)
        _ = master.step([chunk([self.master] + events.map { seen($0) })], now: hour(1_000))
        #expect(observations(both) == observations(master))
    }

    @Test func aReportThatIsMissingIsSaidOnce() {
        for plans in [[master], [house, master], [master, house]] {
            var engine = freshEngine(now: start)
            var outputs: [OutputLine] = []
            _ = engine.step([chunk(plans)], now: hour(1))
            for (text, at) in [("GTIN CNXIA 6", 6.1), ("DEPA CNXIA 12", 12.1)] {
                outputs += engine.step([chunk([seen(text)])], now: hour(at)).commit?.outputs ?? []
            }
            while engine.nextDue < hour(250) {
                outputs += engine.step([], now: engine.nextDue).commit?.outputs ?? []
            }
            let raised = outputs.filter {
                $0.type == "overdue" && String(decoding: $0.bytes, as: UTF8.self).contains("raised")
            }
            #expect(raised.count == 1, "\(plans.count) plans")
        }
    }

    @Test func theWayBackTakesNothingOfTheWayOut() {
        // However early it was planned, and however late the box is.
        for shift in [0.0, -300, -495] {
            let early = back.map { text in
                let (code, place, hours) = parts(text)
                return "\(code) \(place) \(hours + shift)"
            }
            for names in [("OUT", "RET"), ("Z-OUT", "A-RET")] {
                let found = story([
                    plan(names.0, way), plan(names.1, early), seen("DEPA CNXIA 12"),
                    seen("ARRI KZHOR 101"), seen("ARRI DEDUI 495"),
                ])
                #expect(
                    found[names.0] == ["DEPA CNXIA 12", "ARRI KZHOR 101", "ARRI DEDUI 495"],
                    "\(shift) \(names)")
                #expect(
                    found[names.1]?.allSatisfy { $0.hasSuffix("-") } == true, "\(shift) \(names)")
            }
        }
        // And takes what is its own.
        let found = story([
            plan("OUT", way), plan("RET", back), seen("DEPA CNXIA 12"), seen("ARRI KZHOR 101"),
            seen("ARRI DEDUI 405"), seen("DEPA DEDUI 505"), seen("ARRI KZHOR 801"),
        ])
        #expect(found["OUT"] == ["DEPA CNXIA 12", "ARRI KZHOR 101", "ARRI DEDUI 405"])
        #expect(found["RET"] == ["DEPA DEDUI 505", "ARRI KZHOR 801", "ARRI CNXIA -"])
    }

    @Test func theNextRunOfAShuttleIsAnotherTrip() {
        let lines = (0..<3).map { run in
            plan("RUN-\(run)", ["DEPA KZHOR \(run * 24 + 4)", "ARRI KZALA \(run * 24 + 14)"])
        }
        let events = (0..<3).flatMap { run in
            [seen("DEPA KZHOR \(run * 24 + 5)"), seen("ARRI KZALA \(run * 24 + 15)")]
        }
        let found = story(lines + events)
        for run in 0..<3 {
            #expect(
                found["RUN-\(run)"] == [
                    "DEPA KZHOR \(run * 24 + 5)", "ARRI KZALA \(run * 24 + 15)",
                ])
        }
    }

    /// The end may be reported in other words; once the box has left, it has left.
    @Test func anEndInOtherWordsIsAnEnd() {
        let way = plan("P", ["DEPA KZHOR 10", "ARRI KZALA 24"])
        let trip = [seen("DEPA KZHOR 10"), seen("GTIN KZALA 25")]
        #expect(
            story([way] + trip + [seen("GTOT KZALA 27"), seen("ARRI KZALA 39")])["P"]
                == ["DEPA KZHOR 10", "ARRI KZALA 25"])
        #expect(
            story([way] + trip + [seen("INSP KZHOR 30"), seen("ARRI KZALA 39")])["P"]
                == ["DEPA KZHOR 10", "ARRI KZALA 25"])
        // In the same stay the exact word counts.
        #expect(
            story([way] + trip + [seen("ARRI KZALA 26")])["P"] == [
                "DEPA KZHOR 10", "ARRI KZALA 26",
            ])
    }

    /// A way that comes to one place twice, the first report missing.
    @Test func aReportBelongsToTheNextMilestoneOfItsName() {
        let loop = plan(
            "P",
            [
                "DEPA KZHOR 10", "ARRI KZALA 24", "DEPA KZALA 40", "ARRI KZHOR 60", "DEPA KZHOR 80",
                "ARRI ALTYNKOL 90",
            ])
        #expect(
            story([
                loop, seen("ARRI KZALA 25"), seen("DEPA KZALA 41"), seen("ARRI KZHOR 61"),
                seen("DEPA KZHOR 81"),
            ])["P"] == [
                "DEPA KZHOR -", "ARRI KZALA 25", "DEPA KZALA 41", "ARRI KZHOR 61", "DEPA KZHOR 81",
                "ARRI ALTYNKOL -",
            ])
    }

    /// A way that ends where it begins is not over before it has begun.
    @Test func aRoundTripEndsAtItsEnd() {
        let round = plan(
            "P",
            ["GTIN KZHOR 5", "DEPA KZHOR 10", "ARRI KZALA 24", "DEPA KZALA 40", "ARRI KZHOR 60"])
        #expect(
            story([
                round, seen("ARRI KZHOR 4"), seen("GTIN KZHOR 6"), seen("DEPA KZHOR 11"),
                seen("ARRI KZALA 25"), seen("DEPA KZALA 41"), seen("GTIN KZHOR 61"),
                seen("GTOT KZHOR 63"), seen("GTIN KZHOR 80"),
            ])["P"]?.dropFirst() == [
                "DEPA KZHOR 11", "ARRI KZALA 25", "DEPA KZALA 41", "ARRI KZHOR 61",
            ])
    }

    @Test func whatComesAfterTheEndFillsNothing() {
        var engine = freshEngine(now: start)
        let lines = [
            plan("P", ["DEPA KZHOR 10", "ARRI KZALA 24", "GTOT KZALA 28"]), seen("DEPA KZHOR 10"),
            seen("GTOT KZALA 28"), seen("GTIN KZALA 39"),
        ]
        _ = engine.step([chunk(lines)], now: hour(50))
        #expect(story(engine)["P"] == ["DEPA KZHOR 10", "ARRI KZALA -", "GTOT KZALA 28"])
        #expect(engine.forecasting.pools.pools.allSatisfy { $0.values.isEmpty })
        // Reported late, but of before the end, it counts.
        _ = engine.step([chunk([seen("ARRI KZALA 25")])], now: hour(51))
        #expect(story(engine)["P"] == ["DEPA KZHOR 10", "ARRI KZALA 25", "GTOT KZALA 28"])
    }
}

/// Which of two events came first.
@Suite struct ReadingOrderTests {
    /// The order in which events read, without a plan or by one.
    private func order(_ lines: [String], plan: String? = nil) -> [String] {
        var random = SeededGenerator(seed: testSeed("order"))
        var found: Set<[String]> = []
        for _ in 0..<6 {
            var engine = freshEngine(now: start)
            let shuffled = lines.shuffled(using: &random)
            for line in (plan.map { [$0] } ?? []) + shuffled {
                _ = engine.step([chunk([line])], now: hour(1_000))
            }
            let record = engine.register.records[0]
            let read = ReadingOrder.read(record.history.events, by: engine.guide(record.plans))
            found.insert(
                read.map {
                    let event = record.history.events[$0.index]
                    return "\(event.code.code) \(engine.register.symbols[event.place])"
                })
        }
        // Whatever the order in which the news came.
        #expect(found.count == 1)
        return found.first ?? []
    }

    @Test func eventsOfOneInstantAreReadByWhatTheyMean() {
        // Leaving where the box is, then arriving, handling and leaving at the next place.
        let tied = ["DEPA KZHOR 40", "ARRI KZHOR 40", "CUSR KZHOR 40", "DEPA CNHRS 40"]
        #expect(
            order((["ARRI CNHRS 20"] + tied).map { seen($0) }) == [
                "ARRI CNHRS", "DEPA CNHRS", "ARRI KZHOR", "CUSR KZHOR", "DEPA KZHOR",
            ])
        // By the plan, where nothing came before.
        #expect(
            order(tied.map { seen($0) }, plan: plan("P", ["DEPA CNHRS 30", "ARRI KZHOR 35"]))
                == ["DEPA CNHRS", "ARRI KZHOR", "CUSR KZHOR", "DEPA KZHOR"])
        #expect(
            order(tied.map { seen($0) }, plan: plan("P", ["DEPA KZHOR 30", "ARRI CNHRS 35"])).last
                == "DEPA CNHRS")
        // At places that nobody knows by their names.
        #expect(order([seen("ARRI QQQ 5"), seen("ARRI PPP 5")]) == ["ARRI PPP", "ARRI QQQ"])
    }

    /// So many that nobody looks where each fits best: by plan and name, and once through.
    @Test func veryManyOfOneInstantAreRead() {
        let many = (0..<1_200).map { seen("INSP ZY\($0 + 10_000) 40") }
        let days = (0..<300).map { seen("INSP ZX\($0 + 10_000) 40", day: true) }
        var engine = freshEngine(now: start)
        _ = engine.step([chunk(many + days)], now: hour(50))
        let record = engine.register.records[0]
        let read = ReadingOrder.read(record.history.events, by: engine.guide(record.plans))
        #expect(read.count == 1_500)
        #expect(zip(read, read.dropFirst()).allSatisfy { $0.time <= $1.time })
        let names = read.map { engine.register.symbols[record.history.events[$0.index].place] }
            .filter { $0.hasPrefix("ZY") }
        #expect(names == names.sorted())
    }

    @Test func aDayAloneIsPutWhereItFits() {
        let day = ["GTIN KZHOR 30", "DEPA KZHOR 40", "ARRI KZALA 42"]
        func read(_ text: String) -> [String] {
            order(day.map { seen($0) } + [seen(text, day: true)])
        }
        #expect(read("ARRI KZHOR 24") == ["ARRI KZHOR", "GTIN KZHOR", "DEPA KZHOR", "ARRI KZALA"])
        #expect(read("CUSR KZHOR 24") == ["GTIN KZHOR", "CUSR KZHOR", "DEPA KZHOR", "ARRI KZALA"])
        #expect(read("GTOT KZALA 24") == ["GTIN KZHOR", "DEPA KZHOR", "ARRI KZALA", "GTOT KZALA"])
        // Only days.
        #expect(
            order(["DEPA KZHOR 24", "ARRI KZHOR 24", "CUSR KZHOR 24"].map { seen($0, day: true) })
                == ["ARRI KZHOR", "CUSR KZHOR", "DEPA KZHOR"])
    }

    @Test func aDayAloneTeachesNothingAndRunsNoWhereBackwards() {
        var engine = freshEngine(now: start)
        let lines = [
            plan("P", ["DEPA KZHOR 34", "ARRI KZALA 44", "GTOT KZALA 60"]), seen("DEPA KZHOR 36"),
            seen("ARRI KZALA 30", day: true), seen("GTOT KZALA 61"),
        ]
        _ = engine.step([chunk(lines)], now: hour(70))
        let journey = engine.register.records[0].journeys[0]
        let reached = journey.progress.reached
        #expect(reached.count == 3 && reached.allSatisfy { $0 != .unset })
        #expect(reached == reached.sorted())
        #expect(engine.forecasting.pools.pools.allSatisfy { $0.values.isEmpty })
        // The time itself takes the day's place, and is learned from.
        let timed = seen("ARRI KZALA 42").replacing(
            "{\"container\"", with: "{\"id\":\"x\",\"container\"")
        _ = engine.step([chunk([timed])], now: hour(71))
        #expect(engine.forecasting.pools.pools.contains { !$0.values.isEmpty })
    }

    @Test func noStepOfNegativeLengthIsLearned() {
        var engine = freshEngine(now: start)
        _ = engine.step(
            [
                chunk([
                    plan("P", ["DEPA CNHRS 10", "GTIN KZHOR 11", "ARRI KZALA 30"]),
                    seen("DEPA CNHRS 12"), seen("GTIN KZHOR 11.5"),
                ])
            ], now: hour(20))
        #expect(engine.forecasting.pools.pools.allSatisfy { $0.values.isEmpty })
    }
}
