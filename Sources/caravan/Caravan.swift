import ArgumentParser
import Foundation
import Settings

@main
struct Caravan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caravan",
        abstract: "Container tracking for posts, operators and consumers.",
        discussion: """
            EXAMPLES
              caravan up --demo                      everything on this machine, with traffic
              caravan push events.ndjson             send a file of lines, see them acknowledged
              caravan tail --kinds alert             follow the alerts
              caravan show MSKU0308961               one container's journey
              caravan network route CNSGH DEHAM --mode RAIL
            """,
        version: "caravan 0.1.0",
        subcommands: [
            Up.self, Push.self, Tail.self, Show.self, NetworkCommand.self, Simulate.self,
            BacktestCommand.self, PostCommand.self, QuarantineCommand.self, Migrate.self,
        ])

    static func main() async { await runWithHouseStatus() }
}

/// An error that ends the program with a sentence and an exit status.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

enum Console {
    static func error(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    static func write(_ bytes: [UInt8]) { FileHandle.standardOutput.write(Data(bytes)) }

    /// Says what went wrong on stderr and ends with status 1.
    static func failing(_ body: () async throws -> Void) async throws {
        do { try await body() } catch let code as ExitCode {
            throw code
        } catch {
            self.error("caravan: \(error)")
            throw ExitCode(1)
        }
    }
}
