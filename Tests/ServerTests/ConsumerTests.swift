import Client
import Engine
import Foundation
import NIOConcurrencyHelpers
import Server
import Simulation
import TLS
import TestKit
import Testing
import Wire

/// Who may read the output, and what of it.
@Suite(.serialized) struct ConsumerTests {
    private static let token = "0123456789abcdef"

    private func consumer(
        _ name: String, kinds: [String] = [], places: [String] = [], shipments: [String] = [],
        posts: [String] = []
    ) -> EnrolledConsumer {
        EnrolledConsumer(
            name: name, tokenHash: Secrets.hash(ConsumerTests.token), kinds: kinds, places: places,
            shipments: shipments, posts: posts)
    }

    private func rig(
        _ consumers: [EnrolledConsumer], anonymous: Bool = false, plans: Int = 5
    ) async throws -> TestServer {
        var options = TailOptions()
        options.heartbeatSeconds = 1
        let server = try await TestServer(
            tail: options,
            posts: [
                EnrolledPost(
                    name: "GATE", places: ["*"], tokenHash: Secrets.hash("gate"), isRevoked: false)
            ], allowsAnonymous: anonymous, consumers: consumers)
        guard plans > 0 else { return server }
        let feed = try server.feed()
        try feed.send(
            "{\"hello\":\"caravan/1\",\"post\":\"GATE\",\"stream\":\"s\",\"token\":\"gate\"}\n")
        for number in 0..<plans {
            try feed.send(plan(number).replacing("}\n", with: ",\"seq\":\(number + 1)}\n"))
        }
        while let line = try await feed.next() {
            // The greeting has no number, and an ack counts those of the stream.
            if FlatObject(line)?.integer("ack") ?? 0 >= plans { break }
        }
        return server
    }

    private func ask(
        _ server: TestServer, _ more: String, as name: String = "TOWER", token: String = token
    ) throws -> LineSocket {
        let tail = try server.tail()
        try tail.send(
            "{\"tail\":\"caravan/1\",\"consumer\":\"\(name)\",\"token\":\"\(token)\"\(more)}\n")
        return tail
    }

    /// Shipments of the lines up to the end of history; the refusal where there is one.
    private func read(_ tail: LineSocket) async throws -> (lines: [FlatObject], error: String?) {
        var lines: [FlatObject] = []
        while let line = try await tail.next() {
            guard let object = FlatObject(line) else { continue }
            if object.has("error") { return (lines, "\(object.text("code") ?? "") \(line)") }
            if object.text("kind") == "caught-up" { return (lines, nil) }
            if object.text("kind") != "welcome" { lines.append(object) }
        }
        return (lines, nil)
    }

    @Test func whoSaysNothingIsNotLetInWhereNobodyIs() async throws {
        let server = try await rig([consumer("TOWER")])
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        let refused = try await read(tail)
        #expect(refused.error?.hasPrefix("unauthorised") == true)
        #expect(refused.error?.contains("consumer enrol") == true)
        // The control: with its token it is.
        let known = try await read(try ask(server, ",\"after\":\"start\""))
        #expect(known.error == nil && known.lines.count == 5)
    }

    @Test func aWrongTokenAStrangerAndARevokedOneStayOutside() async throws {
        var revoked = consumer("GONE")
        revoked.isRevoked = true
        let server = try await rig([consumer("TOWER"), revoked], plans: 0)
        for (name, token, words) in [
            ("TOWER", "0123456789abcdeF", "token is not that"), ("NOBODY", "x", "not enrolled"),
            ("GONE", ConsumerTests.token, "revoked"),
        ] {
            let answer = try await read(try ask(server, "", as: name, token: token))
            #expect(answer.error?.contains(words) == true, "\(answer)")
        }
    }

    @Test func aRightLimitsWhateverIsAskedFor() async throws {
        let server = try await rig([consumer("TOWER", shipments: ["S1", "S2"])])
        func shipments(_ more: String) async throws -> [String?] {
            try await read(try ask(server, ",\"after\":\"start\"" + more)).lines.map {
                $0.text("shipment")
            }
        }
        #expect(try await shipments("") == ["S1", "S2"])
        #expect(try await shipments(",\"shipments\":[\"S2\",\"S3\"]") == ["S2"])
        let none = try await read(try ask(server, ",\"shipments\":[\"S3\"]"))
        #expect(none.error?.contains("may read S1, S2") == true)
    }

    @Test func kindsAndPostsAreRightsToo() async throws {
        let server = try await rig([
            consumer("ALERTS", kinds: ["alert"]), consumer("GATE", posts: ["GATE"]),
            consumer("ETAS", kinds: ["eta"]),
        ])
        #expect(try await read(try ask(server, ",\"after\":0", as: "ALERTS")).lines.isEmpty)
        #expect(try await read(try ask(server, ",\"after\":0", as: "GATE")).lines.isEmpty)
        #expect(try await read(try ask(server, ",\"after\":0", as: "ETAS")).lines.count == 5)
        let wrong = try await read(try ask(server, ",\"kinds\":[\"eta\"]", as: "ALERTS"))
        #expect(wrong.error?.contains("may not read such kinds") == true)
    }

