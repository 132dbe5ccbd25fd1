import Client
import Foundation
import Store

/// Three PostgreSQL nodes under Patroni and one etcd, all on loopback, by the example in Deploy/patroni.
public final class PatroniCluster: @unchecked Sendable {
    public struct Node: Sendable {
        public let name: String
        public let port: Int
        public let restPort: Int
    }

    public let nodes: [Node]
    private let folder = ScratchFolder()
    private let etcdPort: Int
    private var etcd: ChildPrograms.Child?
    private var patronis: [String: ChildPrograms.Child] = [:]
    private let programs = ChildPrograms()

    /// Patroni in an environment of its own, from PyPI; kept between runs.
    private static func patroni() throws -> String {
        let path = packageFolder + "/.build/patroni"
        let lock = open(packageFolder + "/.build/patroni.lock", O_RDWR | O_CREAT, 0o600)
        defer { close(lock) }
        flock(lock, LOCK_EX)
        if FileManager.default.isExecutableFile(atPath: path + "/bin/patroni") {
            return path + "/bin"
        }
        _ = try Shell.run(["/usr/bin/python3", "-m", "venv", path])
        _ = try Shell.run([
            path + "/bin/pip", "-q", "install", "patroni[etcd3]==4.1.5", "psycopg2-binary",
        ])
        return path + "/bin"
    }

    /// Starts all of it, and returns once there is a primary and a standby that commits wait for.
    public init() throws {
        bin = try PatroniCluster.patroni()
        var ports: [Int] = []
        while ports.count < 8 {
            let port = Int(try LocalPort.free())
            if !ports.contains(port) { ports.append(port) }
        }
        etcdPort = ports[6]
        nodes = ["a", "b", "c"].enumerated().map { at, name in
            Node(name: name, port: ports[at * 2], restPort: ports[at * 2 + 1])
        }
        chmod(folder.path, 0o755)
        let etcdFolder = folder.path + "/etcd"
        etcdCommand = [
            "etcd", "--name", "e", "--data-dir", etcdFolder, "--log-level", "error",
            "--listen-client-urls", "http://127.0.0.1:\(etcdPort)",
            "--advertise-client-urls", "http://127.0.0.1:\(etcdPort)",
            "--listen-peer-urls", "http://127.0.0.1:\(ports[7])",
            "--initial-advertise-peer-urls", "http://127.0.0.1:\(ports[7])",
            "--initial-cluster", "e=http://127.0.0.1:\(ports[7])",
        ]
        try startEtcd()
        let template = try String(
            contentsOfFile: packageFolder + "/Deploy/patroni/patroni.yml", encoding: .utf8)
        for node in nodes {
            let data = folder.path + "/\(node.name)"
            var text = template
            for (name, value) in [
                "NODE": node.name, "ADDRESS": "127.0.0.1", "REST_PORT": "\(node.restPort)",
                "PORT": "\(node.port)", "ETCD": "127.0.0.1:\(etcdPort)", "DATA": data + "/data",
                "SUPERUSER_PASSWORD": "super", "REPLICATION_PASSWORD": "replica",
            ] { text = text.replacingOccurrences(of: "${\(name)}", with: value) }
            text +=
                "  parameters:\n    unix_socket_directories: \(data)\n    shared_buffers: 128MB\n"
            _ = try Shell.run(["mkdir", data])
            try text.write(
                toFile: data + "/patroni.yml", atomically: true, encoding: .utf8)
            if getuid() == 0 { _ = try Shell.run(["chown", "-R", "postgres:postgres", data]) }
        }
        for node in nodes { try startPatroni(node.name) }
        try waitUntil("three nodes", seconds: 120) {
            try self.leader() != nil && self.replicas() == 2
        }
        try createDatabase()
        try waitUntil("a quorum", seconds: 60) {
            try self.query("select count(*) from pg_stat_replication where sync_state = 'quorum'")
                == "2"
        }
    }

    private let bin: String
    private let etcdCommand: [String]

    deinit {
        for node in nodes { killMachine(node.name) }
        stopEtcd()
    }

    // MARK: Parts

    public func startEtcd() throws {
        etcd = try programs.start(etcdCommand, log: folder.path + "/etcd.log")
    }

    public func stopEtcd() {
        etcd?.killHard()
        etcd = nil
    }

    public func startPatroni(_ name: String) throws {
        let data = folder.path + "/\(name)"
        let account = getuid() == 0 ? ["runuser", "-u", "postgres", "--"] : []
        patronis[name] = try programs.start(
            ["env", "-C", data, "LC_ALL=C.UTF-8"] + account + [
                bin + "/patroni", data + "/patroni.yml",
            ],
            log: folder.path + "/patroni-\(name).log")
    }

    /// Patroni and PostgreSQL at once, as when the machine loses its power.
    public func killMachine(_ name: String) {
        patronis.removeValue(forKey: name)?.killHard()
        killPostgres(name)
    }

