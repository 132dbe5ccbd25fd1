import Client
import Daemon
import Engine
import NIOConcurrencyHelpers
import Simulation
import TLS
import TestKit
import Testing
import Tracking
import Wire

@testable import Server

private func enrolled(
    _ name: String, places: [String] = ["KZHOR"], token: String? = nil, isRevoked: Bool = false
) -> EnrolledPost {
    EnrolledPost(
        name: name, places: places, tokenHash: token.map(Secrets.hash), isRevoked: isRevoked)
}

private func hello(_ post: String, token: String? = nil, stream: String = "s1") -> String {
    let proof = token.map { ",\"token\":\"\($0)\"" } ?? ""
    return "{\"hello\":\"caravan/1\",\"post\":\"\(post)\",\"stream\":\"\(stream)\"\(proof)}\n"
}

extension LineSocket {
    /// The first line that holds `part`.
    func next(with part: String) async throws -> String {
        while let line = try await next() { if line.contains(part) { return line } }
        throw Shell.Failed("the connection ended before a line with \(part)")
    }
}

@Suite(.serialized) struct SessionTests {
    @Test func everyKindOfLineCarriesItsNumber() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        let closure =
            "{\"closure\":\"c1\",\"place\":\"CNHRS\",\"from\":\"2026-10-01T00:00:00Z\",\"seq\":3}\n"
        let numbered = plan(1).dropLast(2) + ",\"seq\":1}\n"
        // The second line cannot be read at all: its place in the stream is its number.
        try socket.send(hello("P") + numbered + "rubbish\n" + closure + event(4))
        _ = try await socket.next(with: "\"ack\":5")
        let again = try server.feed()
        try again.send(hello("P"))
        #expect(try await again.next(with: "welcome").contains("\"resume\":4"))
        #expect(server.log.commits.flatMap(\.quarantined).count == 1)
    }

    @Test func aNumberGivenTwiceIsAConflictUnlessItIsTheSameLine() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(hello("P") + event(1) + event(2))
        _ = try await socket.next(with: "\"ack\":3")
        let other = event(1).replacing("\"e1\"", with: "\"other\"")
        try socket.send(event(1) + event(2) + other)
        #expect(
            try await socket.next(with: "reject").contains("\"reject\":6,\"code\":\"conflict\""))
        _ = try await socket.next(with: "\"ack\":6")
        #expect(server.log.commits.flatMap(\.events).count == 2)
    }

    /// Lines that cannot be read have no number of their own: sent again from whatever line on, they are
    /// what they were, and the next number is nobody else's.
    @Test func unreadableLinesAreCountedFromTheSendersOwnStart() async throws {
        let bad = "{\"id\":\"x\",\n"
        let lines = [bad, event(2), bad, event(4), bad, bad, event(7)]
        for isTorn in [false, true] {
            let server = try await TestServer()
            for count in 1...lines.count {
                // Each time from its own first line, whole or piece by piece.
                let socket = try server.feed()
                try socket.send(hello("P"))
                let welcome = try await socket.next(with: "welcome")
                #expect(welcome.contains("\"resume\":\(count - 1),"), "\(welcome)")
                if isTorn {
                    for line in lines.prefix(count) {
                        try socket.send(line)
                        try await Task.sleep(for: .milliseconds(20))
                    }
                } else {
                    try socket.send(lines.prefix(count).joined())
                }
                try socket.send("{\"bye\":1}\n")
                var said = ""
                while let line = try await socket.next() { said += line + "\n" }
                #expect(!said.contains("conflict") && !said.contains("gap"), "\(count): \(said)")
                #expect(said.contains("\"bye\""), "\(count): \(said)")
            }
            #expect(
                server.log.commits.flatMap(\.events).map(\.event.id) == ["e2", "e4", "e7"])
            #expect(server.log.commits.flatMap(\.quarantined).count == 4)
        }
    }

    /// The link ends before a line tells where the sender began: what was sent again is what it was.
    @Test func whatIsSentAgainAndCutOffMovesNothing() async throws {
        let server = try await TestServer()
        let lines = ["{bad1\n", "{bad2\n", event(3)]
        for count in [3, 2, 1, 3] {
            let socket = try server.feed()
            try socket.send(hello("P"))
            _ = try await socket.next(with: "welcome")
            try socket.send(lines.prefix(count).joined())
            _ = try await socket.next(with: "{\"ack\":\(count + 1)}")
        }
        let socket = try server.feed()
        try socket.send(hello("P"))
        #expect(try await socket.next(with: "welcome").contains("\"resume\":3,"))
        try socket.send(event(4) + event(5) + "{\"bye\":1}\n")
        var said = ""
        while let line = try await socket.next() { said += line + "\n" }
        #expect(!said.contains("conflict") && said.contains("{\"ack\":3}"), "\(said)")
        #expect(server.log.commits.flatMap(\.events).count == 3)
    }

    /// The number of a line that is no JSON is read where it can be seen.
    @Test func aNumberThatCanBeSeenCounts() {
        func seq(_ text: String) -> Int64? {
            Array(text.utf8).withUnsafeBufferPointer { SeqText.find(in: $0) }
        }
        #expect(seq("{\"id\":\"a\",,\"seq\" : 12}") == 12)
        #expect(seq("{\"id\":\"a\",\"seq\":7") == 7)
        #expect(seq("{\"seq\":3,\"x\":}") == 3)
        #expect(seq("rubbish") == nil && seq("{\"seq\":") == nil && seq("{\"seq\":\"1\"") == nil)
    }

    @Test func aLineWithoutANumberEndsTheSession() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(hello("P") + event(1).replacing(",\"seq\":1", with: ""))
        #expect(try await socket.next(with: "error").contains("\"code\":\"protocol\""))
    }

    @Test func heartbeatsTellTheStateAndSilenceEndsASession() async throws {
        var options = FeedOptions()
        options.heartbeatSeconds = 1
        let server = try await TestServer(feed: options)
        let socket = try server.feed()
        try socket.send(hello("P") + event(1))
        _ = try await socket.next(with: "\"ack\":2")
        let beat = try await socket.next(with: "\"heartbeat\"")
        #expect(beat.hasPrefix("{\"heartbeat\":1,\"state\":\"ok\""), "\(beat)")
        #expect(try await socket.next(with: "error").contains("\"code\":\"idle\""))
    }

    @Test func heartbeatsGoOnWhileTheDatabaseIsAway() async throws {
        var options = FeedOptions()
        options.heartbeatSeconds = 1
        let server = try await TestServer(feed: options)
        let socket = try server.feed()
        try socket.send(hello("P"))
        _ = try await socket.next(with: "welcome")
        server.log.inject(Array(repeating: .refused, count: 5))
        try socket.send(event(1))
        #expect(
            try await socket.next(with: "{\"heartbeat").hasPrefix(
                "{\"heartbeat\":0,\"state\":\"no-database\""))
        _ = try await socket.next(with: "\"ack\":2")
    }
}

