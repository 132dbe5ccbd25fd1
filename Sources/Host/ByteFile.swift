import Glibc

/// A file that bytes are read from or written to: an open descriptor, closed when it is let go unless it
/// is one that the program was started with.
public final class ByteFile: Sendable {
    public static let standardInput = ByteFile(descriptor: 0)
    public static let standardOutput = ByteFile(descriptor: 1)
    public static let standardError = ByteFile(descriptor: 2)

    public let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    public init(reading path: String) throws(HostFailure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw HostFailure("\(path) cannot be read", errno) }
    }

    /// Made where it is not there; what it held is gone.
    public init(writing path: String) throws(HostFailure) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw HostFailure("\(path) cannot be written", errno) }
    }

    /// One that is not there yet, with this mode whatever the umask is.
    fileprivate init(fresh path: String, mode: mode_t) throws(HostFailure) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0, fchmod(descriptor, mode) == 0 else {
            throw HostFailure("\(path) cannot be written", errno)
        }
    }

    deinit { if descriptor > 2 { close(descriptor) } }

    /// Writes all of it, or throws.
    public func write(_ bytes: some Sequence<UInt8>) throws(HostFailure) {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw HostFailure("writing", errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// Says it where that is possible: a terminal that is gone is no reason to end.
    public func say(_ text: String) { try? write(text.utf8) }

    /// All there is, to the end.
    public func readAll() throws(HostFailure) -> [UInt8] {
        var all: [UInt8] = []
        var space = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = read(descriptor, &space, space.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw HostFailure("reading", errno) }
            if count == 0 { return all }
            all += space[..<count]
        }
    }
}

/// A file that takes another's place whole or not at all: written beside, then renamed.
public struct Replacement: Sendable {
    public let file: ByteFile
    private let path: String
    private let beside: String

    /// `mode`: who may read it. What lies beside from before goes, and nothing that somebody else has put
    /// there is followed.
    public init(of path: String, mode: mode_t) throws(HostFailure) {
        self.path = path
        beside = path + ".new"
        unlink(beside)
        file = try ByteFile(fresh: beside, mode: mode)
    }

    /// From now on it is what the name leads to. `isDurable`: on the disk before that.
    public func commit(isDurable: Bool = false) throws(HostFailure) {
        if isDurable, fsync(file.descriptor) != 0 {
            throw HostFailure("\(beside) is not on the disk", errno)
        }
        guard rename(beside, path) == 0 else { throw HostFailure("\(path) cannot be made", errno) }
    }
}

/// What the system refused, with its reason.
public struct HostFailure: Error, CustomStringConvertible {
    public let description: String
    /// errno(3).
    public let code: Int32

    init(_ operation: String, _ code: Int32) {
        self.code = code
        description = "\(operation): \(String(cString: strerror(code)))"
    }
}
