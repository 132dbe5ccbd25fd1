import Client
import Engine
import Foundation
import NIOConcurrencyHelpers
import NIOPosix
import Simulation
import TLS
import TestKit
import Testing
import Wire

@testable import Server

private let gate = EnrolledPost(name: "GATE", places: ["*"], tokenHash: nil, isRevoked: false)

/// A server that asks for certificates and checks them against a list of revoked ones.
private struct Rig {
    let authority: TestAuthority
    let files: TLSFiles
    let keeper: TLSContextHolder
    let server: TestServer

    init(listFrom: Double = -1, listUntil: Double = 1, revoked: [String] = []) async throws {
        authority = try TestAuthority()
        for name in revoked {
            _ = try authority.issue(name, names: "URI:urn:caravan:post:GATE")
            try authority.revoke(name)
        }
        var files = try authority.issue("server", names: "DNS:localhost")
        files.clientAuthorities = authority.authorities
        files.revocations = try authority.revocations(from: listFrom, until: listUntil)
        self.files = files
        keeper = try TLSContextHolder(files)
        server = try await TestServer(posts: [gate], tls: keeper, allowsAnonymous: false)
    }

    /// What a client with these files is told, first of all; nil where it is not let in.
    func knock(_ files: TLSFiles?, _ first: String = "{\"ping\":1}\n") async throws -> String? {
        let context = try TLSContext(client: files, authorities: authority.authorities)
        do {
            let socket = try server.encrypted(context)
            try socket.send(first)
            return try await socket.next()
        } catch is SocketFailure { return nil }
    }
}

