/// The part of YAML that a configuration needs, and no more: keys over keys by indentation, one-line
/// values, lists in brackets or one item a line, comments. What it does not know it refuses, with the
/// line, rather than taking it for something else.
struct PlainYAML {
    enum Value: Equatable {
        case scalar(String)
        case list([String])
    }

    struct Flaw: Error {
        let line: Int
        let cause: String
    }

    struct Entry: Equatable {
        /// The keys above it and its own, with dots between them.
        let key: String
        var value: Value
        let line: Int
    }

    private(set) var entries: [Entry] = []
    /// The keys that the present line stands under, with their indentation.
    private var path: [(indent: Int, key: String)] = []
    /// The key that has no value yet: keys, items or nothing may follow.
    private var open: (key: String, name: String, indent: Int, line: Int)?

    init(_ text: String) throws(Flaw) {
        // Some editors begin a file with a mark that nobody sees.
        let text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
        var lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }[...]
        var number = 0
        while let first = lines.popFirst() {
            number += 1
            var line = first
            let start = number
            // A list in brackets may go on for lines.
            while try PlainYAML.isOpen(line, start), let next = lines.popFirst() {
                number += 1
                line = try PlainYAML.withoutComment(line, start) + " " + next.drop { $0 == " " }
            }
            try read(line, start)
        }
        try close()
    }

    private mutating func read(_ line: Substring, _ number: Int) throws(Flaw) {
        let body = try PlainYAML.withoutComment(line, number)
        let indent = body.prefix { $0 == " " }.count
        let content = body.dropFirst(indent)
        if content.isEmpty || content == "---" && indent == 0 && entries.isEmpty { return }
        guard content.first != "\t" else {
            throw Flaw(line: number, cause: "indentation is by spaces, not by tabs")
        }
        if content == "-" || content.hasPrefix("- ") {
            return try item(content.dropFirst(), indent, number)
        }
        guard let (name, rest) = try PlainYAML.key(content, number) else {
            throw Flaw(line: number, cause: "this is no 'key: value'")
        }
        if let open, indent > open.indent {
            path.append((open.indent, open.name))
            self.open = nil
        } else {
            try close()
        }
        while let last = path.last, last.indent >= indent { path.removeLast() }
        try check(indent, number)
        let key = (path.map(\.key) + [name]).joined(separator: ".")
        if rest.isEmpty {
            open = (key, name, indent, number)
        } else {
            try add(Entry(key: key, value: try PlainYAML.value(rest, number), line: number))
        }
        level[path.count] = indent
    }

    /// How far the keys of each depth are indented: those of one depth alike.
    private var level: [Int: Int] = [:]

    private mutating func check(_ indent: Int, _ number: Int) throws(Flaw) {
        for depth in level.keys where depth > path.count { level[depth] = nil }
        guard let expected = level[path.count], expected != indent else { return }
        throw Flaw(
            line: number, cause: "it is indented by \(indent), its neighbours by \(expected)")
    }

    private mutating func item(
        _ content: Substring, _ indent: Int, _ number: Int
    ) throws(Flaw) {
        let rest = content.drop { $0 == " " }
        guard case .scalar(let text) = try PlainYAML.value(rest, number) else {
            throw Flaw(line: number, cause: "a list in a list is no setting")
        }
        if let open, indent >= open.indent {
            self.open = nil
            items = (indent, entries.count)
            try add(Entry(key: open.key, value: .list([text]), line: open.line))
        } else if let items, items.indent == indent, items.entry == entries.count - 1,
            case .list(let list) = entries[items.entry].value
        {
            entries[items.entry].value = .list(list + [text])
        } else {
            throw Flaw(line: number, cause: "a list stands under no key here")
        }
    }

    /// Where the items of the list are indented that is being read, and which entry it is.
    private var items: (indent: Int, entry: Int)?

    /// A key with nothing behind it says the empty text.
    private mutating func close() throws(Flaw) {
        guard let open else { return }
        self.open = nil
        try add(Entry(key: open.key, value: .scalar(""), line: open.line))
    }

    private mutating func add(_ entry: Entry) throws(Flaw) {
        if let other = entries.first(where: { $0.key == entry.key }) {
            throw Flaw(line: entry.line, cause: "\(entry.key) stands in line \(other.line) already")
        }
        entries.append(entry)
    }

    // MARK: Within a line

    /// `key: rest`, or nil.
    private static func key(
        _ content: Substring, _ number: Int
    ) throws(Flaw) -> (name: String, rest: Substring)? {
        if let quote = content.first, quote == "\"" || quote == "'" {
            let (name, after) = try quoted(content, number)
            guard after.first == ":" else { return nil }
            return (name, after.dropFirst().drop { $0 == " " })
        }
        var at = content.startIndex
        while let colon = content[at...].firstIndex(of: ":") {
            let after = content.index(after: colon)
            if after == content.endIndex || content[after] == " " {
                let name = content[..<colon].reversed().drop { $0 == " " }.reversed()
                return (String(name), content[after...].drop { $0 == " " })
            }
            at = after
        }
        return nil
    }

    private static func value(_ text: Substring, _ number: Int) throws(Flaw) -> Value {
        switch text.first {
        case "[": return .list(try list(text, number))
        case "\"", "'":
            let (value, after) = try quoted(text, number)
            guard after.allSatisfy({ $0 == " " }) else {
                throw Flaw(line: number, cause: "something follows a text in quotes")
            }
            return .scalar(value)
        case "{", "|", ">", "&", "*", "!", "%", "@", "`":
            throw Flaw(
                line: number,
                cause:
                    "a value begins with '\(text.first ?? " ")': put it in quotes if it is text; "
                    + "of YAML only keys, one-line values and lists are read")
        default: return .scalar(String(text.reversed().drop { $0 == " " }.reversed()))
        }
    }

    private static func list(_ text: Substring, _ number: Int) throws(Flaw) -> [String] {
        var rest = text.dropFirst().drop { $0 == " " }
        var items: [String] = []
        while true {
            if rest.first == "]" { break }
            if let quote = rest.first, quote == "\"" || quote == "'" {
                let (item, after) = try quoted(rest, number)
                items.append(item)
                rest = after
            } else {
                let item = rest.prefix { $0 != "," && $0 != "]" }
                guard !item.isEmpty, !item.contains("[") else {
                    throw Flaw(line: number, cause: "this is no list")
                }
                items.append(String(item.reversed().drop { $0 == " " }.reversed()))
                rest = rest[item.endIndex...]
            }
            rest = rest.drop { $0 == " " }
            if rest.first == "," {
                rest = rest.dropFirst().drop { $0 == " " }
            } else if rest.first != "]" {
                throw Flaw(line: number, cause: "the list has no end: ']' is missing")
            }
        }
        guard rest.dropFirst().allSatisfy({ $0 == " " }) else {
            throw Flaw(line: number, cause: "something follows a list")
        }
        return items
    }

    /// A text in quotes at the beginning, and what follows it.
    private static func quoted(
        _ text: Substring, _ number: Int
    ) throws(Flaw) -> (value: String, rest: Substring) {
        let quote = text.first ?? "\""
        var rest = text.dropFirst()
        var value = ""
        while let character = rest.popFirst() {
            if character == quote {
                // In single quotes a quote is written twice.
                guard quote == "'", rest.first == "'" else { return (value, rest) }
                rest = rest.dropFirst()
                value.append("'")
            } else if character == "\\", quote == "\"" {
                guard let escape = rest.popFirst(), let meant = escapes[escape] else {
                    throw Flaw(
                        line: number, cause: "in double quotes \\ is followed by one of \\ \" / n t"
                    )
                }
                value.append(meant)
            } else {
                value.append(character)
            }
        }
        throw Flaw(line: number, cause: "a quote is missing at the end")
    }

    private static let escapes: [Character: Character] = [
        "\\": "\\", "\"": "\"", "/": "/", "n": "\n", "t": "\t",
    ]

    /// Without a comment, which begins with # at the start or behind a space, outside quotes.
    private static func withoutComment(
        _ line: Substring, _ number: Int
    ) throws(Flaw) -> Substring {
        var quote: Character?
        var before: Character = " "
        var at = line.startIndex
        while at < line.endIndex {
            let character = line[at]
            if let open = quote {
                if character == "\\", open == "\"" {
                    at = line.index(after: at)
                    if at == line.endIndex { break }
                } else if character == open {
                    quote = nil
                }
            } else if character == "#", before == " " || before == "\t" {
                return trimmed(line[..<at])
            } else if character == "\"" || character == "'", " [,:\t".contains(before) {
                quote = character
            }
            before = character
            at = line.index(after: at)
        }
        return trimmed(line)
    }

    private static func trimmed(_ line: Substring) -> Substring {
        var line = line
        while line.last == " " || line.last == "\t" { line = line.dropLast() }
        return line
    }

    /// Whether a list in brackets begins here that does not end here.
    private static func isOpen(_ line: Substring, _ number: Int) throws(Flaw) -> Bool {
        let body = try withoutComment(line, number)
        guard let (_, rest) = try? key(body.drop { $0 == " " }, number) ?? nil else { return false }
        return rest.first == "[" && body.last != "]"
    }
}
