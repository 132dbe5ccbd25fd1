import Engine
import Store
import Tracking
import Wire

/// Judges what a look at the database found.
struct DatabaseChecks {
    let facts: DatabaseInspection
    let plan: DaemonPlan?
    /// How far the daemon of this machine saw the log; nil: it has not.
    let known: KnownLog?
    let now: Instant

    func run() -> [Finding] {
        var found = server() + promises() + zones() + schema()
        found += facts.blockers.map { blocker in
            Finding(
                .bad, "locks",
                "process \(blocker.process) of PostgreSQL (\(blocker.account), "
                    + "\(blocker.program.isEmpty ? "no name" : blocker.program), \(blocker.state)) has held a "
                    + "lock for which others wait, for \(blocker.seconds) s",
                advice: "end what it does, or select pg_terminate_backend(\(blocker.process))")
        }
        guard let log = facts.log else { return found }
        found += writer(log) + partitions(log) + wentBack(log) + consumers() + posts()
        found += standbys()
        if log.unsettled > 0 {
            found.append(
                Finding(
                    .note, "quarantine", "\(log.unsettled) refused lines wait for somebody",
                    advice: "caravan quarantine list; then replay or discard them"))
        }
        return found
    }

    private func server() -> [Finding] {
        var found = [
            Finding(
                facts.versionNumber < 150_000 ? .bad : .good, "database",
                "PostgreSQL \(facts.version)"
                    + (facts.log.map { ", \(FileChecks.size($0.bytes))" } ?? ""),
                advice: facts.versionNumber < 150_000 ? "Caravan needs PostgreSQL 15 or newer" : nil
            )
        ]
        if facts.encoding != "UTF8" {
            found.append(
                Finding(
                    .bad, "encoding", "the database's encoding is \(facts.encoding)",
                    advice: "make it anew: createdb --encoding=UTF8 --template=template0"))
        }
        if facts.isStandby {
            found.append(
                Finding(
                    .bad, "database", "this server is a standby: it takes no lines",
                    advice: "name all hosts in database.url, with target_session_attrs=read-write"))
        }
        if abs(facts.clockAheadSeconds) > 5 {
            found.append(
                Finding(
                    .note, "clock",
                    "the database's clock is \(Int(facts.clockAheadSeconds)) s ahead of this one",
                    advice: "see timedatectl on both machines"))
        }
        return found
    }

    /// What PostgreSQL is set to that makes an ack untrue, or the feed slow.
    private func promises() -> [Finding] {
        var found: [Finding] = []
        for (name, harm) in [
            ("synchronous_commit", "an acknowledged line can be lost with the machine's power"),
            ("fsync", "a crash of the machine can ruin the whole database"),
            ("full_page_writes", "a crash of the machine can ruin pages"),
        ] where facts.settings[name] == "off" {
            found.append(
                Finding(
                    .bad, "durability", "\(name) is off: \(harm)",
                    advice: "alter system reset \(name); select pg_reload_conf()"))
        }
        if let commit = facts.settings["synchronous_commit"],
            commit == "local" || commit == "remote_write",
            facts.settings["synchronous_standby_names"]?.isEmpty == false
        {
            found.append(
                Finding(
                    .bad, "durability",
                    "synchronous_commit is \(commit): an acknowledged line can be lost with this machine, "
                        + "though synchronous standbys are named",
                    advice: "alter system set synchronous_commit = on; select pg_reload_conf()"))
        }
        if facts.settings["default_transaction_read_only"] == "on" {
            found.append(
                Finding(
                    .bad, "database", "sessions are read-only by default",
                    advice: "alter database … reset default_transaction_read_only"))
        }
        // pg_settings has it in megabytes. Under load the log of the database turns over within minutes.
        if let size = facts.settings["max_wal_size"].flatMap(Int.init), size < 2_048 {
            found.append(
                Finding(
                    .note, "speed",
                    "max_wal_size is \(size) MB: above some 10,000 lines a second PostgreSQL makes "
                        + "checkpoints all the time",
                    advice: "alter system set max_wal_size = '4GB'; select pg_reload_conf()"))
        }
        if found.isEmpty {
            found.append(Finding(.good, "durability", "an ack means what it says"))
        }
        return found
    }

    private func zones() -> [Finding] {
        guard let offset = facts.almatyOffsetMinutes else {
            return [
                Finding(
                    .note, "time zones", "PostgreSQL knows no Asia/Almaty",
                    advice: "install tzdata where PostgreSQL runs")
            ]
        }
        if offset == 300 { return [] }
        return [
            Finding(
                .note, "time zones",
                "PostgreSQL's are older than 2024a: it has Almaty an hour ahead of its clocks since "
                    + "1 March 2024. Caravan goes by its own; your queries do not",
                advice: "update tzdata where PostgreSQL runs, and restart it")
        ]
    }

    private func schema() -> [Finding] {
        let newest = DatabaseInspection.newestSchema
        guard let version = facts.schemaVersion else {
            return [
                Finding(
                    .bad, "schema", "there is none in this database",
                    advice: "caravan migrate, with the rights of the database's owner")
            ]
        }
        if version < newest {
            return [
                Finding(
                    .bad, "schema", "version \(version); this program needs \(newest)",
                    advice: "caravan migrate")
            ]
        }
        if version > newest {
            return [
                Finding(
                    .bad, "schema",
                    "version \(version), of a newer caravan; this one knows \(newest)",
                    advice: "install the caravan that made it, or a newer one")
            ]
        }
        if !facts.missingTables.isEmpty {
            return [
                Finding(
                    .bad, "schema",
                    "tables are missing that version \(version) has: "
                        + facts.missingTables.joined(separator: ", "),
                    advice:
                        "somebody dropped them: restore a backup, or import an archive into a new "
                        + "database")
            ]
        }
        return [Finding(.good, "schema", "version \(version)")]
    }

