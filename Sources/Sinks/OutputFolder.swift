import FoundationEssentials
import Glibc
import Host
import Wire

/// What a folder of output files could not do, and why.
public struct SinkFailure: Error, CustomStringConvertible {
    public let description: String

    init(_ operation: String, _ code: Int32 = errno) {
        description = "\(operation): \(String(cString: strerror(code)))"
    }

    init(words: String) { description = words }
}

/// The output in files that any program can follow: segments `output-<first number>.ndjson`, and
/// `current`, a link to the newest. Where to go on after a crash is what the last whole line says: each
/// number stands there once. A folder belongs to one log; what there is of another is put aside.
public final class OutputFolder {
    public let path: String
    private let maxSegmentBytes: Int
    private let lock: Int32
    private var file: Int32 = -1
    private var bytes = 0
    /// The number by which the segment that is written is named.
    private var first = 0
    /// The last number that is written; nil: none has ever been.
    public private(set) var last: Int?

    /// Opens the folder, made where it is not there, and takes a line off that was cut short.
    public init(path: String, maxSegmentBytes: Int) throws(SinkFailure) {
        lock = try OutputFolder.open(folder: path)
        self.path = path
        self.maxSegmentBytes = maxSegmentBytes
        // An empty segment says nothing; the one before it says where to go on.
        for segment in segments.reversed() {
            try open(segment)
            if last != nil { break }
        }
        // Its name says where the first one begins, whatever became of what was in it.
        if last == nil, let first = segments.first { last = first - 1 }
    }

    /// The lock of a folder that is fit to be written into.
    private static func open(folder path: String) throws(SinkFailure) -> Int32 {
        if mkdir(path, 0o750) != 0, errno != EEXIST { throw SinkFailure("making \(path)") }
        // Its group may be that of its readers; nobody else has a hand in it.
        do { try PrivateFolder.check(path, forbidden: 0o002) } catch {
            throw SinkFailure(words: error.description)
        }
        // One writer at a time: two would each have their own idea of what comes next.
        let lock = Glibc.open(path + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw SinkFailure("opening \(path)/.lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw SinkFailure(
                words: "another daemon writes into \(path): give each its own folder")
        }
        return lock
    }

    deinit {
        if file >= 0 { close(file) }
        close(lock)
    }

    /// First numbers of the segments, ascending.
    public var segments: [Int] { OutputFolder.segments(in: path) }

