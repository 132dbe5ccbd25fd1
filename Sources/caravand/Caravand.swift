import ArgumentParser
import Daemon
import Foundation
import Logging
import NIOPosix
import Server
import ServiceLifecycle
import Settings
import UnixSignals

@main
struct Caravand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caravand",
        abstract: "Tracks container shipments: feed in, log in PostgreSQL, forecasts out.",
        discussion: """
            EXAMPLES
              caravand --config /etc/caravan/caravan.yaml
              caravand --check-config --config caravan.yaml
              CARAVAN_DATABASE_URL=postgresql:///caravan caravand --set log.level=debug

            Every setting is also an environment variable (feed.window: CARAVAN_FEED_WINDOW) and a
            flag (--set feed.window=100); the flag wins, then the variable, then the file.
            """,
        version: "caravan 0.1.0")

    static func main() async { await runWithHouseStatus() }

    @Option(name: .long, help: "The configuration file (YAML).")
    var config: String?

    @Flag(name: .long, help: "Check the configuration, say what is wrong, and stop.")
    var checkConfig = false

    @Option(name: .long, help: "Set one setting: key=value. May be given many times.")
    var set: [String] = []

    func run() async throws {
        let plan: DaemonPlan
        do {
            let settings = try await Settings.load(
                file: config, overrides: set, environment: ProcessInfo.processInfo.environment)
            plan = try DaemonPlan(settings)
        } catch {
            FileHandle.standardError.write(Data("caravand: \(error)\n".utf8))
            throw ExitCode(2)
        }
        if checkConfig {
            print("the configuration is good: \(Setting.all.count) settings")
            return
        }
        LoggingSystem.bootstrap { PrintableLogHandler(StreamLogHandler.standardError(label: $0)) }
        var logger = Logger(label: "caravand")
        logger.logLevel = plan.logLevel
        let run: RunFolder
        do { run = try RunFolder(plan.runFolder, state: plan.stateFolder) } catch {
            FileHandle.standardError.write(Data("caravand: \(error)\n".utf8))
            throw ExitCode(1)
        }
        let group = MultiThreadedEventLoopGroup.singleton
        let environment = ProcessInfo.processInfo.environment
        let daemon = Daemon(
            plan: plan, run: run, group: group, logger: logger,
            manager: ServiceManager(environment: environment),
            inherited: InheritedSockets(environment: environment))
        let services = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do { try await services.run() } catch {
            FileHandle.standardError.write(Data("caravand: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }
}
