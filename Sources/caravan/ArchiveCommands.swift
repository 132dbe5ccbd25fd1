import ArgumentParser
import Glibc
import Host
import Store
import TLS
import Tracking
import Wire

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the log into an archive, or its feed lines for other programs.",
        discussion: """
            The archive holds the log as of one moment: each batch with the instant it was decided at, its
            lines and whose they are, events, output, quarantine, marks, posts and cursors. Of it `caravan
            import` makes an equal database, with the same build. The feed goes on meanwhile. It holds the
            hashes of tokens: it is made readable by its owner alone.

            With --lines it writes one JSON line for each feed line that was taken: when it was received,
            from whom, and the line itself, as text.

            EXAMPLES
              caravan export --out caravan.archive --config /etc/caravan/caravan.yaml
              caravan export | zstd > caravan.archive.zst
              caravan export --lines | jq -r .line | caravan push --server other:7601
            """)

    @Option(name: .long, help: "The file; - for standard output.")
    var out = "-"

    @Flag(name: .long, help: "Feed lines with their received times, and nothing else.")
    var lines = false

    @Flag(
        name: .long,
        help: "Add the snapshot although the log reaches back to its first batch: starts sooner.")
    var snapshot = false

    @OptionGroup var options: DatabaseOptions

    func run() async throws {
        try await Console.failing {
            let conninfo = try await options.conninfo()
            // What has the name is whole.
            let fresh = out == "-" ? nil : try Replacement(of: out, mode: 0o600)
            let file = fresh?.file ?? .standardOutput
            var pending: [UInt8] = []
            func put(_ bytes: [UInt8]) throws {
                pending += bytes
                guard pending.count > 1 << 18 else { return }
                try file.write(pending)
                pending.removeAll(keepingCapacity: true)
            }
            let summary: String
            var missing = 0
            if lines {
                var count = 0
                try Archive.lines(conninfo) { line in
                    try put(Export.json(line))
                    count += 1
                }
                summary = "\(count) lines"
            } else {
                let done = try Archive.write(
                    conninfo, withSnapshot: snapshot, sealedBy: Digest(), to: put)
                missing = done.missing
                summary = "log \(done.log) up to batch \(done.batch), \(done.rows) rows"
            }
            try file.write(pending)
            try fresh?.commit(isDurable: true)
            Console.error(summary)
            if missing != 0 {
                Console.error(
                    "caravan: of the log \(missing) batches in between are not there: they were dropped, or "
                        + "somebody has deleted them")
            }
        }
    }

    private static func json(_ line: Archive.TakenLine) -> [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("received", TimeText.string(line.received))
        out.field("batch", line.batch)
        if !line.post.isEmpty { out.field("post", line.post) }
        if !line.stream.isEmpty { out.field("stream", line.stream) }
        out.field("line", String(decoding: line.bytes, as: UTF8.self))
        out.endLine()
        return out.bytes
    }
}

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a database of an archive that caravan export wrote.",
        discussion: """
            The database is new: made by createdb and caravan migrate, and no daemon has written in it. All of
            the archive comes in, or nothing. Its log gets another name, since the one that it was taken of may
            go on; consumers are told so. With --keep-log it keeps its name: only where the other is gone.

            EXAMPLES
              caravan import caravan.archive --database postgresql:///copy
              zstdcat caravan.archive.zst | caravan import - --config /etc/caravan/caravan.yaml --keep-log
            """)

    @Argument(help: "The archive; - for standard input.") var file: String

    @Flag(name: .long, help: "It takes the place of the log that it was taken of.")
    var keepLog = false

    @OptionGroup var options: DatabaseOptions

    func run() async throws {
        try await Console.failing {
            var reader = LineReader(file == "-" ? .standardInput : try ByteFile(reading: file))
            let done = try Archive.read(
                try await options.conninfo(), keepsLog: keepLog, sealedBy: Digest()
            ) { try reader.next() }
            Console.error("log \(done.log) up to batch \(done.batch), \(done.rows) rows")
        }
    }
}

extension Digest: Archive.Seal {}

/// Cuts a file into lines, each with its LF.
struct LineReader {
    private let file: ByteFile
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(_ file: ByteFile) { self.file = file }

    /// nil at the end. A last line without an LF is none: it was cut off.
    mutating func next() throws -> [UInt8]? {
        var searched = start
        while true {
            if let feed = buffer[searched...].firstIndex(of: 0x0A) {
                defer { start = feed + 1 }
                return Array(buffer[start...feed])
            }
            searched = buffer.count - start
            buffer.removeFirst(start)
            start = 0
            if isAtEnd { return nil }
            var space = [UInt8](repeating: 0, count: 1 << 18)
            let count = read(file.descriptor, &space, space.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure("the archive cannot be read") }
            if count == 0 { isAtEnd = true }
            buffer += space[..<count]
        }
    }
}
