import TLS
import TestKit
import Testing

/// An authority of the tests' own, made by the openssl program.
struct TestAuthority {
    let folder = ScratchFolder()

    init() throws {
        try openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path("ca.key"), "-out", path("ca.pem"), "-days", "2", "-subj", "/CN=Test CA",
        ])
    }

    func path(_ name: String) -> String { folder.path + "/" + name }

    private func openssl(_ words: [String]) throws { _ = try Shell.run(["openssl"] + words) }

    /// A certificate with these subject alternative names.
    func issue(_ name: String, names: String, days: Int = 1) throws -> TLSFiles {
        try openssl([
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path(name + ".key"), "-out", path(name + ".csr"), "-subj", "/CN=\(name)",
            "-addext", "subjectAltName=\(names)",
        ])
        try openssl([
            "x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.pem"), "-CAkey",
            path("ca.key"), "-CAcreateserial", "-days", "\(days)", "-copy_extensions", "copy",
            "-out", path(name + ".pem"),
        ])
        return TLSFiles(
            certificateChain: path(name + ".pem"), privateKey: path(name + ".key"),
            clientAuthorities: path("ca.pem"))
    }
}

/// Moves bytes between two sessions until both are at rest.
func settle(_ a: inout TLSSession, _ b: inout TLSSession) throws -> (a: [UInt8], b: [UInt8]) {
    var atA: [UInt8] = []
    var atB: [UInt8] = []
    while true {
        let fromA = a.drain()
        if !fromA.isEmpty { atB += try fromA.withUnsafeBytes { try b.receive($0) } }
        let fromB = b.drain()
        if !fromB.isEmpty { atA += try fromB.withUnsafeBytes { try a.receive($0) } }
        if fromA.isEmpty, fromB.isEmpty { return (atA, atB) }
    }
}

@Suite(.serialized) struct TLSTests {
    @Test func mutualHandshakeNamesThePost() throws {
        let authority = try TestAuthority()
        let server = try TLSContext(server: authority.issue("server", names: "DNS:localhost"))
        let post = try authority.issue("post", names: "URI:urn:caravan:post:KZHOR-GATE2")
        let client = try TLSContext(client: post, authorities: authority.path("ca.pem"))
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        _ = try settle(&here, &there)
        let (both, version) = (here.isEstablished && there.isEstablished, there.version)
        let named = there.peerPost
        #expect(both)
        #expect(version == "TLSv1.3")
        #expect(named == "KZHOR-GATE2")
        let text = [UInt8](repeating: 0x61, count: 200_000)
        try text.withUnsafeBytes { try here.send($0) }
        let received = try settle(&here, &there).b
        #expect(received == text)
        here.finish()
        _ = try settle(&here, &there)
        let isFinished = there.isFinished
        #expect(isFinished)
    }

    @Test func withoutACertificateNobodyGetsIn() throws {
        let authority = try TestAuthority()
        let server = try TLSContext(server: authority.issue("server", names: "DNS:localhost"))
        let client = try TLSContext(client: nil, authorities: authority.path("ca.pem"))
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        do {
            _ = try settle(&here, &there)
            Issue.record("let in")
        } catch let failure as TLSFailure {
            #expect(failure.description.contains("certificate"))
        }
    }

    @Test func anotherAuthoritysCertificateIsRefused() throws {
        let authority = try TestAuthority()
        let stranger = try TestAuthority()
        let server = try TLSContext(server: authority.issue("server", names: "DNS:localhost"))
        let post = try stranger.issue("post", names: "URI:urn:caravan:post:KZHOR-GATE2")
        let client = try TLSContext(client: post, authorities: authority.path("ca.pem"))
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        do {
            _ = try settle(&here, &there)
            Issue.record("let in")
        } catch let failure as TLSFailure {
            #expect(failure.description.contains("certificate"))
        }
    }

    @Test func twoPostsInOneCertificateAreNone() throws {
        let authority = try TestAuthority()
        let server = try TLSContext(server: authority.issue("server", names: "DNS:localhost"))
        let post = try authority.issue(
            "post", names: "URI:urn:caravan:post:A,URI:urn:caravan:post:B")
        let client = try TLSContext(client: post, authorities: authority.path("ca.pem"))
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        _ = try settle(&here, &there)
        let (isEstablished, named) = (there.isEstablished, there.peerPost)
        #expect(isEstablished)
        #expect(named == nil)
    }
}
