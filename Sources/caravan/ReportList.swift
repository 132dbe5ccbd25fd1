import Engine
import FoundationEssentials
import Glibc
import Store
import Tracking
import Wire

/// What was reported of a container, each report with what its line says beside the facts.
struct ReportList {
    enum Standing: String {
        case stands
        /// A later version took its place.
        case replaced
        case retracted
    }

    struct Report {
        var time: Instant
        /// Where it stands among the others.
        var readAt: Instant = .unset
        var code: EventCode
        var eventClass: EventClass
        var place: String
        var name: String
        var zone: ZoneRule
        var standing: Standing
        var role: ReportRole?
        var flags: EventFlags
        var id: String?
        var shipment: String?
        var mode: TransportMode
        var vehicle: String?
        var seals: [String]
        var reason: String?
        var remark: String?
        var source: String?
        var post: String?
        var received: Instant?
        /// Of what is expected or planned: why that changes nothing.
        var idle: IdleStatement?
        /// The container from which it was moved.
        var was: String?

        /// Why it is no evidence of where the box is.
        var why: String? {
            guard standing == .stands else { return nil }
            switch role {
            case .contradiction: return "cannot be: too far from the other reports in that time"
            case .behind: return "its clock and the next one's disagree: the plan's order holds"
            case .paper: return "a paper of a place that is still ahead"
            case .early: return "before the plan begins"
            case .over: return "after the plan's end"
            case .milestone, .stay, nil: return nil
            }
        }
    }

    private(set) var reports: [Report] = []

    /// A line with what the parser makes of it.
    private struct Told {
        let stored: StoredLine
        let event: TrackingEvent
        let object: FlatObject
        var isTaken = false
    }

    init(_ view: ContainerTimeline, lines: [StoredLine]) {
        let parser = FeedParser(limits: .largest)
        var told: [Told] = lines.compactMap { line in
            let value = line.bytes.withUnsafeBufferPointer { parser.parse($0) }
            guard case .event(var event) = value, let object = FlatObject(line.bytes) else {
                return nil
            }
            if event.container != view.container {
                // It was moved to another container, which takes it back here.
                guard event.was == view.container else { return nil }
                event.retract = true
            }
            return Told(stored: line, event: event, object: object)
        }
        for known in view.reports where known.time != .unset {
            let at = told.firstIndex {
                !$0.isTaken && $0.event.content == known.content
                    && $0.stored.identity == known.identity
            }
            if let at { told[at].isTaken = true }
            var report = Report(
                time: known.time, code: known.code, eventClass: known.eventClass,
                place: known.place, name: known.name, zone: known.zone,
                standing: known.retracted
                    ? .retracted : known.isSetAside ? .replaced : .stands, flags: known.flags,
                shipment: known.shipment, mode: known.mode, seals: [])
            report.role = known.role
            report.idle = known.idle
            if let at { ReportList.fill(&report, told[at]) }
            report.readAt = known.readAt
            reports.append(report)
        }
        // What is in no record any more: a later version, or a retraction, took its place.
        for line in told where !line.isTaken && !line.event.retract && line.event.time != .unset {
            let isGone = view.reports.contains {
                $0.identity == line.stored.identity && $0.retracted
            }
            add(line, standing: isGone ? .retracted : .replaced, view)
        }
    }

    private mutating func add(_ line: Told, standing: Standing, _ view: ContainerTimeline) {
        let like = view.reports.first { $0.place == line.event.place }
        var time = line.event.time
        let zone = like?.zone ?? .utc
        if line.event.offsetMinutes == nil { time = zone.instant(CivilTime(time)) }
        var report = Report(
            time: time, code: line.event.code, eventClass: line.event.eventClass,
            place: like?.place ?? line.event.place, name: like?.name ?? line.event.place,
            zone: zone, standing: standing, flags: [], shipment: line.event.shipment,
            mode: line.event.mode, seals: [])
        ReportList.fill(&report, line)
        report.readAt = time
        let at = reports.firstIndex { $0.readAt > time } ?? reports.count
        reports.insert(report, at: at)
    }

    private static func fill(_ report: inout Report, _ line: Told) {
        report.id = line.event.id
        report.vehicle = line.object.text("vehicle")
        report.seals = line.object.texts("seals") ?? []
        report.reason = line.object.text("reason")
        report.remark = line.object.text("remark")
        report.source = line.event.source
        report.post = line.stored.post
        report.received = line.stored.received
        report.was = line.event.was?.description
    }
}