    private func writer(_ log: DatabaseInspection.Log) -> [Finding] {
        let place = "batch \(log.head.batch), output \(log.head.seq)"
        guard let age = log.leaseAgeSeconds else {
            return [
                Finding(
                    .note, "writer", "no daemon writes the log; it stands at \(place)",
                    advice: "systemctl start caravand, or see why it does not")
            ]
        }
        let limit = 3 * (plan?.leaseSeconds ?? 10)
        if age > limit {
            return [
                Finding(
                    .bad, "writer",
                    "\(log.holder) has shown no sign of life for \(Int(age)) s; the log stands at "
                        + place,
                    advice: "systemctl status caravand, and its log")
            ]
        }
        return [
            Finding(.good, "writer", "\(log.holder), feed at \(log.feedAddress), \(place)")
        ]
    }

    private func partitions(_ log: DatabaseInspection.Log) -> [Finding] {
        var found: [Finding] = []
        if log.partitionDaysAhead < 2 {
            found.append(
                Finding(
                    .bad, "partitions",
                    log.partitionDaysAhead < 0
                        ? "there is none for today"
                        : "they are made for \(log.partitionDaysAhead) more days only",
                    advice: "the daemon makes them each hour; its log says why it could not. "
                        + "caravan migrate makes a week's"))
        } else {
            found.append(
                Finding(.good, "partitions", "made for \(log.partitionDaysAhead) days ahead"))
        }
        if log.rowsInDefault > 0 {
            found.append(
                Finding(
                    .note, "partitions",
                    "\(log.rowsInDefault) rows lie in a default partition, as if of another time",
                    advice: "is the clock right? The daemon moves them when the day's is made"))
        }
        return found
    }

    private func wentBack(_ log: DatabaseInspection.Log) -> [Finding] {
        guard let known else { return [] }
        if known.log == log.head.log, log.head.batch < known.batch {
            return [
                Finding(
                    .bad, "history",
                    "the database went back: this machine saw batch \(known.batch) of log "
                        + "\(known.log), and the log ends at \(log.head.batch)",
                    advice:
                        "was a backup restored, or a standby promoted? Start the daemon: it gives "
                        + "the log a new name, and spools send again what it lost")
            ]
        }
        if known.log != log.head.log {
            return [
                Finding(
                    .note, "history",
                    "the log is \(log.head.log); this machine last saw \(known.log)",
                    advice: "that is right after a restore, or with another database")
            ]
        }
        return []
    }

    private func consumers() -> [Finding] {
        let keepDays = Double(plan?.retentionDays ?? 400)
        var found: [Finding] = []
        for consumer in facts.consumers {
            let name = consumer.cursor.cursor.text
            if consumer.lostLines > 0 {
                found.append(
                    Finding(
                        .bad, "consumer",
                        "\(name) has missed \(consumer.lostLines) lines: retention dropped them",
                        advice:
                            "let it begin at what is there still: tail with \"after\":\"start\"")
                )
            } else if let days = consumer.behindDays, days > keepDays / 2 {
                found.append(
                    Finding(
                        .note, "consumer",
                        "\(name) is \(Int(days)) days behind; after \(Int(keepDays)) its lines go",
                        advice: "is it still there? If not: caravan consumer forget"))
            }
        }
        if found.isEmpty, !facts.consumers.isEmpty {
            found.append(
                Finding(.good, "consumers", "\(facts.consumers.count) known, none lags much"))
        }
        return found
    }

    /// Hours without a line after which a post is silent, where others speak.
    static let silentHours = 24.0
    static let skewSeconds = 300

    private func posts() -> [Finding] {
        let active = facts.posts.filter { !$0.isRevoked }
        let latest = active.compactMap(\.lastLine).max()
        var found: [Finding] = []
        for post in active {
            if let last = post.lastLine, let latest,
                latest.minutes(since: last) > DatabaseChecks.silentHours * 60
            {
                found.append(
                    Finding(
                        .note, "post",
                        "\(post.name) has been silent since \(TimeText.string(last)), others have not",
                        advice: "is its link up? caravan push --status at the post says"))
            }
            if let skew = post.clockAheadSeconds, abs(skew) >= DatabaseChecks.skewSeconds {
                found.append(
                    Finding(
                        .note, "post",
                        "\(post.name)'s clock is \(abs(skew)) s \(skew > 0 ? "ahead" : "behind")",
                        advice: "have it set right: its reports order wrongly against others'"))
            }
            if post.forbidden > 0 {
                found.append(
                    Finding(
                        .note, "post",
                        "\(post.name) reported \(post.forbidden) times on places that are not its own",
                        advice:
                            "caravan post enrol \(post.name) with a --place for each of its places, "
                            + "or ask who speaks there"))
            }
        }
        if found.isEmpty, !active.isEmpty {
            found.append(Finding(.good, "posts", "\(active.count) enrolled"))
        }
        return found
    }

    /// Bytes behind which a standby is worth a word.
    static let standbyLagBytes = 256 << 20

    private func standbys() -> [Finding] {
        facts.standbys.map { standby in
            let words =
                "\(standby.name) (\(standby.mode)) is \(FileChecks.size(standby.lagBytes)) behind"
            return standby.lagBytes > DatabaseChecks.standbyLagBytes
                ? Finding(.note, "standby", words, advice: "see its log, its disk and its network")
                : Finding(.good, "standby", words)
        }
    }
}
