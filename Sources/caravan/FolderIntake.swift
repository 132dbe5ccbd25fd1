import Client
import FoundationEssentials
import Glibc
import Tracking
import Wire

/// Takes the files of a folder into a spool, once they are complete, and lets go of them once all of
/// each is acknowledged.
///
/// A file is complete when it has not changed over two looks, nobody has it open for writing as far as
/// can be seen, and it ends in a line's end, or has not changed for a minute. It is renamed when it is
/// in the spool: `NAME.spooled-STREAM.LAST.SIZE.MTIME`, so that the name says, also after a power failure,
/// which ack lets it go, and what it was then. One that was changed after that is looked at again.
struct FolderIntake {
    private let folder: String
    private let spool: Spool
    /// What each file was at the last look, and when that was first so.
    private var seen: [String: (state: FileState, since: Double)] = [:]
    private var lookedAt = -Double.infinity
    /// No file waits for anything.
    private(set) var isSettled = false
    /// Files that are not taken in, and why.
    private(set) var left: [String: String] = [:]

    /// Seconds between two looks, and until a last line without an end counts as one.
    static let lookSeconds = 1.0
    static let unendedSeconds = 60.0
    private static let mark = ".spooled-"

    init(_ folder: String, _ spool: Spool) {
        self.folder = folder
        self.spool = spool
    }

    /// What tells whether a file has changed.
    struct FileState: Equatable {
        var device: UInt64
        var inode: UInt64
        var size: Int
        var modified: Int

        /// nil where it is no plain file, or gone; a link is none.
        init?(_ path: String) {
            var entry = stat()
            guard lstat(path, &entry) == 0, entry.st_mode & S_IFMT == S_IFREG else { return nil }
            device = UInt64(entry.st_dev)
            inode = UInt64(entry.st_ino)
            size = Int(entry.st_size)
            modified = entry.st_mtim.tv_sec * 1_000_000_000 + entry.st_mtim.tv_nsec
        }

        var ageSeconds: Double {
            Double(wallNow().microseconds) / 1e6 - Double(modified) / 1e9
        }
    }

    /// Looks at the folder, at most once a second; true: something was taken in. `keep`: which lines
    /// are news.
    mutating func takeIn(keep: ([[UInt8]]) -> [[UInt8]]) throws -> Bool {
        let now = LineSocket.now()
        guard now - lookedAt >= FolderIntake.lookSeconds else { return false }
        lookedAt = now
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        var took = false
        isSettled = true
        var present: Set<String> = []
        for name in names where !name.hasPrefix(".") {
            let path = folder + "/" + name
            guard let state = FileState(path) else { continue }
            if let stamp = Stamp(name) {
                try lookAfter(stamp, path, state)
                continue
            }
            present.insert(name)
            let since = seen[name].flatMap { $0.state == state ? $0.since : nil } ?? now
            seen[name] = (state, since)
            guard now - since >= FolderIntake.lookSeconds * 0.9, isComplete(path, state) else {
                isSettled = false
                continue
            }
            if let cause = obstacle(name, path, state) {
                // The others do not wait for it.
                if left.updateValue(cause, forKey: name) != cause {
                    Console.error("caravan: \(path) is left where it is: \(cause)")
                }
                continue
            }
            left[name] = nil
            guard try takeFile(path, state, keep) else {
                isSettled = false
                break
            }
            seen[name] = nil
            took = true
        }
        seen = seen.filter { present.contains($0.key) }
        left = left.filter { present.contains($0.key) }
        return took
    }

    /// Why a file cannot be taken in, however long it is waited for; nil: it can.
    private func obstacle(_ name: String, _ path: String, _ state: FileState) -> String? {
        if name.utf8.count > FolderIntake.longestName {
            return "its name has more than \(FolderIntake.longestName) bytes"
        }
        if state.size >= spool.limitBytes {
            return "it has \(state.size) bytes, and the spool takes \(spool.limitBytes); raise "
                + "--spool-limit"
        }
        guard access(path, R_OK) == 0 else { return String(cString: strerror(errno)) }
        return nil
    }

    /// Leaves room for the stamp in what a file system takes.
    private static let longestName = 120

    private func isComplete(_ path: String, _ state: FileState) -> Bool {
        if OpenFiles.isWritten(path, state.device, state.inode) { return false }
        guard state.size > 0, state.ageSeconds < FolderIntake.unendedSeconds else { return true }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        // One that cannot be read is complete as far as anybody will ever know.
        guard file >= 0 else { return true }
        defer { close(file) }
        var last: UInt8 = 0
        return pread(file, &last, 1, state.size - 1) == 1 && last == 0x0A
    }

