import Tracking

/// What a tail client asked for in its one line.
public struct TailRequest: Sendable, Equatable {
    public enum After: Sendable, Equatable {
        case now, start
        case seq(Int)
    }

    /// nil: absent (a named consumer resumes, anyone else begins now).
    public var after: After?
    public var filter = TailFilter()
    public var name: String?

    public init() {}

    /// Reads the first line of a tail connection; an empty one asks for everything from now.
    public static func parse(_ line: [UInt8]) throws(LineReject) -> TailRequest {
        var request = TailRequest()
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { return request }
        guard let object = FlatObject(line) else {
            throw LineReject(.json, detail: "the request is one JSON object on one line")
        }
        guard let version = object.text("tail") else {
            throw LineReject(.missing, field: "tail", detail: "say {\"tail\":\"caravan/1\"}")
        }
        guard version == "caravan/1" else {
            throw LineReject(.type, field: "tail", detail: "this server speaks caravan/1")
        }
        if object.has("after") { request.after = try after(object) }
        request.filter = try filter(object)
        if object.has("name") {
            guard let name = object.text("name"), !name.isEmpty, name.utf8.count <= 64,
                Printable.firstActing(name) == nil
            else {
                throw LineReject(
                    .type, field: "name", detail: "name is 1 to 64 bytes, none of them a control")
            }
            request.name = name
        }
        return request
    }

    private static func after(_ object: FlatObject) throws(LineReject) -> After {
        if let seq = object.integer("after"), seq >= 0 { return .seq(seq) }
        switch object.text("after") {
        case "now": return .now
        case "start": return .start
        default:
            throw LineReject(
                .type, field: "after", detail: "after is a sequence number, \"now\" or \"start\"")
        }
    }

    private static func filter(_ object: FlatObject) throws(LineReject) -> TailFilter {
        var filter = TailFilter()
        func list(_ key: String) throws(LineReject) -> Set<String> {
            guard object.has(key) else { return [] }
            guard let texts = object.texts(key) else {
                throw LineReject(.type, field: key, detail: "\(key) is a list of strings")
            }
            return Set(texts)
        }
        filter.kinds = try list("kinds")
        filter.types = try list("types")
        filter.shipments = try list("shipments")
        filter.places = try list("places")
        var numbers: Set<String> = []
        for text in try list("containers") {
            guard let number = ContainerNumber(text) else {
                throw LineReject(
                    .container, field: "containers", detail: "\(text) is no container number")
            }
            numbers.insert(number.description)
        }
        filter.containers = numbers
        if object.has("severity") {
            guard let severity = object.text("severity").flatMap(Severity.init(code:)) else {
                throw LineReject(
                    .type, field: "severity", detail: "severity is info, warning or critical")
            }
            filter.severity = severity
        }
        return filter
    }
}

/// Which output lines a consumer wants; an empty set leaves that question open.
public struct TailFilter: Sendable, Equatable {
    public var kinds: Set<String> = []
    public var types: Set<String> = []
    /// Alerts at least this bad; other kinds pass.
    public var severity: Severity?
    public var containers: Set<String> = []
    public var shipments: Set<String> = []
    public var places: Set<String> = []

    public init() {}

    public var isOpen: Bool { self == TailFilter() }

    public func matches(_ line: OutputLine) -> Bool {
        if !kinds.isEmpty, !kinds.contains(line.kind) { return false }
        if !types.isEmpty, line.kind == "alert" {
            guard let type = line.type, types.contains(type) else { return false }
        }
        if let severity, let has = line.severity, has < severity { return false }
        return wants(containers, line.container) && wants(shipments, line.shipment)
            && wants(places, line.place)
    }

    private func wants(_ set: Set<String>, _ value: String?) -> Bool {
        if set.isEmpty { return true }
        guard let value else { return false }
        return set.contains(value)
    }
}

/// Lines of the tail that carry no output of their own.
public enum TailControl {
    public static func welcome(
        log: String, first: Int, last: Int, to out: inout JSONWriter
    ) {
        out.begin()
        out.field("kind", "welcome")
        out.field("log", log)
        out.field("first", first)
        out.field("last", last)
        out.endLine()
    }

    public static func heartbeat(seq: Int, time: Instant, to out: inout JSONWriter) {
        out.begin()
        out.field("kind", "heartbeat")
        out.field("seq", seq)
        out.field("time", time)
        out.endLine()
    }

    public static func caughtUp(seq: Int, to out: inout JSONWriter) {
        out.begin()
        out.field("kind", "caught-up")
        out.field("seq", seq)
        out.endLine()
    }

    public static func gap(from: Int, to last: Int, to out: inout JSONWriter) {
        out.begin()
        out.field("kind", "gap")
        out.field("from", from)
        out.field("to", last)
        out.endLine()
    }
}
