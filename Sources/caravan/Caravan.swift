import ArgumentParser
import Daemon
import FoundationEssentials
import Glibc
import Host
import Settings
import Wire

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
        version: Version.text,
        subcommands: [
            Up.self, Push.self, Tail.self, AlertsCommand.self, Show.self, NetworkCommand.self,
            Simulate.self,
            BacktestCommand.self, PostCommand.self, ConsumerCommand.self, QuarantineCommand.self,
            Migrate.self,
            DoctorCommand.self,
            Export.self, Import.self, VerifyCommand.self, Manual.self,
        ])

    /// One program under two names: called `caravand` it is the daemon, so that a package carries the
    /// runtime once.
    static func main() async {
        let name = CommandLine.arguments.first?.split(separator: "/").last
        if name == "caravand" { await DaemonCommand.runWithHouseStatus() }
        await runWithHouseStatus()
    }
}

/// An error that ends the program with a sentence and an exit status.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

enum Console {
    /// What we say about what went wrong. A stranger's words in it act on nothing; a terminal that is
    /// gone is no reason to end before what is under way has ended well.
    static func error(_ text: String) {
        ByteFile.standardError.say(Printable.text(text, keepingLineFeeds: true) + "\n")
    }

    /// Lines of JSON, or another program's bytes: on a terminal nothing in them acts on it.
    /// Where they cannot be written the program ends: nobody may take them for read.
    static func write(_ bytes: [UInt8]) {
        guard Terminal.isTerminal else {
            do { try ByteFile.standardOutput.write(bytes) } catch {
                self.error("caravan: standard output: \(error)")
                Glibc.exit(1)
            }
            return
        }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        ByteFile.standardOutput.say(
            lines.map { Printable.json(String($0)) }.joined(separator: "\n"))
    }

    /// Says what went wrong on stderr and ends with status 1.
    static func failing(_ body: () async throws -> Void) async throws {
        do { try await body() } catch let code as ExitCode {
            throw code
        } catch {
            self.error("caravan: \(error)")
            if let advice = Doctor.advice("\(error)") { self.error(advice) }
            throw ExitCode(1)
        }
    }
}
