import NIOConcurrencyHelpers

/// Caps on connections of one kind of listener: in all, before they have said who they are, of nobody
/// in particular, of one address, of one post. Whoever has yet to say a word makes room for those that
/// come after, and strangers together leave a fifth of all to posts that are known.
final class ConnectionCaps: Sendable {
    struct Limits: Sendable {
        var all: Int
        var unauthenticated: Int
        var anonymous: Int
        var perAddress: Int
        var perPost: Int

        /// What known posts find free, whoever else has come.
        var reserve: Int { all / 5 }
    }

    enum Admission: Sendable {
        /// The connection's number.
        case admitted(Int)
        case refused(String)
    }

    private struct Waiting {
        let address: String
        let evict: @Sendable () -> Void
    }

    private struct State {
        var all = 0
        var anonymous = 0
        var addresses: [String: Int] = [:]
        var posts: [String: Int] = [:]
        var ofPosts = 0
        var next = 0
        /// Connections that have yet to say who they are, by number; the smaller came first.
        var waiting: [Int: Waiting] = [:]
    }

    private let state = NIOLockedValueBox(State())
    private let limits: Limits

    init(_ limits: Limits) {
        var limits = limits
        limits.anonymous = min(limits.anonymous, limits.all - 2 * limits.reserve)
        self.limits = limits
    }

    /// Counts a connection in; else says which bound it would break. `evict`: what closes it should
    /// it have to make room before it has said who it is.
    func admit(address: String?, evict: @escaping @Sendable () -> Void) -> Admission {
        let address = address ?? ""
        let (admission, gone) = state.withLockedValue { state -> (Admission, Waiting?) in
            var gone: Waiting?
            // Of one address as many may wait as may speak without a name: no more keep others out.
            let ofAddress = state.waiting.values.count { $0.address == address }
            if !address.isEmpty, ofAddress >= limits.perAddress {
                gone = ConnectionCaps.evictOldest(&state, of: address)
            } else if state.waiting.count >= limits.unauthenticated
                || state.all - state.ofPosts >= limits.all - limits.reserve
            {
                gone = ConnectionCaps.evictOldest(&state, of: nil)
                if gone == nil {
                    return (.refused("\(limits.all) connections are open already"), nil)
                }
            } else if state.all >= limits.all {
                return (.refused("\(limits.all) connections are open already"), nil)
            }
            state.all += 1
            state.next += 1
            state.waiting[state.next] = Waiting(address: address, evict: evict)
            return (.admitted(state.next), gone)
        }
        gone?.evict()
        return admission
    }

    /// Of those that wait, from one address or from those that have most of them, the one that came
    /// first. It counts as gone, though its socket takes a moment longer.
    private static func evictOldest(_ state: inout State, of address: String?) -> Waiting? {
        var counts: [String: Int] = [:]
        for waiting in state.waiting.values { counts[waiting.address, default: 0] += 1 }
        let most = counts.values.max() ?? 0
        let loudest = state.waiting.filter {
            address == nil ? counts[$0.value.address] == most : $0.value.address == address
        }
        guard let number = loudest.keys.min() else { return nil }
        state.all -= 1
        return state.waiting.removeValue(forKey: number)
    }

    /// A connection has said its first word, and who it is where it is somebody; returns the bound
    /// that forbids it.
    func entered(_ number: Int, post: String?) -> String? {
        state.withLockedValue { state in
            guard let address = state.waiting[number]?.address else {
                return "others wait to say who they are, and this connection had to make room"
            }
            if let post {
                if state.posts[post, default: 0] >= limits.perPost {
                    return "\(limits.perPost) connections of post \(post) are open already"
                }
                state.posts[post, default: 0] += 1
                state.ofPosts += 1
            } else {
                if state.anonymous >= limits.anonymous {
                    return "\(limits.anonymous) connections that name no post are open already"
                }
                if !address.isEmpty, state.addresses[address, default: 0] >= limits.perAddress {
                    return "\(limits.perAddress) connections from \(address) are open already"
                }
                state.anonymous += 1
                if !address.isEmpty { state.addresses[address, default: 0] += 1 }
            }
            state.waiting[number] = nil
            return nil
        }
    }

    func left(_ number: Int, address: String?, hasEntered: Bool, post: String?) {
        state.withLockedValue { state in
            if hasEntered {
                state.all -= 1
                if let post {
                    ConnectionCaps.drop(&state.posts, post)
                    state.ofPosts -= 1
                } else {
                    state.anonymous -= 1
                    if let address { ConnectionCaps.drop(&state.addresses, address) }
                }
            } else if state.waiting.removeValue(forKey: number) != nil {
                state.all -= 1
            }
        }
    }

    private static func drop(_ counts: inout [String: Int], _ key: String) {
        let left = (counts[key] ?? 1) - 1
        counts[key] = left > 0 ? left : nil
    }
}