@Suite(.serialized) struct TakenLineTests {
    /// Lines that were taken before the database went away, of a container that rests in it: they
    /// wait, and nothing later is acknowledged over their heads.
    @Test func aLoadThatFailsLosesNothing() async throws {
        let server = try await TestServer()
        let first = try server.feed()
        try first.send(event(1))
        _ = try await first.next(with: "\"ack\":1")
        try await server.waitUntilResting()
        server.log.failLoads(3)
        try first.send(event(2))
        try first.send(event(3))
        _ = try await first.next(with: "\"ack\":3")
        #expect(server.log.loads >= 4)
        #expect(server.log.commits.flatMap(\.events).map(\.event.id) == ["e1", "e2", "e3"])
    }

    @Test func whatIsOfferedAfterAResetIsNotTaken() async throws {
        let inbox = Inbox()
        struct Nobody: FeedSink {
            let id = 1
            var isOpen: Bool { true }
            func deliver(_ reply: SourceReply) {}
            func welcome(_ hello: Hello, _ welcome: Welcome) {}
            func close(_ prose: String, _ code: CloseCode) {}
        }
        let chunk = TestKit.chunk([String(event(1).dropLast())])
        let old = Intake(
            content: .lines(chunk), connection: Nobody(), generation: inbox.generation)
        _ = inbox.offer(old)
        #expect(inbox.depth == 1)
        inbox.reset()
        #expect(inbox.offer(old) && inbox.depth == 0)
        let fresh = Intake(
            content: .lines(chunk), connection: Nobody(), generation: inbox.generation)
        #expect(!inbox.offer(fresh) && inbox.depth == 1)
        inbox.stop()
        #expect(inbox.offer(fresh) && inbox.depth == 1)
    }

    /// The link ends in the middle of a line while the hello still waits for its welcome: the stump
    /// takes no number.
    @Test func aLineTornBeforeTheWelcomeIsNoLine() async throws {
        let server = try await TestServer()
        server.log.inject(Array(repeating: .refused, count: 3))
        let busy = try server.feed()
        try busy.send(event(9).replacing(",\"seq\":9", with: ""))
        let socket = try server.feed()
        let torn = event(2).prefix(30)
        try socket.send(hello("P") + event(1) + torn)
        socket.halfClose()
        _ = try await socket.next(with: "\"bye\"")
        let again = try server.feed()
        try again.send(hello("P"))
        #expect(try await again.next(with: "welcome").contains("\"resume\":1"))
    }