@Suite(.serialized) struct EncryptedFeedTests {
    /// A client has its last word in a handshake, and may send its lines at once behind it; the server
    /// has them before it has come to that word, where others shake hands too.
    @Test func whoSendsBeforeItsTurnWaits() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        let pool = rig.keeper.handshakes
        // Behind each piece of a handshake comes another's that takes its time.
        let others = NIOLockedValueBox(true)
        @Sendable func another() {
            pool.submit { _ in
                usleep(100_000)
                if others.withLockedValue({ $0 }) { another() }
            }
        }
        another()
        defer { others.withLockedValue { $0 = false } }
        let context = try TLSContext(client: files, authorities: rig.authority.authorities)
        let socket = try rig.server.encrypted(context)
        // Long lines: it is about bytes, and each event costs its time before any is acknowledged.
        let count = 600
        let blanks = String(repeating: " ", count: 1_000)
        let lines = (0..<count).map { "{" + blanks + event($0).dropFirst() }.joined()
        #expect(lines.utf8.count > 4 << 17)
        let bytes = Array(lines.utf8)
        var sent = 0
        var acked = 0
        while acked < count {
            let wish = sent < bytes.count || socket.hasUnsent
            let ready = socket.wait(write: wish, milliseconds: 30_000)
            guard ready.canRead || ready.canWrite else {
                throw Shell.Failed("no progress behind \(sent) bytes and ack \(acked)")
            }
            if ready.canWrite {
                sent += try socket.sendSome(bytes, from: sent, wait: false)
            }
            guard ready.canRead else { continue }
            guard try socket.fill() else { throw Shell.Failed("hung up") }
            while let line = socket.bufferedLine() {
                if case .ack(let number) = ReadReply(line: line) { acked = number }
            }
        }
        #expect(rig.server.log.commits.flatMap(\.events).count == count)
    }

    @Test func aGoodCertificateIsItsPost() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        #expect(try await rig.knock(files) == "{\"pong\":1}")
        #expect(try await rig.knock(files, event(1)) == "{\"ack\":1}")
        #expect(rig.server.log.commits.flatMap(\.events).first?.post == "GATE")
        let hello = "{\"hello\":\"caravan/1\",\"post\":\"GATE\",\"stream\":\"s\"}\n"
        #expect(try await rig.knock(files, hello)?.contains("welcome") == true)
        let other = hello.replacing("GATE", with: "OTHER")
        #expect(try await rig.knock(files, other)?.contains("unauthorised") == true)
    }

    /// The control: the same client files with nothing wrong in them get in.
    @Test func badCertificatesStayOutside() async throws {
        let rig = try await Rig(revoked: ["revoked"])
        let name = "URI:urn:caravan:post:GATE"
        let good = try rig.authority.issue("good", names: name)
        #expect(try await rig.knock(good) == "{\"pong\":1}")
        let expired = try rig.authority.issue("expired", names: name, from: -3, until: -1)
        #expect(try await rig.knock(expired) == nil)
        let early = try rig.authority.issue("early", names: name, from: 0.5, until: 1)
        #expect(try await rig.knock(early) == nil)
        let revoked = TLSFiles(
            certificateChain: rig.authority.path("revoked.pem"),
            privateKey: rig.authority.path("revoked.key"))
        #expect(try await rig.knock(revoked) == nil)
        #expect(try await rig.knock(nil) == nil)
        let elsewhere = try TestAuthority()
        let stranger = try elsewhere.issue("stranger", names: name)
        #expect(try await rig.knock(stranger) == nil)
        // Good certificates that name nobody, two posts, or a post that is not enrolled.
        let nameless = try rig.authority.issue("nameless", names: nil)
        #expect(try await rig.knock(nameless)?.contains("unauthorised") == true)
        let twice = try rig.authority.issue("twice", names: name + ",URI:urn:caravan:post:B")
        #expect(try await rig.knock(twice)?.contains("unauthorised") == true)
        let unknown = try rig.authority.issue("unknown", names: "URI:urn:caravan:post:NEW")
        #expect(try await rig.knock(unknown)?.contains("unauthorised") == true)
        #expect(rig.server.log.commits.flatMap(\.events).isEmpty)
    }

    /// Runs `caravan push` beside the server's own tasks; returns what it says and how it ended.
    private func push(_ words: [String], _ rig: Rig) async throws -> (said: String, seconds: Double)
    {
        let server = "tls:localhost:\(rig.server.tlsPort)"
        let command = [DaemonProcess.program("caravan"), "push", "--server", server] + words
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                let began = LineSocket.now()
                continuation.resume(
                    with: Result {
                        let said = try Shell.run(
                            command, input: "{\"ping\":0}\n{\"x\":1}\n", status: 1)
                        return (said, LineSocket.now() - began)
                    })
            }
        }
    }

    /// What no waiting mends is said at once, with what to do; what may pass is tried again.
    @Test func pushDoesNotWaitForWhatDoesNotCome() async throws {
        let rig = try await Rig(revoked: ["revoked"])
        let name = "URI:urn:caravan:post:GATE"
        let ca = ["--ca", rig.authority.authorities]
        func shown(_ files: TLSFiles) -> [String] {
            ["--certificate", files.certificateChain, "--key", files.privateKey]
        }
        let other = try TestAuthority()
        let stranger = try other.issue("stranger", names: name)
        let expired = try rig.authority.issue("expired", names: name, from: -3, until: -1)
        let revoked = TLSFiles(
            certificateChain: rig.authority.path("revoked.pem"),
            privateKey: rig.authority.path("revoked.key"))
        let unknown = try rig.authority.issue("unknown", names: "URI:urn:caravan:post:NEW")
        for (words, wanted) in [
            (ca, "--certificate and --key"), ([], "--ca FILE"),
            (["--ca", other.authorities], "--ca vouches for"),
            (ca + shown(stranger), "authority"), (ca + shown(expired), "expired"),
            (ca + shown(revoked), "revoked"), (ca + shown(unknown), "caravan post list"),
        ] {
            let (said, seconds) = try await push(words + ["--patience", "300"], rig)
            #expect(said.contains(wanted), "\(wanted): \(said)")
            #expect(seconds < 60, "\(wanted)")
        }
        // A server that is away may come: that is waited for.
        let spool = rig.authority.path("spool")
        let away = [
            "--server", rig.server.folder.path + "/nobody", "--patience", "2",
        ]
        let (said, _) = try await push(ca + away, rig)
        #expect(said.contains("were not acknowledged within 2 s"), "\(said)")
        let (session, _) = try await push(
            ca + shown(unknown) + ["--spool", spool, "--post", "NEW", "--patience", "300"], rig)
        #expect(session.contains("caravan post list"), "\(session)")
    }

    @Test func aListOfRevokedCertificatesPastItsTimeLetsNobodyIn() async throws {
        let rig = try await Rig(listFrom: -3, listUntil: -1)
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        #expect(try await rig.knock(files) == nil)
        // A new list, read anew, opens the door again.
        try rig.authority.revocations()
        try rig.keeper.reload(rig.files)
        #expect(try await rig.knock(files) == "{\"pong\":1}")
    }

    @Test func aReloadKeepsWhatIsOpen() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        let context = try TLSContext(client: files, authorities: rig.authority.authorities)
        let open = try rig.server.encrypted(context)
        var acked = 0
        for number in 1...200 {
            try open.send(event(number))
            if number % 20 == 0 {
                if number == 100 { try rig.authority.revoke("gate") }
                try rig.authority.revocations()
                try rig.keeper.reload(rig.files)
            }
        }
        open.halfClose()
        while let line = try await open.next() {
            if line.hasPrefix("{\"ack\":") { acked = Int(line.dropFirst(7).dropLast()) ?? 0 }
        }
        #expect(acked == 200)
        // The next handshake sees the new list.
        #expect(try await rig.knock(files) == nil)
    }

    @Test func filesThatAreNotGoodLeaveTheOldOnesInForce() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        try "rubbish".write(
            toFile: rig.authority.path("server.pem"), atomically: true, encoding: .utf8)
        #expect(throws: TLSFailure.self) { try rig.keeper.reload(rig.files) }
        #expect(try await rig.knock(files) == "{\"pong\":1}")
    }

    @Test func fiveHundredHandshakesAtOnceAllSucceed() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        let context = try TLSContext(client: files, authorities: rig.authority.authorities)
        var options = FeedOptions()
        options.maxPerPost = 1_000
        let server = try await TestServer(
            feed: options, posts: [gate], tls: rig.keeper, allowsAnonymous: true)
        let address = "tls:localhost:\(server.tlsPort)"
        let other = try server.feed()
        let done = DispatchGroup()
        let answered = AnswerCount()
        for _ in 0..<50 {
            let thread = Thread {
                for _ in 0..<10 {
                    guard let socket = try? LineSocket(address, tls: context),
                        (try? socket.send("{\"ping\":1}\n")) != nil,
                        (try? socket.readLine(seconds: 60)) == "{\"pong\":1}"
                    else { continue }
                    answered.add()
                }
                done.leave()
            }
            done.enter()
            thread.start()
        }
        var worst = 0.0
        while answered.value < 500, done.wait(timeout: .now()) == .timedOut {
            let sent = LineSocket.now()
            try other.send("{\"ping\":1}\n")
            #expect(try await other.next() == "{\"pong\":1}")
            worst = max(worst, LineSocket.now() - sent)
            try await Task.sleep(for: .milliseconds(5))
        }
        print("500 handshakes; the slowest answer to another post took \(worst) s")
        #expect(answered.value == 500)
    }

    /// What `openssl s_server` refuses by default is refused here too.
    @Test func oldProtocolsAndWeakCiphersAreRefused() async throws {
        let rig = try await Rig()
        let files = try rig.authority.issue("gate", names: "URI:urn:caravan:post:GATE")
        let base = [
            "openssl", "s_client", "-connect", "localhost:\(rig.server.tlsPort)", "-CAfile",
            rig.authority.authorities, "-cert", files.certificateChain, "-key", files.privateKey,
            "-verify_return_error", "-brief",
        ]
        func isLetIn(_ words: [String]) async -> Bool {
            await Task.detached {
                // s_client ends with its input, before any answer: leave it time.
                let shell =
                    "(echo '{\"ping\":1}'; sleep 1) | timeout 10 "
                    + (base + words).joined(separator: " ") + " 2>&1 || true"
                return (try? Shell.run(["sh", "-c", shell]))?.contains("pong") == true
            }.value
        }
        // The control: the same client in the protocol of the day.
        #expect(await isLetIn(["-tls1_3"]))
        for words in [
            ["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "NULL:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "EXPORT:LOW:@SECLEVEL=0"],
        ] {
            #expect(await !isLetIn(words), "\(words)")
        }
    }
}

/// Counts from many threads.
final class AnswerCount: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    func add() { lock.withLock { count += 1 } }

    var value: Int { lock.withLock { count } }
}
