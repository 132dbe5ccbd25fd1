import Glibc

/// The machine's clocks, read in one place.
public enum HostClock {
    /// Since 1970, as the machine's clock shows it.
    public static var wallMicroseconds: Int64 { microseconds(CLOCK_REALTIME) }

    /// Since some moment before this program; set back by nobody.
    public static var steadyMicroseconds: Int64 { microseconds(CLOCK_MONOTONIC) }

    /// Since the machine was started, its sleep included.
    public static var upMicroseconds: Int64 { microseconds(CLOCK_BOOTTIME) }

    private static func microseconds(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }
}
