import Engine
import Tracking

/// What goes through the keeper's session.
extension PostgresLog {
    /// Takes or renews the right to write; returns who has it. The right lapses after `seconds`, or at
    /// once where `former` has it: an earlier life of the same daemon, which has ended.
    public func claimLease(
        holder: String, insteadOf former: String = "", address: String, seconds: Double
    ) async throws(StoreFailure) -> LeaseHolder {
        try await keeper.claim(
            holder: holder, insteadOf: former, address: address, seconds: seconds)
    }

    public func releaseLease(holder: String) async throws(StoreFailure) {
        try await keeper.release(holder: holder)
    }

    public func posts() async throws(StoreFailure) -> [EnrolledPost] { try await keeper.posts() }

    public func report(_ health: [PostHealth]) async throws(StoreFailure) {
        try await keeper.report(health)
    }

    /// Enrols a post, or changes it: what is nil stays as it is.
    public func enrol(
        _ name: String, places: [String]?, tokenHash: [UInt8]?, zone: String? = nil,
        sources: [String]? = nil, operates: Bool? = nil
    ) async throws(StoreFailure) {
        try await keeper.enrol(
            name, places: places, tokenHash: tokenHash, zone: zone, sources: sources,
            operates: operates)
    }

    /// False where there is no such post.
    public func revoke(_ name: String) async throws(StoreFailure) -> Bool {
        try await keeper.revoke(name)
    }

    public func enrolledConsumers() async throws(StoreFailure) -> [EnrolledConsumer] {
        try await keeper.enrolledConsumers()
    }

    /// Enrols a consumer, or changes it. `keepsToken`: it proves itself as before.
    public func enrol(
        _ consumer: EnrolledConsumer, keepsToken: Bool
    ) async throws(StoreFailure) {
        try await keeper.enrol(consumer, keepsToken: keepsToken)
    }

    /// False where no consumer has that name.
    public func changeToken(
        of consumer: String, _ hash: [UInt8]
    ) async throws(StoreFailure) -> Bool {
        try await keeper.changeToken(of: consumer, hash)
    }

    /// False where no consumer has that name.
    public func revoke(consumer: String) async throws(StoreFailure) -> Bool {
        try await keeper.revoke(consumer: consumer)
    }

    /// Forgets how far a consumer has come; false where nothing is known of that name.
    public func forget(_ cursor: CursorName) async throws(StoreFailure) -> Bool {
        try await keeper.forget(cursor)
    }

    /// Corrects what a post stated by whole hours; false where there is no such post.
    public func correct(
        _ post: String, _ correction: ClockCorrection
    ) async throws(StoreFailure) -> Bool {
        try await keeper.correct(post, correction)
    }

    /// Takes a correction back, or all of a post; how many there were.
    public func uncorrect(_ post: String, from: Instant?) async throws(StoreFailure) -> Int {
        try await keeper.uncorrect(post, from: from)
    }

    public func roster() async throws(StoreFailure) -> [PostOverview] { try await keeper.roster() }

    /// Refused lines, newest first.
    public func quarantined(
        post: String? = nil, code: String? = nil, settledToo: Bool = false, limit: Int = 1_000
    ) async throws(StoreFailure) -> [QuarantinedLine] {
        try await keeper.quarantined(
            post: post, code: code, settledToo: settledToo, limit: limit)
    }

    public func quarantined(
        batch: Int, item: Int
    ) async throws(StoreFailure) -> QuarantinedLine? {
        try await keeper.quarantined(batch: batch, item: item)
    }

    /// `container`: the number that the line is about, whatever it says itself.
    public func requestReplay(
        batch: Int, item: Int, as container: String? = nil
    ) async throws(StoreFailure) -> Bool {
        try await keeper.requestReplay(batch: batch, item: item, as: container)
    }

    public func discard(batch: Int, item: Int) async throws(StoreFailure) -> Bool {
        try await keeper.discard(batch: batch, item: item)
    }

    public func settleReplay(batch: Int, item: Int) async throws(StoreFailure) {
        try await keeper.settleReplay(batch: batch, item: item)
    }

    public func replayRequests(limit: Int) async throws(StoreFailure) -> [QuarantinedLine] {
        try await keeper.replayRequests(limit: limit)
    }

    /// The lines that a container's events came in, oldest first, as far as they are kept.
    public func lines(of container: ContainerNumber) async throws(StoreFailure) -> [StoredLine] {
        try await side.lines(of: container)
    }

    /// How boxes have gone from place to place; moves of which at least so many boxes tell.
    public func moves(least: Int) async throws(StoreFailure) -> [LearnedMove] {
        try await side.moves(least: least)
    }

    /// Containers whose events of the last month name a shipment.
    public func containers(
        naming shipment: String
    ) async throws(StoreFailure) -> [ContainerNumber] {
        try await side.containers(naming: shipment)
    }
}
