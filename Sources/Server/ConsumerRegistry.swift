import Engine
import NIOConcurrencyHelpers
import TLS
import Tracking
import Wire

/// Where the enrolled consumers are read.
public protocol ConsumerSource: Sendable {
    func enrolledConsumers() async throws(StoreFailure) -> [EnrolledConsumer]
}

/// What a tail may read.
struct TailPermit: Sendable {
    /// "": nobody in particular.
    var consumer = ""
    var rights = TailFilter()
    /// By what it was let in; nil: by a certificate.
    var tokenHash: [UInt8]?
    /// Of the reading of the consumers that it follows from.
    var version = 0
}

/// The enrolled consumers in memory, read again now and then and when a stranger knocks.
public final class ConsumerRegistry: Sendable {
    private struct State {
        var consumers: [String: EnrolledConsumer]?
        var version = 0
        var network: Network
        /// When a stranger made us look the last time.
        var lookedFor: ContinuousClock.Instant?
    }

    enum Verdict: Sendable {
        case granted(TailPermit)
        case refused(String)
    }

    private let state: NIOLockedValueBox<State>
    private let source: any ConsumerSource
    private let reading = SharedReading()

    /// `network`: by whose names places are understood.
    public init(source: any ConsumerSource, network: Network) {
        self.source = source
        state = NIOLockedValueBox(State(network: network))
    }

    /// Goes by another network from now on.
    public func use(_ network: Network) {
        state.withLockedValue {
            $0.network = network
            $0.version += 1
        }
    }

    /// Reads the consumers; false where the store is away.
    /// Many who ask at once share one reading.
    @discardableResult
    public func refresh() async -> Bool {
        await reading.run { await self.read() }
    }

    private func read() async -> Bool {
        guard let read = try? await source.enrolledConsumers() else { return false }
        let named = Dictionary(
            read.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        state.withLockedValue {
            if $0.consumers != named { $0.version += 1 }
            $0.consumers = named
        }
        return true
    }

    /// Decides who a tail is. Where its name is not known, or its proof does not hold, the consumers are
    /// read once more: it may have been enrolled a moment ago.
    func admit(_ name: String, token: String?, certified: Bool) async -> Verdict {
        if state.withLockedValue({ $0.consumers != nil }),
            case .granted(let permit) = judge(name, token, certified)
        {
            return .granted(permit)
        }
        // Not for each of many strangers.
        let isTime = state.withLockedValue { state in
            let now = ContinuousClock.now
            if state.consumers != nil, let last = state.lookedFor, now - last < .seconds(1) {
                return false
            }
            state.lookedFor = now
            return true
        }
        if isTime, await !refresh() {
            return .refused("the database is away, and nobody can be known before it is back")
        }
        return judge(name, token, certified)
    }

    private func judge(_ name: String, _ token: String?, _ certified: Bool) -> Verdict {
        let (known, version, network) = state.withLockedValue {
            ($0.consumers?[name], $0.version, $0.network)
        }
        guard let known else {
            return .refused("consumer \(name) is not enrolled; see caravan consumer enrol")
        }
        if known.isRevoked { return .refused("consumer \(name) has been revoked") }
        if !certified {
            guard let hash = known.tokenHash else {
                return .refused("consumer \(name) shows a certificate, not a token")
            }
            guard let token else {
                return .refused("consumer \(name) shows a token, and none came")
            }
            guard Secrets.areEqual(Secrets.hash(token), hash) else {
                return .refused("the token is not that of consumer \(name)")
            }
        }
        var permit = ConsumerRegistry.permit(known, version, network)
        permit.tokenHash = certified ? nil : known.tokenHash
        return .granted(permit)
    }

    private static func permit(
        _ known: EnrolledConsumer, _ version: Int, _ network: Network
    ) -> TailPermit {
        var rights = TailFilter()
        rights.kinds = Set(known.kinds)
        rights.places = Set(known.places.map(network.canonical))
        rights.shipments = Set(known.shipments)
        rights.posts = Set(known.posts)
        return TailPermit(consumer: known.name, rights: rights, version: version)
    }

    /// What has become of a permit: nil where it is as it was.
    func standing(_ given: TailPermit) -> Verdict? {
        if given.consumer.isEmpty { return nil }
        let (known, version, network) = state.withLockedValue {
            ($0.consumers?[given.consumer], $0.version, $0.network)
        }
        if version == given.version { return nil }
        guard let known, !known.isRevoked else {
            return .refused("consumer \(given.consumer) has been revoked")
        }
        if let shown = given.tokenHash, shown != known.tokenHash {
            return .refused("consumer \(given.consumer) has another token now")
        }
        var permit = ConsumerRegistry.permit(known, version, network)
        permit.tokenHash = given.tokenHash
        return .granted(permit)
    }
}

/// Who is let in at a tail's listener.
struct TailAccess: Sendable {
    let registry: ConsumerRegistry
    /// Whoever does not say who they are may read all.
    let allowsAnonymous: Bool
}
