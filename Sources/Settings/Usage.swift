public import ArgumentParser
import FoundationEssentials
import Glibc
import Host

extension AsyncParsableCommand {
    /// `main` whose exit status is 2 for wrong usage, as every program of the house has it; the
    /// parser's own would be 64.
    public static func runWithHouseStatus() async -> Never {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            // What is still to be written may not be.
            if fflush(nil) != 0 {
                ByteFile.standardError.say("standard output: \(String(cString: strerror(errno)))\n")
                Glibc.exit(1)
            }
            Glibc.exit(0)
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            ByteFile.standardError.say(fullMessage(for: error) + "\n")
            Glibc.exit(2)
        }
    }
}
