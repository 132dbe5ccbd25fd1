import Engine
import Foundation
import Simulation
import Store
import TestKit
import Testing
import Tracking
import Wire

private let start = Instant(seconds: 1_767_225_600)

/// One suite for every implementation of the log: the simulated and the real one.
enum LogUnderTest: String, CaseIterable {
    case memory, postgres

    func open() throws -> (log: any LogStore, keep: TestCluster?) {
        switch self {
        case .memory: return (MemoryLog(), nil)
        case .postgres:
            let cluster = try TestCluster()
            let options = StoreOptions(conninfo: cluster.conninfo, clock: wallNow)
            return (PostgresLog(options), cluster)
        }
    }
}

private func traffic(_ seed: UInt64) -> FeedChunk {
    var options = TrafficOptions(start: start)
    options.seed = seed
    options.days = 1
    options.shipmentsPerDay = 20
    let lines = Traffic(options).lines.map(\.line)
    return FeedChunk(
        source: 1, origin: Origin(post: "P"), text: Array(lines.joined(separator: [0x0A])),
        parser: FeedParser())
}

@Suite(.serialized) struct LogConformanceTests {
    @Test(arguments: LogUnderTest.allCases)
    func whatIsCommittedIsReadBack(_ kind: LogUnderTest) async throws {
        let (log, keep) = try kind.open()
        defer { _ = keep }
        try await run(log)
    }

    private func run(_ log: some LogStore) async throws {
        let recovered = try await Recovery.run(log)
        #expect(recovered.head.batch == 0)
        var engine = recovered.engine
        let late = start.advanced(minutes: 100 * 1_440)
        // The traffic is history; what comes of it is said at once.
        var rules = AlertRules()
        rules.settleMinutes = 0
        let changes: [ConfigChange] = [.rules(rules), .network(.shipped)]
        let first = try #require(
            engine.step([traffic(1)], changes: changes, now: late).commit)
        try await log.commit(first)
        // The same again does nothing.
        try await log.commit(first)
        let range = try await log.outputRange()
        #expect(range.first == 1)
        #expect(range.last == first.lastSeq)
        let read = try await log.output(after: 0, limit: 100_000)
        #expect(read == first.outputs)
        #expect(try await log.output(after: first.lastSeq - 1, limit: 10).count == 1)
        #expect(try await log.seq(at: 1) == first.lastSeq)
        let logged = try #require(try await log.batches(after: 0).first)
        #expect(logged.blob == first.blob)
        #expect(logged.now == first.now)

