import Engine
import NIOConcurrencyHelpers
import TLS
import Tracking

/// Where the enrolled posts are read, and where their health is kept.
public protocol PostSource: Sendable {
    func posts() async throws(StoreFailure) -> [EnrolledPost]
    func report(_ health: [PostHealth]) async throws(StoreFailure)
}

/// What a post may say.
struct Permit: Sendable {
    let post: String
    /// Canonical place ids and codes as enrolled; nil: every place.
    let places: Set<String>?
    /// Of the reading of the book that it follows from.
    let version: Int
    /// The hash of the token that was shown; nil: a certificate was.
    var token: [UInt8]?
}

/// The enrolled posts in memory, read again now and then and when a stranger knocks.
public final class PostRegistry: Sendable {
    private struct State {
        var posts: [String: EnrolledPost]?
        /// By what tells two names apart the names of the posts.
        var names: [String: String] = [:]
        var health: [String: PostHealth] = [:]
        /// Of these, those with something to report.
        var unreported: Set<String> = []
        var readAt = Instant.unset
        /// Counts the readings that brought something else than before.
        var version = 0
        /// By whose aliases places are compared.
        var network: Network
    }

    enum Verdict: Sendable {
        /// nil: nobody in particular, on a feed that lets such in.
        case granted(Permit?)
        case refused(String)
    }

    private let state: NIOLockedValueBox<State>
    private let source: any PostSource
    private let reading = SharedReading()
    private let clock: @Sendable () -> Instant

    /// `network`: by whose aliases places are compared.
    public init(
        source: any PostSource, network: Network, clock: @escaping @Sendable () -> Instant
    ) {
        self.source = source
        state = NIOLockedValueBox(State(network: network))
        self.clock = clock
    }

    /// Goes by another network from now on: what posts may speak of is judged anew.
    public func use(_ network: Network) {
        state.withLockedValue {
            $0.network = network
            $0.version += 1
        }
    }

    /// Reads the posts; false where the store is away. Many who ask at once share one reading.
    @discardableResult
    public func refresh() async -> Bool {
        await reading.run { await self.read() }
    }

