import Engine
import Foundation
import Log
import Store
import TestKit
import Testing
import Tracking
import Wire

/// Databases that earlier builds made (`Tests/Golden/make`), each with every kind of line, also such
/// as later builds refuse: this one starts on them, replays them to the output that was said, and goes
/// on.
@Suite(.serialized) struct GoldenTests {
    /// Schema version, and what the build that made it counted.
    struct Golden: CustomTestStringConvertible, Sendable {
        let schema: Int
        let meaning: Meaning

        var testDescription: String { "schema \(schema)" }
        /// What tells it from an older one of the same schema.
        var name = ""

        var file: String { packageFolder + "/Tests/Golden/schema-\(schema)\(name).sql.gz" }
    }

    static let all = [
        Golden(schema: 3, meaning: .first), Golden(schema: 4, meaning: .bounded),
        Golden(schema: 5, meaning: .meant),
        Golden(schema: 5, meaning: .evidence, name: "-evidence"),
        Golden(schema: 6, meaning: .evidence),
        Golden(schema: 7, meaning: .attention), Golden(schema: 8, meaning: .incidents),
        Golden(schema: 8, meaning: .views, name: "-views"),
        Golden(schema: 8, meaning: .estimates, name: "-estimates"),
        Golden(schema: 8, meaning: .restated, name: "-restated"),
        Golden(schema: 8, meaning: .ways, name: "-ways"),
        Golden(schema: 8, meaning: .onward, name: "-onward"),
        Golden(schema: 8, meaning: .scaled, name: "-scaled"),
        Golden(schema: 8, meaning: .patient, name: "-patient"),
        Golden(schema: 8, meaning: .retractable, name: "-retractable"),
        Golden(schema: 8, meaning: .named, name: "-named"),
        Golden(schema: 8, meaning: .dated, name: "-dated"),
        Golden(schema: 8, meaning: .blamed, name: "-blamed"),
        Golden(schema: 8, meaning: .aboard, name: "-aboard"),
    ]

    /// Under a sanitizer the oldest and the newest: what is looked for there is not what they hold.
    static let tried =
        ProcessInfo.processInfo.environment["CARAVAN_TEST_WATCHED"] == nil
        ? all : [all[0], all[all.count - 1]]

    private func open(_ golden: Golden) throws -> TestCluster {
        let cluster = try TestCluster(migrated: false)
        _ = try Shell.run([
            "sh", "-c",
            "zcat '\(golden.file)' | psql -h '\(cluster.cluster.socketFolder)' -U caravan -d caravan "
                + "-q -v ON_ERROR_STOP=1 -o /dev/null",
        ])
        return cluster
    }

    private func lines(_ name: String) throws -> [String] {
        try String(contentsOfFile: packageFolder + "/Tests/Golden/\(name).ndjson", encoding: .utf8)
            .split(separator: "\n").map(String.init)
    }

    @Test func everyVersionHasOne() {
        // Whoever changes what is persisted makes one more, with the build before.
        #expect(Set(GoldenTests.all.map(\.schema)) == Set(3...Migrator.newest))
        #expect(Set(GoldenTests.all.map(\.meaning)) == Set(Meaning.allCases))
    }