        // Replay alone, then a checkpoint, then both.
        let replayed = try await Recovery.run(log)
        #expect(replayed.replayed == 1)
        #expect(replayed.engine.canonicalState() == engine.canonicalState())
        engine = replayed.engine
        let checkpoint = engine.cut(now: late)
        try await log.checkpoint(checkpoint)
        engine.rest(checkpoint.quiet)
        let second = try #require(engine.step([traffic(2)], now: late).commit)
        try await log.commit(second)
        let again = try await Recovery.run(log)
        #expect(again.replayed == 1)
        #expect(again.engine.canonicalState() == engine.canonicalState())
        let restingOnes = checkpoint.quiet
        let loaded = try await log.load(Wanted(containers: restingOnes.containers))
        #expect(loaded.journeys.count == restingOnes.containers.count)
        // With their plans, of which most rest too.
        #expect(Set(restingOnes.shipments).isSubset(of: loaded.shipments.map(\.key)))
        #expect(!restingOnes.shipments.isEmpty)
    }

    /// A version of a plan that comes when a later one is in force, and saved, is known after a start anew.
    @Test(arguments: LogUnderTest.allCases)
    func aVersionThatComesLateIsKeptBesideTheLine(_ kind: LogUnderTest) async throws {
        let (log, keep) = try kind.open()
        defer { _ = keep }
        func plan(_ updated: String, _ milestones: [(String, String, String)]) -> String {
            let stated = milestones.map {
                "{\"event\":\"\($0)\",\"place\":\"\($1)\",\"time\":\"2026-01-\($2)T00:00:00Z\"}"
            }
            return
                "{\"plan\":\"SEA\",\"containers\":[\"QZTU0000700\"],\"updated\":\"2026-01-\(updated)"
                + "T00:00:00Z\",\"milestones\":[\(stated.joined(separator: ","))]}"
        }
        let lines = [
            plan("08", [("ARRI", "ZZB", "20"), ("GTOT", "ZZB", "22")]),
            plan("01", [("DEPA", "ZZA", "05"), ("ARRI", "ZZB", "19"), ("GTOT", "ZZB", "21")]),
        ]
        var engine = try await open(log)
        for (number, line) in lines.enumerated() {
            let now = start.advanced(minutes: Double(10 + number) * 1_440)
            let changes: [ConfigChange] = number == 0 ? [.network(.shipped)] : []
            try await log.commit(
                try #require(engine.step([chunk([line])], changes: changes, now: now).commit))
            try await log.checkpoint(engine.cut(now: now))
            let again = try await Recovery.run(log)
            let isSame = again.engine.canonicalState() == engine.canonicalState()
            #expect(isSame && again.replayed == 0, "after \(number + 1)")
        }
        let box = try #require(ContainerNumber("QZTU0000700"))
        let stops = engine.view(box, now: start.advanced(minutes: 12 * 1_440))?.journeys.first?
            .stops
        #expect(stops?.map(\.code) == [.depa, .arri, .gtot])
    }

    @Test(arguments: LogUnderTest.allCases)
    func aStaleWriterIsFenced(_ kind: LogUnderTest) async throws {
        let (log, keep) = try kind.open()
        var engine = try await open(log)
        let commit = try #require(
            engine.step([chunk(["rubbish"])], now: start.advanced(minutes: 1)).commit)
        guard let keep else {
            // In memory the fence is the batch number.
            var skipped = commit
            skipped.batch += 5
            await #expect(throws: StoreFailure.self) { try await log.commit(skipped) }
            return
        }
        let newer = PostgresLog(StoreOptions(conninfo: keep.conninfo, clock: wallNow))
        _ = try await newer.takeOver()
        do {
            try await log.commit(commit)
            Issue.record("a stale writer wrote")
        } catch {
            #expect(error.kind == .fenced)
        }
        #expect(try keep.rows("select batch from head") == ["0"])
    }

    private func open(_ log: some LogStore) async throws -> Engine {
        try await Recovery.run(log).engine
    }
}

