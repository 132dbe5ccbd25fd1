import Engine
import Foundation
import Simulation
import TestKit
import Testing
import Tracking
import Wire

/// What is true of every alert, whatever it is about: a model that each line of the output is held against.
struct AlertModel {
    struct Life {
        var type: String
        var subject: String
        var rev: Int
        var severity: String
        var isOpen = true
        var isAcknowledged = false
    }

    private(set) var lives: [String: Life] = [:]
    private(set) var flaws: [String] = []
    private var openKeys: [String: String] = [:]

    var open: [Life] { lives.values.filter(\.isOpen) }

    mutating func hear(_ line: FlatObject) {
        guard line.text("kind") == "alert", let id = line.text("alert"),
            let rev = line.integer("rev"), let state = line.text("state"),
            let type = line.text("type"), let severity = line.text("severity")
        else { return }
        func fail(_ why: String) { flaws.append("\(type) \(id) rev \(rev) \(state): \(why)") }
        let subject =
            line.text("container").map {
                "\($0) \(line.text("shipment") ?? "") \(line.text("place") ?? "")"
            } ?? line.text("post") ?? line.text("place") ?? ""
        if line.text("text")?.isEmpty ?? true { fail("it says nothing") }
        guard var life = lives[id] else {
            if state != "raised" || rev != 1 { fail("it was not raised first") }
            lives[id] = Life(type: type, subject: subject, rev: rev, severity: severity)
            // Of a way that comes to a place twice the event tells which; it is not on the line.
            let key = "\(type) \(subject)"
            if let other = openKeys[key], type != "overdue", type != "closure", type != "stuck" {
                fail("\(other) is open about the same")
            }
            openKeys[key] = id
            return
        }
        if !life.isOpen { fail("it had ended") }
        if rev != life.rev + 1 { fail("its last line was rev \(life.rev)") }
        if state == "raised" { fail("it was raised already") }
        if life.type != type { fail("it was \(life.type)") }
        life.rev = rev
        switch state {
        case "cleared", "withdrawn":
            life.isOpen = false
            openKeys = openKeys.filter { $0.value != id }
        case "acknowledged": life.isAcknowledged = true
        default: life.severity = severity
        }
        lives[id] = life
    }
}

@Suite struct AlertLifeTests {
    /// Posts fall silent, clocks go wrong, boxes are lost, places close and open, people say that they see
    /// to it: each alert has one beginning, one end, and lines that count on.
    @Test func everyAlertLivesOnce() throws {
        let seed = testSeed("everyAlertLivesOnce")
        for round in 0..<(ProcessInfo.processInfo.environment["CARAVAN_TEST_SOAK"] == nil ? 6 : 200)
        {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            var corridor = Corridor()
            corridor.lastDeparture = 260
            corridor.lost = Set((0..<8).map { _ in Int(260 * random.share()) })
            let post = random.chance(0.5) ? "B" : "C"
            let from = 100 + 60 * random.share()
            corridor.silent[post] = from..<(from + 4 + 30 * random.share())
            corridor.skew[random.chance(0.5) ? "B" : "C"] = (
                random.chance(0.5) ? 60 : -15, 80 + 100 * random.share()
            )
            var model = AlertModel()
            var heard = 0
            var hour = 0.0
            while hour < 300 {
                hour += 1 + 6 * random.share()
                corridor.run(until: hour)
                if random.chance(0.06) { corridor.send([Self.closure(hour, &random)]) }
                if random.chance(0.2), let line = corridor.said.last?.object,
                    let id = line.text("alert"), let rev = line.integer("rev"),
                    !["cleared", "withdrawn"].contains(line.text("state"))
                {
                    corridor.send(["{\"acknowledge\":\"\(id)\",\"rev\":\(rev)}"])
                }
                for line in corridor.said[heard...] { model.hear(line.object) }
                heard = corridor.said.count
            }
            corridor.run(until: 300 + 800 * 24)
            for line in corridor.said[heard...] { model.hear(line.object) }
            #expect(model.flaws.isEmpty, "seed \(seed), round \(round): \(model.flaws.prefix(5))")
            #expect(
                model.open.isEmpty,
                "seed \(seed), round \(round), without an end: \(model.open.prefix(5))")
            #expect(model.lives.count > 3)
            #expect(
                try corridor.replayed().canonicalState() == corridor.engine.canonicalState(),
                "seed \(seed), round \(round)")
        }
    }

    private static func closure(_ hour: Double, _ random: inout SeededGenerator) -> String {
        let from = Corridor.at(hour + 10 * random.share())
        let until = from.advanced(minutes: 60 + 2_000 * random.share())
        let id = Int(3 * random.share())
        let retract = random.chance(0.3) ? ",\"retract\":true" : ""
        return "{\"closure\":\"C-\(id)\",\"place\":\"\(random.chance(0.7) ? "ZBB" : "ZCC")\","
            + "\"from\":\"\(TimeText.string(from))\",\"until\":\"\(TimeText.string(until))\","
            + "\"updated\":\"\(TimeText.string(Corridor.at(hour)))\"\(retract)}"
    }

    /// The model tells: an alert that begins twice, ends twice, or counts wrongly is a flaw.
    @Test func theModelFindsWhatIsWrong() throws {
        func flaws(_ lines: [(state: String, rev: Int)]) -> Int {
            var model = AlertModel()
            for line in lines {
                let text =
                    "{\"kind\":\"alert\",\"alert\":\"a\",\"rev\":\(line.rev),\"state\":\"\(line.state)\","
                    + "\"type\":\"late\",\"severity\":\"info\",\"text\":\"t\",\"container\":\"X\"}"
                if let object = FlatObject(Array(text.utf8)) { model.hear(object) }
            }
            return model.flaws.count
        }
        #expect(flaws([("raised", 1), ("updated", 2), ("cleared", 3)]) == 0)
        #expect(flaws([("updated", 1)]) == 1)
        #expect(flaws([("raised", 1), ("raised", 2)]) == 1)
        #expect(flaws([("raised", 1), ("cleared", 3)]) == 1)
        #expect(flaws([("raised", 1), ("cleared", 2), ("updated", 3)]) == 1)
    }

    /// A day without a post, and then all of it at once: an alert for the box that is really missing, one
    /// word about where each is.
    @Test func aDaysNewsAtOnceSaysOnlyHowItEnds() throws {
        var corridor = Corridor()
        corridor.silent["B"] = 150..<174
        corridor.lost = [146]
        corridor.run(until: 173.9)
        let before = corridor.said.count
        corridor.run(until: 174.6)
        let news = corridor.said[before...]
        var alerts: [String: Int] = [:]
        var etas: [String: Int] = [:]
        for line in news {
            guard let box = line.object.text("container") else { continue }
            let isAlert = line.object.text("kind") == "alert"
            if isAlert { alerts[box, default: 0] += 1 } else { etas[box, default: 0] += 1 }
        }
        #expect(
            alerts.count <= 1 && alerts.keys.allSatisfy { $0 == Corridor.box(146) },
            "\(news.map { ($0.at, $0.type, $0.state, $0.object.text("text") ?? "") }.filter { $0.1 != "" })"
        )
        #expect(
            etas.values.allSatisfy { $0 == 1 },
            "\(news.filter { etas[$0.object.text("container") ?? ""] ?? 0 > 1 }.map { ($0.at, $0.object) })"
        )
        #expect(corridor.alerts("post-silent", "cleared").count == 1)
    }
}
