import ArgumentParser
import Engine
import FoundationEssentials
import Host
import Store
import TLS
import Tracking
import Wire

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that the output is what was said, and let others check it.",
        discussion: """
            Beside the output the daemon keeps a chain of hashes: for each batch that said something the
            SHA-256 of the link before and of its lines, each with its LF. Whoever has signed a link, or has
            a signed one from somebody, can tell whether a line was changed, left out or added since.

            EXAMPLES
              caravan verify
              caravan verify key --out caravan-sign.pem > caravan-sign.pub
              caravan verify sign --key caravan-sign.pem > today.json
              caravan verify --checkpoint today.json --public-key caravan-sign.pub
              caravan verify chain > chain.ndjson
              caravan verify copy output.ndjson --chain chain.ndjson --checkpoint today.json \\
                --public-key caravan-sign.pub
            """,
        subcommands: [Check.self, Sign.self, Key.self, Chain.self, Copy.self],
        defaultSubcommand: Check.self)

    /// A signed link, and whose key it is checked with.
    struct CheckpointOptions: ParsableArguments {
        @Option(name: .long, help: "A file with a signed link, as caravan verify sign writes it.")
        var checkpoint: String?

        @Option(name: .long, help: "The public key of whoever signed it (PEM).")
        var publicKey: String?

        func validate() throws {
            guard (checkpoint == nil) == (publicKey == nil) else {
                throw ValidationError("--checkpoint and --public-key go together")
            }
        }

        func read() throws -> SignedLink? {
            guard let checkpoint, let publicKey else { return nil }
            let key = try VerifyCommand.parse(publicKey) { try SigningKey(publicPEM: $0) }
            let signed = try VerifyCommand.parse(checkpoint) { try SignedLink($0) }
            guard key.hasSigned(signed.message, signed.signature) else {
                throw Failure("\(checkpoint) was not signed with the key in \(publicKey)")
            }
            return signed
        }
    }

    /// What a file says; what is wrong with it is said with its name.
    static func parse<T: ~Copyable>(_ path: String, _ parse: ([UInt8]) throws -> T) throws -> T {
        do { return try parse(try read(path)) } catch let failure as TLSFailure {
            throw Failure(
                "\(path) is no such key (PEM, Ed25519, as caravan verify key makes it): \(failure)")
        } catch let failure as Failure { throw Failure("\(path): \(failure)") }
    }

    static func read(_ path: String) throws -> [UInt8] {
        path == "-"
            ? try ByteFile.standardInput.readAll() : try ByteFile(reading: path).readAll()
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the output that the database holds.")

        @Option(name: .long, help: "The first output number; otherwise the first that is kept.")
        var from: Int?
        @Option(name: .long, help: "The last output number; otherwise the last.")
        var to: Int?
        @OptionGroup var signed: CheckpointOptions
        @OptionGroup var options: DatabaseOptions

        func validate() throws {
            if let from, let to, from > to { throw ValidationError("--from lies behind --to") }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let given = try signed.read()
                let head = try await store.head()
                if let given, given.log != head.log {
                    throw Failure(
                        "the link is of log \(given.log), and this is \(head.log): the database was "
                            + "restored to an older state since, or is another one")
                }
                let first = try await store.outputRange().first
                if let beyond = [from, to].compactMap({ $0 }).first(where: { $0 > head.seq }) {
                    throw Failure("the last line is \(head.seq); there is no line \(beyond)")
                }
                var checker = ChainChecker(signed: given)
                let start = max(from ?? 1, first)
                var batch = try await store.link(before: start).map { anchor in
                    try checker.begin(anchor)
                    return anchor.batch
                }
                var lines: [OutputLine] = []
                while true {
                    let links = try await store.links(after: batch ?? 0, limit: 1_000)
                    if links.isEmpty { break }
                    for link in links {
                        if let to, link.firstSeq > to { break }
                        while lines.last?.seq ?? 0 < link.lastSeq {
                            let after = max(lines.last?.seq ?? 0, link.firstSeq - 1)
                            let more = try await store.output(after: after, limit: 5_000)
                            if more.isEmpty { break }
                            lines += more
                        }
                        let own = lines.prefix { $0.seq <= link.lastSeq }
                        try checker.check(link, own.filter { $0.seq >= link.firstSeq }.map(\.bytes))
                        for line in own { try Check.compare(line) }
                        lines.removeFirst(own.count)
                    }
                    batch = links.last?.batch
                    if let to, let last = links.last, last.lastSeq >= to { break }
                }
                try checker.finish()
                if let batch, let last = try await store.link(before: head.seq + 1),
                    last.lastSeq < min(to ?? head.seq, head.seq)
                {
                    throw Failure(
                        "\(head.seq) lines were given out, and the chain ends with line \(last.lastSeq) (batch "
                            + "\(batch)): its end was taken away")
                }
                print(checker.summary)
            }
        }

        /// By what stands beside a line, readers of history find it: it says the same.
        private static func compare(_ line: OutputLine) throws {
            guard line.kind != "gap", let object = FlatObject(line.bytes) else { return }
            let isSame =
                object.text("kind") == line.kind && object.text("type") == line.type
                && object.text("severity") == line.severity?.code
                && object.text("container") == line.container
                && object.text("shipment") == line.shipment && object.text("place") == line.place
            guard isSame else {
                throw Failure(
                    "line \(line.seq) is filed under something else than it says: its kind, type, severity, "
                        + "container, shipment or place was changed")
            }
        }
    }

    struct Sign: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign the last link: what was said up to now.")

        @Option(name: .long, help: "The private key (PEM), as caravan verify key makes it.")
        var key: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let head = try await store.head()
                guard let last = try await store.link(before: head.seq + 1) else {
                    throw Failure("nothing has been said yet")
                }
                let key = try VerifyCommand.parse(self.key) { try SigningKey(privatePEM: $0) }
                var signed = SignedLink(
                    log: head.log, seq: last.lastSeq, hash: last.hash, time: wallNow())
                signed.signature = try key.sign(signed.message)
                Console.write(signed.json)
            }
        }
    }

    struct Key: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key to sign with; prints its public half.")

        @Option(name: .long, help: "The file for the private key; one that exists is not touched.")
        var out: String

        func run() async throws {
            try await Console.failing {
                guard !FileManager.default.fileExists(atPath: out) else {
                    throw Failure("\(out) is there already, and is not touched")
                }
                let key = try SigningKey.make()
                let fresh = try Replacement(of: out, mode: 0o600)
                try fresh.file.write(key.privatePEM)
                try fresh.commit(isDurable: true)
                Console.write(key.publicPEM)
            }
        }
    }

    struct Chain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the links as JSON lines, for whoever has a copy of the output.")

        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                var batch = 0
                while true {
                    let links = try await store.links(after: batch, limit: 5_000)
                    guard let last = links.last else { return }
                    var out = JSONWriter()
                    for link in links {
                        out.begin()
                        out.field("batch", link.batch)
                        out.field("first", link.firstSeq)
                        out.field("last", link.lastSeq)
                        out.field("hash", SignedLink.hex(link.hash))
                        out.endLine()
                    }
                    Console.write(out.bytes)
                    batch = last.batch
                }
            }
        }
    }

    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a copy of the output against the links, without a database.")

        @Argument(help: "The lines, as a tail gets them; - for standard input.") var lines: String
        @Option(name: .long, help: "The links, as caravan verify chain writes them.") var chain:
            String
        @OptionGroup var signed: CheckpointOptions

        func run() async throws {
            try await Console.failing {
                var checker = ChainChecker(signed: try signed.read())
                let copy = try VerifyCommand.read(lines).split(separator: 0x0A).map(Array.init)
                    .compactMap { line in
                        FlatObject(line).flatMap { object in
                            ["eta", "alert", "score"].contains(object.text("kind") ?? "")
                                ? object.integer("seq").map { (seq: $0, bytes: line) } : nil
                        }
                    }
                guard let first = copy.first?.seq, let end = copy.last?.seq else {
                    throw Failure("there are no lines in \(lines)")
                }
                var at = 0
                for text in try VerifyCommand.read(chain).split(separator: 0x0A) {
                    let link = try VerifyCommand.parse(chain) { _ in
                        try ChainLink(line: Array(text))
                    }
                    if link.firstSeq > end { break }
                    let own = copy[at...].prefix { $0.seq <= link.lastSeq }
                    at += own.count
                    // What begins before the copy does, or ends behind it, cannot be checked; what comes
                    // after the one hangs on it.
                    if link.firstSeq < first {
                        try checker.begin(link)
                    } else if link.lastSeq > end {
                        Console.error(
                            "the copy ends within a link: its last \(own.count) lines are not checked"
                        )
                    } else {
                        if own.count < link.lastSeq - link.firstSeq + 1 { checker.isCut = true }
                        try checker.check(link, own.map(\.bytes))
                    }
                }
                try checker.finish()
                print(checker.summary)
                guard at == copy.count else {
                    throw Failure(
                        "\(copy.count - at) lines behind that are in no link: the links are older than the "
                            + "copy, or the lines were never said")
                }
            }
        }
    }
}

