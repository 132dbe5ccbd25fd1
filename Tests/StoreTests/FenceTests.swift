import Engine
import Foundation
import Store
import TestKit
import Testing
import Tracking
import Wire

private let start = Instant(seconds: 1_767_225_600)

private func event(_ number: Int) -> String {
    let box = ContainerNumber(owner: "FENU", serial: number)?.description ?? ""
    return "{\"id\":\"e\(number)\",\"container\":\"\(box)\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
        + "\"time\":\"2026-01-01T00:00:00Z\"}"
}

/// A log with what it tells its operator, and what it remembers of an earlier life.
private func open(
    _ cluster: TestCluster, _ notices: Notices = Notices(), known: KnownLog? = nil
) -> PostgresLog {
    PostgresLog(
        StoreOptions(
            conninfo: cluster.conninfo, clock: wallNow, known: { known },
            notice: { notices.add($0) }))
}

/// Writes so many batches of one event each, from the number that the engine is at.
private func write(_ count: Int, _ engine: inout Engine, _ log: PostgresLog) async throws {
    for _ in 0..<count {
        let changes: [ConfigChange] = engine.batch == 0 ? [.network(.shipped)] : []
        let step = engine.step(
            [chunk([event(engine.batch)])], changes: changes,
            now: start.advanced(minutes: Double(engine.batch)))
        try await log.commit(try #require(step.commit))
    }
}

/// The database as it was at `batch`: a copy that comes back, without what was committed after.
private func goBack(_ cluster: TestCluster, to batch: Int) throws {
    for table in ["batch", "event", "quarantine", "stream_mark"] {
        _ = try cluster.rows("delete from \(table) where batch > \(batch)")
    }
    _ = try cluster.rows(
        """
        delete from output where seq > (select last_seq from batch where batch = \(batch));
        update head set batch = \(batch), seq = (select last_seq from batch where batch = \(batch))
        """)
}

/// Every write of the writer, not only its batches, is conditional on its epoch, and on not being ahead
/// of the log.
@Suite(.serialized) struct FenceTests {
    /// As it was found: five acknowledged lines, a checkpoint that waits, an older copy that comes back.
    @Test func aLateCheckpointDoesNotGoOverALogThatWentBack() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(10, &engine, log)
        let late = engine.cut(now: start)
        try goBack(cluster, to: 4)
        do {
            try await log.checkpoint(late)
            Issue.record("a checkpoint ahead of the log was written")
        } catch { #expect(error.kind == .fenced) }
        #expect(try cluster.rows("select count(*) from checkpoint") == ["0"])
        // The writer notices when it next connects, and the log begins anew and goes on.
        let step = engine.step([chunk([event(99)])], now: start.advanced(minutes: 99))
        _ = try cluster.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
                + "where application_name = 'caravand'")
        var failure: StoreFailure?
        for _ in 0..<2 where failure?.kind != .fenced {
            do { try await log.commit(try #require(step.commit)) } catch {
                failure = error as? StoreFailure
            }
        }
        #expect(failure?.kind == .fenced)
        #expect(failure?.cause.contains("went back") == true, "\(failure?.cause ?? "")")
        let again = try await Recovery.run(log)
        #expect(again.head.batch == 4 && again.head.wentBackAt == 4)
        engine = again.engine
        try await write(2, &engine, log)
        #expect(try cluster.rows("select batch from head") == ["6"])
    }

    /// A standby was promoted that had not heard of the writer's claim, and somebody else claims it there: what it
    /// has written since is not what the first one waits for.
    @Test func twoSidesOfASplitNeverTakeEachOtherForThemselves() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(2, &engine, log)
        let step = engine.step([chunk([event(99)])], now: start.advanced(minutes: 99))
        // The other side's log, in the same epoch, further than the commit at hand.
        _ = try cluster.rows("update head set log = gen_random_uuid(), batch = batch + 3")
        _ = try cluster.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
                + "where application_name = 'caravand'")
        var failure: StoreFailure?
        for _ in 0..<3 where failure?.kind != .fenced {
            do {
                try await log.commit(try #require(step.commit))
                Issue.record("taken for written")
            } catch { failure = error as? StoreFailure }
        }
        #expect(failure?.kind == .fenced)
        #expect(try cluster.rows("select count(*) from event where id = 'e99'") == ["0"])
        // Nor do they draw the same epoch.
        var epochs: [Int] = []
        for _ in 0..<3 { epochs.append(try await open(cluster).takeOver().epoch) }
        #expect(epochs == epochs.sorted() && epochs[1] - epochs[0] != epochs[2] - epochs[1])
    }

    @Test func aCheckpointThatIsAheadAlreadyIsRepaired() async throws {
        let cluster = try TestCluster()
        let notices = Notices()
        let log = open(cluster, notices)
        var engine = try await Recovery.run(log).engine
        try await write(10, &engine, log)
        try await log.checkpoint(engine.cut(now: start))
        try goBack(cluster, to: 4)
        // Also by another daemon, which never saw what was lost.
        let other = open(cluster, notices)
        let repaired = try await Recovery.run(other)
        #expect(repaired.replayed == 4 && repaired.engine.batch == 4)
        #expect(notices.all.contains { $0.contains("was ahead of the log") })
        #expect(repaired.engine.liveContainers == 4)
        engine = repaired.engine
        try await write(3, &engine, other)
        try await other.checkpoint(engine.cut(now: start))
        let later = try await Recovery.run(other)
        #expect(later.replayed == 0)
        #expect(later.engine.canonicalState() == engine.canonicalState())
    }

    @Test func whereTheLogIsNoLongerWholeFactsStay() async throws {
        let cluster = try TestCluster()
        let notices = Notices()
        let log = open(cluster, notices)
        var engine = try await Recovery.run(log).engine
        try await write(3, &engine, log)
        try await log.checkpoint(engine.cut(now: start))
        try await write(3, &engine, log)
        // Retention has taken what the checkpoint covered, and then one came that is ahead.
        _ = try cluster.rows("delete from batch where batch <= 2")
        _ = try cluster.rows("update checkpoint set batch = 9")
        _ = try cluster.rows("insert into journey values ('QZXU0000000', 9, true, '')")
        let repaired = try await Recovery.run(open(cluster, notices))
        #expect(repaired.replayed == 4 && repaired.engine.batch == 6)
        #expect(repaired.engine.liveContainers == 6)
        #expect(notices.all.contains { $0.contains("durations are learned anew") })
    }

    @Test func whoeverWasReplacedWritesNothingBesideTheLog() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(2, &engine, log)
        let refused = engine.step([chunk(["bad"])], now: start.advanced(minutes: 9))
        try await log.commit(try #require(refused.commit))
        try await log.enrol("P", places: ["*"], tokenHash: nil)
        let late = engine.cut(now: start)
        _ = try await open(cluster).takeOver()
        var health = PostHealth(name: "P")
        health.lines = 5
        let writes: [(String, () async throws -> Void)] = [
            ("checkpoint", { try await log.checkpoint(late) }),
            ("figures", { try await log.report([health]) }),
            ("settlement", { try await log.settleReplay(batch: 3, item: 0) }),
            ("partitions", { _ = try await log.makePartitions(daysAhead: 20) }),
            ("retention", { _ = try await log.tidyPartitions(keepDays: 1) }),
        ]
        for (name, body) in writes {
            do {
                try await body()
                Issue.record("\(name): a stale writer wrote")
            } catch let failure as StoreFailure { #expect(failure.kind == .fenced, "\(name)") }
        }
        #expect(try cluster.rows("select lines from post") == ["0"])
        #expect(try cluster.rows("select count(*) from quarantine where settled is null") == ["1"])
        #expect(try cluster.rows("select count(*) from checkpoint") == ["0"])
    }
}

@Suite(.serialized) struct WentBackTests {
    @Test func anEarlierLifeRemembersHowFarTheLogWas() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(8, &engine, log)
        let head = try await log.head()
        _ = try await log.confirm(CursorName(name: "tower"), head.seq, names: 10)
        _ = try await log.confirm(CursorName(name: "pager"), 1, names: 10)
        try goBack(cluster, to: 5)
        let notices = Notices()
        let later = open(cluster, notices, known: head.known)
        let again = try await later.takeOver()
        #expect(again.log != head.log && again.wentBackAt == 5)
        let said = try #require(notices.all.first { $0.contains("went back") })
        #expect(said.contains("log was \(head.log) at 8, is \(again.log) at 5"), "\(said)")
        // Cursors beyond the end are set to it; others stay.
        #expect(
            try cluster.rows("select consumer, seq from consumer order by consumer")
                == ["pager|1", "tower|\(again.seq)"])
        // One that never knew better says nothing, and one that knows the new log neither.
        #expect(try await open(cluster).takeOver().log == again.log)
        #expect(try await open(cluster, known: again.known).takeOver().log == again.log)
    }

    @Test func aLogThatWentBackAndOnIsToldByItsBatches() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(5, &engine, log)
        let head = try await log.head()
        try goBack(cluster, to: 3)
        let other = open(cluster)
        engine = try await Recovery.run(other).engine
        // Other lines than before, so that the numbers of the output differ.
        for number in 0..<4 {
            let step = engine.step(
                [chunk(["bad \(number)"])], now: start.advanced(minutes: 50 + Double(number)))
            try await other.commit(try #require(step.commit))
        }
        #expect(try cluster.rows("select batch from head") == ["7"])
        let notices = Notices()
        let again = try await open(cluster, notices, known: head.known).takeOver()
        #expect(again.log != head.log)
        #expect(notices.all.contains { $0.contains("it went back and on") })
    }

    @Test func aCopyInAnotherClusterIsAnotherLog() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(2, &engine, log)
        let head = try await log.head()
        #expect(try await open(cluster).takeOver().log == head.log)
        _ = try cluster.rows("update head set system_identifier = 42")
        let notices = Notices()
        let again = try await open(cluster, notices).takeOver()
        #expect(again.log != head.log)
        #expect(notices.all.contains { $0.contains("a copy was restored there") })
        #expect(try await open(cluster).takeOver().log == again.log)
    }

    @Test func aStandbyDeclaresWhatItSees() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        try await write(4, &engine, log)
        let head = try await log.head()
        #expect(try await !log.declareWentBack(head.known))
        try goBack(cluster, to: 2)
        #expect(try await !log.declareWentBack(KnownLog(log: "another", batch: 9, seq: 9)))
        #expect(try await log.declareWentBack(head.known))
        let after = try await log.head()
        #expect(after.log != head.log && after.wentBackAt == 2)
        #expect(try await !log.declareWentBack(head.known))
    }

    @Test func streamsThatHaveNotSpokenSinceMayGoOnAnywhere() async throws {
        let cluster = try TestCluster()
        let log = open(cluster)
        var engine = try await Recovery.run(log).engine
        func speak(_ stream: String, _ seq: Int64) async throws {
            let origin = Origin(post: "P", stream: stream)
            var part = chunk([event(Int(seq) + 1_000)])
            part.origin = origin
            part.lines[0].seq = seq
            let step = engine.step([part], now: start.advanced(minutes: Double(engine.batch)))
            try await log.commit(try #require(step.commit))
        }
        try await speak("old", 1)
        try await speak("old", 2)
        try await speak("gone", 1)
        let first = try await Recovery.run(log)
        #expect(!first.jumps.allows(Origin(post: "P", stream: "old")))
        let head = try await log.head()
        try goBack(cluster, to: 1)
        _ = try cluster.rows("update stream_mark set seq = 1, batch = 1")
        let later = open(cluster, known: head.known)
        let again = try await Recovery.run(later)
        for stream in ["old", "gone", "never heard of"] {
            #expect(again.jumps.allows(Origin(post: "P", stream: stream)))
        }
        engine = again.engine
        let origin = Origin(post: "P", stream: "old")
        var part = chunk([event(2_000)])
        part.origin = origin
        part.lines[0].seq = 7
        let step = engine.step([part], now: start.advanced(minutes: 100))
        try await later.commit(try #require(step.commit))
        let settled = try await Recovery.run(later)
        #expect(!settled.jumps.allows(origin))
        #expect(settled.jumps.allows(Origin(post: "P", stream: "gone")))
    }
}

@Suite(.serialized) struct EncodingTests {
    @Test(arguments: ["SQL_ASCII", "LATIN1"])
    func aDatabaseOfAnotherEncodingIsRefusedWithAWord(_ encoding: String) async throws {
        let cluster = try TestCluster()
        _ = try cluster.rows(
            "create database other encoding '\(encoding)' locale 'C' template template0")
        let conninfo = cluster.cluster.conninfo(database: "other")
        let log = PostgresLog(StoreOptions(conninfo: conninfo, clock: wallNow))
        for attempt in 0..<2 {
            do {
                if attempt == 0 { _ = try Migrator.migrate(conninfo) }
                if attempt == 1 { _ = try await log.takeOver() }
                Issue.record("a database in \(encoding) was taken")
            } catch {
                #expect(error.kind == .fatal)
                #expect(
                    error.cause.contains("has the encoding \(encoding), and Caravan needs UTF8"))
            }
        }
    }

    @Test func theClientsEncodingIsOurs() async throws {
        let cluster = try TestCluster()
        // Neither the connection string nor the role may say otherwise.
        _ = try cluster.rows("alter role caravan set client_encoding = 'LATIN1'")
        let log = PostgresLog(
            StoreOptions(conninfo: cluster.conninfo + " client_encoding=LATIN1", clock: wallNow))
        var engine = try await Recovery.run(log).engine
        let step = engine.step(
            [
                chunk([
                    #"{"id":"喀什-1","container":"MSKU0308961","event":"GTIN","place":"Қорғас","#
                        + #""time":"2026-01-01T00:00:00Z"}"#
                ])
            ], now: start.advanced(minutes: 5))
        try await log.commit(try #require(step.commit))
        #expect(
            try cluster.rows("set client_encoding = 'UTF8'; select id from event").last == "喀什-1")
    }
}

