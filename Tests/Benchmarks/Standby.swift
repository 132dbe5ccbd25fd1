import Client
import Foundation
import Store
import TestKit

/// What it costs that a commit waits for a second copy: the same flood without a standby and with one, in
/// turn, all on the same cores.
enum Standby {
    static func measure(events: Int, runs: Int, settings: [String], seed: UInt64) throws {
        let load = Load(events: events, seed: seed)
        var rates: [Bool: [Double]] = [:]
        for _ in 0..<runs {
            for isSynchronous in [false, true] {
                let rate = try flood(load, settings, isSynchronous)
                print(
                    "\(isSynchronous ? "with" : "without") a synchronous standby: \(Int(rate)) lines/s"
                )
                fflush(nil)
                rates[isSynchronous, default: []].append(rate)
            }
        }
        func middle(_ isSynchronous: Bool) -> Double {
            let sorted = (rates[isSynchronous] ?? []).sorted()
            return sorted[sorted.count / 2]
        }
        print(
            "with a synchronous standby, as a share of without: "
                + String(format: "%.2f", middle(true) / middle(false)))
    }

    private static func flood(
        _ load: Load, _ settings: [String], _ isSynchronous: Bool
    ) throws -> Double {
        let rig = try Rig(settings: settings)
        var standby: PrivateCluster?
        defer { try? standby?.stop(mode: "immediate") }
        if isSynchronous {
            let made = try rig.cluster.baseBackup("standby", options: ["-R", "-X", "stream"])
            try made.startServer()
            standby = made
            _ = try rig.cluster.rows("alter system set synchronous_standby_names = '*'")
            _ = try rig.cluster.rows("select pg_reload_conf()")
            let deadline = LineSocket.now() + 30
            while try rig.cluster.rows("select sync_state from pg_stat_replication") != ["sync"] {
                guard LineSocket.now() < deadline else {
                    throw Shell.Failed("no standby within 30 s")
                }
                usleep(50_000)
            }
        }
        let feed = try LineSocket(rig.feed)
        let began = LineSocket.now()
        _ = try Throughput.flood(load, feed, bytes: 0..<load.bytes.count, lines: load.lines)
        return Double(load.lines) / (LineSocket.now() - began)
    }
}
