import Log
import Tracking

/// Brings an engine to the head of a log: snapshots, then the later batches.
public enum Recovery {
    public struct Result: Sendable {
        public var engine: Engine
        public var head: LogHead
        /// Batches that were replayed.
        public var replayed: Int
        /// Of those, how many this program would have decided otherwise: none, unless it is newer
        /// than the one that wrote them.
        public var diverged: Int
        public var jumps: JumpRule
    }

    /// Which streams may go on at a number that does not follow: the log went back, and they have
    /// not spoken since. What lies between is gone, unless a spool still has it.
    public struct JumpRule: Sendable {
        public var wentBack = false
        /// Streams that go on as always.
        public var settled: Set<Origin> = []
        /// Streams of which nothing was heard for as long as the log is kept are not known any more.
        public var hasForgotten = false

        public init() {}

        init(_ head: LogHead, _ marks: [StreamMark]) {
            hasForgotten = head.hasForgotten
            guard let at = head.wentBackAt else { return }
            wentBack = true
            settled = Set(marks.filter { $0.batch > at }.map(\.origin))
        }

        public func allows(_ origin: Origin) -> Bool { wentBack && !settled.contains(origin) }
    }

    /// `watched`: what each batch is replayed within, for whoever notices one that does not end.
    public static func run(
        _ store: some LogStore, watched: @Sendable (() -> Bool) -> Bool = { $0() }
    ) async throws(StoreFailure) -> Result {
        let head = try await store.takeOver()
        // What was taken under larger limits is read again under the smaller ones of today.
        var engine = Engine()
        let snapshot = try await store.snapshot()
        var replayed = 0
        var diverged = 0
        do { try engine.restore(snapshot) } catch {
            throw StoreFailure(.fatal, "reading the snapshots", error.detail)
        }
        guard engine.batch <= head.batch else {
            throw StoreFailure(
                .fatal, "reading the snapshots",
                "they hold up to batch \(engine.batch), and the log ends at \(head.batch)")
        }
        engine.restore(seq: try await store.seq(at: snapshot.batch))
        while engine.batch < head.batch {
            let page = try await store.batches(after: engine.batch)
            if page.isEmpty {
                throw StoreFailure(
                    .fatal, "replaying the log",
                    "batch \(engine.batch + 1) is missing; the head is \(head.batch)")
            }
            for logged in page {
                guard logged.batch == engine.batch + 1 else {
                    throw StoreFailure(
                        .fatal, "replaying the log",
                        "batch \(engine.batch + 1) is missing; the next is \(logged.batch)")
                }
                do {
                    let inputs = try engine.inputs(of: logged)
                    // A shipment's boxes may rest, and be named by one that rests.
                    var asked = Wanted()
                    while true {
                        let missing = engine.missing(inputs.chunks)
                        if missing.isEmpty || missing == asked { break }
                        try engine.admit(try await store.load(missing))
                        asked = missing
                    }
                    if !watched({ engine.replay(logged, inputs).agrees }) { diverged += 1 }
                } catch let flaw as CodingFlaw {
                    throw StoreFailure(.fatal, "replaying the log", flaw.detail)
                } catch let failure as StoreFailure {
                    throw failure
                } catch {
                    throw StoreFailure(.fatal, "replaying the log", "\(error)")
                }
                replayed += 1
            }
        }
        let marks = try await store.marks()
        engine.restore(marks: marks)
        engine.restore(seq: head.seq)
        return Result(
            engine: engine, head: head, replayed: replayed, diverged: diverged,
            jumps: JumpRule(head, marks))
    }
}
