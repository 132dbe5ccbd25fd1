import FoundationEssentials
import Glibc
import Host
import Settings
import Store
import Tracking

/// Looks at everything a daemon lives by, and says what is not as it should be and what to do.
public struct Doctor {
    private let plan: DaemonPlan?
    private let file: String?
    private let conninfo: String

    /// Of a whole configuration. `file`: where it stands.
    public init(_ settings: Settings, file: String?) throws {
        let plan = try DaemonPlan(settings)
        self.plan = plan
        self.file = file
        conninfo = plan.conninfo
    }

    /// Of a database alone.
    public init(database: String) {
        plan = nil
        file = nil
        conninfo = database
    }

    public func run() async -> [Finding] {
        let now = Doctor.now()
        var found: [Finding] = []
        if let plan {
            found += plan.settings.warnings.map { Finding(.note, "configuration", $0) }
            found += FileChecks(plan: plan, file: file, now: now).run()
            found += HostChecks(plan: plan).run()
        }
        return found + (await Doctor.database(conninfo, plan, now))
    }

    static func database(
        _ conninfo: String, _ plan: DaemonPlan?, _ now: Instant
    ) async -> [Finding] {
        do {
            // First, since the log goes on while it is looked at.
            let known = plan.flatMap {
                RunFolder.known(inState: $0.stateFolder.isEmpty ? $0.runFolder : $0.stateFolder)
            }
            let facts = try await DatabaseInspection.read(conninfo, clock: Doctor.now)
            return DatabaseChecks(facts: facts, plan: plan, known: known, now: now).run()
        } catch {
            let usual =
                "is PostgreSQL up, and does it let this account in? psql with the same database.url says "
                + "more"
            return [
                Finding(.bad, "database", "\(error)", advice: Doctor.advice("\(error)") ?? usual)
            ]
        }
    }

    /// What to do about what PostgreSQL says; nil: its words are enough.
    public static func advice(_ said: String) -> String? {
        advices.first { $0.words.allSatisfy(said.contains) }?.advice
    }

    private static let advices: [(words: [String], advice: String)] = [
        (
            ["role \"", "\" does not exist"],
            "PostgreSQL knows no such account: run this as the daemon's, such as runuser -u caravan -- "
                + "caravan …, or createuser it"
        ),
        (
            ["database \"", "\" does not exist"],
            "createdb it, then caravan migrate; or is the name in database.url right?"
        ),
        (
            ["relation \"", "\" does not exist"],
            "tables are missing: caravan migrate where there are none yet; if somebody dropped them, "
                + "restore a backup"
        ),
        (
            ["too many connections"],
            "raise max_connections, or the account's limit (alter role … connection limit)"
        ),
        (["remaining connection slots"], "raise max_connections"),
        (
            ["permission denied for"],
            "grant this account what the owner of the tables may, or run caravan migrate as the owner"
        ),
        (
            ["session is read-only"],
            "this server takes no lines: name all hosts in database.url, with "
                + "target_session_attrs=read-write"
        ),
        (["password authentication failed"], "see database.password-file"),
        (["no password supplied"], "see database.password-file"),
        (["pg_hba.conf"], "see the server's pg_hba.conf: it lets this account in by no way"),
    ]

    @Sendable static func now() -> Instant { Instant(microseconds: HostClock.wallMicroseconds) }
}

/// What `caravand --check-config` prints: what would run, and what of it is not there.
struct ConfigCheck {
    let plan: DaemonPlan
    let file: String?

    func run() async -> [Finding] {
        let settings = plan.settings
        let files = file.map { [$0] + Settings.fragments(of: $0) } ?? []
        print("configuration: \(files.isEmpty ? "no file" : files.joined(separator: ", "))")
        print("  of \(Setting.all.count) settings these are not left to their defaults:")
        for setting in Setting.all where settings.differs(setting) {
            let isAddress = setting.key == "database.url"
            let shown =
                // Of an address that is written wrong, any part may be the password.
                isAddress
                ? "(stated; not shown, since a password may be in it)"
                : settings.shown(setting)
            print("  \(setting.key): \(shown)")
        }
        print("would run:")
        for address in plan.feeds { print("  feed at \(address)") }
        for address in plan.tails { print("  tail at \(address)") }
        let now = Doctor.now()
        var found = settings.warnings.map { Finding(.note, "configuration", $0) }
        found += FileChecks(plan: plan, file: file, now: now).run()
        for finding in found { print(finding.text) }
        // Whether the database is well is no matter of the configuration: a daemon waits for it.
        for finding in await Doctor.database(plan.conninfo, plan, now) { print(finding.text) }
        if found.allSatisfy({ $0.level < .bad }) {
            print("the configuration is good: \(Setting.all.count) settings")
        }
        return found
    }
}
