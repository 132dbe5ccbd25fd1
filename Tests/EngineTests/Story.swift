import Engine
import TestKit
import Testing
import Tracking
import Wire

/// A journey told line by line, and what is to be believed of it. Days count from the first of January
/// 2026, 00:00 UTC; `0.5` is noon. What a story says:
///
///     plan CNXIA > DEDUI by RAIL via CNHRS KZHOR promised 20      a plan that the network makes a way of
///     plan DEPA ZAA 1, ARRI ZBB 2, GTOT ZBB 2.5 promised 3        a plan that brings its milestones
///     1.5 ARRI CNHRS                                              a report, heard when it happened
///     1.5 ARRI CNHRS heard 3                                      and one that came later
///     cancel                                                      the plan is taken back
///     retract ARRI CNHRS                                          what was reported of that did not happen
///     now 4                                                       nothing is heard until then
///     expect next ARRI KZALA                                      the milestone that is waited for
///     expect way KZALA RUMOW DEDUI                                places ahead, in this order among others
///     expect not CNAKL                                            a place that does not lie ahead
///     expect done DEPA CNHRS                                      it happened
///     expect passed CUSR CNHRS                                    it is behind, and nobody reported it
///     expect by ARRI KZHOR                                        it happened by then: something tells so
///     expect extra ARRI ALTYNKOL                                  a stay that no plan names
///     expect aside ARRI DEDUI                                     a report that is no evidence
///     expect end 10 14                                            the last p50 lies between these days
///     expect arrived 60                                           arrived, so many minutes after the promise
///     expect said route                                           an eta line since the last report says so
///     expect said unknown no way                                  and one says in words what is unknown
///     expect silent                                               no line since the last report
///     2 ARRI ZBB sealed A1,B2                                     a report that names seals
///     2 ARRI ZBB under B-7                                        and one that names a shipment
///     2 DEPA ZBB by SEA on V1                                     and one that says by what
///     close CNLAZ 1 14                                            a place is closed from day 1 to 14
///     close CNLAZ 1 -                                             or until further notice
///     expect raised overdue                                       an alert line since the last report: its
///     expect cleared seal                                         state and type
///     expect open late                                            such an alert is open
///     expect none stuck                                           none of that type is
///     acknowledge late                                            somebody sees to the open one
///     silence overdue 1 5                                         that type is marked from day 1 to 5
///     expect marked overdue                                       a line of that type, since the last report, is
struct Story {
    static let start = Instant(seconds: 1_767_225_600)
    static let box = ContainerNumber("QZTU0000700")
    static func numbered(_ number: Int) -> ContainerNumber? {
        ContainerNumber(owner: "QZTU", serial: 1_000 + number)
    }

    private(set) var failures: [String] = []
    private(set) var engine: Engine
    private var now = Story.start
    private var said: [FlatObject] = []
    /// All lines that were ever said.
    private(set) var lines: [FlatObject] = []
    var count: Int { lines.count }
    private var open: [String: (type: String, rev: Int)] = [:]
    private var ids: [String: String] = [:]
    private var serial = 0
    private let text: String

    init(_ text: String) {
        self.text = text
        engine = freshEngine(now: Story.start)
    }

    /// A story all of whose expectations hold.
    static func told(_ text: String) -> Story {
        var story = Story("")
        story.tell(text)
        #expect(story.failures == [])
        return story
    }

    static func run(_ text: String) -> [String] {
        var story = Story(text)
        story.tell(text)
        return story.failures
    }

