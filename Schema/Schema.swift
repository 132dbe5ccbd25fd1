/// One step from a schema version to the next.
public struct Migration: Sendable {
    public let version: Int
    public let name: String
    public let sql: String

    init(_ version: Int, _ name: String, _ bytes: [UInt8]) {
        self.version = version
        self.name = name
        sql = String(decoding: bytes, as: UTF8.self)
    }
}

/// The numbered migrations of this folder, which are the only place with DDL.
public enum Migrations {
    public static let all: [Migration] = [
        Migration(1, "foundation", PackageResources._001_foundation_sql),
        Migration(2, "posts, lease, quarantine", PackageResources._002_posts_lease_quarantine_sql),
        Migration(3, "kept partitions", PackageResources._003_kept_partitions_sql),
        Migration(4, "state that goes back", PackageResources._004_state_that_goes_back_sql),
        Migration(5, "what was meant", PackageResources._005_what_was_meant_sql),
        Migration(6, "archives", PackageResources._006_archives_sql),
        Migration(7, "operators", PackageResources._007_operators_sql),
        Migration(8, "parties", PackageResources._008_parties_sql),
    ]

    /// The version that this program needs.
    public static var newest: Int { all.count }
}
