import Client
import Foundation
import Store
import TestKit

/// A daemon with a TCP feed and tail and a PostgreSQL of its own.
struct Rig {
    let cluster: TestCluster
    let daemon: DaemonProcess
    let feed: String
    let tail: String

    /// Old events count as news; of plans that came under way nothing is said before they settle.
    static let live = ["alerts.backlog-minutes=100000", "alerts.settle-minutes=10"]

    /// `alsoFeed`: one more address of the feed.
    init(settings: [String], alsoFeed: String? = nil) throws {
        cluster = try TestCluster()
        feed = "127.0.0.1:\(try LocalPort.free())"
        tail = "127.0.0.1:\(try LocalPort.free())"
        daemon = try DaemonProcess(
            cluster: cluster,
            settings: [
                "feed.listen=\(feed),unix:feed.sock\(alsoFeed.map { "," + $0 } ?? "")",
                "tail.listen=\(tail),unix:tail.sock",
            ] + Rig.live + settings)
    }

    /// Waits until the snapshots hold as far as the log does.
    func waitForCheckpoint() throws {
        let deadline = LineSocket.now() + 120
        while LineSocket.now() < deadline {
            let behind = try cluster.rows(
                "select head.batch - coalesce((select batch from checkpoint), 0) from head")
            if behind == ["0"] { return }
            usleep(100_000)
        }
        throw Shell.Failed("no checkpoint within 120 s")
    }
}

/// Samples the daemon and the busiest backend with perf, and prints where their time went.
final class Profiler {
    private let folder = ScratchFolder()
    private var samplers: [(name: String, process: Process)] = []

    init(_ rig: Rig) throws {
        let postmaster = rig.cluster.cluster.processID ?? 0
        let busiest = ProcessMeter.backends(of: postmaster).max {
            ProcessMeter.cpuSeconds($0) < ProcessMeter.cpuSeconds($1)
        }
        let targets = [
            ("caravand", "\(rig.daemon.pid)"),
            // The writer's backend: the others have had next to nothing to do yet.
            ("postgres", "\(busiest ?? postmaster)"),
        ]
        for (name, pids) in targets {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "perf", "record", "-q", "-F", "499", "-g", "-o", "\(folder.path)/\(name).data",
                "-p", pids,
            ]
            try process.run()
            samplers.append((name, process))
        }
    }

    func report() throws {
        for (name, process) in samplers {
            process.interrupt()
            process.waitUntilExit()
            print("--- where \(name) spends its time")
            let text = try Shell.run([
                "sh", "-c",
                "perf report -i \(folder.path)/\(name).data --no-children -g none "
                    + "--percent-limit 1 "
                    + "--stdio 2>/dev/null | grep -v '^#' | grep -v '^$' | head -40",
            ])
            print(text)
        }
    }
}
