import Client
import Foundation
import Store
import Synchronization
import TestKit
import Testing
import Tracking
import Wire

/// Many alerts at once, while what tells them is killed: each transition is told once.
@Suite(.serialized) struct AlertStormTests {
    /// Boxes with an alert each; a soak has a hundred thousand.
    private var boxes: Int { isSoak ? 100_000 : 4_000 }
    private var seconds: Double { isSoak ? 1_200 : 300 }

    /// Each box is seen with a seal, then with another one, and every second one's is taken off.
    private func lines() -> [String] {
        func line(_ box: Int, _ number: Int, _ event: String, _ seal: String?) -> String {
            let container = ContainerNumber(owner: "ASTU", serial: box)?.description ?? ""
            let seals = seal.map { ",\"seals\":[\"\($0)\"]" } ?? ""
            let time = wallNow().advanced(minutes: Double(number - 4) * 10)
            return
                "{\"id\":\"s\(box)-\(number)\",\"container\":\"\(container)\",\"event\":\"\(event)\","
                + "\"place\":\"KZHOR\",\"time\":\"\(TimeText.string(time))\"\(seals)}\n"
        }
        return (0..<boxes).map { line($0, 1, "GTIN", "AA-\($0)") }
            + (0..<boxes).map { line($0, 2, "DISC", "BB-\($0)") }
            + stride(from: 0, to: boxes, by: 2).map { line($0, 3, "RMVD", nil) }
    }

    /// Sends until all is acknowledged, over whatever happens: what was not is sent again.
    private func send(_ lines: [String], to address: String, _ acked: borrowing Atomic<Int>) throws
    {
        let deadline = LineSocket.now() + seconds
        while acked.load(ordering: .acquiring) < lines.count {
            guard LineSocket.now() < deadline else { throw Shell.Failed("no ack for long") }
            do {
                let base = acked.load(ordering: .acquiring)
                let socket = try LineSocket(address)
                let part = lines[base..<min(base + 2_000, lines.count)]
                try socket.send(part.joined())
                var done = 0
                while done < part.count, let reply = try socket.readLine(seconds: 60) {
                    if case .ack(let number) = ReadReply(line: reply) { done = number }
                    if reply.contains("\"reject\"") { throw Shell.Failed(reply) }
                    acked.store(base + done, ordering: .releasing)
                }
            } catch is SocketFailure {
                // It is away; it comes again.
                usleep(50_000)
            }
        }
    }

    private func waitFor(_ condition: () -> Bool) throws -> Bool {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            if condition() { return true }
            usleep(2_000)
        }
        return false
    }

    @Test func eachTransitionIsToldOnceWhateverIsKilled() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        let lines = lines()
        let state = Progress()
        let sender = Thread { [self] in
            do { try send(lines, to: daemon.feed, state.acked) } catch { state.fail("\(error)") }
            state.isDone.store(true, ordering: .releasing)
        }
        sender.start()
        // So much of it is in when the daemon or its database goes.
        let kills: [(share: Double, isDatabase: Bool)] = [
            (0.1, false), (0.3, false), (0.45, true), (0.6, false), (0.7, false), (0.8, true),
            (0.9, false),
        ]
        for (share, isDatabase) in kills {
            let reached = try waitFor {
                state.isDone.load(ordering: .acquiring)
                    || state.acked.load(ordering: .acquiring) >= Int(share * Double(lines.count))
            }
            #expect(reached)
            if isDatabase {
                try cluster.cluster.stop(mode: "immediate")
                try cluster.cluster.startServer()
            } else {
                daemon.kill9()
                // With a hundred thousand boxes it takes a while; the sender waits.
                try daemon.start(waiting: false)
            }
        }
        #expect(try waitFor { state.isDone.load(ordering: .acquiring) })
        #expect(state.failure == nil)
        try daemon.waitUntilReady()
        let told = try daemon.output().compactMap { FlatObject($0) }
            .filter { $0.text("kind") == "alert" && $0.text("type") == "seal" }
        var byAlert: [String: [String]] = [:]
        for line in told {
            byAlert[line.text("alert") ?? "", default: []].append(
                "\(line.integer("rev") ?? 0) \(line.text("state") ?? "")")
        }
        #expect(byAlert.count == boxes)
        let ends = byAlert.values.reduce(into: [:]) {
            $0[$1.joined(separator: ", "), default: 0] += 1
        }
        #expect(ends == ["1 raised": boxes / 2, "1 raised, 2 cleared": boxes / 2])
        // All of it once more: nothing is new.
        let before = try cluster.rows("select count(*) from output")
        let again = Atomic(0)
        try send(lines, to: daemon.feed, again)
        #expect(try cluster.rows("select count(*) from output") == before)
        #expect(daemon.stop() == 0)
    }
}

private final class Progress: Sendable {
    let acked = Atomic(0)
    let isDone = Atomic(false)
    private let words = Mutex<String?>(nil)

    var failure: String? { words.withLock { $0 } }

    func fail(_ text: String) { words.withLock { $0 = text } }
}
