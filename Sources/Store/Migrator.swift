import Engine
import Schema

/// Brings a database to this program's schema version.
public enum Migrator {
    public static var newest: Int { Migrations.newest }

    /// A session with a database that is not of a newer program: what that means by its tables nobody knows here.
    static func connect(
        _ conninfo: String, deadlineSeconds: Double
    ) throws(StoreFailure) -> Connection {
        let connection = try Connection(conninfo, deadlineSeconds: deadlineSeconds)
        var found = 0
        do {
            let answer = try connection.query(
                "select coalesce(max(version), 0)::int8 from schema_version", [],
                "reading the schema version")
            found = Int(answer.integer(0, 0))
        } catch {
            // Where there is no schema, whoever asks for a table of it says so.
            guard error.state == "42P01" else { throw error }
        }
        guard found <= newest else {
            throw StoreFailure(
                .fatal, "reading the schema version",
                "the database has schema version \(found), this program knows \(newest): "
                    + "install a newer caravand and its tools")
        }
        return connection
    }

    /// Applies what is missing, each migration in a transaction of its own; two migrators at a time
    /// wait for each other. Returns the names of those applied. Refuses a database that is newer.
    public static func migrate(_ conninfo: String) throws(StoreFailure) -> [String] {
        let connection = try Connection(conninfo, deadlineSeconds: 3_600)
        // What is long in the tables takes its time here.
        try connection.run(
            "set statement_timeout = 0; set lock_timeout = '60s'", "preparing to migrate")
        try Writer.demandUTF8(connection)
        try connection.run("select pg_advisory_lock(4702394921427289928)", "waiting for migrators")
        try connection.run(
            """
            create table if not exists schema_version (
                version integer primary key, name text not null,
                applied_at timestamptz not null default now())
            """, "reading the schema version")
        let found = try connection.query(
            "select coalesce(max(version), 0) from schema_version", [],
            "reading the schema version")
        let current = Int(found.integer(0, 0))
        guard current <= newest else {
            throw StoreFailure(
                .fatal, "migrating",
                "the database has schema version \(current), this program knows \(newest): "
                    + "install a newer caravan")
        }
        var applied: [String] = []
        for migration in Migrations.all where migration.version > current {
            let operation = "applying migration \(migration.version) (\(migration.name))"
            try connection.run("begin", operation)
            try connection.run(migration.sql, operation)
            _ = try connection.query(
                "insert into schema_version (version, name) values ($1::int8::int4, $2)",
                [.integer(migration.version), .text(migration.name)], operation)
            try connection.commit()
            applied.append("\(migration.version) \(migration.name)")
        }
        _ = try connection.query("select make_partitions(7)", [], "making partitions")
        return applied
    }
}
