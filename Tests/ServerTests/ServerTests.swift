import Client
import Engine
import Server
import Simulation
import TestKit
import Testing
import Tracking
import Wire

func event(_ number: Int, place: String = "KZHOR") -> String {
    "{\"id\":\"e\(number)\",\"container\":\"MSKU0308961\",\"event\":\"GTIN\",\"place\":\"\(place)\","
        + "\"time\":\"2026-01-01T10:15:\(10 + number % 50)Z\",\"seq\":\(number)}\n"
}

func plan(_ number: Int) -> String {
    let container = ContainerNumber(owner: "ARCU", serial: number)?.description ?? ""
    return "{\"plan\":\"S\(number)\",\"containers\":[\"\(container)\"],\"from\":\"CNXIA\","
        + "\"to\":\"KZALA\",\"mode\":\"RAIL\",\"promised\":\"2036-01-01T00:00:00Z\"}\n"
}

@Suite(.serialized) struct FeedTests {
    @Test func aBareClientIsAnsweredAsTheContractSays() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(event(1) + event(1) + "\n" + "rubbish\n")
        socket.halfClose()
        var lines: [String] = []
        while let line = try await socket.next() { lines.append(line) }
        #expect(lines.last == "{\"bye\":4}")
        let reject = lines.firstIndex { $0.hasPrefix("{\"reject\":4,\"code\":\"json\"") }
        let ack = lines.firstIndex { $0 == "{\"ack\":4}" }
        #expect(try #require(reject) < (try #require(ack)))
        #expect(server.log.commits.flatMap(\.events).count == 1)
        #expect(server.log.commits.flatMap(\.quarantined).count == 1)
    }

    @Test func pingAndByeAreAnswered() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send("{\"ping\":1}\n")
        #expect(try await socket.next() == "{\"pong\":1}")
        try socket.send(event(1))
        #expect(try await socket.next() == "{\"ack\":2}")
        try socket.send("{\"bye\":1}\n")
        #expect(try await socket.next() == "{\"bye\":2}")
        #expect(try await socket.next() == nil)
    }

    @Test func aLineOverTheLimitIsDroppedOnceAndTheNextIsRead() async throws {
        var options = FeedOptions()
        options.limits.maxLine = 1_024
        let server = try await TestServer(feed: options)
        let socket = try server.feed()
        let pad = 1_024 - event(1).utf8.count + 1
        let exact = event(1).dropLast() + String(repeating: " ", count: pad) + "\n"
        try socket.send(String(exact))
        #expect(try await socket.next() == "{\"ack\":1}")
        try socket.send(String(repeating: "x", count: 1_000_000) + "\n" + event(2))
        let reject = try #require(try await socket.next())
        #expect(reject.hasPrefix("{\"reject\":2,\"code\":\"too-long\""))
        var ack = try await socket.next()
        if ack == "{\"ack\":2}" { ack = try await socket.next() }
        #expect(ack == "{\"ack\":3}")
        let kept = try #require(server.log.commits.flatMap(\.quarantined).first)
        #expect(kept.length == 1_000_000)
        #expect(kept.bytes.count == LineFramer.headBytes)
    }

    @Test func aSessionResumesAndAGapCloses() async throws {
        let server = try await TestServer()
        let hello = "{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"s1\"}\n"
        let first = try server.feed()
        try first.send(hello + event(1) + event(2))
        let welcome = try #require(try await first.next())
        #expect(welcome.contains("\"resume\":0"))
        var line = try await first.next()
        if line == "{\"ack\":2}" { line = try await first.next() }
        #expect(line == "{\"ack\":3}")
        let second = try server.feed()
        try second.send(hello)
        #expect(try #require(try await second.next()).contains("\"resume\":2"))
        #expect(try #require(try await first.next()).contains("\"code\":\"fenced\""))
        try second.send(event(2) + event(4))
        var refusal = try #require(try await second.next())
        #expect(refusal.contains("\"ack\""))
        refusal = try #require(try await second.next())
        #expect(refusal.contains("\"code\":\"gap\",\"expected\":3"))
    }

    /// Whatever ends a connection, what it said before has its answer.
    @Test func whatWasSaidIsAnsweredBeforeAnError() async throws {
        let server = try await TestServer()
        let socket = try server.feed()
        try socket.send(
            event(1) + "rubbish\n" + "{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"s\"}\n")
        var heard: [String] = []
        while let line = try await socket.next() { heard.append(line) }
        #expect(heard.contains { $0.hasPrefix("{\"reject\":2,") }, "\(heard)")
        #expect(heard.contains("{\"ack\":2}"), "\(heard)")
        #expect(heard.last?.contains("\"code\":\"protocol\"") == true, "\(heard)")
    }

    @Test func aSilentConnectionIsToldWhyItEnds() async throws {
        var options = FeedOptions()
        options.firstLineSeconds = 1
        options.lineSeconds = 1
        let server = try await TestServer(feed: options)
        let silent = try server.feed()
        #expect(try #require(try await silent.next()).contains("\"code\":\"idle\""))
        let slow = try server.feed()
        try slow.send("{\"ping\":1}\n{\"contai")
        #expect(try await slow.next() == "{\"pong\":1}")
        #expect(try #require(try await slow.next()).contains("\"code\":\"idle\""))
    }

    @Test func nothingIsAcknowledgedBeforeItIsDurable() async throws {
        // The commit of the first line fails twice, once with the answer lost.
        let server = try await TestServer()
        server.log.inject([.refused, .unknownOutcome])
        let socket = try server.feed()
        try socket.send(event(1))
        #expect(try await socket.next() == "{\"ack\":1}")
        #expect(server.log.commits.flatMap(\.events).count == 1)
    }

    @Test func manyConnectionsShareOneOrder() async throws {
        let server = try await TestServer()
        let sockets = try (0..<8).map { _ in try server.feed() }
        for (index, socket) in sockets.enumerated() {
            for number in 0..<50 { try socket.send(plan(index * 50 + number)) }
            socket.halfClose()
        }
        for socket in sockets {
            var last = ""
            while let line = try await socket.next() { last = line }
            #expect(last == "{\"bye\":50}")
        }
        let numbers = server.log.commits.flatMap(\.outputs).map(\.seq)
        #expect(numbers == Array(1...400))
    }
}

