import Glibc

/// What went wrong with a file of a spool: the operation, the path, the system's reason.
public struct SpoolFailure: Error, CustomStringConvertible {
    public let description: String

    init(_ operation: String, _ path: String, _ code: Int32 = errno) {
        description = "\(operation) \(path): \(String(cString: strerror(code)))"
    }

    init(_ description: String) { self.description = description }
}

/// Lines on disk that wait for their ack. Each has a number, from 1; segments are files named by
/// the number of their first line, and a segment goes when all of it is acknowledged. What `append`
/// returned from is on the disk; a line torn by a power failure was never returned from.
public final class Spool {
    public let folder: String
    /// Names the spool to the server; a new spool has a new one.
    public let stream: String
    /// The number of the last line.
    public private(set) var last: Int
    /// The last line known to be acknowledged.
    public private(set) var acknowledged: Int
    /// Of that, what is on the disk.
    private var saved: Int
    /// Bytes of all segments.
    public private(set) var bytes: Int
    public let limitBytes: Int

    private struct Segment {
        var first: Int
        var count: Int
        var bytes: Int
    }

    private var segments: [Segment] = []
    private let lock: Int32
    private var writing: Int32 = -1
    private var begunAt = 0
    private let segmentBytes: Int

    /// Opens or makes the spool in `folder`. Fails where another program has it open.
    public init(
        _ folder: String, limitBytes: Int = 1 << 30, segmentBytes: Int = 8 << 20
    ) throws(SpoolFailure) {
        self.folder = folder
        self.limitBytes = limitBytes
        self.segmentBytes = segmentBytes
        if mkdir(folder, 0o700) == 0 {
            try Spool.syncFolder(folder)
        } else if errno != EEXIST {
            throw SpoolFailure("making", folder)
        }
        try Spool.checkOwner(folder)
        lock = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw SpoolFailure("opening", folder + "/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw SpoolFailure("the spool \(folder) is in use by another program")
        }
        stream = try Spool.stream(folder)
        last = 0
        acknowledged = Spool.number(folder + "/acked") ?? 0
        saved = acknowledged
        bytes = 0
        segments = try Spool.segments(folder)
        last = max(segments.last.map { $0.first + $0.count - 1 } ?? 0, acknowledged)
        bytes = segments.reduce(0) { $0 + $1.bytes }
    }

    deinit {
        if writing >= 0 { close(writing) }
        close(lock)
    }

    /// Of which post it is: what it holds must not go out under another name. The first that says so is
    /// remembered.
    public func belong(to post: String) throws(SpoolFailure) {
        if let known = Spool.read(folder + "/post") {
            let name = String(decoding: known.prefix { $0 != 0x0A }, as: UTF8.self)
            guard name == post || name.isEmpty else {
                throw SpoolFailure(
                    "the spool \(folder) is that of post \(name), not of \(post): give each post its own"
                )
            }
            return
        }
        try Spool.replace(folder + "/post", post)
    }

    public var waiting: Int { last - acknowledged }

    /// The first line that is still here; the one that will come next where none is.
    public var first: Int { segments.first?.first ?? last + 1 }

    private func path(_ first: Int) -> String { Spool.path(folder, first) }

    private static func path(_ folder: String, _ first: Int) -> String {
        let digits = String(first)
        return folder + "/segment-" + String(repeating: "0", count: 20 - digits.count) + digits
            + ".ndjson"
    }

    // MARK: Opening

    private static func stream(_ folder: String) throws(SpoolFailure) -> String {
        if let known = read(folder + "/stream"), known.count >= 16 {
            return String(decoding: known.prefix { $0 != 0x0A }, as: UTF8.self)
        }
        var random = SystemRandomNumberGenerator()
        let name = String(random.next(), radix: 16) + String(random.next(), radix: 16)
        try replace(folder + "/stream", name)
        return name
    }