    /// Takes a complete file into the spool; false where there is no room for it yet, or it changed.
    private func takeFile(
        _ path: String, _ state: FileState, _ keep: ([[UInt8]]) -> [[UInt8]]
    ) throws -> Bool {
        if state.size == 0 {
            // Nothing is in it that could be lost.
            if FileState(path) == state { unlink(path) }
            return true
        }
        guard spool.hasRoom(for: state.size + 1),
            let data = FileManager.default.contents(atPath: path), data.count == state.size,
            FileState(path) == state
        else { return false }
        let last = try spool.append(keep(data.split(separator: 0x0A).map(Array.init)))
        try move(path, to: path + Stamp(stream: spool.stream, last: last, state: state).suffix)
        return true
    }

    private func move(_ path: String, to other: String) throws {
        guard rename(path, other) == 0 else {
            throw Failure("\(path) cannot be renamed: \(String(cString: strerror(errno)))")
        }
    }

    /// A file that is in the spool goes once it is acknowledged, if it is what it was then. One that
    /// somebody went on writing to comes back under its name: what of it is known counts once.
    private func lookAfter(_ stamp: Stamp, _ path: String, _ state: FileState) throws {
        let isOurs = stamp.stream == spool.stream
        guard isOurs, state.size == stamp.size, state.modified == stamp.modified else {
            let back = folder + "/" + stamp.name
            guard FileState(back) == nil else { return }
            try move(path, to: back)
            Console.error(
                isOurs
                    ? "caravan: \(back) was written to after it was taken in; it is taken in again. "
                        + "Write elsewhere and rename the finished file into the folder"
                    : "caravan: \(back) was taken in by another spool, which is not this one; it is "
                        + "taken in again, and what of it is known counts once")
            return
        }
        guard stamp.last <= spool.acknowledged,
            !OpenFiles.isWritten(path, state.device, state.inode), FileState(path) == state
        else { return }
        unlink(path)
    }

    /// Lets go of the files of which everything is acknowledged.
    func release() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names {
            let path = folder + "/" + name
            guard let stamp = Stamp(name), let state = FileState(path) else { continue }
            try? lookAfter(stamp, path, state)
        }
    }

    /// What the name of a file says that is in the spool. A file whose name only looks like that is
    /// taken in like any other.
    struct Stamp {
        var name: String
        /// The spool's: numbers of another one say nothing.
        var stream: String
        var last: Int
        var size: Int
        var modified: Int

        init(stream: String, last: Int, state: FileState) {
            name = ""
            self.stream = stream
            self.last = last
            size = state.size
            modified = state.modified
        }

        init?(_ whole: String) {
            guard let at = whole.ranges(of: FolderIntake.mark).last else {
                return nil
            }
            let parts = whole[at.upperBound...].split(
                separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0].count >= 16, let last = Int(parts[1]),
                let size = Int(parts[2]), let modified = Int(parts[3]),
                at.lowerBound > whole.startIndex
            else { return nil }
            name = String(whole[..<at.lowerBound])
            stream = String(parts[0])
            self.last = last
            self.size = size
            self.modified = modified
        }

        var suffix: String { "\(FolderIntake.mark)\(stream).\(last).\(size).\(modified)" }
    }
}

/// Who has a file open for writing, as far as this account may see.
enum OpenFiles {
    /// True where somebody has. By a read lease, which the kernel grants only where nobody does; where
    /// the file is another account's, by a look at the processes that can be seen.
    static func isWritten(_ path: String, _ device: UInt64, _ inode: UInt64) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { close(file) }
        let setLease: Int32 = 1_024
        if fcntl(file, setLease, F_RDLCK) == 0 {
            _ = fcntl(file, setLease, F_UNLCK)
            return false
        }
        if errno == EAGAIN { return true }
        return isWrittenByVisible(device, inode)
    }

    private static func isWrittenByVisible(_ device: UInt64, _ inode: UInt64) -> Bool {
        let files = FileManager.default
        for process in (try? files.contentsOfDirectory(atPath: "/proc")) ?? []
        where Int32(process) != nil && Int32(process) != getpid() {
            let folder = "/proc/\(process)/fd"
            for number in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
                var entry = stat()
                guard stat(folder + "/" + number, &entry) == 0, UInt64(entry.st_ino) == inode,
                    UInt64(entry.st_dev) == device,
                    let flags = try? String(
                        contentsOfFile: "/proc/\(process)/fdinfo/\(number)", encoding: .utf8
                    ).split(separator: "\n").first(where: { $0.hasPrefix("flags:") }),
                    let value = Int32(flags.dropFirst(6).filter { $0.isNumber }, radix: 8)
                else { continue }
                if value & O_ACCMODE != O_RDONLY { return true }
            }
        }
        return false
    }
}
