import Glibc

/// A folder that nobody else can have a hand in: sockets and databases in predictable places must not
/// land in one that somebody else has made.
public enum PrivateFolder {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Makes the folder with mode 0700, its parents as usual; one that is there is taken where it is
    /// a folder (no link), belongs to this account or one of `owners`, and is closed to all others.
    public static func make(_ path: String, owners: [uid_t] = []) throws(Failure) {
        if mkdir(path, 0o700) == 0 { return }
        if errno == ENOENT, let end = path.lastIndex(of: "/"), end > path.startIndex {
            try makeParents(String(path[..<end]))
            if mkdir(path, 0o700) == 0 { return }
        }
        guard errno == EEXIST else {
            throw Failure(
                description: "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        try check(path, owners: owners)
    }

    private static func makeParents(_ path: String) throws(Failure) {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        if errno == ENOENT, let end = path.lastIndex(of: "/"), end > path.startIndex {
            try makeParents(String(path[..<end]))
            if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        }
        throw Failure(description: "\(path) cannot be made: \(String(cString: strerror(errno)))")
    }

    /// The same for a folder that others may look into: nobody else may change anything in it.
    public static func makeOwn(_ path: String) throws(Failure) {
        if mkdir(path, 0o700) == 0 { return }
        if errno == ENOENT { return try make(path) }
        guard errno == EEXIST else {
            throw Failure(
                description: "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        try check(path, forbidden: 0o022)
    }

    /// Without following a link in the last place.
    public static func check(
        _ path: String, owners: [uid_t] = [], forbidden: mode_t = 0o077
    ) throws(Failure) {
        var entry = stat()
        guard lstat(path, &entry) == 0 else {
            throw Failure(
                description: "\(path) cannot be looked at: \(String(cString: strerror(errno)))")
        }
        guard entry.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(
                description:
                    "\(path) is there and is no folder (a link is none either); remove it, "
                    + "or choose another place")
        }
        guard entry.st_uid == geteuid() || owners.contains(entry.st_uid) else {
            throw Failure(
                description:
                    "\(path) belongs to account \(entry.st_uid), not to this one: somebody "
                    + "else made it; remove it, or choose another place")
        }
        guard entry.st_mode & forbidden == 0 else {
            throw Failure(
                description: "\(path) is open to other accounts (mode "
                    + "\(String(entry.st_mode & 0o7777, radix: 8))); chmod 700 it if it is yours")
        }
    }
}