    /// What is in it goes out under its post's name, and files of it are cut and removed: nobody else may put
    /// anything there.
    private static func checkOwner(_ folder: String) throws(SpoolFailure) {
        var found = stat()
        guard stat(folder, &found) == 0 else { throw SpoolFailure("looking at", folder) }
        // The superuser may look after the spools of others.
        guard found.st_uid == geteuid() || found.st_uid == 0 || geteuid() == 0 else {
            throw SpoolFailure("the spool \(folder) is another account's: give each its own")
        }
        guard found.st_mode & 0o002 == 0 else {
            throw SpoolFailure("anybody may write into the spool \(folder): chmod o-w it")
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var out: [UInt8] = []
        var space = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &space, space.count)
            if count <= 0 { return count == 0 ? out : nil }
            out += space[..<count]
        }
    }

    private static func number(_ path: String) -> Int? {
        read(path).flatMap {
            Int(String(decoding: $0.prefix { $0 != 0x0A }, as: UTF8.self))
        }
    }

    /// Writes a small file so that either the old or the new one is there.
    private static func replace(_ path: String, _ text: String) throws(SpoolFailure) {
        let fresh = path + ".new"
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SpoolFailure("writing", fresh) }
        defer { close(file) }
        let line = Array((text + "\n").utf8)
        guard write(file, line, line.count) == line.count, fsync(file) == 0 else {
            throw SpoolFailure("writing", fresh)
        }
        guard rename(fresh, path) == 0 else { throw SpoolFailure("renaming", fresh) }
        try syncFolder(path)
    }

    /// Makes the name of a new file or folder durable.
    private static func syncFolder(_ path: String) throws(SpoolFailure) {
        var parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if parent.isEmpty { parent = "/" }
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw SpoolFailure("opening", parent) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw SpoolFailure("syncing", parent) }
    }

    /// The segments that are there; a torn line at the end of the last is cut off.
    private static func segments(_ folder: String) throws(SpoolFailure) -> [Segment] {
        var found: [Segment] = []
        for (first, path) in try files(folder) {
            guard let bytes = read(path) else { throw SpoolFailure("reading", path) }
            let whole = (bytes.lastIndex(of: 0x0A) ?? -1) + 1
            // It was read without following a link, and the folder is ours.
            if whole < bytes.count, truncate(path, whole) != 0 {
                throw SpoolFailure("cutting a torn line off", path)
            }
            let count = bytes[..<whole].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
            if count == 0 {
                unlink(path)
            } else {
                found.append(Segment(first: first, count: count, bytes: whole))
            }
        }
        return found
    }

    // MARK: Writing

    /// Whether so many more bytes may come.
    public func hasRoom(for more: Int) -> Bool { bytes + more <= limitBytes }

    /// Adds whole lines (without their LF) and returns once they are on the disk; the number of the
    /// last. Fails where the spool is full, and has added nothing then.
    @discardableResult
    public func append(_ lines: [[UInt8]]) throws(SpoolFailure) -> Int {
        let more = lines.reduce(0) { $0 + $1.count + 1 }
        guard more > 0 else { return last }
        guard hasRoom(for: more) else {
            throw SpoolFailure(
                "the spool \(folder) is full: \(bytes) of \(limitBytes) bytes wait to be sent")
        }
        if writing < 0 || (segments.last?.bytes ?? 0) >= segmentBytes || isOld { try begin() }
        var block: [UInt8] = []
        block.reserveCapacity(more)
        for line in lines {
            block += line
            block.append(0x0A)
        }
        let before = segments[segments.count - 1].bytes
        let path = path(segments[segments.count - 1].first)
        guard writeAll(block), fdatasync(writing) == 0 else {
            let code = errno
            // Whatever was written of it never was. Where that cannot be undone either, the file
            // takes nothing more: what comes next must not join a torn line.
            if ftruncate(writing, before) != 0 {
                close(writing)
                writing = -1
            }
            throw SpoolFailure("writing", path, code)
        }
        segments[segments.count - 1].bytes += block.count
        segments[segments.count - 1].count += lines.count
        bytes += block.count
        last += lines.count
        return last
    }

    /// A segment takes lines of one minute only, so that its age is that of its first line.
    private var isOld: Bool { time(nil) - begunAt > 60 }

    private func begin() throws(SpoolFailure) {
        if writing >= 0 { close(writing) }
        writing = -1
        begunAt = time(nil)
        let path = path(last + 1)
        writing = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard writing >= 0 else { throw SpoolFailure("writing", path) }
        do { try Spool.syncFolder(path) } catch {
            // Without a name that lasts it takes no line.
            close(writing)
            writing = -1
            throw error
        }
        segments.append(Segment(first: last + 1, count: 0, bytes: 0))
    }

    private func writeAll(_ block: [UInt8]) -> Bool {
        var at = 0
        while at < block.count {
            let count = block.withUnsafeBytes { raw in
                write(writing, raw.baseAddress?.advanced(by: at), raw.count - at)
            }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            at += count
        }
        return true
    }

    // MARK: Reading and letting go

    /// Lines from `number` on, of one segment: those after it come with the next call. Empty where
    /// there are none yet.
    public func lines(from number: Int) throws(SpoolFailure) -> [ArraySlice<UInt8>] {
        guard let segment = segments.last(where: { $0.first <= number }),
            number < segment.first + segment.count
        else {
            // A number before all that is kept: the server has lost what was acknowledged.
            guard let first = segments.first, number < first.first else { return [] }
            throw SpoolFailure(
                "the server wants line \(number) of the spool \(folder), which was acknowledged "
                    + "and is gone")
        }
        guard let all = Spool.read(path(segment.first)) else {
            throw SpoolFailure("reading", path(segment.first))
        }
        let skip = number - segment.first
        var found: [ArraySlice<UInt8>] = []
        found.reserveCapacity(segment.count - skip)
        var start = 0
        var index = 0
        while index < segment.count, start < all.count {
            let end = all.withUnsafeBytes { raw -> Int in
                let from = raw.baseAddress! + start
                return memchr(from, 0x0A, raw.count - start)
                    .map { UnsafeRawPointer($0) - raw.baseAddress! } ?? raw.count
            }
            if index >= skip { found.append(all[start..<end]) }
            start = end + 1
            index += 1
        }
        return found
    }

    /// Everything up to `number` is durable at the server: whole segments go. How far the acks have
    /// come is on the disk before any of them does, or the numbers of an emptied spool would begin
    /// too early after a crash.
    public func acknowledge(_ number: Int) throws(SpoolFailure) {
        guard number > acknowledged else { return }
        acknowledged = min(number, last)
        while let first = segments.first, first.first + first.count - 1 <= acknowledged,
            segments.count > 1 || writing < 0 || acknowledged == last
        {
            if saved < acknowledged { try save() }
            if segments.count == 1, writing >= 0 {
                close(writing)
                writing = -1
            }
            unlink(path(first.first))
            bytes -= first.bytes
            segments.removeFirst()
        }
    }

    /// What was acknowledged after `number` is not durable at the server any more: it is sent again.
    public func retreat(to number: Int) throws(SpoolFailure) {
        guard number < acknowledged, number >= first - 1 else { return }
        acknowledged = number
        try save()
    }

    /// Writes down how far the acks have come.
    public func save() throws(SpoolFailure) {
        guard saved != acknowledged else { return }
        try Spool.replace(folder + "/acked", String(acknowledged))
        saved = acknowledged
    }

    // MARK: Looking

    /// What a spool holds, for those who only look: also while another program has it open.
    public struct Glance: Sendable {
        public var stream = ""
        public var waiting = 0
        public var acknowledged = 0
        public var bytes = 0
        /// Seconds since the oldest line that waits was taken in, to the minute; nil where none
        /// waits.
        public var oldestSeconds: Int?
    }

    /// Looks at the spool in `folder` without changing anything; fails where there is none.
    public static func status(_ folder: String) throws(SpoolFailure) -> Glance {
        guard let name = read(folder + "/stream") else {
            throw SpoolFailure("there is no spool in \(folder)")
        }
        var found = Glance()
        found.stream = String(decoding: name.prefix { $0 != 0x0A }, as: UTF8.self)
        found.acknowledged = number(folder + "/acked") ?? 0
        var last = found.acknowledged
        for (first, path) in try files(folder) {
            // One that goes while it is looked at was acknowledged.
            guard let bytes = read(path) else { continue }
            let count = bytes.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
            last = max(last, first + count - 1)
            found.bytes += bytes.count
            var entry = stat()
            if first + count - 1 > found.acknowledged, found.oldestSeconds == nil,
                stat(path, &entry) == 0
            {
                found.oldestSeconds = max(0, time(nil) - entry.st_mtim.tv_sec)
            }
        }
        found.waiting = last - found.acknowledged
        return found
    }

    /// The segments' files by the number of their first line.
    private static func files(_ folder: String) throws(SpoolFailure) -> [(Int, String)] {
        guard let listing = opendir(folder) else { throw SpoolFailure("listing", folder) }
        defer { closedir(listing) }
        var found: [(Int, String)] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix("segment-"), name.hasSuffix(".ndjson"),
                let first = Int(name.dropFirst(8).dropLast(7))
            else { continue }
            found.append((first, path(folder, first)))
        }
        return found.sorted { $0.0 < $1.0 }
    }
}