    @Test func aHelloThatCannotBeReadIsRefusedAndNotKept() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send("\n{\"hello\":\"caravan/1\",\"post\":\"P\",\"token\":\"SECRET\"}\n")
        #expect(try await socket.next(with: "error").contains("\"code\":\"protocol\""))
        let after = try server.feed()
        try after.send("\n" + hello("P") + event(1))
        _ = try await after.next(with: "\"ack\":3")
        #expect(server.log.commits.flatMap(\.quarantined).isEmpty)
    }

    @Test func aRevokedPostLosesItsOpenConnections() async throws {
        let server = try await TestServer(posts: [
            enrolled("GATE", token: "a"), enrolled("RAIL", places: ["DEDUI"], token: "b"),
        ])
        let gate = try server.feed()
        try gate.send(hello("GATE", token: "a") + event(1))
        _ = try await gate.next(with: "\"ack\":2")
        let rail = try server.feed()
        let other = event(1, place: "DEDUI").replacing("\"e1\"", with: "\"r1\"")
        try rail.send(hello("RAIL", token: "b") + other)
        _ = try await rail.next(with: "\"ack\":2")
        server.posts.roster.withLockedValue {
            $0 = [
                enrolled("GATE", token: "a", isRevoked: true),
                enrolled("RAIL", places: ["DEHAM"], token: "b"),
            ]
        }
        await server.book.refresh()
        try gate.send(event(2))
        #expect(try await gate.next(with: "error").contains("\"code\":\"unauthorised\""))
        try rail.send(event(2, place: "DEDUI"))
        #expect(try await rail.next(with: "reject").contains("forbidden"))
        #expect(server.log.commits.flatMap(\.events).count == 2)
    }
}

