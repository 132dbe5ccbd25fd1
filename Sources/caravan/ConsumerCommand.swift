import ArgumentParser
import Engine
import Store
import TLS
import Tracking
import Wire

struct ConsumerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consumer",
        abstract: "Enrol, list and revoke consumers: who may read the output, and what of it.",
        discussion: """
            A consumer proves who it is by a token, which is shown once and stored as a hash, or by a
            certificate with the URI urn:caravan:consumer:NAME. What it may read is what all of its rights
            allow; without any it is everything. The daemon notices within fifteen seconds.

            EXAMPLES
              caravan consumer enrol TOWER-1 --kind alert --place DEDUI
              caravan consumer enrol KZHOR-GATE2 --about-post KZHOR-GATE2
              caravan consumer list
              caravan consumer forget TOWER-1 pager
              caravan consumer revoke TOWER-1
            """,
        subcommands: [Enrol.self, List.self, Revoke.self, Token.self, Forget.self])

    struct Enrol: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Enrol a consumer and print its token, or change its rights: then the token stays.")

        @Argument(help: "The consumer's name.") var name: String
        @Option(
            name: .customLong("kind"),
            help: ArgumentHelp(
                "A kind of lines that it may read: eta, alert, score; may be given many times. Left out, "
                    + "it stays as it was; '': any."))
        var kinds: [String] = []
        @Option(
            name: .customLong("place"),
            help: "A place whose lines it may read; may be given many times.")
        var places: [String] = []
        @Option(
            name: .customLong("shipment"),
            help: "A shipment whose lines it may read; may be given many times.")
        var shipments: [String] = []
        @Option(
            name: .customLong("about-post"),
            help:
                "A post alerts about which it may read, and nothing else; may be given many times.")
        var posts: [String] = []
        @Flag(help: "It shows a certificate and gets no token.") var certificate = false
        @OptionGroup var options: DatabaseOptions

        func validate() throws {
            guard !name.isEmpty, name.utf8.count <= 128, !name.contains(where: \.isWhitespace),
                Printable.firstActing(name) == nil
            else {
                throw ValidationError(
                    "a consumer's name is 1 to 128 bytes without spaces and control characters")
            }
            let known = ["eta", "alert", "score"]
            if let kind = kinds.first(where: { !$0.isEmpty && !known.contains($0) }) {
                throw ValidationError(
                    "--kind is '\(Printable.text(kind))'; allowed are \(known.joined(separator: ", "))"
                )
            }
            if let text = (places + shipments + posts).first(where: {
                Printable.firstActing($0) != nil
            }) {
                throw ValidationError(
                    "'\(Printable.text(text))' holds a control character")
            }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let network = try await PostCommand.network(store)
                let codes = places.map { $0.isEmpty ? $0 : network.canonical($0) }
                for code in codes where !code.isEmpty && network.place(meant: code) == nil {
                    let near = network.places(near: code)
                    let hint = near.isEmpty ? "" : "; is \(near.joined(separator: " or ")) meant?"
                    Console.error("caravan: \(code) is no place of the network\(hint)")
                }
                let known = try await store.enrolledConsumers().first { $0.name == name }
                let keeps =
                    known.map { !$0.isRevoked && ($0.tokenHash == nil) == certificate } ?? false
                let token = certificate || keeps ? nil : try Secrets.token()
                // What is not stated stays as it was; '' is none.
                func list(_ stated: [String], _ before: [String]?) -> [String] {
                    stated.isEmpty ? before ?? [] : stated.filter { !$0.isEmpty }
                }
                let enrolled = EnrolledConsumer(
                    name: name, tokenHash: token.map(Secrets.hash),
                    kinds: list(kinds, known?.kinds),
                    places: list(codes, known?.places),
                    shipments: list(shipments, known?.shipments),
                    posts: list(posts, known?.posts))
                let posts = try await store.roster().map(\.name)
                for post in enrolled.posts where !posts.contains(post) {
                    Console.error(
                        "caravan: no post \(Printable.text(post)) is enrolled yet; it may read of it all the same"
                    )
                }
                try await store.enrol(enrolled, keepsToken: keeps)
                let rights = ConsumerCommand.rights(
                    enrolled.kinds, enrolled.places, enrolled.shipments, enrolled.posts)
                Console.error("\(name) may read \(rights)")
                if let token {
                    Console.error("its token, shown this once:")
                    print(token)
                } else if !certificate {
                    Console.error(
                        "its token stays; caravan consumer token \(name) gives it a new one")
                }
            }
        }
    }

    static func rights(
        _ kinds: [String], _ places: [String], _ shipments: [String], _ posts: [String]
    ) -> String {
        let parts = [
            ("", kinds), ("places ", places), ("shipments ", shipments), ("posts ", posts),
        ]
        .filter { !$0.1.isEmpty }.map { $0.0 + $0.1.joined(separator: " ") }
        return parts.isEmpty ? "everything" : parts.joined(separator: ", ")
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a consumer a new token; the old one is void.")

        @Argument(help: "The consumer's name.") var name: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let token = try Secrets.token()
                guard try await store.changeToken(of: name, Secrets.hash(token)) else {
                    throw Failure(
                        "no consumer \(name) is enrolled that proves itself by a token; see caravan consumer "
                            + "list, and enrol")
                }
                print(token)
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a consumer in no more, and cut it. Enrolling it again mends that.")

        @Argument(help: "The consumer's name.") var name: String
        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                guard try await store.revoke(consumer: name) else {
                    throw Failure("consumer \(name) is not enrolled")
                }
                Console.error("\(name) is revoked")
            }
        }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget how far a named consumer has come.")

        @Argument(
            help: ArgumentHelp(
                "The consumer and the name of its place, or the name alone where nobody in particular "
                    + "gave it."))
        var names: [String]
        @OptionGroup var options: DatabaseOptions

        func validate() throws {
            guard names.count == 1 || names.count == 2 else {
                throw ValidationError("caravan consumer forget [CONSUMER] NAME")
            }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let cursor = CursorName(
                    consumer: names.count == 2 ? names[0] : "", name: names[names.count - 1])
                guard try await store.forget(cursor) else {
                    throw Failure("no place of \(cursor.text) is known; see caravan consumer list")
                }
                Console.error("\(cursor.text) is forgotten")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The consumers, what they may read, and how far each has confirmed.")

        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let head = try await store.head().seq
                for consumer in try await store.enrolledConsumers() { write(consumer) }
                for cursor in try await store.consumers(limit: 10_000) { write(cursor, head) }
            }
        }

        private func write(_ consumer: EnrolledConsumer) {
            let proof = consumer.tokenHash == nil ? "certificate" : "token"
            let state = consumer.isRevoked ? "revoked" : "enrolled"
            if Terminal.isTerminal {
                let rights = ConsumerCommand.rights(
                    consumer.kinds, consumer.places, consumer.shipments, consumer.posts)
                let proof = consumer.isRevoked ? "" : " by \(proof)"
                print(Printable.text("\(consumer.name)  \(state)\(proof), may read \(rights)"))
                return
            }
            var out = JSONWriter()
            out.begin()
            out.field("consumer", consumer.name)
            if !consumer.isRevoked { out.field("proof", proof) }
            out.field("state", state)
            for (name, list) in [
                ("kinds", consumer.kinds), ("places", consumer.places),
                ("shipments", consumer.shipments), ("posts", consumer.posts),
            ] as [(StaticString, [String])] where !list.isEmpty { out.list(name, list) }
            out.endLine()
            Console.write(out.bytes)
        }

        private func write(_ cursor: ConsumerCursor, _ head: Int) {
            if Terminal.isTerminal {
                let time = TimeText.string(cursor.confirmedAt)
                print(
                    Printable.text(
                        "\(cursor.cursor.text)  has read up to \(cursor.seq), "
                            + "\(max(0, head - cursor.seq)) behind, \(time)"))
                return
            }
            var out = JSONWriter()
            out.begin()
            out.field("cursor", cursor.cursor.name)
            if !cursor.cursor.consumer.isEmpty { out.field("of", cursor.cursor.consumer) }
            out.field("seq", cursor.seq)
            out.field("behind", max(0, head - cursor.seq))
            out.field("confirmedAt", cursor.confirmedAt)
            out.endLine()
            Console.write(out.bytes)
        }
    }
}
