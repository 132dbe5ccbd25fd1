import Tracking

/// Why a connection ends: the machine's code; prose goes beside it.
public enum CloseCode: String, Sendable, CaseIterable {
    case unauthorised, gap, fenced, `protocol`, idle, slow, limit, shutdown
}

/// Lines that the feed answers with.
public enum Reply {
    /// Every line up to `line` is durable.
    public static func ack(_ line: Int, to out: inout JSONWriter) {
        out.begin()
        out.field("ack", line)
        out.endLine()
    }

    public static func reject(_ line: Int, _ reject: LineReject, to out: inout JSONWriter) {
        out.begin()
        out.field("reject", line)
        remark(reject.code.rawValue, reject.field, reject.detail, reject.suggest, to: &out)
    }

    public static func warn(_ line: Int, _ note: LineNote, to out: inout JSONWriter) {
        out.begin()
        out.field("warn", line)
        remark(note.code.rawValue, note.field, note.detail, note.suggest, to: &out)
    }

    private static func remark(
        _ code: String, _ field: String?, _ detail: String, _ suggest: [String],
        to out: inout JSONWriter
    ) {
        out.field("code", code)
        out.field("field", field)
        out.field("detail", detail)
        if !suggest.isEmpty { out.list("suggest", suggest) }
        out.endLine()
    }

    public static func bye(_ line: Int, to out: inout JSONWriter) {
        out.begin()
        out.field("bye", line)
        out.endLine()
    }

    public static func pong(to out: inout JSONWriter) {
        out.begin()
        out.field("pong", 1)
        out.endLine()
    }

    public static func error(
        _ prose: String, _ code: CloseCode, expected: Int? = nil, to out: inout JSONWriter
    ) {
        out.begin()
        out.field("error", prose)
        out.field("code", code.rawValue)
        out.field("expected", expected)
        out.endLine()
    }
}

/// A reply as a client reads it.
public enum ReadReply: Sendable, Equatable {
    case ack(Int)
    case reject(line: Int, code: String, detail: String, raw: String)
    case warn(line: Int, raw: String)
    case bye(Int)
    case error(code: String, raw: String)
    case other(String)

    /// Reads one reply line.
    public init(line: String) {
        guard let object = FlatObject(line) else {
            self = .other(line)
            return
        }
        if let ack = object.integer("ack") {
            self = .ack(ack)
        } else if let rejected = object.integer("reject") {
            self = .reject(
                line: rejected, code: object.text("code") ?? "",
                detail: object.text("detail") ?? "", raw: line)
        } else if let warned = object.integer("warn") {
            self = .warn(line: warned, raw: line)
        } else if let bye = object.integer("bye") {
            self = .bye(bye)
        } else if object.text("error") != nil {
            self = .error(code: object.text("code") ?? "", raw: line)
        } else {
            self = .other(line)
        }
    }
}

/// A JSON object opened for reading single members: for clients and tests, where ease counts for
/// more than speed.
public struct FlatObject: Sendable {
    private let bytes: [UInt8]
    private let slots: [String: JSONSlot]

    public init?(_ line: String) { self.init(Array(line.utf8)) }

    /// `isStrict`: an object that has a key twice is none; else the last of them counts.
    public init?(_ bytes: [UInt8], isStrict: Bool = false) {
        var slots: [String: JSONSlot] = [:]
        let good = bytes.withUnsafeBufferPointer { buffer -> Bool in
            guard UTF8Check.firstFlaw(buffer) == nil else { return false }
            var scanner = JSONScanner(buffer)
            do {
                var isTwice = false
                try scanner.object { (key, value) throws(LineReject) in
                    let known = slots.updateValue(value, forKey: JSONText.decode(buffer, key))
                    if known != nil { isTwice = true }
                }
                try scanner.finish()
                return !(isStrict && isTwice)
            } catch { return false }
        }
        guard good else { return nil }
        self.bytes = bytes
        self.slots = slots
    }

    public var keys: [String] { slots.keys.sorted() }

    public func has(_ key: String) -> Bool {
        slots[key].map { $0.kind != .null } ?? false
    }

    public func text(_ key: String) -> String? {
        guard let slot = slots[key], slot.kind == .string else { return nil }
        return bytes.withUnsafeBufferPointer { JSONText.decode($0, slot) }
    }

    public func integer(_ key: String) -> Int? {
        raw(key).flatMap { Int($0) }
    }

    public func number(_ key: String) -> Double? {
        raw(key).flatMap { Double($0) }
    }

    public func bool(_ key: String) -> Bool? {
        switch slots[key]?.kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    public func instant(_ key: String) -> Instant? {
        text(key).flatMap { TimeText.parse($0)?.instant }
    }

    /// The texts of a list of strings; nil where it is none.
    public func texts(_ key: String) -> [String]? {
        guard let slot = slots[key], slot.kind == .array else { return nil }
        return bytes.withUnsafeBufferPointer { buffer -> [String]? in
            var scanner = JSONScanner(buffer, slot.range)
            var found: [String] = []
            var good = true
            try? scanner.array { (element) throws(LineReject) in
                if element.kind == .string {
                    found.append(JSONText.decode(buffer, element))
                } else {
                    good = false
                }
            }
            return good ? found : nil
        }
    }

    /// The objects of a list of objects.
    public func object(_ key: String) -> FlatObject? {
        guard let slot = slots[key], slot.kind == .object else { return nil }
        return bytes.withUnsafeBufferPointer { FlatObject(Array($0[slot.range])) }
    }

    public func objects(_ key: String) -> [FlatObject] {
        guard let slot = slots[key], slot.kind == .array else { return [] }
        return bytes.withUnsafeBufferPointer { buffer -> [FlatObject] in
            var scanner = JSONScanner(buffer, slot.range)
            var found: [FlatObject] = []
            try? scanner.array { (element) throws(LineReject) in
                if let object = FlatObject(Array(buffer[element.range])) { found.append(object) }
            }
            return found
        }
    }

    /// The bytes of a value that is no string.
    public func raw(_ key: String) -> String? {
        guard let slot = slots[key], slot.kind != .string else { return nil }
        return String(decoding: bytes[slot.range], as: UTF8.self)
    }
}
