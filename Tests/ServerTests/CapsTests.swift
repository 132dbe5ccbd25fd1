import NIOConcurrencyHelpers
import Testing

@testable import Server

/// Strangers cannot use up what known posts need, however many they are and wherever they come from.
@Suite struct CapsTests {
    private func caps(
        all: Int = 100, unauthenticated: Int = 20, anonymous: Int = 100, perAddress: Int = 1_000
    ) -> ConnectionCaps {
        ConnectionCaps(
            ConnectionCaps.Limits(
                all: all, unauthenticated: unauthenticated, anonymous: anonymous,
                perAddress: perAddress, perPost: 10))
    }

    /// Numbers of the connections that had to make room.
    private final class Evicted: Sendable {
        let names = NIOLockedValueBox<[String]>([])
    }

    private func admit(
        _ caps: ConnectionCaps, _ name: String, from address: String, _ evicted: Evicted
    ) -> Int? {
        let admission = caps.admit(address: address) {
            evicted.names.withLockedValue { $0.append(name) }
        }
        if case .admitted(let number) = admission { return number }
        return nil
    }

    @Test func theOldestSilentOneOfTheLoudestAddressMakesRoom() throws {
        let caps = caps()
        let evicted = Evicted()
        _ = admit(caps, "honest", from: "10.0.0.1", evicted)
        for number in 0..<30 { #expect(admit(caps, "\(number)", from: "10.0.0.2", evicted) != nil) }
        #expect(evicted.names.withLockedValue { $0 } == (0...10).map { "\($0)" })
        // From as many addresses as there are connections, the oldest of all goes.
        let many = self.caps()
        let gone = Evicted()
        for number in 0..<25 { _ = admit(many, "\(number)", from: "10.1.0.\(number)", gone) }
        #expect(gone.names.withLockedValue { Set($0) } == ["0", "1", "2", "3", "4"])
    }

    @Test func knownPostsFindRoomWhoeverElseHasCome() throws {
        let caps = caps()
        let evicted = Evicted()
        // Nobodies that speak: three fifths of all, and no more.
        var entered = 0
        for number in 0..<100 {
            let admitted = admit(caps, "\(number)", from: "10.2.0.\(number)", evicted)
            if let admitted, caps.entered(admitted, post: nil) == nil { entered += 1 }
        }
        #expect(entered == 60)
        // And strangers that do not.
        for number in 0..<100 { _ = admit(caps, "s\(number)", from: "10.3.0.\(number)", evicted) }
        for number in 0..<20 {
            let post = try #require(admit(caps, "p", from: "10.4.0.\(number)", evicted))
            #expect(caps.entered(post, post: "POST-\(number)") == nil)
        }
        // What made room can say nothing any more.
        let first = Evicted()
        let small = self.caps(unauthenticated: 1)
        let silent = try #require(admit(small, "silent", from: "a", first))
        _ = admit(small, "next", from: "b", first)
        #expect(small.entered(silent, post: "P")?.contains("make room") == true)
    }

    @Test func placesComeBackAndEachBoundIsHeldAtTheBound() throws {
        let caps = caps(all: 10, unauthenticated: 10, anonymous: 2, perAddress: 3)
        let evicted = Evicted()
        // Of one address three may wait, and as many may speak without a name.
        var known: [Int] = []
        for _ in 0..<2 { known.append(try #require(admit(caps, "x", from: "10.0.0.1", evicted))) }
        for number in known { #expect(caps.entered(number, post: nil) == nil) }
        let third = try #require(admit(caps, "x", from: "10.0.0.1", evicted))
        #expect(caps.entered(third, post: nil)?.contains("name no post") == true)
        caps.left(known[0], address: "10.0.0.1", hasEntered: true, post: nil)
        #expect(caps.entered(third, post: nil) == nil)
        for number in [known[1], third] {
            caps.left(number, address: "10.0.0.1", hasEntered: true, post: nil)
        }
        let waiting = (0..<4).map { admit(caps, "w\($0)", from: "10.0.0.1", evicted) }
        #expect(evicted.names.withLockedValue { $0 } == ["w0"])
        for number in waiting.dropFirst() {
            let number = try #require(number)
            caps.left(number, address: "10.0.0.1", hasEntered: false, post: nil)
        }
        let small = self.caps(all: 10, unauthenticated: 10, anonymous: 10, perAddress: 1)
        let one = try #require(admit(small, "x", from: "10.0.0.1", evicted))
        #expect(small.entered(one, post: nil) == nil)
        let two = try #require(admit(small, "x", from: "10.0.0.1", evicted))
        #expect(small.entered(two, post: nil)?.contains("connections from 10.0.0.1") == true)
        // A post that says who it is finds room at an address that is used up.
        #expect(small.entered(two, post: "P") == nil)
        evicted.names.withLockedValue { $0 = [] }
        // All are gone: everything is free again.
        for number in 0..<8 {
            #expect(admit(caps, "y", from: "10.0.1.\(number)", evicted) != nil)
        }
        #expect(evicted.names.withLockedValue { $0 }.isEmpty)
    }
}
