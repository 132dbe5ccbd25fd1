import Engine
import Schema
import Tracking

/// What a look at the database finds out, without changing anything in it.
public struct DatabaseInspection: Sendable {
    public struct Standby: Sendable {
        public let name: String
        /// As PostgreSQL has it: async, sync, quorum, potential.
        public let mode: String
        public let lagBytes: Int
    }

    public struct Consumer: Sendable {
        public let cursor: ConsumerCursor
        /// Days since the first line that it has not confirmed; nil: it has confirmed all.
        public let behindDays: Double?
        /// Lines behind its cursor that retention has dropped already.
        public let lostLines: Int
    }

    public struct Log: Sendable {
        public let head: LogHead
        public let firstSeq: Int?
        public let holder: String
        public let feedAddress: String
        /// Seconds since the writer showed a sign of life; nil: it has none.
        public let leaseAgeSeconds: Double?
        /// Days for which all tables have their partitions, from today on; -1: not for today.
        public let partitionDaysAhead: Int
        public let rowsInDefault: Int
        public let bytes: Int
        public let unsettled: Int
    }

    public let version: String
    public let versionNumber: Int
    public let encoding: String
    public let isStandby: Bool
    /// Of the settings that bear upon promises or speed, as PostgreSQL shows them.
    public let settings: [String: String]
    public let schemaVersion: Int?
    /// How far its clock is ahead of this machine's.
    public let clockAheadSeconds: Double
    /// By PostgreSQL's time zones; 300 since Kazakhstan has one zone (1 March 2024, tz 2024a).
    public let almatyOffsetMinutes: Int?
    public let standbys: [Standby]
    /// Tables of the schema that somebody has dropped.
    public private(set) var missingTables: [String] = []
    /// Who holds up what.
    public private(set) var blockers: [Blocker] = []
    /// Nil where the schema is not there, not whole, or not this program's.
    public private(set) var log: Log?
    public private(set) var consumers: [Consumer] = []
    public private(set) var posts: [PostOverview] = []

    public static var newestSchema: Int { Migrations.newest }

    /// `clock`: the time here, to compare with that of the database.
    public static func read(
        _ conninfo: String, clock: @Sendable () -> Instant
    ) async throws(StoreFailure) -> DatabaseInspection {
        var found = try DatabaseInspection(try Connection(conninfo, deadlineSeconds: 20), clock)
        guard found.log != nil else { return found }
        let store = PostgresLog(StoreOptions(conninfo: conninfo, clock: { .unset }))
        found.posts = try await store.roster()
        return found
    }

    private init(
        _ connection: borrowing Connection, _ clock: @Sendable () -> Instant
    ) throws(StoreFailure) {
        let general = try connection.query(
            """
            select current_setting('server_version'), current_setting('server_version_num')::int8,
                pg_encoding_to_char(encoding), pg_is_in_recovery()::int::int8,
                (to_regclass('schema_version') is not null)::int::int8,
                (extract(epoch from clock_timestamp()) * 1e6)::int8
                from pg_database where datname = current_database()
            """, [], "looking at the database")
        version = general.text(0, 0) ?? ""
        versionNumber = Int(general.integer(0, 1))
        encoding = general.text(0, 2) ?? ""
        isStandby = general.integer(0, 3) == 1
        let here = clock()
        clockAheadSeconds =
            Instant(microseconds: Int64(general.integer(0, 5))).minutes(since: here) * 60
        settings = try DatabaseInspection.readSettings(connection)
        almatyOffsetMinutes = try DatabaseInspection.readAlmaty(connection)
        standbys = try DatabaseInspection.readStandbys(connection)
        guard general.integer(0, 4) == 1 else {
            schemaVersion = nil
            return
        }
        let schema = try connection.query(
            "select max(version)::int8 from schema_version", [], "reading the schema version")
        schemaVersion = schema.isNull(0, 0) ? nil : Int(schema.integer(0, 0))
        guard schemaVersion == Migrations.newest else { return }
        missingTables = try DatabaseInspection.readMissing(connection)
        guard missingTables.isEmpty else { return }
        blockers = try DatabaseInspection.readBlockers(connection)
        do throws(StoreFailure) {
            let log = try DatabaseInspection.readLog(connection)
            self.log = log
            consumers = try DatabaseInspection.readConsumers(connection, log)
        } catch {
            // Who holds things up holds this up, too.
            guard !blockers.isEmpty else { throw error }
        }
    }

    /// A session that one of this database waits for, as it holds a lock.
    public struct Blocker: Sendable {
        public let process: Int
        public let program: String
        public let account: String
        /// As pg_stat_activity has it.
        public let state: String
        public let seconds: Int
    }