    private static func segments(in path: String) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.compactMap { name -> Int? in
            guard name.hasPrefix("output-"), name.hasSuffix(".ndjson") else { return nil }
            return Int(name.dropFirst(7).dropLast(7))
        }.sorted()
    }

    private func name(_ first: Int) -> String { "output-\(first).ndjson" }

    // MARK: The log that it is of

    /// The log whose lines are here; nil: none yet.
    public var log: String? {
        (try? String(contentsOfFile: path + "/log", encoding: .utf8))?.trimmed
    }

    /// From now on it is of this log; lines of another one go into a folder of their own.
    public func begin(log: String) throws(SinkFailure) {
        if let old = self.log, old != log {
            if file >= 0 { close(file) }
            file = -1
            let aside = path + "/log-" + old.prefix(36).filter { $0.isHexDigit || $0 == "-" }
            if mkdir(aside, 0o750) != 0, errno != EEXIST { throw SinkFailure("making \(aside)") }
            for segment in segments {
                guard rename(path + "/" + name(segment), aside + "/" + name(segment)) == 0 else {
                    throw SinkFailure("putting aside \(name(segment))")
                }
            }
            unlink(path + "/current")
            last = nil
        }
        do {
            try (log + "\n").write(toFile: path + "/log", atomically: true, encoding: .utf8)
        } catch { throw SinkFailure(words: "\(path)/log cannot be written: \(error)") }
    }

    /// Whether what is written is still what the folder's name leads to.
    public var isThere: Bool {
        var (own, named) = (stat(), stat())
        guard fstat(lock, &own) == 0, stat(path + "/.lock", &named) == 0 else { return false }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    // MARK: Writing

    /// Appends lines, in the order of their numbers; each is whole or not there. After a failure it stands
    /// where it stood before.
    public func append(_ lines: [OutputLine]) throws(SinkFailure) {
        try mend()
        var pending: [UInt8] = []
        var from = last
        for line in lines {
            if let last = from, line.seq <= last { continue }
            if file < 0 || bytes + pending.count >= maxSegmentBytes {
                try flush(&pending, from)
                try roll(line.seq)
            }
            if let last = from, line.seq > last + 1 {
                var out = JSONWriter()
                TailControl.gap(from: last + 1, to: line.seq - 1, to: &out)
                pending += out.bytes
            }
            pending += line.bytes
            pending.append(0x0A)
            from = line.seq
        }
        try flush(&pending, from)
    }

    private func flush(_ pending: inout [UInt8], _ last: Int?) throws(SinkFailure) {
        if pending.isEmpty { return }
        var rest = pending[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                // What is there of it goes again: a line is whole or not there.
                ftruncate(file, off_t(bytes))
                throw SinkFailure("writing into \(path)", code)
            }
            rest = rest.dropFirst(count)
        }
        bytes += pending.count
        self.last = last
        pending = []
    }

    /// A segment that somebody has removed is written no more; the link is made again where it has gone.
    private func mend() throws(SinkFailure) {
        var entry = stat()
        if file >= 0, fstat(file, &entry) == 0, entry.st_nlink == 0 {
            close(file)
            file = -1
        }
        if file >= 0, lstat(path + "/current", &entry) != 0 { try point(first) }
    }

    /// Begins a segment, and lets `current` show it.
    private func roll(_ first: Int) throws(SinkFailure) {
        let made = Glibc.open(
            path + "/" + name(first), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard made >= 0 else { throw SinkFailure("making \(path)/\(name(first))") }
        // Whatever the process gives to others: who may read is decided by the folder and its group.
        fchmod(made, 0o640)
        if file >= 0 {
            fdatasync(file)
            close(file)
        }
        file = made
        bytes = 0
        self.first = first
        try point(first)
    }

    private func point(_ first: Int) throws(SinkFailure) {
        // Beside, then renamed: whoever looks finds the old one or the new one, never none.
        let beside = path + "/.current"
        unlink(beside)
        guard symlink(name(first), beside) == 0, rename(beside, path + "/current") == 0 else {
            throw SinkFailure("making \(path)/current")
        }
    }

    /// What is written is on the disk.
    public func sync() { if file >= 0 { fdatasync(file) } }

    // MARK: Going on

    /// Opens a segment to go on in it, behind its last whole line that has a number.
    private func open(_ first: Int) throws(SinkFailure) {
        let path = path + "/" + name(first)
        let opened = Glibc.open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard opened >= 0 else { throw SinkFailure("opening \(path)") }
        if file >= 0 { close(file) }
        file = opened
        var entry = stat()
        guard fstat(opened, &entry) == 0 else { throw SinkFailure("opening \(path)") }
        var end = Int(entry.st_size)
        var tail: [UInt8] = []
        // Backwards, until a whole line with a number is found: after a power failure the end of a file
        // may be zeros.
        var at = end
        while at > 0 {
            let size = min(at, 1 << 16)
            var space = [UInt8](repeating: 0, count: size)
            guard pread(opened, &space, size, off_t(at - size)) == size else {
                throw SinkFailure("reading \(path)")
            }
            at -= size
            // Nothing that begins before zeros goes on behind them.
            if space.allSatisfy({ $0 == 0 }) {
                tail = []
                continue
            }
            tail = space + tail
            if let found = OutputFolder.lastLine(tail, isWhole: at == 0) {
                last = found.seq
                end = at + found.end
                break
            }
        }
        if last == nil { end = 0 }
        if end < Int(entry.st_size) {
            guard ftruncate(opened, off_t(end)) == 0 else { throw SinkFailure("mending \(path)") }
        }
        bytes = end
        self.first = first
        try point(first)
    }

    /// The last line that ends and has a number, and where it ends. `isWhole`: the bytes are all there is,
    /// so the first line of them is whole as well.
    private static func lastLine(_ bytes: [UInt8], isWhole: Bool) -> (seq: Int, end: Int)? {
        var end = bytes.count
        while let feed = bytes[..<end].lastIndex(of: 0x0A) {
            let before = bytes[..<feed].lastIndex(of: 0x0A)
            guard before != nil || isWhole else { return nil }
            let line = bytes[((before ?? -1) + 1)..<feed]
            if let seq = FlatObject(String(decoding: line, as: UTF8.self))?.integer("seq") {
                return (seq, feed + 1)
            }
            end = feed
        }
        return nil
    }

    // MARK: Retention

    /// Drops whole segments of which the last line was written longer ago; the newest stays. Returns how
    /// many went.
    public func tidy(keepDays: Int, now: Int) -> Int {
        var dropped = 0
        for segment in segments.dropLast() {
            var entry = stat()
            guard stat(path + "/" + name(segment), &entry) == 0,
                now - Int(entry.st_mtim.tv_sec) > keepDays * 86_400
            else { break }
            if unlink(path + "/" + name(segment)) == 0 { dropped += 1 }
        }
        return dropped
    }
}
