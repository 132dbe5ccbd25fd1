import ArgumentParser
import FoundationEssentials
import Glibc
import Host
import Logging
import NIOPosix
import Server
import ServiceLifecycle
import Settings
import UnixSignals

/// The daemon as a program.
public struct DaemonCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "caravand",
        abstract: "Tracks container shipments: feed in, log in PostgreSQL, forecasts out.",
        discussion: """
            EXAMPLES
              caravand --config /etc/caravan/caravan.yaml
              caravand --check-config --config caravan.yaml
              CARAVAN_DATABASE_URL=postgresql:///caravan caravand --set log.level=debug

            Every setting is also an environment variable (feed.window: CARAVAN_FEED_WINDOW) and a
            flag (--set feed.window=100); the flag wins, then the variable, then the files conf.d/*.yaml
            beside the configuration, then the configuration itself.

            On SIGHUP it reads all of that again, with the network and the certificates; where any of it
            is not good it keeps what it had, and says why. On SIGTERM it commits, acknowledges and ends.
            """,
        version: Version.text)

    @Option(name: .long, help: "The configuration file (YAML).")
    var config: String?

    @Flag(
        name: .long,
        help: """
            Check the configuration, its files, certificates and the database; print what would run, and \
            stop. Status 2: the configuration is not good; 1: a file that it names is not.
            """)
    var checkConfig = false

    @Option(name: .long, help: "Set one setting: key=value. May be given many times.")
    var set: [String] = []

    public init() {}

    public func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let (config, set) = (config, set)
        let load: @Sendable () async throws -> DaemonPlan = {
            try DaemonPlan(
                try await Settings.load(file: config, overrides: set, environment: environment))
        }
        let plan: DaemonPlan
        do { plan = try await load() } catch {
            ByteFile.standardError.say("caravand: \(error)\n")
            throw ExitCode(2)
        }
        if checkConfig {
            let findings = await ConfigCheck(plan: plan, file: config).run()
            if findings.contains(where: { $0.level == .bad }) { throw ExitCode(1) }
            return
        }
        let level = LogLevel(plan.logLevel)
        LoggingSystem.bootstrap { DaemonLogHandler(label: $0, level: level) }
        let logger = Logger(label: "caravand")
        for warning in plan.settings.warnings { logger.warning("\(warning)") }
        let run: RunFolder
        do { run = try RunFolder(plan.runFolder, state: plan.stateFolder) } catch {
            ByteFile.standardError.say("caravand: \(error)\n")
            throw ExitCode(1)
        }
        let daemon = Daemon(
            plan: plan, load: load, run: run, group: MultiThreadedEventLoopGroup.singleton,
            logger: logger, level: level, manager: ServiceManager(environment: environment),
            inherited: InheritedSockets(environment: environment))
        let services = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do { try await services.run() } catch {
            ByteFile.standardError.say("caravand: \(error)\n")
            throw ExitCode(1)
        }
    }
}