/// A container in a pipe: one line of JSON.
enum JourneyText {
    private static func writeAlert(
        _ alert: ContainerTimeline.OpenAlert, _ out: inout JSONWriter
    ) {
        out.field("alert", alert.id)
        out.field("rev", alert.rev)
        out.field("type", alert.type.code)
        out.field("severity", alert.severity.code)
        out.field("place", alert.place)
        out.field("delayMinutes", alert.delayMinutes)
        out.field("since", alert.raisedAt)
        out.field("text", alert.text)
        guard let until = alert.acknowledgedUntil else { return }
        out.field("acknowledged", true)
        if until != .never { out.field("acknowledgedUntil", until) }
    }

    private static func write(_ estimate: Estimate, _ out: inout JSONWriter) {
        out.field("source", estimate.source)
        out.field("place", estimate.place)
        out.field("event", estimate.code.code)
        out.field("time", estimate.stated)
        out.field("said", estimate.saidAt)
        out.field("judged", estimate.judged)
        out.field("p50", Instant(seconds: estimate.p50.microseconds / 1_000_000))
        out.share("weight", estimate.weight)
    }

    private static func write(_ stop: ContainerTimeline.Stop, _ out: inout JSONWriter) {
        out.field("place", stop.place)
        out.field("event", stop.code.code)
        out.field("planned", stop.planned)
        if stop.isDayAlone, let reached = stop.reached {
            out.field("actual", DayText.of(reached, stop.zone))
        } else {
            out.field("actual", stop.reached)
        }
        if stop.isImplied { out.field("atLatest", true) }
        if stop.isExtra { out.field("offPlan", true) }
        if stop.reached == nil, stop.isPassed { out.field("passed", true) }
        if stop.isProbablyPassed { out.field("probablyPassed", true) }
        if stop.reached == nil {
            out.field("p10", stop.p10)
            out.field("p50", stop.p50)
            out.field("p90", stop.p90)
        }
    }

    static func write(_ view: ContainerTimeline, _ reports: ReportList) {
        var out = JSONWriter()
        out.begin()
        out.field("container", view.container)
        out.objects("journeys", view.journeys) { journey, out in
            out.field("shipment", journey.shipment)
            out.field("promised", journey.promised)
            out.share("lateProbability", journey.lateProbability)
            if journey.isDayAlone, let arrived = journey.arrived {
                out.field("actual", DayText.of(arrived, journey.stops.last?.zone ?? .utc))
            } else {
                out.field("actual", journey.arrived)
            }
            out.field("deviationMinutes", journey.deviationMinutes)
            if journey.isGuess {
                out.field("partial", true)
                out.field("wentOn", journey.wentOn)
            }
            out.field("unknown", journey.unknown)
            if let left = journey.leftAt {
                out.field("offPlanAt", left.place)
                out.list("bypassed", journey.bypassed)
            }
            if !journey.flags.isEmpty { out.list("flags", journey.flags.words) }
            if !journey.ways.isEmpty {
                out.objects("ways", journey.ways) { way, out in
                    out.field("via", way.via)
                    out.share("share", way.share)
                }
            }
            out.objects("milestones", journey.stops) { write($0, &$1) }
            if !journey.estimates.isEmpty {
                out.objects("estimates", journey.estimates) { write($0, &$1) }
            }
            out.objects("alerts", journey.alerts) { writeAlert($0, &$1) }
        }
        out.objects("events", reports.reports) { report, out in
            out.field("id", report.id)
            out.field("time", report.time)
            out.field("event", report.code.code)
            out.field("class", report.eventClass.code)
            out.field("place", report.place)
            out.field("shipment", report.shipment)
            if report.mode != .unknown { out.field("mode", report.mode.code) }
            out.field("vehicle", report.vehicle)
            if !report.seals.isEmpty { out.list("seals", report.seals) }
            out.field("reason", report.reason)
            out.field("remark", report.remark)
            out.field("source", report.source)
            out.field("post", report.post)
            out.field("received", report.received)
            out.field("was", report.was)
            if !report.flags.words.isEmpty { out.list("flags", report.flags.words) }
            if report.standing == .retracted { out.field("retracted", true) }
            if report.standing == .replaced { out.field("replaced", true) }
            out.field("setAside", report.why)
            out.field("idle", report.idle?.rawValue)
        }
        out.endLine()
        Console.write(out.bytes)
    }
}
