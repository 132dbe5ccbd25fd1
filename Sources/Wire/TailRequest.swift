import Tracking

/// What a tail client asked for in its one line.
public struct TailRequest: Sendable, Equatable {
    public enum After: Sendable, Equatable {
        case now, start
        case seq(Int)
        /// What was said from then on.
        case time(Instant)
    }

    /// nil: absent (a named consumer resumes, anyone else begins now).
    public var after: After?
    public var filter = TailFilter()
    public var name: String?
    /// Who asks, and the proof of it where no certificate is.
    public var consumer: String?
    public var token: String?

    public init() {}

    static let keys = [
        "tail", "after", "kinds", "types", "severity", "containers", "shipments", "places", "posts",
        "name", "convoys", "consumer", "token",
    ]

    /// Kinds of lines that the output has.
    static let kinds = ["eta", "alert", "score", "gap"]

    /// Types of alerts that the contract knows, be they raised yet or not.
    static let types = [
        "late", "overdue", "stuck", "off-route", "impossible", "seal", "customs-hold",
        "post-silent", "post-clock", "closure",
    ]

    /// Reads the first line of a tail connection; an empty one asks for everything from now.
    /// `network`: by whose names places are understood.
    public static func parse(
        _ line: [UInt8], network: Network = Network()
    ) throws(LineReject) -> TailRequest {
        var request = TailRequest()
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { return request }
        guard let object = FlatObject(line, isStrict: true) else {
            throw LineReject(
                .json, detail: "the request is one JSON object on one line, with each key once")
        }
        guard let version = object.text("tail") else {
            throw LineReject(.missing, field: "tail", detail: "say {\"tail\":\"caravan/1\"}")
        }
        guard version == "caravan/1" else {
            throw LineReject(.type, field: "tail", detail: "this server speaks caravan/1")
        }
        if let unknown = object.keys.first(where: { !keys.contains($0) }) {
            let near = keys.first { Slips.between($0, unknown.lowercased(), atMost: 2) != nil }
            throw LineReject(
                .type, field: String(unknown.prefix(40)),
                detail: "\(unknown.prefix(40)) is no key of a request"
                    + (near.map { "; is \($0) meant?" } ?? "")
                    + ". Allowed are \(keys.joined(separator: ", "))",
                suggest: near.map { [$0] } ?? [])
        }
        if object.has("after") { request.after = try after(object) }
        request.filter = try filter(object, network)
        if object.has("name") {
            guard let name = object.text("name"), !name.isEmpty, name.utf8.count <= 64,
                Printable.firstActing(name) == nil
            else {
                throw LineReject(
                    .type, field: "name", detail: "name is 1 to 64 bytes, none of them a control")
            }
            request.name = name
        }
        for (key, path) in [("consumer", \TailRequest.consumer), ("token", \TailRequest.token)]
        where object.has(key) {
            guard let text = object.text(key), !text.isEmpty, text.utf8.count <= 128,
                Printable.firstActing(text) == nil
            else {
                throw LineReject(
                    .type, field: key, detail: "\(key) is 1 to 128 bytes, none of them a control")
            }
            request[keyPath: path] = text
        }
        return request
    }

    private static func after(_ object: FlatObject) throws(LineReject) -> After {
        if let seq = object.integer("after"), seq >= 0 { return .seq(seq) }
        switch object.text("after") {
        case "now": return .now
        case "start": return .start
        case let text?:
            var text = text
            let read = text.withUTF8 { TimeText.read($0, strictly: true) }
            // A day alone begins at midnight of UTC.
            if case .success(let read) = read, read.offsetMinutes != nil || read.isDateOnly {
                return .time(read.instant)
            }
        case nil: break
        }
        throw LineReject(
            .type, field: "after",
            detail: "after is a sequence number, \"now\", \"start\", or a time such as "
                + "\"2026-11-01T00:00:00Z\"")
    }

