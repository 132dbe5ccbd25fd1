import ArgumentParser
import Host
import Store
import Tracking
import Wire

struct LearnedNetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learned",
        abstract: "Print how boxes have really gone, as a network file to be adopted.",
        discussion: """
            Every report that is kept counts, whatever plans and networks said. Legs that the network has get
            the hours that were measured (--new leaves them out), others are added between the places
            that it knows. Of a place that it does not know only the name is known: its lines are
            comments, to be completed. What was reported is taken as it was, clock corrections apart.

            EXAMPLES
              caravan network learned --least 20 > learned.network
              caravan network check learned.network
              caravan network route CNXIA DEDUI --scenario learned.network
            """)

    @Option(name: .long, help: "Boxes that must have gone from one place to the next.")
    var least = 5

    @Flag(name: .long, help: "Only what the network does not have.")
    var new = false

    @Option(name: .long, help: "The network file to compare with; the shipped one otherwise.")
    var file: String?

    @OptionGroup var options: DatabaseOptions

    func validate() throws {
        guard least > 0 else { throw ValidationError("--least is \(least); allowed is 1 or more") }
    }

    func run() async throws {
        try await Console.failing {
            let network = try NetworkCommand.load(file)
            let store = PostgresLog(
                StoreOptions(conninfo: try await options.conninfo(), clock: wallNow))
            let moves = try await store.moves(least: least)
            var learned = LearnedNetwork(network, moves, includesShipped: file == nil)
            learned.leavesKnownOut = new
            print(learned.text)
            Console.error(
                "moves of at least \(least) boxes each: \(moves.count); "
                    + "places that the network does not know: \(learned.strangers.count)")
        }
    }
}