/// Goes along a chain, link by link.
struct ChainChecker {
    let signed: SignedLink?
    private var before: ChainLink?
    private var first: Int?
    private var count = 0
    private var isSignedFound = false
    /// Numbers are missing among the lines that are checked.
    var isCut = false

    init(signed: SignedLink?) { self.signed = signed }

    /// The link that the first to be checked hangs on.
    mutating func begin(_ anchor: ChainLink) throws {
        before = anchor
        try compare(anchor)
    }

    private mutating func compare(_ link: ChainLink) throws {
        guard let signed, signed.seq == link.lastSeq else { return }
        guard signed.hash == link.hash else {
            throw Failure(
                "up to line \(signed.seq) another output was signed on "
                    + "\(TimeText.string(signed.time)): its link is \(SignedLink.hex(signed.hash))")
        }
        isSignedFound = true
    }

    mutating func check(_ link: ChainLink, _ lines: [[UInt8]]) throws {
        if let before, link.firstSeq != before.lastSeq + 1 {
            throw Failure(
                "the chain has no link for the lines \(before.lastSeq + 1) to \(link.firstSeq - 1)")
        }
        let made = HashChain.link(after: before?.hash ?? HashChain.origin, lines)
        if made != link.hash, before == nil, link.firstSeq > 1 {
            // The links before it are not kept: the rest hangs on it.
            return try begin(link)
        }
        guard made == link.hash else {
            if isCut {
                throw Failure(
                    "of the lines \(link.firstSeq) to \(link.lastSeq) some are missing here: a copy that was "
                        + "filtered cannot be checked")
            }
            throw Failure(
                "the lines \(link.firstSeq) to \(link.lastSeq) are not those that were said: batch "
                    + "\(link.batch) hashes to \(SignedLink.hex(made)), its link is "
                    + SignedLink.hex(link.hash))
        }
        isCut = false
        first = first ?? link.firstSeq
        count += 1
        before = link
        try compare(link)
    }