    private static func readBlockers(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> [Blocker] {
        let answer = try connection.query(
            """
            select distinct on (b.pid) b.pid::int8, coalesce(b.application_name, ''),
                coalesce(b.usename::text, ''), coalesce(b.state, ''),
                coalesce(extract(epoch from clock_timestamp() - b.xact_start), 0)::int8
                from pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) holder, pg_stat_activity b
                where w.datname = current_database() and w.wait_event_type = 'Lock'
                    and b.pid = holder and clock_timestamp() - w.query_start > interval '2 s'
                    and not b.pid = any (select pid from pg_stat_activity
                        where wait_event_type = 'Lock')
                order by b.pid limit 5
            """, [], "looking for locks")
        return (0..<answer.rows).map { row in
            Blocker(
                process: Int(answer.integer(row, 0)), program: answer.text(row, 1) ?? "",
                account: answer.text(row, 2) ?? "", state: answer.text(row, 3) ?? "",
                seconds: Int(answer.integer(row, 4)))
        }
    }

    private static func readMissing(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> [String] {
        let names = Archive.tables.map(\.name) + ["head", "writer_lease"]
        let answer = try connection.query(
            """
            select name from unnest(string_to_array($1::text, ',')) as name
                where to_regclass(name) is null order by 1
            """, [.text(names.joined(separator: ","))], "looking for tables")
        return (0..<answer.rows).map { answer.text($0, 0) ?? "" }
    }

    private static func readSettings(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> [String: String] {
        let answer = try connection.query(
            """
            select name, setting from pg_settings where name in ('synchronous_commit', 'fsync',
                'full_page_writes', 'synchronous_standby_names', 'max_wal_size', 'shared_buffers',
                'max_connections', 'data_checksums', 'wal_compression', 'statement_timeout',
                'idle_in_transaction_session_timeout', 'default_transaction_read_only')
            """, [], "reading the settings")
        var found: [String: String] = [:]
        for row in 0..<answer.rows { found[answer.text(row, 0) ?? ""] = answer.text(row, 1) ?? "" }
        return found
    }

    private static func readAlmaty(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> Int? {
        let answer = try connection.query(
            """
            select (extract(epoch from timestamp '2024-07-01 12:00' - (timestamptz
                '2024-07-01 12:00 Asia/Almaty' at time zone 'UTC')) / 60)::int8
                where exists (select 1 from pg_timezone_names where name = 'Asia/Almaty')
            """, [], "reading the time zones")
        return answer.rows == 0 ? nil : Int(answer.integer(0, 0))
    }

    private static func readStandbys(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> [Standby] {
        let answer = try connection.query(
            """
            select application_name, coalesce(sync_state, ''), case when pg_is_in_recovery() then 0
                else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0) end::int8
                from pg_stat_replication order by 1
            """, [], "looking at the standbys")
        return (0..<answer.rows).map {
            Standby(
                name: answer.text($0, 0) ?? "", mode: answer.text($0, 1) ?? "",
                lagBytes: Int(answer.integer($0, 2)))
        }
    }

    private static func readLog(_ connection: borrowing Connection) throws(StoreFailure) -> Log {
        let answer = try connection.query(
            """
            select h.epoch, h.batch, h.seq, h.log::text, h.went_back_at,
                (select seq from output order by seq limit 1),
                coalesce(l.holder, ''), coalesce(l.address, ''),
                case when l.renewed_at > '-infinity'
                    then extract(epoch from clock_timestamp() - l.renewed_at)::text end,
                (select coalesce(min(ahead) - 1, 400) from generate_series(0, 400) ahead
                    where exists (select from unnest(array['batch', 'event', 'output']) name
                        where to_regclass(name || '_' || to_char(
                            (now() at time zone 'UTC')::date + ahead, 'YYYYMMDD')) is null))::int8,
                (select count(*) from event_default) + (select count(*) from batch_default)
                    + (select count(*) from output_default),
                pg_database_size(current_database()),
                (select count(*) from quarantine where settled is null)
                from head h left join writer_lease l on true
            """, [], "looking at the log")
        return Log(
            head: LogHead(
                epoch: Int(answer.integer(0, 0)), batch: Int(answer.integer(0, 1)),
                seq: Int(answer.integer(0, 2)), log: answer.text(0, 3) ?? "",
                wentBackAt: answer.isNull(0, 4) ? nil : Int(answer.integer(0, 4))),
            firstSeq: answer.isNull(0, 5) ? nil : Int(answer.integer(0, 5)),
            holder: answer.text(0, 6) ?? "", feedAddress: answer.text(0, 7) ?? "",
            leaseAgeSeconds: answer.text(0, 8).flatMap(Double.init),
            partitionDaysAhead: Int(answer.integer(0, 9)),
            rowsInDefault: Int(answer.integer(0, 10)), bytes: Int(answer.integer(0, 11)),
            unsettled: Int(answer.integer(0, 12)))
    }

    private static func readConsumers(
        _ connection: borrowing Connection, _ log: Log
    ) throws(StoreFailure) -> [Consumer] {
        let answer = try connection.query(
            """
            select c.reader, c.consumer, c.seq, extract(epoch from c.confirmed_at)::int8,
                (select extract(epoch from now() - o.recorded_at)::text from output o
                    where o.seq > c.seq order by o.seq limit 1)
                from consumer c order by c.seq, c.reader, c.consumer limit 1000
            """, [], "looking at the consumers")
        return (0..<answer.rows).map { row in
            let seq = Int(answer.integer(row, 2))
            return Consumer(
                cursor: ConsumerCursor(
                    cursor: CursorName(
                        consumer: answer.text(row, 0) ?? "", name: answer.text(row, 1) ?? ""),
                    seq: seq,
                    confirmedAt: Instant(microseconds: Int64(answer.integer(row, 3)) * 1_000_000)),
                behindDays: answer.text(row, 4).flatMap(Double.init).map { $0 / 86_400 },
                lostLines: max(0, (log.firstSeq ?? 1) - 1 - seq))
        }
    }
}
