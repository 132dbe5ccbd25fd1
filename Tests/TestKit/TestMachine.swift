import Client
import Foundation

/// A Debian of its own inside this machine: a bare root, systemd as PID 1 of its own namespaces, and no
/// network but its own loopback. What happens in it stays in memory and goes with it.
public final class TestMachine: @unchecked Sendable {
    /// A root made by debootstrap, with PostgreSQL; kept between runs.
    public static func bareRoot() throws -> String {
        let path = packageFolder + "/.build/bare-root"
        let lock = open(packageFolder + "/.build/bare-root.lock", O_RDWR | O_CREAT, 0o600)
        defer { close(lock) }
        flock(lock, LOCK_EX)
        if FileManager.default.fileExists(atPath: path + "/etc/caravan-is-whole") { return path }
        try Root.run(["rm", "-rf", path])
        try Root.run([
            "debootstrap", "--variant=minbase",
            "--include=systemd,iproute2,jq,netcat-openbsd,postgresql,procps", "bookworm", path,
        ])
        try Root.run(["touch", path + "/etc/caravan-is-whole"])
        return path
    }

    private let folder = ScratchFolder()
    private let process = Process()
    private let processID: Int32

    /// Boots it; returns once systemd has started what it starts.
    public init() throws {
        let root = try TestMachine.bareRoot()
        let boot = folder.path + "/boot"
        try TestMachine.boot.write(toFile: boot, atomically: true, encoding: .utf8)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            Root.prefix + [
                "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup",
                "--kill-child", "sh", boot, root, folder.path,
            ]
        process.standardInput = FileHandle.nullDevice
        let log = folder.path + "/log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = process.standardOutput
        try process.run()
        let file = folder.path + "/pid"
        let deadline = LineSocket.now() + 60
        var found: Int32?
        while found == nil, LineSocket.now() < deadline, process.isRunning {
            // The boot script tells its number as the outside has it.
            found = (try? String(contentsOfFile: file, encoding: .utf8)).flatMap {
                Int32($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            usleep(50_000)
        }
        guard let found else {
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw Shell.Failed("no machine: \(said)")
        }
        processID = found
        while LineSocket.now() < deadline {
            let state = try? run(["systemctl", "is-system-running"], status: nil)
            if state?.hasPrefix("running") == true || state?.hasPrefix("degraded") == true {
                return
            }
            usleep(100_000)
        }
        throw Shell.Failed("systemd did not start: \((try? run(["systemctl", "--failed"])) ?? "")")
    }

    deinit {
        // With PID 1 all that runs under it ends.
        _ = try? Root.run(["kill", "-KILL", "\(processID)"])
        process.waitUntilExit()
    }

    /// Runs a program in it. `status`: what it must end with; nil: anything.
    @discardableResult
    public func run(
        _ command: [String], input: String? = nil, status: Int32? = 0
    ) throws -> String {
        try Shell.run(
            Root.prefix + [
                "nsenter", "--target", "\(processID)", "--all", "env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
                "LC_ALL=C.UTF-8",
            ] + command, input: input, status: status)
    }

    @discardableResult
    public func shell(_ script: String, status: Int32? = 0) throws -> String {
        try run(["sh", "-c", script], status: status)
    }

    /// Puts a file of the outside into it.
    public func put(_ path: String, at inside: String) throws {
        try Root.run([
            "sh", "-c",
            "nsenter --target \(processID) --all sh -c 'cat > \"\(inside)\"' < \"\(path)\"",
        ])
    }

    public func write(_ text: String, to inside: String) throws {
        try run(["sh", "-c", "cat > \"\(inside)\""], input: text)
    }

    /// Waits for a script to end with 0; false: it did not in time.
    public func waitFor(_ script: String, seconds: Double = 60) throws -> Bool {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            let said = try shell("(\(script)) >/dev/null 2>&1 && echo yes", status: nil)
            if said.hasPrefix("yes") { return true }
            usleep(100_000)
        }
        return false
    }

    /// A property of a unit, as systemctl shows it.
    public func property(_ name: String, of unit: String) throws -> String {
        try run(["systemctl", "show", "--property=\(name)", "--value", unit])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static let boot = """
        set -e
        root=$1
        work=$2
        mount --make-rprivate /
        mkdir "$work/disk"
        mount -t tmpfs tmpfs "$work/disk"
        mkdir "$work/disk/upper" "$work/disk/work" "$work/disk/root"
        mount -t overlay overlay \\
            -o "lowerdir=$root,upperdir=$work/disk/upper,workdir=$work/disk/work" "$work/disk/root"
        # Of the old /proc, which still counts as the outside does.
        read -r self rest < /proc/self/stat
        echo "$self" > "$work/pid.new"
        mv "$work/pid.new" "$work/pid"
        cd "$work/disk/root"
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t tmpfs tmpfs run
        mount -t tmpfs tmpfs tmp
        mount --rbind /dev dev
        mount -t tmpfs tmpfs sys/fs/cgroup
        mkdir sys/fs/cgroup/systemd
        mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
        ip link set lo up
        # What would reach for the machine itself does not run here.
        mkdir -p etc/systemd/system
        for unit in systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service \\
            systemd-journald-audit.socket systemd-sysctl.service systemd-logind.service getty.target \\
            dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \\
            systemd-remount-fs.service apt-daily.timer apt-daily-upgrade.timer; do
            ln -sf /dev/null "etc/systemd/system/$unit"
        done
        rm -f etc/systemd/system/multi-user.target.wants/*
        mkdir -p old
        pivot_root . old
        umount -l old
        exec env -i container=caravan-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
            /lib/systemd/systemd --unit=multi-user.target

        """
}