    func finish() throws {
        guard count > 0 else {
            throw Failure("there is nothing to check: no link of the chain is kept")
        }
        if let signed, !isSignedFound {
            throw Failure(
                "line \(signed.seq), up to which was signed, does not end a link of what was checked"
            )
        }
    }

    var summary: String {
        let upTo = before?.lastSeq ?? 0
        let hash = SignedLink.hex(before?.hash ?? [])
        return "lines \(first ?? 0) to \(upTo) are what was said (\(count) links, the last \(hash))"
            + (isSignedFound ? "; up to \(signed?.seq ?? 0) they are what was signed" : "")
    }
}

/// How far a log had come, as somebody signed it.
struct SignedLink {
    var log: String
    var seq: Int
    var hash: [UInt8]
    var time: Instant
    var signature: [UInt8] = []

    init(log: String, seq: Int, hash: [UInt8], time: Instant) {
        self.log = log
        self.seq = seq
        self.hash = hash
        self.time = time
    }

    init(_ bytes: [UInt8]) throws {
        let line = bytes.prefix { $0 != 0x0A }
        guard let object = FlatObject(Array(line)), object.text("checkpoint") == "caravan/1",
            let log = object.text("log"), let seq = object.integer("seq"),
            let hash = object.text("hash").flatMap(SignedLink.bytes),
            let time = object.instant("time"),
            let signature = object.text("signature").flatMap(SignedLink.bytes)
        else { throw Failure("that is no signed link, as caravan verify sign writes it") }
        self.init(log: log, seq: seq, hash: hash, time: time)
        self.signature = signature
    }

    /// What is signed.
    var message: [UInt8] {
        Array(
            "caravan/1\n\(log)\n\(seq)\n\(SignedLink.hex(hash))\n\(TimeText.string(time))\n".utf8)
    }

    var json: [UInt8] {
        var out = JSONWriter()
        out.begin()
        out.field("checkpoint", "caravan/1")
        out.field("log", log)
        out.field("seq", seq)
        out.field("hash", SignedLink.hex(hash))
        out.field("time", time)
        out.field("signature", SignedLink.hex(signature))
        out.endLine()
        return out.bytes
    }

    static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func bytes(_ hex: String) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var out: [UInt8] = []
        for at in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[at...(at + 1)], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { return nil }
            out.append(byte)
        }
        return out
    }
}

extension ChainLink {
    /// As `caravan verify chain` writes it.
    init(line: [UInt8]) throws {
        guard let object = FlatObject(line), let batch = object.integer("batch"),
            let first = object.integer("first"), let last = object.integer("last"),
            let hash = object.text("hash").flatMap(SignedLink.bytes)
        else { throw Failure("that is no link of a chain, as caravan verify chain writes it") }
        self.init(batch: batch, firstSeq: first, lastSeq: last, hash: hash)
    }
}
