import ArgumentParser
import Engine
import FoundationEssentials
import Glibc
import Store
import Tracking
import Wire

struct QuarantineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine",
        abstract: "Lines that were refused: look at them, have them judged again, discard them.",
        discussion: """
            A line has the name BATCH/ITEM. Replaying sends its bytes the way of all lines, under
            the name of the post that sent it; the daemon does so within two seconds. What is
            refused again comes back as a new entry.

            EXAMPLES
              caravan quarantine list --code check-digit
              caravan quarantine show 812/3
              caravan quarantine replay 812/3 812/4
              caravan quarantine replay 812/3 --as MSKU0308961
              caravan quarantine replay --post KZHOR-GATE2 --code forbidden
              caravan quarantine discard 812/3
            """,
        subcommands: [List.self, Show.self, Replay.self, Discard.self])

    /// Which lines are meant: some by name, or all that match.
    struct Selection: ParsableArguments {
        @Argument(help: "Lines, as BATCH/ITEM.") var lines: [String] = []
        @Option(help: "All waiting lines of this post.") var post: String?
        @Option(help: "All waiting lines refused with this code.") var code: String?
        @OptionGroup var options: DatabaseOptions

        func validate() throws {
            guard !lines.isEmpty || post != nil || code != nil else {
                throw ValidationError("say which lines: BATCH/ITEM, --post or --code")
            }
        }

        func find(_ store: PostgresLog) async throws -> [QuarantinedLine] {
            if lines.isEmpty {
                return try await store.quarantined(post: post, code: code, limit: 100_000)
            }
            var found: [QuarantinedLine] = []
            for name in lines { found.append(try await QuarantineCommand.line(name, store)) }
            return found
        }
    }

    static func line(_ name: String, _ store: PostgresLog) async throws -> QuarantinedLine {
        let parts = name.split(separator: "/")
        guard parts.count == 2, let batch = Int(parts[0]), let item = Int(parts[1]) else {
            throw Failure("'\(name)' is no line; a line's name is BATCH/ITEM, such as 812/3")
        }
        guard let found = try await store.quarantined(batch: batch, item: item) else {
            throw Failure("no line \(name) is in the quarantine")
        }
        return found
    }

    static func write(_ line: QuarantinedLine, bytes: Bool) {
        let text = String(decoding: line.bytes, as: UTF8.self)
        if Terminal.isTerminal {
            let settled = line.settled.map { ", \($0)" } ?? ""
            let words =
                "\(line.name)  \(TimeText.string(line.receivedAt))  \(line.code)  \(line.detail)"
                + (line.origin.post.isEmpty ? "" : "  (\(line.origin.post))") + settled
            print(Printable.text(words))
            if bytes { print("    \(Printable.text(text))") }
            return
        }
        var out = JSONWriter()
        out.begin()
        out.field("line", line.name)
        out.field("time", line.receivedAt)
        out.field("code", line.code)
        out.field("field", line.field)
        out.field("detail", line.detail)
        if !line.origin.post.isEmpty { out.field("post", line.origin.post) }
        if !line.origin.stream.isEmpty { out.field("stream", line.origin.stream) }
        out.field("length", line.length)
        out.field("settled", line.settled)
        if bytes { out.field("text", text) }
        out.endLine()
        Console.write(out.bytes)
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lines that wait, newest first.")

        @Option(help: "Only this post's.") var post: String?
        @Option(help: "Only those refused with this code.") var code: String?
        @Flag(help: "Those replayed and discarded too.") var all = false
        @Option(help: "At most so many.") var limit = 1_000
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let found = try await store.quarantined(
                    post: post, code: code, settledToo: all, limit: limit)
                for line in found { QuarantineCommand.write(line, bytes: false) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "One line with its bytes.")

        @Argument(help: "The line, as BATCH/ITEM.") var name: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                QuarantineCommand.write(
                    try await QuarantineCommand.line(name, store), bytes: true)
            }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have lines judged again, and wait for the verdict.")

        @OptionGroup var selection: Selection
        @Option(
            name: .customLong("as"),
            help: "The container's number that the line is about; the reject suggests some.")
        var container: String?
        @Option(help: "Seconds to wait for the daemon; 0: do not wait.") var seconds = 30.0

        func validate() throws {
            guard seconds >= 0, seconds.isFinite else {
                throw ValidationError("--seconds is \(seconds); allowed is 0 or more")
            }
            guard let container else { return }
            guard ContainerNumber(ContainerNumber.plain(container)) != nil else {
                throw ValidationError("--as is '\(container)', which is no container number")
            }
            guard selection.lines.count == 1 else {
                throw ValidationError("--as is about one line: name it, as BATCH/ITEM")
            }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(selection.options)
                let meant = container.flatMap { ContainerNumber(ContainerNumber.plain($0)) }
                let found = try await selection.find(store).filter { $0.settled == nil }
                let before = try await store.quarantined(limit: 1).first?.batch ?? 0
                var asked: [QuarantinedLine] = []
                for line in found {
                    guard line.isWhole else {
                        Console.error(
                            "\(line.name): only the head of it was kept; the sender must send it")
                        continue
                    }
                    let isAsked = try await store.requestReplay(
                        batch: line.batch, item: line.item, as: meant?.description)
                    if isAsked {
                        asked.append(line)
                    }
                }
                let deadline = Date().addingTimeInterval(seconds)
                var left = asked
                while seconds > 0, !left.isEmpty, Date() < deadline {
                    try await Task.sleep(for: .milliseconds(200))
                    var waiting: [QuarantinedLine] = []
                    for line in left {
                        let now = try await store.quarantined(batch: line.batch, item: line.item)
                        if now?.settled == nil { waiting.append(line) }
                    }
                    left = waiting
                }
                if seconds > 0, !left.isEmpty {
                    throw Failure("\(left.count) lines wait for the daemon still")
                }
                if seconds == 0, !left.isEmpty {
                    Console.error(
                        "\(left.count) lines are to be judged again; caravan quarantine list shows what "
                            + "became of them")
                    return
                }
                if found.isEmpty {
                    Console.error("none of these lines waits: what is settled is not replayed")
                }
                // What is refused again lies there anew, under another name, and in no stream.
                let again = try await store.quarantined().filter { line in
                    line.batch > before
                        && asked.contains {
                            $0.origin.post == line.origin.post
                                && ($0.bytes == line.bytes
                                    || meant.map {
                                        String(decoding: line.bytes, as: UTF8.self).contains(
                                            "\($0)")
                                    } == true)
                        }
                }
                for line in again {
                    Console.error("refused again, now \(line.name): \(line.detail)")
                }
                Console.error("\(asked.count) lines replayed, \(again.count) refused again")
                if asked.count < found.count || !again.isEmpty { throw ExitCode(1) }
            }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Settle lines that nobody will mend. They are kept, and no longer listed.")

        @OptionGroup var selection: Selection

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(selection.options)
                var count = 0
                for line in try await selection.find(store) {
                    if try await store.discard(batch: line.batch, item: line.item) { count += 1 }
                }
                Console.error("\(count) lines discarded")
            }
        }
    }
}
