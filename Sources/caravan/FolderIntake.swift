import Client
import Foundation
import Wire

/// Takes the files of a folder into a spool, once they are complete, and lets go of them once all of
/// each is acknowledged.
///
/// A file is complete when it has not changed over two looks, nobody has it open for writing as far as
/// can be seen, and it ends in a line's end, or has not changed for a minute. It is renamed when it is
/// in the spool: `NAME.spooled-LAST.SIZE.MTIME`, so that the name says, also after a power failure,
/// which ack lets it go, and what it was then. One that was changed after that is looked at again.
struct FolderIntake {
    private let folder: String
    private let spool: Spool
    /// What each file was at the last look, and when that was first so.
    private var seen: [String: (state: FileState, since: Double)] = [:]
    private var lookedAt = -Double.infinity
    /// No file waits for anything.
    private(set) var isSettled = false

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
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return Double(now.tv_sec * 1_000_000_000 + now.tv_nsec - modified) / 1e9
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
            guard now - since >= FolderIntake.lookSeconds * 0.9, try isComplete(path, state) else {
                isSettled = false
                continue
            }
            guard try take(path, state, keep) else {
                isSettled = false
                break
            }
            seen[name] = nil
            took = true
        }
        seen = seen.filter { present.contains($0.key) }
        return took
    }

    private func isComplete(_ path: String, _ state: FileState) throws -> Bool {
        if OpenFiles.isWritten(path, state.device, state.inode) { return false }
        guard state.size > 0, state.ageSeconds < FolderIntake.unendedSeconds else { return true }
        guard let file = FileHandle(forReadingAtPath: path) else { return false }
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(state.size - 1))
        return try file.read(upToCount: 1)?.first == 0x0A
    }

    /// Takes a complete file into the spool; false where there is no room for it yet, or it changed.
    private func take(
        _ path: String, _ state: FileState, _ keep: ([[UInt8]]) -> [[UInt8]]
    ) throws -> Bool {
        guard state.size < spool.limitBytes else {
            throw Failure(
                "\(path) has \(state.size) bytes, and the spool takes \(spool.limitBytes): raise "
                    + "--spool-limit")
        }
        guard spool.hasRoom(for: state.size + 1),
            let data = FileManager.default.contents(atPath: path), data.count == state.size,
            FileState(path) == state
        else { return false }
        let last = try spool.append(keep(data.split(separator: 0x0A).map(Array.init)))
        try FileManager.default.moveItem(
            atPath: path, toPath: path + Stamp(last: last, state: state).suffix)
        return true
    }

    /// A file that is in the spool goes once it is acknowledged, if it is what it was then. One that
    /// somebody went on writing to comes back under its name: what of it is known counts once.
    private func lookAfter(_ stamp: Stamp, _ path: String, _ state: FileState) throws {
        if stamp.size >= 0, state.size != stamp.size || state.modified != stamp.modified {
            let back = folder + "/" + stamp.name
            if !FileManager.default.fileExists(atPath: back) {
                try FileManager.default.moveItem(atPath: path, toPath: back)
                Console.error(
                    "caravan: \(back) was written to after it was taken in; it is taken in again. "
                        + "Write elsewhere and rename the finished file into the folder")
            }
            return
        }
        if stamp.last <= spool.acknowledged, !OpenFiles.isWritten(path, state.device, state.inode) {
            unlink(path)
        }
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

    /// What the name of a file says that is in the spool.
    struct Stamp {
        var name: String
        var last: Int
        /// -1 in names of earlier versions, which did not say.
        var size = -1
        var modified = 0

        init(last: Int, state: FileState) {
            name = ""
            self.last = last
            size = state.size
            modified = state.modified
        }

        init?(_ whole: String) {
            guard let at = whole.range(of: FolderIntake.mark, options: .backwards) else {
                return nil
            }
            let parts = whole[at.upperBound...].split(separator: ".").map { Int($0) }
            guard parts.count == 1 || parts.count == 3, let last = parts[0] else { return nil }
            name = String(whole[..<at.lowerBound])
            self.last = last
            if parts.count == 3 {
                guard let size = parts[1], let modified = parts[2] else { return nil }
                self.size = size
                self.modified = modified
            }
        }

        var suffix: String { "\(FolderIntake.mark)\(last).\(size).\(modified)" }
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
