import ArgumentParser
import Engine
import Store
import Tracking
import Wire

/// Sets right what a post stated while its clock was wrong by whole hours, and takes that back.
struct PostCorrectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "correct",
        abstract:
            "Set right the times of a post whose clock or time zone was wrong by whole hours.",
        discussion: """
            The reports stay as they were sent; the daemon adds the minutes to their times, in journeys
            under way and in what comes, within five seconds; caravan show has it within a minute. Where
            several concern a time, the one that begins last counts. Taken back, everything is as before.

            EXAMPLES
              caravan post correct KZHOR-GATE2 --minutes -60 --from 2026-11-01T00:00:00+05:00
              caravan post correct KZHOR-GATE2 --minutes -60 --from 2026-11-01T00:00:00+05:00 \\
                --until 2026-11-20T09:00:00+05:00
              caravan post correct KZHOR-GATE2 --undo
            """)

    @Argument(help: "The post's name.") var name: String
    @Option(
        parsing: .unconditional,
        help: "What is added to its times: whole hours, such as -60 for a clock an hour ahead.")
    var minutes: Int?
    @Option(help: "The first time concerned, as the post stated it (RFC 3339, with its offset).")
    var from: String?
    @Option(
        help: "The time from which on its times are right again; left out: until it is taken back.")
    var until: String?
    @Flag(help: "Take back the correction that begins at --from, or all of the post.") var undo =
        false
    @OptionGroup var options: DatabaseOptions

    func validate() throws {
        for (name, text) in [("--from", from), ("--until", until)] {
            guard let text else { continue }
            guard let read = TimeText.parse(text), read.offsetMinutes != nil else {
                throw ValidationError(
                    "\(name) is '\(text)'; allowed is a time such as 2026-11-01T00:00:00+05:00")
            }
        }
        if undo {
            guard minutes == nil, until == nil else {
                throw ValidationError("--undo takes --from, or nothing")
            }
            return
        }
        guard let minutes, minutes != 0, minutes % 60 == 0, abs(minutes) <= 1_440 else {
            throw ValidationError(
                "--minutes is a whole number of hours, from -1440 to 1440; a clock that drifts is to be "
                    + "set, and cannot be corrected")
        }
        guard let start = instant(from) else {
            throw ValidationError(
                "say from when on its times were wrong: --from 2026-11-01T00:00:00Z")
        }
        if let end = instant(until), end <= start {
            throw ValidationError("--until lies before --from")
        }
    }

    private func instant(_ text: String?) -> Instant? {
        text.flatMap { TimeText.parse($0) }?.instant
    }

    func run() async throws {
        try await Console.failing {
            let store = try await PostCommand.store(options)
            if undo {
                let count = try await store.uncorrect(name, from: instant(from))
                guard count > 0 else { throw Failure("no such correction of \(name) is known") }
                Console.error(
                    "\(name): \(count == 1 ? "1 correction" : "\(count) corrections") taken back")
                return
            }
            let correction = ClockCorrection(
                minutes: minutes ?? 0, from: instant(from) ?? .unset, until: instant(until))
            guard try await store.correct(name, correction) else {
                throw Failure("post \(name) is not enrolled; see caravan post enrol")
            }
            let amount = (minutes ?? 0) > 0 ? "+\(minutes ?? 0)" : "\(minutes ?? 0)"
            let end = until.map { "until \($0)" } ?? "from then on"
            let start = from ?? ""
            Console.error(
                "what \(name) states from \(start) \(end) is read with \(amount) min; take it back with "
                    + "--undo --from \(start)")
        }
    }
}
