import ArgumentParser
import Engine
import Foundation
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
              caravan post enrol DEDUI-RAIL --place DEDUI --certificate
              caravan post token KZHOR-GATE2
              caravan post list
            """,
        subcommands: [Enrol.self, List.self, Revoke.self, Token.self])

    static func store(_ options: DatabaseOptions) async throws -> PostgresLog {
        PostgresLog(StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
    }

    struct Enrol: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Enrol a post, or change its places. Prints its token.")

        @Argument(help: "The post's name.") var name: String
        @Option(
            name: .customLong("place"),
            help: "A place that it may report; may be given many times. '*': every place.")
        var places: [String]
        @Flag(help: "It shows a certificate and gets no token.") var certificate = false
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
            if let place = places.first(where: { Printable.firstActing($0) != nil }) {
                throw ValidationError("\(Printable.text(place)) holds a control character")
            }
        }

        func run() async throws {
            try await Console.failing {
                let store = try await PostCommand.store(options)
                let codes = places.map { $0.uppercased() }
                let token = certificate ? nil : try Secrets.token()
                try await store.enrol(name, places: codes, tokenHash: token.map(Secrets.hash))
                Console.error("\(name) may report \(codes.joined(separator: ", "))")
                if let token {
                    Console.error("its token, shown this once:")
                    print(token)
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
                guard try await store.posts().contains(where: { $0.name == name }) else {
                    throw Failure("post \(name) is not enrolled; see caravan post enrol")
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

        private func write(_ row: [String?]) {
            let last = row[7].flatMap { Int64($0) }.map { Instant(microseconds: $0) }
            if Terminal.isTerminal {
                let seen = last.map { TimeText.string($0) } ?? "never"
                let ahead = row[8].flatMap { Int($0) } ?? 0
                let clock = ahead > 60 ? ", clock \(ahead) s ahead" : ""
                print(
                    Printable.text(
                        "\(row[0] ?? "")  \(row[3] ?? "") by \(row[2] ?? ""), places "
                            + "\(row[1] ?? ""), \(row[4] ?? "0") connections, "
                            + "\(row[5] ?? "0") lines, \(row[6] ?? "0") forbidden, "
                            + "last \(seen)\(clock)"))
                return
            }
            var out = JSONWriter()
            out.begin()
            out.field("post", row[0])
            out.list("places", (row[1] ?? "").split(separator: " ").map(String.init))
            out.field("proof", row[2])
            out.field("state", row[3])
            out.field("connections", row[4].flatMap { Int($0) } ?? 0)
            out.field("lines", row[5].flatMap { Int($0) } ?? 0)
            out.field("forbidden", row[6].flatMap { Int($0) } ?? 0)
            if let last { out.field("lastLine", last) }
            if let ahead = row[8].flatMap({ Int($0) }) { out.field("clockAheadSeconds", ahead) }
            out.endLine()
            Console.write(out.bytes)
        }
    }
}
