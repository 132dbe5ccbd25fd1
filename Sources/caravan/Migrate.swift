import ArgumentParser
import Engine
import FoundationEssentials
import Settings
import Store

/// Where the database is: said, or by configuration, or of a folder of `caravan up`.
struct DatabaseOptions: ParsableArguments {
    @Option(name: .long, help: "libpq connection string or URI.")
    var database: String?

    @Option(name: .long, help: "The daemon's configuration file.")
    var config: String?

    @Option(name: .long, help: "The folder of caravan up.")
    var dir = "caravan-data"

    func conninfo() async throws -> String {
        if let database { return database }
        let environment = ProcessInfo.processInfo.environment
        if config != nil || environment["CARAVAN_DATABASE_URL"] != nil {
            let settings = try await Settings.load(
                file: config, overrides: [], environment: environment)
            let url = settings.text("database.url")
            if !url.isEmpty {
                return try ConnectionString(url).with(
                    passwordFile: settings.text("database.password-file"))
            }
        }
        let folder = try UpFolder(dir)
        guard FileManager.default.fileExists(atPath: folder.cluster + "/data/PG_VERSION") else {
            throw Failure(
                "which database? say --database, --config, or --dir of a caravan up folder")
        }
        return try PrivateCluster(folder: folder.cluster).conninfo
    }
}

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a database to this version's schema.",
        discussion: """
            Status 3: the database is out of reach, and nothing was tried.

            EXAMPLES
              caravan migrate --database postgresql:///caravan
              caravan migrate --config /etc/caravan/caravan.yaml
            """)

    @OptionGroup var options: DatabaseOptions

    func run() async throws {
        try await Console.failing {
            let conninfo = try await options.conninfo()
            let applied: [String]
            do { applied = try Migrator.migrate(conninfo) } catch let error as StoreFailure
                where error.kind == .unavailable
                && error.operation.hasPrefix("connecting")
            {
                Console.error("caravan: \(error)")
                throw ExitCode(3)
            }
            if applied.isEmpty { print("the schema is at version \(Migrator.newest) already") }
            for name in applied { print("applied \(name)") }
        }
    }
}
