import Testing

@testable import Settings

/// The part of YAML that is read, and what of it is refused.
@Suite struct PlainYAMLTests {
    private func entries(_ text: String) throws -> [String: PlainYAML.Value] {
        Dictionary(uniqueKeysWithValues: try PlainYAML(text).entries.map { ($0.key, $0.value) })
    }

    @Test func keysStandUnderKeys() throws {
        let found = try entries(
            """
            --- 
            # a comment
            a:
              b: 1   # behind a value
              c:
                d: "x # y"
              e: it's
            f.g: 'it''s'
            h:
            i: host:port
            """)
        #expect(
            found == [
                "a.b": .scalar("1"), "a.c.d": .scalar("x # y"), "a.e": .scalar("it's"),
                "f.g": .scalar("it's"), "h": .scalar(""), "i": .scalar("host:port"),
            ])
    }

    @Test func listsStandInBracketsOrInLines() throws {
        let found = try entries(
            """
            a: [x, "y, z", unix:feed.sock]
            b:
              - one
              - "two: 2"
            c:
            - three
            d: [
              p, # first
              q
            ]
            e: []
            """)
        #expect(
            found == [
                "a": .list(["x", "y, z", "unix:feed.sock"]), "b": .list(["one", "two: 2"]),
                "c": .list(["three"]), "d": .list(["p", "q"]), "e": .list([]),
            ])
    }

    @Test func linesMayEndAsOnWindows() throws {
        #expect(try entries("a:\r\n  b: 1\r\n") == ["a.b": .scalar("1")])
    }

    @Test func quotedTextsKnowEscapes() throws {
        #expect(try entries(#"a: "x\"y\\z\n""#) == ["a": .scalar("x\"y\\z\n")])
    }

    /// What other readers of YAML would take for something that this one does not know.
    @Test(arguments: [
        ("a: &x 1", 1), ("a: *x", 1), ("a: !!str 1", 1), ("a: |\n  text", 1), ("a: {b: 1}", 1),
        ("a:\n\tb: 1", 2), ("a: \"x", 1), ("a: [x", 1), ("a: x]\nb", 2), ("a: 1\na: 2", 2),
        ("a:\n  b: 1\n   c: 2", 3), ("- a", 1), ("a:\n  - [x]", 2), ("a: \"x\" y", 1), ("x", 1),
        ("a: \"\\q\"", 1), ("a:\n    b: 1\n  c: 2", 3),
    ])
    func theRestIsRefusedWithItsLine(_ flaw: (text: String, line: Int)) {
        let error = #expect(throws: PlainYAML.Flaw.self) { _ = try PlainYAML(flaw.text) }
        #expect(error?.line == flaw.line, "\(flaw.text): \(error?.cause ?? "")")
    }
}
