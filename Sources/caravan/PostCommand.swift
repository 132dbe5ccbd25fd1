import ArgumentParser
import Engine
import FoundationEssentials
import Glibc
import Host
import Store
import TLS
import Tracking
import Wire

struct PostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "post",
        abstract: "Enrol, list and revoke posts: who may speak, and of which places.",
        discussion: """
            A post proves who it is by a token, which is shown once and stored as a hash, or by a
            certificate with the URI urn:caravan:post:NAME. The daemon notices within five seconds.

            EXAMPLES
              caravan post enrol KZHOR-GATE2 --place KZHOR --place ALTYNKOL
              caravan post enrol AGENT-7 --place '*' --zone Asia/Almaty --source MAEU
              caravan post enrol DEDUI-RAIL --place DEDUI --certificate
              caravan post enrol TOWER-1 --place '*' --operate
              caravan post token KZHOR-GATE2
              caravan post correct KZHOR-GATE2 --minutes -60 --from 2026-11-01T00:00:00+05:00
              caravan post list
            """,
        subcommands: [
            Enrol.self, List.self, Revoke.self, Token.self, PostCorrectCommand.self,
        ])

    static func store(_ options: DatabaseOptions) async throws -> PostgresLog {
        PostgresLog(StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
    }

    /// The network in force, by whose names places are understood.
    static func network(_ store: PostgresLog) async throws -> Network {
        guard let bytes = try await store.snapshot(about: "").network, !bytes.isEmpty else {
            return NetworkFile.shipped
        }
        return try NetworkFile.parse(bytes)
    }

    struct Enrol: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Enrol a post and print its token, or change its places: then the token stays.")

        @Argument(help: "The post's name.") var name: String
        @Option(
            name: .customLong("place"),
            help: "A place that it may report; may be given many times. '*': every place.")
        var places: [String]
        @Flag(help: "It shows a certificate and gets no token.") var certificate = false
        @Option(
            name: .long,
            help: ArgumentHelp(
                "The zone of its clock, for times without an offset: a name such as Asia/Almaty, or "
                    + "+05:00; '': that of the place that it speaks of."))
        var zone: String?
        @Option(
            name: .customLong("source"),
            help: ArgumentHelp(
                "A source in whose name it may speak, together with other posts that may; may be "
                    + "given many times; '': none. Left out, it stays as it was."))
        var sources: [String] = []
        @Flag(
            inversion: .prefixedNo,
            help: "It may acknowledge and silence alerts. Left out, it stays as it was.")
        var operate: Bool?
        @OptionGroup var options: DatabaseOptions

        func validate() throws {
            guard !places.isEmpty else {
                throw ValidationError("say which places the post may report: --place KZHOR")
            }
            guard !name.isEmpty, name.utf8.count <= 128, !name.contains(where: \.isWhitespace),
                Printable.firstActing(name) == nil
            else {
                throw ValidationError(
                    "a post's name is 1 to 128 bytes without spaces and control characters")
            }
            guard !places.contains(where: \.trimmed.isEmpty) else {
                throw ValidationError("--place '' names no place")
            }
            if let text = (places + sources).first(where: { Printable.firstActing($0) != nil }) {
                throw ValidationError("\(Printable.text(text)) holds a control character")
            }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let network = try await PostCommand.network(store)
                let codes = places.map { $0 == "*" ? $0 : network.canonical($0) }
                for code in codes where code != "*" && network.place(meant: code) == nil {
                    let near = network.places(near: code)
                    let hint = near.isEmpty ? "" : "; is \(near.joined(separator: " or ")) meant?"
                    Console.error("caravan: \(code) is no place of the network\(hint)")
                }
                if let zone, !zone.isEmpty, network.zone(named: zone) == nil {
                    throw Failure(
                        "--zone is '\(zone)'; allowed is a zone of the network, such as Asia/Almaty, "
                            + "or an offset, such as +05:00")
                }
                // Whoever is enrolled keeps its proof: a token of its own makes its running link no stranger's.
                let isKnown = try await store.roster().contains {
                    $0.name == name && !$0.isRevoked && $0.provesItselfByToken != certificate
                }
                let token = certificate || isKnown ? nil : try Secrets.token()
                try await store.enrol(
                    name, places: codes, tokenHash: token.map(Secrets.hash), zone: zone,
                    sources: sources.isEmpty ? nil : sources.filter { !$0.isEmpty },
                    operates: operate)
                Console.error("\(name) may report \(codes.joined(separator: ", "))")
                if let token {
                    Console.error("its token, shown this once:")
                    print(token)
                } else if !certificate {
                    Console.error("its token stays; caravan post token \(name) gives it a new one")
                }
            }
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a post a new token; the old one is void.")

        @Argument(help: "The post's name.") var name: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                guard let post = try await store.posts().first(where: { $0.name == name }),
                    !post.isRevoked
                else { throw Failure("post \(name) is not enrolled; see caravan post enrol") }
                guard post.tokenHash != nil else {
                    throw Failure(
                        "post \(name) shows a certificate; caravan post enrol without --certificate gives it "
                            + "a token")
                }
                let token = try Secrets.token()
                try await store.enrol(name, places: nil, tokenHash: Secrets.hash(token))
                print(token)
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a post in no more. Enrolling it again mends that.")

        @Argument(help: "The post's name.") var name: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                guard try await store.revoke(name) else {
                    throw Failure("post \(name) is not enrolled")
                }
                Console.error("\(name) is revoked")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The posts, their places, links and clocks.")

        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                for row in try await store.roster() { write(row) }
            }
        }

        private func write(_ post: PostOverview) {
            let proof =
                post.isRevoked ? nil : post.provesItselfByToken ? "token" : "certificate"
            let state = post.isRevoked ? "revoked" : "enrolled"
            if Terminal.isTerminal {
                let seen = post.lastLine.map { TimeText.string($0) } ?? "never"
                let ahead = post.clockAheadSeconds ?? 0
                let clock =
                    (ahead > 60 ? ", clock \(ahead) s ahead" : "")
                    + post.corrections.map {
                        let until = $0.until.map { " until \(TimeText.string($0))" } ?? ""
                        return ", \($0.minutes) min from \(TimeText.string($0.from))\(until)"
                    }.joined()
                print(
                    Printable.text(
                        "\(post.name)  \(state)\(proof.map { " by \($0)" } ?? ""), places "
                            + "\(post.places.joined(separator: " ")), "
                            + (post.mayOperate ? "may operate, " : "")
                            + "\(post.connections) connections, \(post.lines) lines, "
                            + "\(post.forbidden) forbidden, last \(seen)\(clock)"))
                return
            }
            var out = JSONWriter()
            out.begin()
            out.field("post", post.name)
            out.list("places", post.places)
            out.field("zone", post.zone)
            if !post.sources.isEmpty { out.list("sources", post.sources) }
            if post.mayOperate { out.field("operates", true) }
            if !post.corrections.isEmpty {
                out.objects("corrections", post.corrections) { correction, out in
                    out.field("minutes", correction.minutes)
                    out.field("from", correction.from)
                    out.field("until", correction.until)
                }
            }
            out.field("proof", proof)
            out.field("state", state)
            out.field("connections", post.connections)
            out.field("lines", post.lines)
            out.field("forbidden", post.forbidden)
            if let last = post.lastLine { out.field("lastLine", last) }
            if let ahead = post.clockAheadSeconds { out.field("clockAheadSeconds", ahead) }
            out.endLine()
            Console.write(out.bytes)
        }
    }
}
