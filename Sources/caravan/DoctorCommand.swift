import ArgumentParser
import Daemon
import FoundationEssentials
import Settings

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at everything the daemon lives by: what is wrong, and what to do about it.",
        discussion: """
            Rights, certificates, disks, clock, time zones, ports; the database, its settings, schema,
            partitions and standbys; the writer, posts and consumers. It changes nothing.

            Status 0: all is well. 1: somebody should know of something. 2: something does not work, or
            a promise does not hold.

            EXAMPLES
              caravan doctor --config /etc/caravan/caravan.yaml
              caravan doctor --json | jq 'select(.level == "bad")'
            """)

    @OptionGroup var options: DatabaseOptions

    @Flag(name: .long, help: "A line of JSON for each finding.")
    var json = false

    func run() async throws {
        try await Console.failing {
            let findings: [Finding]
            do { findings = try await doctor().run() } catch {
                // Without a configuration nothing else can be looked at.
                findings = [
                    Finding(
                        .bad, "configuration", "\(error)",
                        advice: "caravand --check-config says more")
                ]
            }
            for finding in findings {
                Console.write(json ? finding.json : Array((finding.text + "\n").utf8))
            }
            switch findings.map(\.level).max() ?? .good {
            case .good: break
            case .note: throw ExitCode(1)
            case .bad: throw ExitCode(2)
            }
        }
    }

    private func doctor() async throws -> Doctor {
        guard options.database == nil else { return Doctor(database: try await options.conninfo()) }
        let environment = ProcessInfo.processInfo.environment
        if options.config != nil || environment["CARAVAN_DATABASE_URL"] != nil {
            let settings = try await Settings.load(
                file: options.config, overrides: [], environment: environment)
            return try Doctor(settings, file: options.config)
        }
        let folder = try UpFolder(options.dir)
        let conninfo = try await options.conninfo()
        let own = folder.configuration
        let file = FileManager.default.fileExists(atPath: own) ? own : nil
        let settings = try await Settings.load(
            file: file, overrides: ["run.folder=\(folder.run)", "database.url=\(conninfo)"],
            environment: environment)
        return try Doctor(settings, file: file)
    }
}
