import Client
import Engine
import NIOConcurrencyHelpers
import Server
import Simulation
import TLS
import TestKit
import Testing
import Tracking
import Wire

/// What speaks to the sockets without having read the contract: browsers, slow clients, counters that begin elsewhere.
@Suite(.serialized) struct StrangerTests {
    private func all(_ socket: LineSocket) async throws -> [String] {
        var heard: [String] = []
        while let line = try await socket.next() { heard.append(line) }
        return heard
    }

    /// A page of anybody's can make a browser post to its own machine.
    @Test func aBrowserWritesNothing() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:7000\r\nContent-Type: text/plain\r\n\r\n"
                + event(1))
        let heard = try await all(socket)
        #expect(heard.count == 1 && heard[0].contains("\"code\":\"protocol\""), "\(heard)")
        // Another line is written, and nothing of that.
        let honest = try server.feed()
        try honest.send(event(2))
        #expect(try await honest.next() == "{\"ack\":1}")
        #expect(server.log.commits.flatMap(\.events).count == 1)
        #expect(server.log.commits.flatMap(\.quarantined).isEmpty)
    }

    /// However long the address is that the page asks for.
    @Test func aBrowserWithALongAddressWritesNothing() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(
            "POST /" + String(repeating: "a", count: 70_000)
                + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                + event(1))
        let heard = try await all(socket)
        #expect(heard.count == 1 && heard[0].contains("no web server"), "\(heard)")
        #expect(server.log.commits.flatMap(\.events).isEmpty)
        // A line that is too long is no page.
        let long = try server.feed()
        try long.send("{\"id\":\"" + String(repeating: "a", count: 70_000) + "\"}\n" + event(2))
        #expect(try #require(try await long.next()).contains("too-long"))
    }

    /// A hello with one comma too many may hold a token.
    @Test func aTornHelloIsNotKept() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send("{ \"hello\":\"caravan/1\",\"post\":\"P\",\"token\":\"secret\",}\n")
        let heard = try await all(socket)
        #expect(heard.count == 1 && heard[0].contains("this hello cannot be read"), "\(heard)")
        #expect(server.log.commits.flatMap(\.quarantined).isEmpty)
    }

    // MARK: Names

    private func post(_ name: String, token: String) -> EnrolledPost {
        EnrolledPost(
            name: name, places: ["KZHOR"], tokenHash: Secrets.hash(token), isRevoked: false)
    }

    private func hello(_ post: String, token: String? = nil) -> String {
        let proof = token.map { ",\"token\":\"\($0)\"" } ?? ""
        return "{\"hello\":\"caravan/1\",\"post\":\"\(post)\",\"stream\":\"s1\"\(proof)}\n"
    }

    /// A name that was nobody's when a session began with it is somebody's now; a token is another one now.
    @Test(arguments: [nil, "old"])
    func whoSpeaksIsProvedOnOpenSessionsToo(_ token: String?) async throws {
        let server = try await TestServer(posts: token.map { [post("P", token: $0)] } ?? [])
        let socket = try server.feed()
        try socket.send(hello("P", token: token) + event(1))
        while let line = try await socket.next(), !line.contains("\"ack\":2") {}
        server.posts.roster.withLockedValue { $0 = [post("P", token: "new")] }
        await server.book.refresh()
        try socket.send(event(2))
        let heard = try await all(socket)
        #expect(heard.last?.contains("\"code\":\"unauthorised\"") == true, "\(heard)")
        let why = token == nil ? "has been enrolled since" : "has another token now"
        #expect(heard.last?.contains(why) == true, "\(heard)")
        #expect(server.log.commits.flatMap(\.events).count == 1)
    }

    /// Whoever reads the output takes "hrs" for HRS.
    @Test(arguments: ["hrs", "H RS", "\u{41D}RS"])
    func aNameThatLooksLikeAPostsIsNotTaken(_ name: String) async throws {
        let server = try await TestServer(posts: [post("HRS", token: "t")])
        let socket = try server.feed()
        try socket.send(hello(name) + event(1))
        let heard = try await all(socket)
        #expect(heard.last?.contains("is HRS meant?") == true, "\(heard)")
        #expect(server.log.commits.flatMap(\.events).isEmpty)
    }

    @Test func aSessionCountsFromOne() async throws {
        let server = try await TestServer()
        let hello = "{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"s1\"}\n"
        let first = try server.feed()
        try first.send(hello + event(1))
        #expect(try #require(try await first.next()).contains("welcome"))
        while let line = try await first.next(), !line.contains("\"ack\":2") {}
        for number in ["0", "-1", "-9223372036854775807", "-9223372036854775808"] {
            let socket = try server.feed()
            let line =
                "{\"container\":\"MSKU0308961\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
                + "\"time\":\"2026-01-01T10:15:00Z\",\"seq\":\(number)}\n"
            try socket.send(hello + "rubbish\nrubbish too\n" + line)
            let heard = try await all(socket)
            #expect(
                heard.last?.contains("\"code\":\"protocol\"") == true
                    && heard.last?.contains("seq") == true, "\(number): \(heard)")
        }
        // And the daemon is there.
        let last = try server.feed()
        try last.send(hello + event(2))
        #expect(try #require(try await last.next()).contains("welcome"))
    }

    // MARK: Tails

    @Test func aRequestThatComesInPiecesIsWaitedFor() async throws {
        let server = try await TestServer()
        let feed = try server.feed()
        try feed.send(plan(1) + plan(2))
        while let line = try await feed.next(), line != "{\"ack\":2}" {}
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/1\",")
        try await Task.sleep(for: .milliseconds(1_500))
        try tail.send("\"after\":\"start\"}\n")
        #expect(try #require(try await tail.next()).contains("welcome"))
        #expect(FlatObject(try #require(try await tail.next()))?.integer("seq") == 1)
    }

    @Test func aRequestThatComesTooLateIsNotIgnored() async throws {
        let server = try await TestServer()
        let tail = try server.tail()
        #expect(try #require(try await tail.next()).contains("welcome"))
        #expect(try #require(try await tail.next()).contains("caught-up"))
        try tail.send("\n{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        #expect(try #require(try await tail.next()).contains("\"code\":\"protocol\""))
        #expect(try await tail.next() == nil)
    }

    @Test func anAckThatIsNoneIsAnswered() async throws {
        for ack in ["\"7\"", "-1"] {
            let server = try await TestServer()
            let tail = try server.tail()
            try tail.send("{\"tail\":\"caravan/1\",\"name\":\"t\"}\n")
            #expect(try #require(try await tail.next()).contains("welcome"))
            #expect(try #require(try await tail.next()).contains("caught-up"))
            try tail.send("{\"ack\":\(ack)}\n")
            #expect(try #require(try await tail.next()).contains("\"code\":\"protocol\""), "\(ack)")
        }
    }
}