    /// The postmaster and all that it started.
    public func killPostgres(_ name: String) {
        let file = folder.path + "/\(name)/data/postmaster.pid"
        guard let text = try? String(contentsOfFile: file, encoding: .utf8),
            let pid = text.split(separator: "\n").first.flatMap({ Int32($0) })
        else { return }
        for child in ChildPrograms.descendants(of: pid) + [pid] { kill(child, SIGKILL) }
    }

    // MARK: State

    private func rest(_ node: Node, _ path: String) -> String {
        (try? Shell.run(
            ["curl", "-s", "-m", "2", "http://127.0.0.1:\(node.restPort)\(path)"], status: nil))
            ?? ""
    }

    private func members() -> [[String: Any]] {
        for node in nodes {
            let text = rest(node, "/cluster")
            if let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
                as? [String: Any],
                let members = object["members"] as? [[String: Any]]
            {
                return members
            }
        }
        return []
    }

    public func leader() throws -> String? {
        members().first {
            $0["role"] as? String == "leader" && $0["state"] as? String == "running"
        }?[
            "name"] as? String
    }

    public func replicas() -> Int {
        members().count {
            $0["role"] as? String != "leader"
                && ["running", "streaming"].contains($0["state"] as? String ?? "")
        }
    }

    public func switchover(to name: String) throws {
        let from = try leader() ?? ""
        let node = nodes.first { $0.name == from } ?? nodes[0]
        _ = try Shell.run([
            "curl", "-s", "-m", "60", "-XPOST", "-d",
            "{\"leader\":\"\(from)\",\"candidate\":\"\(name)\"}",
            "http://127.0.0.1:\(node.restPort)/switchover",
        ])
    }

    public func waitUntil(
        _ what: String, seconds: Double, _ condition: () throws -> Bool
    ) throws {
        let deadline = LineSocket.now() + seconds
        while LineSocket.now() < deadline {
            if (try? condition()) == true { return }
            usleep(200_000)
        }
        let logs = nodes.map { node in
            (try? String(
                contentsOfFile: folder.path + "/patroni-\(node.name).log", encoding: .utf8))?
                .split(separator: "\n").suffix(6).joined(separator: "\n") ?? ""
        }
        throw Shell.Failed("no \(what) within \(seconds) s:\n" + logs.joined(separator: "\n"))
    }

    // MARK: Database

    private func conninfo(database: String, user: String, password: String) -> String {
        let ports = nodes.map { "\($0.port)" }.joined(separator: ",")
        return "host=127.0.0.1,127.0.0.1,127.0.0.1 port=\(ports) user=\(user) password=\(password) "
            + "dbname=\(database) target_session_attrs=read-write connect_timeout=3"
    }

    /// How a daemon reaches it, whoever is primary.
    public var conninfo: String {
        conninfo(database: "caravan", user: "postgres", password: "super")
    }

    public func query(_ sql: String) throws -> String {
        try Shell.run([
            "psql", conninfo(database: "postgres", user: "postgres", password: "super"), "-Atc",
            sql,
        ])
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func createDatabase() throws {
        _ = try query("create database caravan encoding 'UTF8' template template0")
        // libpq goes on to the next host where one is a standby, not where one lacks the database still.
        for node in nodes {
            try waitUntil("database at \(node.name)", seconds: 30) {
                try Shell.run([
                    "psql",
                    "host=127.0.0.1 port=\(node.port) user=postgres password=super dbname=caravan",
                    "-Atc", "select 1",
                ]).hasPrefix("1")
            }
        }
        _ = try Migrator.migrate(conninfo)
    }
}

/// Programs that a test starts and kills, with all that they start.
public final class ChildPrograms: Sendable {
    public init() {}

    public final class Child: @unchecked Sendable {
        private let process: Process

        init(_ process: Process) { self.process = process }

        public func killHard() {
            let pid = process.processIdentifier
            for child in ChildPrograms.descendants(of: pid) + [pid] { kill(child, SIGKILL) }
            process.waitUntilExit()
        }
    }

    public func start(_ command: [String], log: String) throws -> Child {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = FileHandle.nullDevice
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let file = FileHandle(forWritingAtPath: log)
        try file?.seekToEnd()
        process.standardOutput = file
        process.standardError = file
        try process.run()
        return Child(process)
    }

    /// All processes below one, the deepest first.
    public static func descendants(of pid: Int32) -> [Int32] {
        let text = (try? Shell.run(["ps", "-eo", "pid=,ppid="], status: nil)) ?? ""
        var children: [Int32: [Int32]] = [:]
        for line in text.split(separator: "\n") {
            let numbers = line.split(separator: " ").compactMap { Int32($0) }
            if numbers.count == 2 { children[numbers[1], default: []].append(numbers[0]) }
        }
        func below(_ pid: Int32) -> [Int32] {
            (children[pid] ?? []).flatMap { below($0) + [$0] }
        }
        return below(pid)
    }
}