    mutating func tell(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if !words.isEmpty { read(words) }
        }
    }

    /// The alert lines of a type since the last report.
    func alerts(_ type: String) -> [FlatObject] { said.filter { $0.text("type") == type } }

    /// A line as it is, and what was said of it.
    mutating func say(_ line: String) { send(line) }

    func saidTexts(_ key: String) -> [String] { said.compactMap { $0.text(key) } }

    private static func at(_ days: String) -> Instant {
        start.advanced(minutes: (Double(days) ?? .nan) * 1_440)
    }

    private mutating func read(_ words: [String]) {
        switch words[0] {
        case "plan": plan(Array(words.dropFirst()))
        case "now": wait(until: Story.at(words[1]))
        case "retract": retract(words)
        case "cancel":
            send(
                "{\"plan\":\"S\",\"retract\":true,\"updated\":\"\(TimeText.string(now))\"}")
        case "acknowledge": acknowledge(words[1])
        case "silence":
            send(
                "{\"silence\":\"S-1\",\"types\":[\"\(words[1])\"],\"from\":\"\(TimeText.string(Story.at(words[2])))\","
                    + "\"until\":\"\(TimeText.string(Story.at(words[3])))\"}")
        case "close":
            let until =
                words[3] == "-" ? "" : ",\"until\":\"\(TimeText.string(Story.at(words[3])))\""
            send(
                "{\"closure\":\"C-\(words[1])\",\"place\":\"\(words[1])\",\"from\":"
                    + "\"\(TimeText.string(Story.at(words[2])))\"\(until)}")
        case "expect": expect(Array(words.dropFirst()))
        default: report(words)
        }
    }

    // MARK: What happens

    private mutating func wait(until instant: Instant) {
        while engine.nextDue <= instant {
            let due = max(engine.nextDue, now)
            hear(engine.step([], now: due))
            now = due
        }
        now = max(now, instant)
    }

    private mutating func hear(_ effects: Effects) {
        let lines = (effects.commit?.outputs ?? []).compactMap { FlatObject($0.bytes) }
        said += lines
        self.lines += lines
        for line in lines where line.text("kind") == "eta" { check(line) }
        for line in lines {
            guard let id = line.text("alert"), let type = line.text("type") else { continue }
            let isOver = ["cleared", "withdrawn"].contains(line.text("state"))
            open[id] = isOver ? nil : (type, line.integer("rev") ?? 0)
        }
        for row in effects.commit?.quarantined ?? [] { failures.append("\(row.reject)") }
    }

    /// What holds of every line: nothing is expected in the past, and the causes add up.
    private mutating func check(_ eta: FlatObject) {
        let causes = eta.objects("because").compactMap { $0.integer("minutes") }
        if let change = eta.integer("changeMinutes"), causes.reduce(0, +) != change {
            failures.append("the causes \(causes) do not add up to \(change)")
        }
        guard eta.text("actual") == nil, let time = eta.instant("time"),
            let p10 = eta.instant("p10"), let p50 = eta.instant("p50"), let p90 = eta.instant("p90")
        else { return }
        // They are stated to the second.
        if p10.minutes(since: time) < -1.0 / 60 || p10 > p50 || p50 > p90 {
            failures.append(
                "of \(TimeText.string(time)): "
                    + [p10, p50, p90].map { TimeText.string($0) }.joined(separator: " "))
        }
    }

    private mutating func send(_ line: String) {
        said = []
        hear(engine.step([chunk([line])], now: now))
    }

    private mutating func plan(_ words: [String]) {
        serial += 1
        var parts: [String] = []
        var milestones: [String] = []
        var via: [String] = []
        var at = 0
        func word(_ at: Int) -> String { at < words.count ? words[at].filter { $0 != "," } : "" }
        while at < words.count {
            switch word(at) {
            case "by": parts.append("\"mode\":\"\(word(at + 1))\"")
            case "promised":
                parts.append("\"promised\":\"\(TimeText.string(Story.at(word(at + 1))))\"")
            case "start": parts.append("\"start\":\"\(TimeText.string(Story.at(word(at + 1))))\"")
            case "to": parts.append("\"to\":\"\(word(at + 1))\"")
            case "via":
                while EventCode.allCases.allSatisfy({ $0.code != word(at + 1) }),
                    !["promised", "start", "by", ""].contains(word(at + 1))
                {
                    via.append("\"\(word(at + 1))\"")
                    at += 1
                }
                at -= 1
            default:
                if word(at + 1) == ">" {
                    parts.append("\"from\":\"\(word(at))\",\"to\":\"\(word(at + 2))\"")
                    at += 1
                } else {
                    milestones.append(
                        "{\"event\":\"\(word(at))\",\"place\":\"\(word(at + 1))\",\"time\":"
                            + "\"\(TimeText.string(Story.at(word(at + 2))))\"}")
                    at += 1
                }
            }
            at += 2
        }
        if !via.isEmpty { parts.append("\"via\":[\(via.joined(separator: ","))]") }
        if !milestones.isEmpty {
            parts.append("\"milestones\":[\(milestones.joined(separator: ","))]")
        }
        let box = Story.box?.description ?? ""
        send(
            "{\"plan\":\"S\",\"containers\":[\"\(box)\"],\"updated\":\"\(TimeText.string(now))\","
                + parts.joined(separator: ",") + "}")
    }

    private mutating func report(_ words: [String]) {
        let heard = words.firstIndex(of: "heard").map { Story.at(words[$0 + 1]) }
        wait(until: heard ?? Story.at(words[0]))
        serial += 1
        let id = "r\(serial)"
        ids["\(words[1]) \(words[2])"] = id
        let seals =
            words.firstIndex(of: "sealed").map {
                ",\"seals\":["
                    + words[$0 + 1].split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",")
                    + "]"
            } ?? ""
        let mode = words.firstIndex(of: "by").map { ",\"mode\":\"\(words[$0 + 1])\"" } ?? ""
        let vehicle =
            words.firstIndex(of: "on").map { ",\"vehicle\":\"\(words[$0 + 1])\"" } ?? ""
        let name =
            words.firstIndex(of: "under").map { ",\"shipment\":\"\(words[$0 + 1])\"" } ?? ""
        send(
            "{\"id\":\"\(id)\",\"container\":\"\(Story.box?.description ?? "")\",\"event\":"
                + "\"\(words[1])\",\"place\":\"\(words[2])\",\"time\":"
                + "\"\(TimeText.string(Story.at(words[0])))\"\(mode)\(vehicle)\(seals)\(name)}")
    }

    private mutating func retract(_ words: [String]) {
        let id = ids["\(words[1]) \(words[2])"] ?? ""
        send(
            "{\"id\":\"\(id)\",\"container\":\"\(Story.box?.description ?? "")\",\"retract\":true}")
    }

    private mutating func acknowledge(_ type: String) {
        guard let (id, alert) = open.first(where: { $0.value.type == type }) else {
            return failures.append("no alert \(type) is open")
        }
        send("{\"acknowledge\":\"\(id)\",\"rev\":\(alert.rev),\"note\":\"seen\"}")
    }

    // MARK: What is to be believed

    private mutating func expect(_ words: [String]) {
        guard let box = Story.box, let view = engine.view(box, now: now) else {
            return failures.append("nothing is known of the box")
        }
        let journey = view.journeys.first { $0.shipment == "S" } ?? view.journeys.first
        let stops = journey?.stops ?? []
        let ahead = stops.filter { !$0.isPassed }
        func stop(_ isMeant: (ContainerTimeline.Stop) -> Bool) -> Bool {
            stops.contains {
                $0.code.code == words[1] && $0.place == words[2] && isMeant($0)
            }
        }
        let isTrue: Bool
        switch words[0] {
        case "next":
            isTrue = ahead.first.map { "\($0.code.code) \($0.place)" } == "\(words[1]) \(words[2])"
        case "way":
            var rest = words.dropFirst()
            for stop in ahead where stop.place == rest.first { rest = rest.dropFirst() }
            isTrue = rest.isEmpty
        case "not": isTrue = !ahead.contains { $0.place == words[1] }
        case "done": isTrue = stop { $0.reached != nil && !$0.isImplied }
        case "by": isTrue = stop { $0.reached != nil && $0.isImplied }
        case "passed": isTrue = stop { $0.reached == nil && $0.isPassed }
        case "extra": isTrue = stop { $0.reached != nil && $0.isExtra }
        case "aside":
            isTrue = view.reports.contains {
                $0.code.code == words[1] && $0.place == words[2] && $0.role == .contradiction
            }
        case "end":
            let last = stops.last?.p50 ?? .unset
            isTrue = last >= Story.at(words[1]) && last <= Story.at(words[2])
        case "arrived":
            isTrue = journey?.deviationMinutes == Int(words[1])
        case "said" where words[1] == "route":
            let etas = said.filter { $0.text("kind") == "eta" }
            isTrue =
                etas.count {
                    $0.objects("because").contains { $0.text("cause") == "route" }
                } == 1
        case "said":
            let wanted = words.dropFirst(2).joined(separator: " ")
            isTrue = said.contains { $0.text(words[1])?.contains(wanted) == true }
        case "silent": isTrue = said.isEmpty
        case "open": isTrue = open.values.contains { $0.type == words[1] }
        case "none": isTrue = !open.values.contains { $0.type == words[1] }
        case "marked":
            isTrue = said.contains {
                $0.text("type") == words[1] && $0.text("silenced") == "S-1"
            }
        case "raised", "updated", "cleared", "withdrawn", "acknowledged":
            isTrue = said.contains {
                $0.text("state") == words[0] && $0.text("type") == words[1]
            }
        default: isTrue = false
        }
        if isTrue { return }
        let way = stops.map { stop in
            let mark = stop.isPassed ? stop.reached == nil ? "-" : stop.isImplied ? "~" : "*" : ""
            return "\(mark)\(stop.code.code) \(stop.place)\(stop.isExtra ? "+" : "")"
        }
        let lines = said.map { object in
            ["kind", "place", "p50", "unknown", "actual", "text"].compactMap { object.text($0) }
                .joined(separator: " ")
        }
        failures.append(
            "expected \(words.joined(separator: " ")), but the way is \(way.joined(separator: ", "))"
                + "; the end \(stops.last?.p50.map { TimeText.string($0) } ?? "?"), said \(lines)")
    }
}

/// Tells a story, and records what of it is not believed.
func tell(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
    for failure in Story.run(text) {
        Issue.record("\(failure)", sourceLocation: sourceLocation)
    }
}