@Suite(.serialized) struct HousekeepingTests {
    @Test func itActsOnItsOwnSchemaOnly() async throws {
        let cluster = try TestCluster()
        // Another Caravan in the same database, and a session that would look there first.
        _ = try cluster.rows("create schema other")
        let other = cluster.conninfo + " options='-c search_path=other'"
        _ = try Migrator.migrate(other)
        for schema in ["public", "other"] {
            for table in ["event", "batch", "output"] {
                _ = try cluster.rows(
                    "create table \(schema).\(table)_20200101 partition of \(schema).\(table) "
                        + "for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')")
            }
        }
        // And somebody's own tables of the same names.
        _ = try cluster.rows(
            """
            create schema mine; create table mine.event (at timestamptz) partition by range (at);
            create table mine.event_20200101 partition of mine.event
                for values from ('2020-01-01') to ('2020-01-02')
            """)
        let list =
            "select relnamespace::regnamespace::text, relname from pg_class "
            + "where relname ~ '_20200101$' and relkind = 'r' order by 1, 2"
        #expect(try cluster.rows(list).count == 7)
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        #expect(try await log.tidyPartitions(keepDays: 400) == 3)
        #expect(
            try cluster.rows(list) == [
                "mine|event_20200101", "other|batch_20200101", "other|event_20200101",
                "other|output_20200101",
            ])
        // Called with another search_path they still mean their own.
        #expect(
            try cluster.rows("set search_path = mine; select other.drop_partitions(400)").last
                == "3")
        #expect(try cluster.rows(list) == ["mine|event_20200101"])
        #expect(
            try cluster.rows("set search_path = other, public; select public.make_partitions(15)")
                .last
                == "24")
    }

    @Test func whatNothingRefersToGoesInTime() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        _ = try cluster.rows(
            """
            insert into batch values (now(), 100, now(), 0, 0, 0, '');
            insert into checkpoint (batch) values (100);
            insert into quarantine (batch, item, received_at, code, detail, bytes, length)
                values (1, 0, now() - interval '500 days', 'json', '', '', 0),
                    (100, 0, now(), 'json', '', '', 0);
            insert into stream_mark values ('P', 'old', 5, 99), ('P', 'new', 6, 100);
            insert into consumer values ('old', 1, now() - interval '500 days'), ('new', 1, now());
            insert into shipment (shipment, batch, received_at, line, live, rested_at) values
                ('old', 1, now(), '{}', false, now() - interval '500 days'),
                ('rests', 1, now(), '{}', false, now()), ('lives', 1, now(), '{}', true, null)
            """)
        _ = try await log.tidyPartitions(keepDays: 400)
        #expect(try cluster.rows("select batch from quarantine") == ["100"])
        #expect(try cluster.rows("select stream from stream_mark") == ["new"])
        #expect(try cluster.rows("select consumer from consumer") == ["new"])
        #expect(try cluster.rows("select shipment from shipment order by 1") == ["lives", "rests"])
    }
}
