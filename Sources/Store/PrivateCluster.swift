import FoundationEssentials
import Glibc
import Host

/// A PostgreSQL cluster of one's own in a folder, reached by a Unix socket only. For `caravan up`,
/// tests and benchmarks; works as root too, where the server then runs as another account.
public struct PrivateCluster: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public let folder: String
    private let binaries: String
    /// Where its socket is; the folder itself unless its path is too long.
    public let socketFolder: String
    private let account: String?
    /// What its programs are started by, such as another network namespace.
    public var launcher: [String] = []

    public var data: String { folder + "/data" }

    /// A cluster in `folder`, made at the first start.
    public init(folder: String) throws {
        self.folder = folder
        binaries = try PrivateCluster.findBinaries(for: folder)
        // A socket's path has little room: where the folder's is too long, a short one stands in.
        socketFolder =
            folder.utf8.count <= 80
            ? folder : "/tmp/caravan-" + PrivateCluster.shortName(folder)
        account = getuid() == 0 ? try PrivateCluster.findAccount() : nil
    }

    public static func shortName(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return String(hash, radix: 36)
    }

    /// How libpq reaches the cluster's `caravan` database.
    public var conninfo: String { conninfo(database: "caravan") }

    public func conninfo(database: String) -> String {
        "host='\(socketFolder)' port=5432 user=caravan dbname=\(database)"
    }

    /// The programs of the version that made the cluster in a folder; where there is none yet, the
    /// newest that are there.
    private static func findBinaries(for folder: String) throws -> String {
        let files = FileManager.default
        let root = "/usr/lib/postgresql"
        func has(_ path: String) -> Bool { files.isExecutableFile(atPath: path + "/initdb") }
        let onPath = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map(String.init).filter(has)
        if let made = madeBy(folder) {
            if has("\(root)/\(made)/bin") { return "\(root)/\(made)/bin" }
            if let found = onPath.first(where: { version(of: $0) == made }) { return found }
            throw Failure(
                description:
                    "the cluster in \(folder) was made by PostgreSQL \(made), whose programs "
                    + "are not there: apt-get install postgresql-\(made), or move the folder away")
        }
        let versions = (try? files.contentsOfDirectory(atPath: root)) ?? []
        if let newest = versions.compactMap({ Int($0) }).sorted().last(where: {
            has("\(root)/\($0)/bin")
        }) {
            return "\(root)/\(newest)/bin"
        }
        if let found = onPath.first { return found }
        throw Failure(
            description: "PostgreSQL's programs are not there; install them with "
                + "apt-get install postgresql")
    }

    /// The major version that made the cluster in a folder; nil where there is none.
    private static func madeBy(_ folder: String) -> String? {
        guard
            let text = try? String(contentsOfFile: folder + "/data/PG_VERSION", encoding: .utf8)
        else { return nil }
        let version = text.trimmed
        return version.isEmpty ? nil : version
    }

    /// The major version of the programs in a folder, by their own word.
    private static func version(of folder: String) -> String? {
        guard let said = try? output([folder + "/postgres", "--version"]).said else { return nil }
        let number = said.split(separator: " ").first { $0.first?.isNumber == true }
        return number.flatMap { $0.split(separator: ".").first }.map(String.init)
    }

    private static func findAccount() throws -> String {
        for name in ["postgres", "nobody"] where getpwnam(name) != nil { return name }
        throw Failure(
            description: "PostgreSQL refuses root, and no account postgres or nobody is there")
    }

    /// Starts the server, making the cluster where there is none; one that still runs from before
    /// is taken as it is.
    public func start(settings: [String] = []) throws {
        let files = FileManager.default
        let entry = account.flatMap { getpwnam($0) }
        let owners = entry.map { [$0.pointee.pw_uid] } ?? []
        for path in Set([folder, socketFolder]).sorted() {
            try PrivateFolder.make(path, owners: owners)
            if let entry { lchown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) }
        }
        if !files.fileExists(atPath: data + "/PG_VERSION") {
            try run(
                "initdb",
                [
                    "-D", data, "-U", "caravan", "--auth-local=trust", "--auth-host=reject",
                    "--encoding=UTF8", "--locale=C", "--no-instructions",
                ])
        }
        try startServer(settings: settings)
        try createDatabase()
    }

    /// Starts the server of a cluster that is there already.
    public func startServer(settings: [String] = []) throws {
        if !isAlive {
            waitUntilGone()
            var options = [
                "-c listen_addresses=", "-c unix_socket_directories='\(socketFolder)'",
                "-c unix_socket_permissions=0700", "-c max_wal_size=4GB",
                "-c shared_buffers=256MB", "-c port=5432",
            ]
            options += settings.map { "-c " + $0 }
            try run(
                "pg_ctl",
                [
                    "-D", data, "-l", folder + "/postgres.log", "-w", "-t", "60", "-s",
                    "-o", options.joined(separator: " "), "start",
                ])
        }
    }

    /// A server that has ended is in the way of the next until somebody has asked after it.
    private func waitUntilGone() {
        guard let processID else { return }
        for _ in 0..<100 where kill(processID, 0) == 0 && !isAlive { usleep(100_000) }
        // Nobody does: what it left says that it lives, and it does not.
        if kill(processID, 0) == 0, !isAlive { unlink(data + "/postmaster.pid") }
    }

    private func createDatabase() throws {
        let connection = try Connection(conninfo(database: "postgres"))
        let found = try connection.query(
            "select 1 from pg_database where datname = 'caravan'", [], "looking for the database")
        if found.rows == 0 {
            try connection.run("create database caravan", "creating the database")
        }
    }

    public var isRunning: Bool {
        (try? run("pg_ctl", ["-D", data, "-s", "status"])) != nil
    }

    /// Whether its process is there, without asking it.
    public var isAlive: Bool {
        guard let processID, isPostmaster(processID),
            let stat = try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8)
        else { return false }
        // One that has ended and that nobody has asked after yet is not there any more.
        return stat.split(separator: ")").last?.first { $0 != " " } != "Z"
    }

    /// The postmaster's process id; nil where it does not run.
    public var processID: Int32? {
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8)
        else { return nil }
        return text.split(separator: "\n").first.flatMap { Int32($0) }
    }

    /// Whether a process is what its file says: a postmaster works in its data folder. Whoever may write that file
    /// may have named any process.
    private func isPostmaster(_ process: Int32) -> Bool {
        var space = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/\(process)/cwd", &space, space.count - 1)
        // What this account may not look into it may not end either.
        guard count > 0 else { return errno == EACCES }
        let cwd = String(
            decoding: space[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let real = realpath(data, nil) else { return false }
        defer { free(real) }
        return cwd == String(cString: real)
    }

    /// `fast` (open transactions are rolled back) or `immediate` (as by a crash).
    public func stop(mode: String = "fast") throws {
        guard isAlive, let process = processID else { return }
        let order = ["-D", data, "-w", "-s", "stop"]
        if (try? run("pg_ctl", ["-m", mode, "-t", "6"] + order)) != nil { return }
        if (try? run("pg_ctl", ["-m", "immediate", "-t", "2"] + order)) != nil { return }
        // It does not even listen to that: the log is crash-safe, and what is left is cleared away.
        kill(process, SIGKILL)
    }

    /// Runs a program of the cluster's to its end.
    public func run(_ program: String, _ arguments: [String]) throws {
        let command =
            ["env", "-C", "/"] + launcher + (account.map(asAccount) ?? [])
            + [binaries + "/" + program] + arguments
        let (status, said) = try PrivateCluster.output(command)
        guard status == 0 else {
            throw Failure(
                description: "\(program) failed: "
                    + said.split(separator: "\n").suffix(3).joined(separator: "; "))
        }
    }

    /// What a program says to its end. By way of a file: a server that it leaves behind holds its
    /// outputs open.
    private static func output(_ command: [String]) throws -> (status: Int32, said: String) {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent(
            "caravan-\(UUID().uuidString)"
        ).path
        defer { unlink(log) }
        let status = try ChildProcess(command, output: .file(log)).wait()
        return (status, (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }

    /// Runs as the account; where its folder lies behind one that others may not enter, with the
    /// one capability that lets it pass.
    private func asAccount(_ name: String) -> [String] {
        var words = ["setpriv", "--reuid=\(name)", "--regid=\(name)", "--init-groups"]
        if name == "nobody" { words[2] = "--regid=nogroup" }
        if !isReachable {
            words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        }
        return words + ["--"]
    }

    private var isReachable: Bool {
        var path = URL(fileURLWithPath: folder).deletingLastPathComponent()
        while path.path != "/" {
            var entry = stat()
            if stat(path.path, &entry) == 0, entry.st_mode & 0o001 == 0 { return false }
            path.deleteLastPathComponent()
        }
        return true
    }
}
