import Tracking

/// One numbered line of the output: its exact bytes, and what filters look at.
public struct OutputLine: Sendable, Equatable {
    public var seq: Int
    public var kind: String
    /// Alert type, where it is an alert.
    public var type: String?
    public var severity: Severity?
    public var container: String?
    public var shipment: String?
    public var place: String?
    /// Without the LF.
    public var bytes: [UInt8]

    public init(
        seq: Int, kind: String, type: String?, severity: Severity?, container: String?,
        shipment: String?, place: String?, bytes: [UInt8]
    ) {
        self.seq = seq
        self.kind = kind
        self.type = type
        self.severity = severity
        self.container = container
        self.shipment = shipment
        self.place = place
        self.bytes = bytes
    }

    public init(seq: Int, _ notice: OutputEvent) {
        switch notice {
        case .eta(let eta):
            self.init(
                seq: seq, kind: "eta", type: nil, severity: nil,
                container: eta.container.description, shipment: eta.shipment, place: eta.place,
                bytes: OutputLine.encode(seq, eta))
        case .alert(let alert):
            self.init(
                seq: seq, kind: "alert", type: alert.type.code, severity: alert.severity,
                container: alert.container?.description, shipment: alert.shipment,
                place: alert.place.isEmpty ? nil : alert.place,
                bytes: OutputLine.encode(seq, alert))
        case .score(let score):
            self.init(
                seq: seq, kind: "score", type: nil, severity: nil, container: nil, shipment: nil,
                place: nil, bytes: OutputLine.encode(seq, score))
        }
    }

    /// Stands where a line was to be that the database does not take: never a silent skip.
    public static func gap(_ seq: Int) -> OutputLine {
        var out = JSONWriter()
        out.begin()
        out.field("seq", seq)
        out.field("kind", "gap")
        out.field("from", seq)
        out.field("to", seq)
        out.endLine()
        return OutputLine(
            seq: seq, kind: "gap", type: nil, severity: nil, container: nil, shipment: nil,
            place: nil, bytes: Array(out.bytes.dropLast()))
    }

    private static func encode(_ seq: Int, _ score: ScoreEvent) -> [UInt8] {
        var out = JSONWriter(reserving: 400)
        out.begin()
        out.field("seq", seq)
        out.field("kind", "score")
        out.field("time", score.time)
        func put(_ row: ScoreEvent.Row, _ out: inout JSONWriter) {
            out.field("arrivals", row.arrivals)
            out.share("coverage", row.coverage)
            out.field("widthMinutes", Int(row.widthMinutes.rounded()))
            out.field("errorMinutes", Int(row.errorMinutes.rounded()))
        }
        out.objects("horizons", score.horizons) { row, out in
            out.field("uptoMinutes", row.uptoMinutes)
            put(row, &out)
        }
        for (name, rows) in [("places", score.places), ("steps", score.steps)]
            as [(
                StaticString, [(place: String, row: ScoreEvent.Row)]
            )] where !rows.isEmpty
        {
            out.objects(name, rows) { entry, out in
                out.field("place", entry.place)
                put(entry.row, &out)
            }
        }
        out.end()
        return out.bytes
    }

    private static func encode(_ seq: Int, _ eta: EtaEvent) -> [UInt8] {
        var out = JSONWriter(reserving: 400)
        out.begin()
        out.field("seq", seq)
        out.field("kind", "eta")
        out.field("time", eta.time)
        out.field("container", eta.container)
        out.field("shipment", eta.shipment)
        out.field("place", eta.place)
        if let actual = eta.actual {
            if let day = eta.actualDay {
                out.field("actual", day)
            } else {
                out.field("actual", actual)
            }
            out.field("promised", eta.promised)
            out.field("deviationMinutes", eta.deviationMinutes)
        } else if let unknown = eta.unknown {
            out.field("unknown", unknown)
            out.field("promised", eta.promised)
        } else {
            out.field("p10", eta.p10)
            out.field("p50", eta.p50)
            out.field("p90", eta.p90)
            out.field("promised", eta.promised)
            out.share("lateProbability", eta.lateProbability)
        }
        out.field("changeMinutes", eta.changeMinutes)
        append(eta.because, to: &out)
        append(eta.estimates, to: &out)
        if !eta.ways.isEmpty {
            out.objects("ways", eta.ways) { way, out in
                out.field("via", way.via)
                out.share("share", way.share)
            }
        }
        out.field("event", eta.event)
        if eta.partial { out.field("partial", true) }
        out.field("wentOn", eta.wentOn)
        out.end()
        return out.bytes
    }

    private static func encode(_ seq: Int, _ alert: AlertEvent) -> [UInt8] {
        var out = JSONWriter(reserving: 480)
        out.begin()
        out.field("seq", seq)
        out.field("kind", "alert")
        out.field("time", alert.time)
        out.field("alert", alert.alert)
        out.field("rev", alert.rev)
        out.field("state", alert.state.code)
        out.field("type", alert.type.code)
        out.field("severity", alert.severity.code)
        if let container = alert.container { out.field("container", container) }
        out.field("shipment", alert.shipment)
        out.field("post", alert.post)
        if !alert.place.isEmpty { out.field("place", alert.place) }
        out.field("delayMinutes", alert.delayMinutes)
        out.share("probability", alert.probability)
        if let convoy = alert.convoy {
            out.object("convoy") { out in
                out.field("id", convoy.name)
                out.field("count", convoy.count)
                out.field("lead", convoy.isLead)
            }
        }
        out.field("closure", alert.closure)
        out.field("reason", alert.reason)
        out.field("incident", alert.incident)
        out.field("children", alert.children)
        if !alert.containers.isEmpty {
            out.list("containers", alert.containers.map(\.description))
        }
        append(alert.because, to: &out)
        out.field("text", alert.text)
        if alert.isFlapping { out.field("flapping", true) }
        out.field("by", alert.by)
        out.field("note", alert.note)
        out.field("until", alert.until)
        out.field("silenced", alert.silenced)
        out.field("event", alert.event)
        out.end()
        return out.bytes
    }

    private static func append(_ estimates: [Estimate], to out: inout JSONWriter) {
        guard !estimates.isEmpty else { return }
        out.objects("estimates", estimates) { estimate, out in
            out.field("source", estimate.source)
            // Of its last milestone where nothing else is said.
            if !estimate.isLast {
                out.field("place", estimate.place)
                out.field("event", estimate.code.code)
            }
            out.field("p50", Instant(seconds: estimate.p50.microseconds / 1_000_000))
            out.share("weight", estimate.weight)
        }
    }

    private static func append(_ causes: [Cause], to out: inout JSONWriter) {
        guard !causes.isEmpty else { return }
        out.objects("because", causes) { cause, out in
            out.field("place", cause.place)
            out.field("minutes", cause.minutes)
            out.field("cause", cause.kind.rawValue)
            out.field("reason", cause.reason)
        }
    }
}
