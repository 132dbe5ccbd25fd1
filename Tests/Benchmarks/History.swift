import Client
import Foundation
import Store
import TestKit

/// Whether an event costs more the longer the history is: the same flood into a database that holds
/// so many events already. What is there was written by the database itself, in the form in which
/// the daemon writes it.
enum History {
    static func measure(sizes: [Int], events: Int, settings: [String]) throws {
        let rig = try Rig(settings: settings)
        var there = 0
        for (number, size) in sizes.sorted().enumerated() {
            try fill(rig, from: there, to: size)
            there = size
            let load = Load(events: events, seed: UInt64(100 + number))
            let feed = try LineSocket(rig.feed)
            _ = try Throughput.flood(
                load, feed, bytes: 0..<load.planBytes, lines: load.plans)
            try rig.waitForCheckpoint()
            let daemon = ProcessMeter.cpuSeconds(rig.daemon.pid)
            let postgres = ProcessMeter.cpuSeconds(of: rig.cluster.cluster)
            let started = LineSocket.now()
            _ = try Throughput.flood(
                load, feed, bytes: load.planBytes..<load.bytes.count, lines: load.lines)
            let seconds = LineSocket.now() - started
            try rig.waitForCheckpoint()
            let count = Double(load.events)
            print(
                "behind \(size) events: "
                    + String(
                        format:
                            "%.0f durable events/s, CPU µs per event: daemon %.1f, PostgreSQL %.1f",
                        count / seconds,
                        (ProcessMeter.cpuSeconds(rig.daemon.pid) - daemon) / count * 1e6,
                        (ProcessMeter.cpuSeconds(of: rig.cluster.cluster) - postgres) / count * 1e6)
            )
            fflush(nil)
        }
        rig.daemon.kill9()
    }

    private static func fill(_ rig: Rig, from: Int, to size: Int) throws {
        var at = from
        while at < size {
            let next = min(size, at + 2_000_000)
            _ = try rig.cluster.rows(
                """
                insert into event (received_at, batch, line, container, identity, id, event, class,
                    place, occurred_at, offset_minutes, retract)
                select now(), 0, n % 5000, 'ARCU' || lpad((n % 1000000)::text, 7, '0'),
                    gen_random_uuid(), 'old-' || n, 'GTIN', 'ACT', 'KZHOR',
                    now() - n * interval '1 second', 0, false
                from generate_series(\(at + 1), \(next)) n
                """)
            at = next
        }
        _ = try rig.cluster.rows("checkpoint")
    }
}
