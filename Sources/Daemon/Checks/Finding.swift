import Wire

/// One thing that a check looked at, and what there is to do about it.
public struct Finding: Sendable {
    public enum Level: Int, Comparable, Sendable {
        case good
        /// It works, and somebody should know.
        case note
        /// It does not work, or a promise does not hold.
        case bad

        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

        public var word: String {
            switch self {
            case .good: "ok"
            case .note: "note"
            case .bad: "BAD"
            }
        }
    }

    public let level: Level
    public let subject: String
    public let words: String
    /// What to do; nil where nothing is to be done.
    public let advice: String?

    public init(_ level: Level, _ subject: String, _ words: String, advice: String? = nil) {
        self.level = level
        self.subject = subject
        self.words = words
        self.advice = advice
    }

    /// For people, one line and one more for what to do.
    public var text: String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        let head = padded(level.word, 5) + padded(subject, 15) + words
        return Printable.text(head)
            + (advice.map { "\n" + padded("", 5) + padded("", 15) + "-> " + Printable.text($0) }
                ?? "")
    }

    /// For programs, one line of JSON.
    public var json: [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("level", level == .bad ? "bad" : level.word)
        out.field("subject", subject)
        out.field("words", words)
        if let advice { out.field("advice", advice) }
        out.endLine()
        return out.bytes
    }
}