    @Test(arguments: GoldenTests.tried) func aLaterBuildGoesOn(_ golden: Golden) async throws {
        let cluster = try open(golden)
        let said = try cluster.rows("select seq, md5(body) from output order by seq")
        let counted = try cluster.rows(
            "select count(*), count(distinct (container, identity)) from event")
        let old = try cluster.rows("select batch, seq, log from head")
        _ = try Migrator.migrate(cluster.conninfo)
        let notices = Notices()
        let log = PostgresLog(
            StoreOptions(
                conninfo: cluster.conninfo, clock: wallNow, notice: { notices.add($0) }))
        // The log says by which meaning it was read.
        for batch in try await log.batches(after: 0) {
            #expect(try LogBlob.read(batch.blob).meaning == golden.meaning)
        }
        let recovered = try await Recovery.run(log)
        #expect(recovered.replayed > 0)
        // What was said stands, and the journeys are today's.
        #expect(recovered.diverged == 0 || golden.meaning < .current)
        // Another cluster than the one that it was made in: that is said, and the log is another one.
        let before = old[0].split(separator: "|").map(String.init)
        #expect((recovered.head.log == before[2]) == (golden.schema == 3))
        #expect(golden.schema == 3 || notices.all.contains { $0.contains("went back") })
        #expect(["\(recovered.head.batch)", "\(recovered.head.seq)"] == Array(before[..<2]))
        #expect(recovered.engine.mark(of: Origin(post: "KHG-1", stream: "golden-stream-1")) == 6)

        // What it holds of every kind is what the lines said.
        var engine = recovered.engine
        let now = try #require(try await log.lastStep())
        #expect(engine.containers(of: "WIDE")?.count == 200)
        // Control characters in names were taken once, and stay.
        let tookControls = golden.meaning == .first
        for name in ["G-\u{1B}[31mred", "H\u{2}-1"] {
            #expect((engine.containers(of: name) != nil) == tookControls)
        }
        for name in ["G-1", "G-2", "G-3", "G-4", "G-5", "G-OLD", "L-0", "L-39"] {
            #expect(engine.containers(of: name) != nil, "\(name)")
        }
        // All of it again, as the log reads it: nothing is new but a version that is older than what
        // is in force, and without effect.
        let parser = FeedParser(limits: .largest)
        var again = try lines("before-the-checkpoint") + lines("behind-the-checkpoint")
        if golden.meaning >= .meant { again += try lines("meant") }
        if golden.meaning >= .evidence { again += try lines("detour") }
        if golden.meaning >= .attention { again += try lines("attention") }
        if golden.meaning >= .views { again += try lines("handover") }
        if golden.meaning >= .estimates { again += try lines("estimate") }
        if golden.meaning >= .restated { again += try lines("restated") }
        if golden.meaning >= .ways { again += try lines("ways") }
        if golden.meaning >= .onward { again += try lines("onward") }
        let text = Array(again.joined(separator: "\n").utf8)
        let chunk = FeedChunk(source: 1, origin: Origin(), text: text, parser: parser)
        try engine.admit(try await log.load(engine.missing([chunk])))
        let effects = engine.step([chunk], now: now)
        #expect(effects.counts.stored == (tookControls ? 1 : 7))
        // What nobody could read then cannot be read now.
        #expect(effects.counts.quarantined == 5)

        if golden.meaning >= .onward { try expectOnward(engine, now) }
        try await goOn(log, recovered.engine, cluster, now)
        #expect(
            Array(
                try cluster.rows("select seq, md5(body) from output order by seq")
                    .prefix(said.count)) == said)
        if golden.meaning >= .meant { try expectMeant(recovered.engine, now) }
        if golden.meaning >= .evidence { try expectDetour(recovered.engine, now) }
        #expect(counted == ["\(try eventRows(cluster) - 1)|\(try distinctEvents(cluster) - 1)"])
    }

    /// A box without a plan is expected where others went on to.
    private func expectOnward(_ recovered: Engine, _ now: Instant) throws {
        var engine = recovered
        let box = try #require(ContainerNumber("QZTU0080053"))
        let view = try #require(engine.view(box, now: now)?.journeys.first)
        #expect(view.isGuess && view.stops.last?.place == "QQSOUTH")
    }

    /// The box that left its way is on the other one, and what cannot be is set aside.
    private func expectDetour(_ recovered: Engine, _ now: Instant) throws {
        var engine = recovered
        let box = try #require(ContainerNumber("QZTU0031001"))
        let seen = engine.view(box, now: now)
        let view = try #require(seen)
        let journey = try #require(view.journeys.first)
        #expect(journey.leftAt?.place == "CNHRS")
        #expect(journey.bypassed.contains("Alashankou"))
        #expect(journey.stops.contains { $0.place == "KZALA" && !$0.isPassed })
        #expect(view.reports.contains { $0.place == "DEDUI" && $0.role == .contradiction })
    }

    /// It goes on: a checkpoint in this build's form, and a start from that alone.
    private func goOn(
        _ log: PostgresLog, _ recovered: Engine, _ cluster: TestCluster, _ now: Instant
    ) async throws {
        var engine = recovered
        let box = try #require(ContainerNumber(owner: "QZTU", serial: 4_000))
        let news = TestKit.chunk([
            "{\"id\":\"new-1\",\"container\":\"\(box)\",\"event\":\"GTOT\",\"place\":\"KZHOR\","
                + "\"time\":\"2026-11-25T14:00:00+05:00\"}"
        ])
        let commit = try #require(engine.step([news], now: now.advanced(minutes: 1)).commit)
        try await log.commit(commit)
        let checkpoint = engine.cut(now: now.advanced(minutes: 1))
        try await log.checkpoint(checkpoint)
        engine.rest(checkpoint.quiet)
        let after = try await Recovery.run(log)
        #expect(after.replayed == 0)
        let isSame = after.engine.canonicalState() == engine.canonicalState()
        #expect(isSame)
    }

    /// What was assumed then is assumed still.
    private func expectMeant(_ recovered: Engine, _ now: Instant) throws {
        var engine = recovered
        let box = try #require(ContainerNumber(owner: "QZTU", serial: 6_000))
        let seen = engine.view(box, now: now)
        let view = try #require(seen)
        #expect(view.journeys.map(\.shipment) == ["M-1"])
        #expect(
            view.journeys[0].promised == TimeText.parse("2026-11-29T23:59:59+05:00")?.instant)
        #expect(
            view.reports.map { "\($0.code.code) \($0.place) \($0.flags.words.count)" } == [
                "GTIN KZHOR 2", "GTOT KZHOR 2", "INSP XXQQQ 3",
            ])
        let left = try #require(ContainerNumber(owner: "QZTU", serial: 6_001))
        let moved = engine.view(left, now: now)
        let other = try #require(moved)
        #expect(other.reports.allSatisfy { $0.retracted })
    }

    private func eventRows(_ cluster: TestCluster) throws -> Int {
        Int(try cluster.rows("select count(*) from event")[0]) ?? 0
    }

    private func distinctEvents(_ cluster: TestCluster) throws -> Int {
        Int(try cluster.rows("select count(distinct (container, identity)) from event")[0]) ?? 0
    }

    @Test func aLaterDatabaseIsRefusedWithAWord() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var engine = try await Recovery.run(log).engine
        let step = engine.step(
            [chunk([#"{"plan":"S","containers":["MSKU0308961"],"from":"CNXIA","to":"KZALA"}"#])],
            changes: [.network(.shipped)], now: Instant(seconds: 1_767_225_600))
        try await log.commit(try #require(step.commit))
        try await log.checkpoint(engine.cut(now: Instant(seconds: 1_767_225_600)))
        _ = try cluster.rows("update journey set state = '\\xff'::bytea || substr(state, 2)")
        do {
            _ = try await Recovery.run(log)
            Issue.record("a snapshot of a later format was read")
        } catch {
            #expect(error.kind == .fatal)
            #expect(error.cause.contains("a later version of Caravan wrote it"))
        }
    }
}

/// What a store told its operator.
final class Notices: @unchecked Sendable {
    private let lock = NSLock()
    private var texts: [String] = []

    func add(_ text: String) { lock.withLock { texts.append(text) } }

    var all: [String] { lock.withLock { texts } }
}
