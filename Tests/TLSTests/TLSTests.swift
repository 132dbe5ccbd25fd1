import TLS
import TestKit
import Testing

extension TestAuthority {
    /// What a server shows that asks its clients for certificates of this authority.
    func server() throws -> TLSFiles {
        var files = try issue("server", names: "DNS:localhost")
        files.clientAuthorities = authorities
        return files
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
        let server = try TLSContext(server: authority.server())
        let post = try authority.issue("post", names: "URI:urn:caravan:post:KZHOR-GATE2")
        let client = try TLSContext(client: post, authorities: authority.authorities)
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

    /// Records of every size, cut anywhere: what is complete is handed over at once, whatever piece
    /// OpenSSL had taken in before. What is whole must not wait for a byte that need not come.
    @Test func aRecordInPiecesIsHandedOverWhenItIsWhole() throws {
        let authority = try TestAuthority()
        var files = try authority.issue("server", names: "DNS:localhost")
        files.clientAuthorities = nil
        let server = try TLSContext(server: files)
        let client = try TLSContext(client: nil, authorities: authority.authorities)
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        _ = try settle(&here, &there)
        for size in [1, 500, 1_100, 1_500, 2_048, 5_000, 10_000, 12_900, 16_000, 16_384, 60_000] {
            for cut in [1, 5, 100, 8_192] {
                let text = [UInt8](repeating: 0x62, count: size)
                try text.withUnsafeBytes { try here.send($0) }
                let sealed = here.drain()
                var received: [UInt8] = []
                var at = 0
                let step = cut == 1 ? max(1, sealed.count - 50) : max(cut, sealed.count / 40)
                while at < sealed.count {
                    let next = min(sealed.count, at + step)
                    received += try Array(sealed[at..<next]).withUnsafeBytes {
                        try there.receive($0)
                    }
                    at = next
                }
                #expect(received.count == size, "\(size) bytes cut by \(step)")
            }
        }
    }

    @Test func withoutACertificateNobodyGetsIn() throws {
        let authority = try TestAuthority()
        let server = try TLSContext(server: authority.server())
        let client = try TLSContext(client: nil, authorities: authority.authorities)
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
        let server = try TLSContext(server: authority.server())
        let post = try stranger.issue("post", names: "URI:urn:caravan:post:KZHOR-GATE2")
        let client = try TLSContext(client: post, authorities: authority.authorities)
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
        let server = try TLSContext(server: authority.server())
        let post = try authority.issue(
            "post", names: "URI:urn:caravan:post:A,URI:urn:caravan:post:B")
        let client = try TLSContext(client: post, authorities: authority.authorities)
        var there = try TLSSession(server, .server)
        var here = try TLSSession(client, .client(hostName: "localhost"))
        try here.handshake()
        _ = try settle(&here, &there)
        let (isEstablished, named) = (there.isEstablished, there.peerPost)
        #expect(isEstablished)
        #expect(named == nil)
    }
}

@Suite struct SecretsTests {
    @Test func tokensAreHashedAndCompared() throws {
        // FIPS 180-4, the example "abc".
        let abc: [UInt8] = [
            0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA, 0x41, 0x41, 0x40, 0xDE, 0x5D, 0xAE,
            0x22, 0x23, 0xB0, 0x03, 0x61, 0xA3, 0x96, 0x17, 0x7A, 0x9C, 0xB4, 0x10, 0xFF, 0x61,
            0xF2, 0x00, 0x15, 0xAD,
        ]
        #expect(Secrets.hash("abc") == abc)
        let (one, other) = (try Secrets.token(), try Secrets.token())
        #expect(one.count == 64 && one != other)
        #expect(Secrets.areEqual(Secrets.hash(one), Secrets.hash(one)))
        #expect(!Secrets.areEqual(Secrets.hash(one), Secrets.hash(other)))
        #expect(!Secrets.areEqual([], Secrets.hash(one)))
    }
}