@Suite(.serialized) struct TailTests {
    @Test func aTailSeesHistoryThenLiveLinesWithoutAGap() async throws {
        // A ring of sixteen lines: history has to come from the store.
        let server = try await TestServer(ring: 16)
        let feed = try server.feed()
        for number in 0..<60 { try feed.send(plan(number)) }
        while try await feed.next() != "{\"ack\":60}" {}
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/1\",\"after\":10}\n")
        #expect(try #require(try await tail.next()).contains("\"first\":1,\"last\":60"))
        var seen: [Int] = []
        while let line = try await tail.next() {
            if line.contains("caught-up") { break }
            seen.append(FlatObject(line)?.integer("seq") ?? -1)
        }
        #expect(seen == Array(11...60))
        try feed.send(plan(60))
        let live = try #require(try await tail.next())
        #expect(FlatObject(live)?.integer("seq") == 61)
        let again = try server.tail()
        try again.send("{\"tail\":\"caravan/1\",\"after\":60}\n")
        _ = try await again.next()
        #expect(try await again.next() == live)
    }

    @Test func filtersLeaveOutAndHeartbeatsSayHowFar() async throws {
        var options = TailOptions()
        options.heartbeatSeconds = 1
        let server = try await TestServer(tail: options)
        let feed = try server.feed()
        for number in 0..<5 { try feed.send(plan(number)) }
        while try await feed.next() != "{\"ack\":5}" {}
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\",\"shipments\":[\"S3\"]}\n")
        _ = try await tail.next()
        let line = try #require(try await tail.next())
        #expect(FlatObject(line)?.text("shipment") == "S3")
        #expect(try await tail.next() == "{\"kind\":\"caught-up\",\"seq\":5}")
        let heartbeat = try #require(try await tail.next())
        #expect(heartbeat.hasPrefix("{\"kind\":\"heartbeat\",\"seq\":5,"))
    }

    @Test func aTailThatSaysNothingGetsEverythingFromNow() async throws {
        let server = try await TestServer()
        let tail = try server.tail()
        #expect(try #require(try await tail.next()).contains("welcome"))
        #expect(try #require(try await tail.next()).contains("caught-up"))
        let feed = try server.feed()
        try feed.send(plan(1))
        #expect(FlatObject(try #require(try await tail.next()))?.integer("seq") == 1)
    }

    @Test func aConsumerThatDoesNotReadIsCut() async throws {
        var options = TailOptions()
        options.slowSeconds = 1
        let server = try await TestServer(tail: options)
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        _ = try await tail.next()
        let feed = try server.feed()
        var sent = 0
        // More than the socket and its watermarks hold.
        for round in 0..<60 {
            var text = ""
            for number in 0..<100 { text += plan(round * 100 + number) }
            try feed.send(text)
            sent += 100
        }
        while try await feed.next() != "{\"ack\":\(sent)}" {}
        // Nobody reads for longer than the limit, while the others go on.
        let other = try server.tail()
        try other.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
        var count = 0
        while let line = try await other.next(), !line.contains("caught-up") { count += 1 }
        #expect(count == sent + 1)
        // Reading begins only after the cut: the stream ends before its last line.
        try await Task.sleep(for: .seconds(5))
        var last = 0
        do {
            while let line = try await tail.next() {
                last = FlatObject(line)?.integer("seq") ?? last
            }
        } catch is SocketFailure {
            // Cut hard, with lines still on the way.
        }
        #expect(last < sent)
    }

    /// Whoever hangs up while it is sent much takes nobody with it.
    @Test func consumersThatHangUpInTheMiddleDisturbNobody() async throws {
        let server = try await TestServer()
        let feed = try server.feed()
        let sent = 6_000
        for round in 0..<60 {
            try feed.send((0..<100).map { plan(round * 100 + $0) }.joined())
        }
        while try await feed.next() != "{\"ack\":\(sent)}" {}
        for _ in 0..<64 {
            let tail = try server.tail()
            try tail.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
            _ = try await tail.next()
        }
        // On each of the threads somebody reads all of it.
        for _ in 0..<8 {
            let other = try server.tail()
            try other.send("{\"tail\":\"caravan/1\",\"after\":\"start\"}\n")
            var count = 0
            while let line = try await other.next(), !line.contains("caught-up") { count += 1 }
            #expect(count == sent + 1)
        }
    }

    /// Tails that stand at one place share what they are shown, each by its own filter.
    @Test func tailsOfOneLoopGetWhatTheyAskForAndNothingElse() async throws {
        let server = try await TestServer()
        let filters = [
            "", "\"shipments\":[\"S7\"]", "\"shipments\":[\"S7\",\"S11\"]",
            "\"shipments\":[\"S7\"]",
            "\"kinds\":[\"alert\"]", "\"shipments\":[\"S7\"],\"kinds\":[\"alert\"]",
        ]
        var tails: [LineSocket] = []
        for filter in filters + filters {
            let tail = try server.tail()
            try tail.send(
                "{\"tail\":\"caravan/1\",\"after\":\"now\"\(filter.isEmpty ? "" : ",")\(filter)}\n")
            _ = try await tail.next()
            #expect(try #require(try await tail.next()).contains("caught-up"))
            tails.append(tail)
        }
        let feed = try server.feed()
        try feed.send((0..<40).map { plan($0) }.joined())
        while try await feed.next() != "{\"ack\":40}" {}
        let expected = [40, 1, 2, 1, 0, 0]
        for (index, tail) in tails.enumerated() {
            var found: [String] = []
            while found.count < expected[index % filters.count] {
                let text = try #require(try await tail.next())
                if let shipment = FlatObject(text)?.text("shipment") { found.append(shipment) }
            }
            let wanted: Set<String>? =
                index % filters.count == 0
                ? nil : index % filters.count == 2 ? ["S7", "S11"] : ["S7"]
            #expect(wanted.map { Set(found).isSubset(of: $0) } ?? true)
            if wanted != nil { #expect(!tail.wait(write: false, milliseconds: 20).canRead) }
        }
    }

    @Test func aRequestThatIsNoneIsRefusedWithTheReason() async throws {
        let server = try await TestServer()
        let tail = try server.tail()
        try tail.send("{\"tail\":\"caravan/9\"}\n")
        #expect(try #require(try await tail.next()).contains("\"code\":\"protocol\""))
        #expect(try await tail.next() == nil)
    }
}
