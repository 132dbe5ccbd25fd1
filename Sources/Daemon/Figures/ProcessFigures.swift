import FoundationEssentials
import Glibc
import Host

/// What the process takes of the machine, as /proc tells it. Under names of its own: a collector that
/// reads them from a file has the others itself.
struct ProcessFigures {
    private let residentBytes: Int
    private let cpuSeconds: Double
    private let startSeconds: Double
    private let openFiles: Int
    private let maxFiles: Int

    static var current: ProcessFigures? { ProcessFigures() }

    private init?() {
        // The name stands in brackets and may hold anything; what follows is counted from behind it.
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let name = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[name...].split(separator: " ")
        // By proc(5): utime is field 14, stime 15, starttime 22, rss 24; the bracket ends field 2.
        guard fields.count > 22, let user = Double(fields[12]), let kernel = Double(fields[13]),
            let start = Double(fields[20]), let pages = Int(fields[22])
        else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        residentBytes = pages * sysconf(Int32(_SC_PAGESIZE))
        cpuSeconds = (user + kernel) / ticks
        // Of /proc a hardened service sees the processes alone, so not when the machine was started.
        startSeconds =
            Double(HostClock.wallMicroseconds - HostClock.upMicroseconds) / 1e6 + start / ticks
        openFiles =
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(7), &limits) == 0 else { return nil }
        maxFiles = Int(clamping: limits.rlim_cur)
    }

    func write(_ out: inout MetricsWriter) {
        out.gauge("caravan_process_resident_memory_bytes", "Memory in use.", residentBytes)
        out.counter("caravan_process_cpu_seconds_total", "Time of the processors.", cpuSeconds)
        out.gauge(
            "caravan_process_start_time_seconds", "When it started, since 1970.", startSeconds)
        out.gauge("caravan_process_open_fds", "Files that are open.", openFiles)
        out.gauge("caravan_process_max_fds", "Files that may be open.", maxFiles)
    }
}
