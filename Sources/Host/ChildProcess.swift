import Glibc
import Synchronization

/// A program that this one started. By posix_spawn and waitpid, and of the child alone: what it leaves
/// behind is not waited for.
public final class ChildProcess: Sendable {
    /// Where the child's output goes.
    public enum Output: Sendable {
        case inherited
        /// Both of its outputs, in a new file that nobody else may read.
        case file(String)
    }

    public let processID: Int32
    private let status = Mutex<Int32?>(nil)

    /// Starts `command[0]`, looked for in PATH unless it is a path, with nothing to read.
    public init(
        _ command: [String], environment: [String: String]? = nil, output: Output = .inherited
    ) throws(HostFailure) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if case .file(let path) = output {
            posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] =
            (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for word in words { free(word) }
            for setting in settings { free(setting) }
        }
        // What this program ignores or blocks, the child begins without.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var child: pid_t = 0
        let code =
            environment == nil
            ? posix_spawnp(&child, command[0], &actions, &attributes, &words, environ)
            : posix_spawnp(&child, command[0], &actions, &attributes, &words, &settings)
        guard code == 0 else { throw HostFailure(command[0], code) }
        processID = child
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool { look(WNOHANG) == nil }

    /// Waits until it ends; what waitpid(2) says of it, 0 where all was well.
    @discardableResult
    public func wait() -> Int32 { look(0) ?? -1 }

    private func look(_ options: Int32) -> Int32? {
        status.withLock { status in
            if let status { return status }
            var word: Int32 = 0
            var found = waitpid(processID, &word, options)
            while found < 0, errno == EINTR { found = waitpid(processID, &word, options) }
            if found == processID { status = word } else if found < 0 { status = -1 }
            return status
        }
    }

    public func send(_ signal: Int32) { if isRunning { kill(processID, signal) } }
}