@Suite(.serialized) struct PostTests {
    @Test func aPostSpeaksOnlyOfItsPlaces() async throws {
        let server = try await TestServer(
            posts: [enrolled("GATE", token: "secret")], allowsAnonymous: false)
        let socket = try server.feed()
        let plan =
            "{\"plan\":\"S9\",\"containers\":[\"MSKU0308961\"],\"from\":\"CNXIA\",\"to\":\"DEDUI\","
            + "\"seq\":3}\n"
        try socket.send(hello("GATE", token: "secret") + event(1) + event(2, place: "DEDUI") + plan)
        #expect(
            try await socket.next(with: "reject").contains("\"reject\":3,\"code\":\"forbidden\""))
        #expect(
            try await socket.next(with: "reject").contains("\"reject\":4,\"code\":\"forbidden\""))
        _ = try await socket.next(with: "\"ack\":4")
        #expect(server.log.commits.flatMap(\.events).count == 1)
        #expect(server.log.commits.flatMap(\.quarantined).map(\.origin.post) == ["GATE", "GATE"])
        await server.book.reportHealth()
        #expect(server.posts.health.withLockedValue { $0 }.first?.forbidden == 2)
    }

    @Test func nobodyTakesBackWhatAnotherSaid() async throws {
        let server = try await TestServer(posts: [
            enrolled("GATE", token: "a"), enrolled("RAIL", places: ["DEDUI"], token: "b"),
        ])
        let gate = try server.feed()
        try gate.send(hello("GATE", token: "a") + event(1))
        _ = try await gate.next(with: "\"ack\":2")
        // What it takes back under that id could only be its own.
        let rail = try server.feed()
        let retraction =
            "{\"id\":\"e1\",\"container\":\"MSKU0308961\",\"retract\":true,\"seq\":1}\n"
        try rail.send(hello("RAIL", token: "b", stream: "s1") + retraction)
        #expect(
            try await rail.next(with: "reject").contains("\"reject\":2,\"code\":\"unknown-id\""))
        // The same id of another post is another event.
        let other = try server.feed()
        try other.send(
            hello("RAIL", token: "b", stream: "s2")
                + event(2, place: "DEDUI").replacing("\"e2\"", with: "\"e1\"").replacing(
                    "\"seq\":2", with: "\"seq\":1"))
        _ = try await other.next(with: "\"ack\":2")
        let rows = server.log.commits.flatMap(\.events)
        #expect(rows.map(\.post) == ["GATE", "RAIL"])
        #expect(rows.map(\.event.id) == ["e1", "e1"])
        // It may speak of its own places only, and is told which.
        let third = try server.feed()
        try third.send(hello("RAIL", token: "b", stream: "s3") + event(1))
        let refused = try await third.next(with: "reject")
        #expect(refused.contains("\"reject\":2,\"code\":\"forbidden\""))
        #expect(refused.contains("KZHOR") && refused.contains("DEDUI"))
    }

    @Test func whoeverIsNotKnownStaysOutside() async throws {
        let server = try await TestServer(
            posts: [enrolled("GATE", token: "secret"), enrolled("GONE", isRevoked: true)],
            allowsAnonymous: false)
        for first in [
            hello("GATE"), hello("GATE", token: "wrong"), hello("GONE", token: "secret"),
            hello("NEVER", token: "secret"), event(1), "{\"ping\":1}\n",
        ] {
            let socket = try server.feed()
            try socket.send(first + event(1))
            let line = try #require(try await socket.next(), "\(first)")
            #expect(line.contains("\"code\":\"unauthorised\""), "\(first): \(line)")
            #expect(try await socket.next() == nil)
        }
        #expect(server.log.commits.flatMap(\.events).isEmpty)
        // Where anonymous senders are let in, an enrolled name still has to be proved.
        let open = try await TestServer(posts: [enrolled("GATE", token: "secret")])
        let socket = try open.feed()
        try socket.send(hello("GATE"))
        #expect(try #require(try await socket.next()).contains("unauthorised"))
    }

    @Test func enrolmentTakesHoldWithoutARestart() async throws {
        let server = try await TestServer(allowsAnonymous: false)
        let early = try server.feed()
        try early.send(hello("GATE", token: "secret"))
        #expect(try #require(try await early.next()).contains("unauthorised"))
        server.posts.roster.withLockedValue { $0 = [enrolled("GATE", token: "secret")] }
        try await Task.sleep(for: .milliseconds(300))
        let socket = try server.feed()
        try socket.send(hello("GATE", token: "secret"))
        #expect(try #require(try await socket.next()).contains("welcome"))
    }

    @Test func aPostHasSoManyStreams() async throws {
        var writer = WriterOptions()
        writer.maxStreams = 2
        let server = try await TestServer(writer: writer)
        func open(_ post: String, _ stream: String) async throws -> (LineSocket, String) {
            let socket = try server.feed()
            try socket.send(hello(post, stream: stream))
            return (socket, try #require(try await socket.next()))
        }
        let (first, welcome) = try await open("P", "s1")
        #expect(welcome.contains("welcome"))
        try first.send(event(1))
        _ = try await first.next(with: "\"ack\":2")
        // One of which a line has come, one that is open and one too many.
        let (second, other) = try await open("P", "s2")
        #expect(other.contains("welcome"))
        let refusal = try await open("P", "s3").1
        #expect(refusal.contains("\"code\":\"limit\"") && refusal.contains("P has 2 streams"))
        #expect(try await open("Q", "s3").1.contains("welcome"))
        #expect(try await open("P", "s1").1.contains("\"resume\":1"))
        #expect(try await open("P", "s2").1.contains("welcome"))
        _ = try await second.next(with: "fenced")
    }

    @Test func aPostHasSoManyConnections() async throws {
        var options = FeedOptions()
        options.maxPerPost = 1
        let posts = ["P", "Q"].map { enrolled($0, token: "secret") }
        let server = try await TestServer(feed: options, posts: posts)
        func open(_ post: String, _ stream: String) async throws -> (LineSocket, String) {
            let socket = try server.feed()
            try socket.send(hello(post, token: "secret", stream: stream))
            return (socket, try #require(try await socket.next()))
        }
        let (first, welcome) = try await open("P", "s1")
        #expect(welcome.contains("welcome"))
        #expect(try await open("P", "s2").1.contains("\"code\":\"limit\""))
        #expect(try await open("Q", "s1").1.contains("welcome"))
        try first.send("{\"bye\":1}\n")
        _ = try await first.next(with: "bye")
        while try await first.next() != nil {}
        // The server counts it out just behind the close that the sender sees.
        let deadline = LineSocket.now() + 30
        while try await !open("P", "s2").1.contains("welcome") {
            guard LineSocket.now() < deadline else { throw Shell.Failed("the place is not free") }
        }
    }

    @Test func boundsOnConnectionsHold() async throws {
        var options = FeedOptions()
        options.maxConnections = 3
        options.maxUnauthenticated = 1
        let server = try await TestServer(feed: options)
        let first = try server.feed()
        try first.send(event(1))
        _ = try await first.next(with: "\"ack\":1")
        var entered = [first]
        for _ in 0..<2 {
            let next = try server.feed()
            try next.send(event(1))
            _ = try await next.next(with: "\"ack\":1")
            entered.append(next)
        }
        // Whoever has said a word makes room for nobody.
        let late = try server.feed()
        #expect(try #require(try await late.next()).contains("3 connections are open already"))
    }
}