@Suite(.serialized) struct PostgresTests {
    @Test func theRowsSayWhatTheLinesSaid() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var engine = try await Recovery.run(log).engine
        let lines = [
            #"{"id":"khg-000812","container":"MSKU0308961","event":"GTIN","place":"KZHOR","#
                + #""time":"2026-01-01T10:15:00+05:00","mode":"RAIL","shipment":"SHP-1"}"#,
            "rub\u{0}bish",
        ]
        let effects = engine.step(
            [chunk(lines)], changes: [.network(.shipped)],
            now: start.advanced(minutes: 600))
        try await log.commit(try #require(effects.commit))
        #expect(
            try cluster.rows(
                "select container,id,event,class,mode,place,occurred_at,offset_minutes,shipment,"
                    + "retract from event") == [
                    "MSKU0308961|khg-000812|GTIN|ACT|RAIL|KZHOR|2026-01-01 05:15:00+00|300|SHP-1|f"
                ])
        #expect(
            try cluster.rows("select code, encode(bytes,'hex'), length from quarantine") == [
                "json|7275620062697368|8"
            ])
    }

    @Test func migrationIsRepeatableAndRefusesTheFuture() async throws {
        let cluster = try TestCluster(migrated: false)
        #expect(try Migrator.migrate(cluster.conninfo).count == Migrator.newest)
        #expect(try Migrator.migrate(cluster.conninfo).isEmpty)
        _ = try cluster.rows("insert into schema_version values (999, 'from the future')")
        #expect(throws: StoreFailure.self) { try Migrator.migrate(cluster.conninfo) }
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        await #expect(throws: StoreFailure.self) { _ = try await log.takeOver() }
    }

    @Test func partitionsAreMadeAheadAndDroppedBehind() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        _ = try await log.makePartitions(daysAhead: 10)
        let count =
            "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhparent "
            + "where c.relname = 'event'"
        // Yesterday, today, ten days ahead, and the default one.
        #expect(try cluster.rows(count) == ["13"])
        let again = try await log.makePartitions(daysAhead: 10)
        #expect(again.made == 0 && again.inDefault == 0)
        for table in ["event", "batch"] {
            _ = try cluster.rows(
                "create table \(table)_20200101 partition of \(table) "
                    + "for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')")
        }
        // A batch that no checkpoint covers keeps its day, and everything after it.
        _ = try cluster.rows(
            "insert into batch values ('2020-01-01 12:00+00', 1, now(), 0, 0, 0, '')")
        #expect(try await log.tidyPartitions(keepDays: 400) == 0)
        _ = try cluster.rows("insert into checkpoint (batch) values (1)")
        #expect(try await log.tidyPartitions(keepDays: 400) == 2)
    }

    /// More than goes in one round, in one go.
    @Test func whatIsPastItsTimeGoesHoweverMuchItIs() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        let columns = try cluster.rows(
            "select string_agg(column_name || ' ' || data_type, ',') from information_schema.columns "
                + "where table_name = 'quarantine' and is_nullable = 'NO' and column_default is null"
        )
        _ = try cluster.rows(
            "insert into quarantine (batch, item, received_at, \(try required(columns[0]).names)) "
                + "select 1, n, now() - interval '500 days', \(try required(columns[0]).values) "
                + "from generate_series(1, 25000) n")
        _ = try await log.tidyPartitions(keepDays: 400)
        #expect(try cluster.rows("select count(*) from quarantine") == ["0"])
    }

    /// The columns of a table that must be given, but for its key, and something for each.
    private func required(_ columns: String) throws -> (names: String, values: String) {
        let given = columns.split(separator: ",").map { $0.split(separator: " ", maxSplits: 1) }
            .filter { !["batch", "item", "received_at"].contains($0[0]) }
        let values = given.map { column in
            switch column[1] {
            case "bytea": "''::bytea"
            case "text": "''"
            case "boolean": "false"
            default: "0"
            }
        }
        return (
            given.map { String($0[0]) }.joined(separator: ", "), values.joined(separator: ", ")
        )
    }

    /// To Swift a quote with an accent is another character; to PostgreSQL it is a quote.
    @Test func namesWithQuotesAndMarksAreForgottenAsTheyAre() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var engine = try await Recovery.run(log).engine
        let names = ["A\\\"\u{301}, B", "\\\\\u{301}C", "{D}\u{302}", "\\\\\\\"\u{308}"]
        for (step, retract) in ["", ",\"retract\":true"].enumerated() {
            for (at, name) in names.enumerated() {
                let now = start.advanced(minutes: Double(step * 60 + at))
                let plan =
                    "{\"plan\":\"\(name)\",\"containers\":[\"QZTU0000700\"],\"from\":\"CNXIA\","
                    + "\"to\":\"KZALA\",\"updated\":\"\(TimeText.string(now))\"\(retract)}"
                let effects = engine.step([chunk([plan])], now: now)
                #expect(effects.counts.stored == 1, "\(effects.replies)")
                try await log.commit(try #require(effects.commit))
            }
            try await log.checkpoint(
                engine.cut(now: start.advanced(minutes: Double(step * 60 + 9))))
            let kept = try cluster.rows("select shipment from shipment where live")
            #expect(kept.count == (retract.isEmpty ? names.count : 0), "\(kept)")
        }
        // They rest under the names that they have.
        let kept = try cluster.rows("select shipment from shipment order by shipment")
        let spelled = ["A\"\u{301}, B", "\\\"\u{308}", "\\\u{301}C", "{D}\u{302}"]
        #expect(kept.map { Array($0.utf8) } == spelled.map { Array($0.utf8) }, "\(kept)")
        #expect(try await Recovery.run(log).replayed == 0)
    }

    @Test func rowsInTheDefaultPartitionMoveToTheirDay() async throws {
        let cluster = try TestCluster()
        _ = try cluster.rows(
            "insert into output values (now() + interval '20 days', 1, 'eta', null, null, null, "
                + "null, null, 'x')")
        #expect(try cluster.rows("select count(*) from output_default") == ["1"])
        _ = try cluster.rows("select make_partitions(25)")
        #expect(try cluster.rows("select count(*) from output_default") == ["0"])
        #expect(try cluster.rows("select body from output") == ["x"])
    }

    @Test func aLogThatWentBackSaysSo() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var engine = try await Recovery.run(log).engine
        let first = try await log.head().log
        for round in 0..<2 {
            let commit = try #require(
                engine.step([chunk(["bad \(round)"])], now: start.advanced(minutes: Double(round)))
                    .commit)
            try await log.commit(commit)
        }
        // As a database that was restored to an older state.
        _ = try cluster.rows("delete from batch where batch = 2")
        _ = try cluster.rows("update head set batch = 1")
        let again = try await log.takeOver()
        #expect(again.batch == 1)
        #expect(again.log != first)
        #expect(try await log.takeOver().log == again.log)
    }

    @Test func aLargeLogIsReadInPages() async throws {
        let cluster = try TestCluster()
        _ = try cluster.rows(
            """
            insert into batch select now(), n, now(), 0, 0, 0,
                decode(repeat('00', 9000000), 'hex') from generate_series(1, 5) n
            """)
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var seen: [Int] = []
        while true {
            let page = try await log.batches(after: seen.last ?? 0)
            if page.isEmpty { break }
            #expect(page.count <= 2)
            seen += page.map(\.batch)
        }
        #expect(seen == [1, 2, 3, 4, 5])
    }

    @Test func aCommitWhoseAnswerWasLostIsResolvedByLooking() async throws {
        let cluster = try TestCluster()
        let log = PostgresLog(StoreOptions(conninfo: cluster.conninfo, clock: wallNow))
        var engine = try await Recovery.run(log).engine
        for round in 0..<5 {
            let commit = try #require(
                engine.step([chunk(["bad \(round)"])], now: start.advanced(minutes: Double(round)))
                    .commit)
            // The session is gone before, or the commit is tried twice with a session lost between.
            _ = try cluster.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                    + "where application_name = 'caravand'")
            do { try await log.commit(commit) } catch {
                #expect(error.kind == .unavailable)
                try await log.commit(commit)
            }
            try await log.commit(commit)
        }
        #expect(try cluster.rows("select batch from head") == ["5"])
        #expect(try cluster.rows("select count(*) from quarantine") == ["5"])
    }
}

@Suite struct ProgramsTests {
    /// A cluster is served by the programs of the version that made it, or by none.
    @Test func aClusterOfAnotherVersionIsNotTouched() throws {
        let folder = ScratchFolder()
        let data = folder.path + "/pg/data"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        try "11\n".write(toFile: data + "/PG_VERSION", atomically: true, encoding: .utf8)
        do {
            _ = try PrivateCluster(folder: folder.path + "/pg")
            Issue.record("taken")
        } catch {
            #expect("\(error)".contains("made by PostgreSQL 11"), "\(error)")
            #expect("\(error)".contains("postgresql-11"))
        }
        let cluster = try TestCluster()
        let made = try String(
            contentsOfFile: cluster.cluster.data + "/PG_VERSION", encoding: .utf8)
        #expect(try cluster.rows("show server_version_num")[0].hasPrefix(made.prefix(2)))
        _ = try PrivateCluster(folder: cluster.cluster.folder)
    }
}