    private static func filter(
        _ object: FlatObject, _ network: Network
    ) throws(LineReject) -> TailFilter {
        var filter = TailFilter()
        func list(_ key: String) throws(LineReject) -> Set<String> {
            guard object.has(key) else { return [] }
            guard let texts = object.texts(key) else {
                throw LineReject(.type, field: key, detail: "\(key) is a list of strings")
            }
            return Set(texts)
        }
        func words(_ key: String, of allowed: [String]) throws(LineReject) -> Set<String> {
            var found: Set<String> = []
            for text in try list(key) {
                let word = text.lowercased()
                guard allowed.contains(word) else {
                    let near = allowed.filter { Slips.between($0, word, atMost: 2) != nil }
                    throw LineReject(
                        .type, field: key,
                        detail: "\(text.prefix(40)) is none of the \(key): "
                            + allowed.joined(separator: ", "), suggest: near)
                }
                found.insert(word)
            }
            return found
        }
        if object.has("convoys") {
            switch object.text("convoys") {
            case "lead": filter.isLeadOnly = true
            case "all": filter.isLeadOnly = false
            default:
                throw LineReject(
                    .type, field: "convoys",
                    detail: "convoys is \"lead\" (of boxes of one train the first) or \"all\"")
            }
        }
        filter.kinds = try words("kinds", of: kinds)
        filter.types = try words("types", of: types)
        filter.shipments = try list("shipments")
        filter.places = Set(try list("places").map(network.canonical))
        filter.posts = try list("posts")
        var numbers: Set<String> = []
        for text in try list("containers") {
            guard let number = ContainerNumber(ContainerNumber.plain(text)) else {
                let meant = ContainerNumber.meant(text) ?? ContainerNumber.corrected(text)
                throw LineReject(
                    .container, field: "containers",
                    detail: "\(text.prefix(40)) is no container number",
                    suggest: meant.map { [$0.description] } ?? [])
            }
            numbers.insert(number.description)
        }
        filter.containers = numbers
        if object.has("severity") {
            guard
                let severity = object.text("severity").flatMap({ Severity(code: $0.lowercased()) })
            else {
                throw LineReject(
                    .type, field: "severity", detail: "severity is info, warning or critical")
            }
            filter.severity = severity
        }
        return filter
    }
}

/// Which output lines a consumer wants; an empty set leaves that question open.
public struct TailFilter: Sendable, Hashable {
    public var kinds: Set<String> = []
    public var types: Set<String> = []
    /// Alerts at least this bad; other kinds pass.
    public var severity: Severity?
    public var containers: Set<String> = []
    public var shipments: Set<String> = []
    public var places: Set<String> = []
    /// Alerts about these posts alone.
    public var posts: Set<String> = []
    /// Of an alert that the boxes of one train have, the first one's alone.
    public var isLeadOnly = false
    /// Whoever reads may read what parents tell.
    public var mayReadParents = true

    public init() {}

    public var isOpen: Bool { self == TailFilter() }

    public func matches(_ line: OutputLine) -> Bool {
        if !kinds.isEmpty, !kinds.contains(line.kind) { return false }
        if !types.isEmpty, line.kind == "alert" {
            guard let type = line.type, types.contains(type) else { return false }
        }
        if let severity, let has = line.severity, has < severity { return false }
        guard wants(containers, line.container), wants(shipments, line.shipment),
            wants(places, line.place)
        else { return false }
        if !posts.isEmpty {
            guard line.kind == "alert", let post = FlatObject(line.bytes)?.text("post"),
                posts.contains(post)
            else { return false }
        }
        return !(isLeadOnly && line.kind == "alert" && follows(line.bytes))
    }

    /// The line says itself that it is of a box that is not the first of its convoy, or that its parent
    /// tells of it.
    private func follows(_ bytes: [UInt8]) -> Bool {
        let tellsParents =
            mayReadParents && containers.isEmpty && shipments.isEmpty && places.isEmpty
            && posts.isEmpty
            && types.isEmpty && severity == nil
        guard let line = FlatObject(bytes) else { return false }
        if line.object("convoy")?.bool("lead") == false { return true }
        // Whoever asks for some boxes or places might not be told by the parent.
        return tellsParents && line.has("incident")
    }

    /// The question that both answer, and to which they have no answer in common: then no line matches
    /// both; nil: there may be some.
    public func contradicts(_ other: TailFilter) -> (key: String, allowed: [String])? {
        let questions: [(String, KeyPath<TailFilter, Set<String>>)] = [
            ("kinds", \.kinds), ("places", \.places), ("shipments", \.shipments),
            ("posts", \.posts),
        ]
        for (key, path) in questions {
            let (mine, others) = (self[keyPath: path], other[keyPath: path])
            if !mine.isEmpty, !others.isEmpty, mine.isDisjoint(with: others) {
                return (key, mine.sorted())
            }
        }
        return nil
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