    @Test func whoIsRevokedWhileItReadsIsCut() async throws {
        let server = try await rig([consumer("TOWER")])
        let tail = try ask(server, ",\"after\":\"start\"")
        #expect(try await read(tail).lines.count == 5)
        server.consumers.enrolled.withLockedValue { $0[0].isRevoked = true }
        await server.readers.refresh()
        var last = ""
        while let line = try await tail.next() { last = line }
        #expect(last.contains("\"code\":\"unauthorised\"") && last.contains("revoked"))
    }

    @Test func aRightThatIsTakenAwayHoldsFromThenOn() async throws {
        let server = try await rig([consumer("TOWER")], anonymous: true)
        let tail = try ask(server, ",\"after\":\"now\"")
        #expect(try await read(tail).error == nil)
        server.consumers.enrolled.withLockedValue { $0[0].shipments = ["S8"] }
        await server.readers.refresh()
        // By the next heartbeat it holds.
        while let line = try await tail.next(), !line.contains("heartbeat") {}
        let feed = try server.feed()
        for number in 7..<10 { try feed.send(plan(number)) }
        var seen: [String?] = []
        while let line = try await tail.next() {
            guard let object = FlatObject(line) else { continue }
            if object.text("kind") == "eta" { seen.append(object.text("shipment")) }
            if object.integer("seq") ?? 0 >= 8 { break }
        }
        #expect(seen == ["S8"])
    }

    @Test func aNameBelongsToWhoeverGaveItFromItsFirstConnectionOn() async throws {
        let server = try await rig([consumer("TOWER"), consumer("OTHER")])
        let first = try ask(server, ",\"name\":\"pager\",\"after\":2")
        #expect(try await read(first).lines.count == 3)
        // It confirmed nothing, and is known all the same.
        #expect(
            server.tails.cursors.places.withLockedValue { $0 }
                == [CursorName(consumer: "TOWER", name: "pager"): 2])
        try first.send("{\"ack\":4}\n")
        let deadline = LineSocket.now() + 20
        while server.tails.cursors.places.withLockedValue({ $0.values.first }) != 4 {
            guard LineSocket.now() < deadline else { throw Shell.Failed("it was not written") }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await read(try ask(server, ",\"name\":\"pager\"")).lines.count == 1)
        // Another's of the same name begins by itself: now.
        #expect(try await read(try ask(server, ",\"name\":\"pager\"", as: "OTHER")).lines.isEmpty)
    }

    @Test func historyBeginsAtATimeToo() async throws {
        let server = try await rig([consumer("TOWER")])
        func count(_ after: String) async throws -> Int {
            try await read(try ask(server, ",\"after\":\"\(after)\"")).lines.count
        }
        #expect(try await count("2020-01-01T00:00:00Z") == 5)
        #expect(try await count("2020-01-01") == 5)
        let commits = server.log.commits.filter { $0.lastSeq > 0 }
        let last = try #require(commits.last)
        let before = commits.last { $0.now < last.now }?.lastSeq ?? 0
        #expect(try await count(TimeText.string(last.now)) == 5 - before)
        #expect(try await count("2090-01-01T00:00:00Z") == 0)
        let odd = try await read(try ask(server, ",\"after\":\"yesterday\""))
        #expect(odd.error?.contains("2026-11-01T00:00:00Z") == true)
        // Of which hour nobody can know.
        let naive = try await read(try ask(server, ",\"after\":\"2026-01-01T00:00:00\""))
        #expect(naive.error?.hasPrefix("protocol") == true)
    }

    @Test func aCertificateNamesAConsumerToo() async throws {
        let authority = try TestAuthority()
        var files = try authority.issue("server", names: "DNS:localhost")
        files.clientAuthorities = authority.authorities
        files.revocations = try authority.revocations(from: -1, until: 1)
        let certified = EnrolledConsumer(name: "TOWER")
        let server = try await TestServer(
            tls: try TLSContextHolder(files), allowsAnonymous: false, consumers: [certified])
        func knock(_ names: String, _ request: String) async throws -> String? {
            let shown = try authority.issue(UUID().uuidString, names: names)
            let tail = try server.tail(
                try TLSContext(client: shown, authorities: authority.authorities))
            try tail.send(request)
            return try await tail.next()
        }
        let tower = "URI:urn:caravan:consumer:TOWER"
        let plain = "{\"tail\":\"caravan/1\"}\n"
        #expect(try await knock(tower, plain)?.contains("welcome") == true)
        // Not by another's name, not by a certificate of a post, not by one that nobody enrolled.
        let posing = "{\"tail\":\"caravan/1\",\"consumer\":\"OTHER\",\"token\":\"t\"}\n"
        #expect(try await knock(tower, posing)?.contains("unauthorised") == true)
        let post = "URI:urn:caravan:post:GATE"
        #expect(try await knock(post, plain)?.contains("unauthorised") == true)
        let unknown = "URI:urn:caravan:consumer:NEW"
        #expect(try await knock(unknown, plain)?.contains("not enrolled") == true)
        // A token alone is no proof of one that shows a certificate.
        let claimed = "{\"tail\":\"caravan/1\",\"consumer\":\"TOWER\",\"token\":\"t\"}\n"
        #expect(try await knock(post, claimed)?.contains("certificate, not a token") == true)
    }
}