    private func read() async -> Bool {
        let posts = try? await source.posts()
        return state.withLockedValue { state in
            guard let posts else { return false }
            let named = Dictionary(
                posts.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            if named != state.posts {
                state.version += 1
                state.names = Dictionary(
                    named.values.filter { !$0.isRevoked }.map { (Roster.key($0.name), $0.name) },
                    uniquingKeysWith: { min($0, $1) })
            }
            state.posts = named
            state.readAt = clock()
            return true
        }
    }

    /// Reports what was heard of posts since the last time.
    public func reportHealth() async {
        let health = state.withLockedValue { state -> [PostHealth] in
            let found = state.unreported.compactMap { name in
                state.posts?[name] == nil ? nil : state.health[name]
            }
            for name in state.unreported {
                state.health[name]?.lines = 0
                state.health[name]?.forbidden = 0
            }
            state.unreported = []
            return found
        }
        // Where the store is away the counts of these seconds are gone, and only they.
        if !health.isEmpty { try? await source.report(health.sorted { $0.name < $1.name }) }
    }

    /// Whether the posts have been read at all.
    public var isRead: Bool { state.withLockedValue { $0.posts != nil } }

    /// What the posts' enrolment decides about their lines, with the number of the reading that it is
    /// of; nil where they have not been read.
    public func enrolments() -> (version: Int, posts: [PostEnrolment])? {
        let (version, posts, network) = state.withLockedValue {
            ($0.version, $0.posts, $0.network)
        }
        guard let posts else { return nil }
        return (
            version,
            posts.values.map { post in
                var known = PostEnrolment(
                    name: post.name, places: post.places,
                    zone: post.zone.flatMap(network.zone(named:)), sources: post.sources,
                    isRevoked: post.isRevoked)
                known.mayOperate = post.mayOperate
                known.corrections = post.corrections
                return known
            }
        )
    }

    /// Counts the readings that brought something else than before.
    public var version: Int { state.withLockedValue { $0.version } }

    enum Standing: Sendable {
        case same
        case changed(Permit)
        case ended(String)
    }

    /// What has become of a permit since it was given.
    func standing(_ given: Permit) -> Standing {
        let post = state.withLockedValue { state in
            state.version == given.version ? nil : (state.posts?[given.post], state.version)
        }
        guard let (post, version) = post else { return .same }
        guard let post, !post.isRevoked else {
            return .ended("post \(given.post) has been revoked")
        }
        if let shown = given.token, shown != post.tokenHash {
            return .ended("post \(given.post) has another token now")
        }
        var now = permit(post, version)
        now.token = given.token
        return .changed(now)
    }

    /// Why one that gave a name as nobody in particular may not go on by it: the name has to be proved now. nil: it
    /// may.
    func enrolled(since name: String) -> String? {
        let isKnown = state.withLockedValue {
            !$0.names.isEmpty && $0.names[Roster.key(name)] != nil
        }
        return isKnown ? "post \(name) has been enrolled since: show its token" : nil
    }

    /// Decides who a sender is. Waits while the posts have never been read, as long as `isWaiting`.
    func admit(
        _ name: String, token: String?, certified: Bool, allowsAnonymous: Bool,
        isWaiting: @Sendable () -> Bool = { true }
    ) async -> Verdict {
        while !isRead {
            if await refresh() { break }
            guard isWaiting() else { return .refused("the connection has ended") }
            try? await Task.sleep(for: .seconds(1))
        }
        let first = judge(name, token, certified, allowsAnonymous)
        guard case .refused = first else { return first }
        // Enrolled a moment ago, perhaps: look again, but not for each of many strangers.
        let asked = clock()
        try? await Task.sleep(for: .milliseconds(200))
        if isOlder(than: asked) { await refresh() }
        return judge(name, token, certified, allowsAnonymous)
    }

    private func isOlder(than moment: Instant) -> Bool {
        state.withLockedValue { $0.readAt < moment }
    }

    private func judge(
        _ name: String, _ token: String?, _ certified: Bool, _ allowsAnonymous: Bool
    ) -> Verdict {
        guard let post = state.withLockedValue({ $0.posts?[name] }) else {
            let alike = state.withLockedValue {
                $0.names.isEmpty ? nil : $0.names[Roster.key(name)]
            }
            // Who reads it takes it for that post.
            if let alike {
                return .refused("post \(name) is not enrolled; is \(alike) meant?")
            }
            if allowsAnonymous, !certified, token == nil { return .granted(nil) }
            return .refused("post \(name) is not enrolled; see caravan post enrol")
        }
        if post.isRevoked { return .refused("post \(name) has been revoked") }
        if !certified {
            guard let hash = post.tokenHash else {
                return .refused("post \(name) shows a certificate, not a token")
            }
            guard let token else {
                return .refused("post \(name) is enrolled: its hello needs the token")
            }
            guard Secrets.areEqual(Secrets.hash(token), hash) else {
                return .refused("the token is not that of post \(name)")
            }
        }
        var permit = permit(post, state.withLockedValue { $0.version })
        if !certified { permit.token = post.tokenHash }
        return .granted(permit)
    }

    /// The places of which a post may speak; nil: all, or nobody knows the post.
    public func scope(of name: String) -> Set<String>? {
        state.withLockedValue { $0.posts?[name] }.flatMap { permit($0, 0).places }
    }

    private func permit(_ post: EnrolledPost, _ version: Int) -> Permit {
        if post.places.contains("*") {
            return Permit(post: post.name, places: nil, version: version)
        }
        let network = state.withLockedValue { $0.network }
        let places = Set(post.places + post.places.map(network.canonical))
        return Permit(post: post.name, places: places, version: version)
    }

    // MARK: Health

    func connected(_ post: String, _ change: Int) {
        state.withLockedValue {
            $0.health[post, default: PostHealth(name: post)].connections += change
            $0.unreported.insert(post)
        }
    }

    /// `newest`: the latest event time among the lines.
    func heard(_ post: String, lines: Int, newest: Instant) {
        let now = clock()
        state.withLockedValue { state in
            var health = state.health[post] ?? PostHealth(name: post)
            health.lines += lines
            health.lastLineAt = now
            if newest != .unset {
                health.clockAheadSeconds = max(0, newest.minutes(since: now) * 60)
            }
            state.health[post] = health
            state.unreported.insert(post)
        }
    }

    func trespassed(_ post: String, _ lines: Int) {
        state.withLockedValue {
            $0.health[post, default: PostHealth(name: post)].forbidden += lines
            $0.unreported.insert(post)
        }
    }
}
