import TLS
import Testing

/// The chain of what was said, and the keys that sign it.
@Suite struct HashChainTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// What `(head -c 32 /dev/zero; printf 'a\nb\n') | sha256sum` prints.
    @Test func aLinkIsTheHashOfTheOneBeforeAndOfTheLines() {
        let link = HashChain.link(after: HashChain.origin, [Array("a".utf8), Array("b".utf8)])
        #expect(hex(link) == "95742c919b9ec0178a72b7e04974859471c5c24418d2cc2d20ca3417d76134bd")
        #expect(HashChain.link(after: HashChain.origin, [Array("ab".utf8)]) != link)
        #expect(HashChain.link(after: link, [Array("a".utf8), Array("b".utf8)]) != link)
    }

    @Test func aSignatureHoldsForItsMessageAndItsKey() throws {
        let key = try SigningKey.make()
        let message = Array("up to here".utf8)
        let signature = try key.sign(message)
        let known = try SigningKey(publicPEM: key.publicPEM)
        var broken = signature
        broken[10] ^= 1
        let other = try SigningKey.make()
        // A key cannot be copied, so what it says is.
        let verdicts = [
            known.hasSigned(message, signature),
            known.hasSigned(Array("up to there".utf8), signature),
            known.hasSigned(message, broken), known.hasSigned(message, []),
            other.hasSigned(message, signature),
        ]
        #expect(verdicts == [true, false, false, false, false])
        let again = try SigningKey(privatePEM: key.privatePEM).sign(message)
        #expect(again == signature)
    }

    @Test func whatIsNoKeyIsSaidToBeNone() {
        #expect(throws: TLSFailure.self) { _ = try SigningKey(privatePEM: Array("nonsense".utf8)) }
        #expect(throws: TLSFailure.self) { _ = try SigningKey(publicPEM: []) }
    }
}
