import Foundation
import Store

/// What processes have used so far, from /proc.
struct ProcessMeter {
    /// CPU seconds of one process, its ended children not counted.
    static func cpuSeconds(_ pid: Int32) -> Double { stat(pid).map { ticks($0[11...12]) } ?? 0 }

    /// CPU seconds of a PostgreSQL: the postmaster, its children that live and those that ended.
    static func cpuSeconds(of cluster: PrivateCluster) -> Double {
        guard let postmaster = cluster.processID, let own = stat(postmaster) else { return 0 }
        return ticks(own[11...14])
            + backends(of: postmaster).reduce(0) { $0 + cpuSeconds($1) }
    }

    static func backends(of postmaster: Int32) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { stat($0)?[1] == "\(postmaster)" }
    }

    /// Resident memory in bytes.
    static func residentBytes(_ pid: Int32) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The fields behind the process's name: state, parent …
    private static func stat(_ pid: Int32) -> [String]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
            .map(String.init)
    }

    private static func ticks(_ fields: ArraySlice<String>) -> Double {
        let total = fields.reduce(0.0) { $0 + (Double($1) ?? 0) }
        return total / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
