/// One setting: its key in the file (`feed.window`), which is also its environment variable
/// (`CARAVAN_FEED_WINDOW`) and its flag (`--set feed.window=…`).
public struct Setting: Sendable {
    public enum Kind: Sendable {
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        case text
        case choice([String])
        case list
    }

    public let key: String
    public let kind: Kind
    /// As it would stand in the file.
    public let fallback: String
    public let purpose: String

    init(_ key: String, _ kind: Kind, _ fallback: String, _ purpose: String) {
        self.key = key
        self.kind = kind
        self.fallback = fallback
        self.purpose = purpose
    }

    /// It counts from the next SIGHUP on; the others from the next start on.
    public var isReloaded: Bool {
        let groups = ["alerts.", "eta.", "events.", "log.", "network.", "metrics.", "retention."]
        let single = [
            "feed.max-events", "feed.max-plans", "feed.max-closures", "partitions.days-ahead",
            "tls.certificate", "tls.key", "tls.client-authorities", "tls.revocations",
        ]
        return groups.contains { key.hasPrefix($0) } || single.contains(key)
    }

    var isList: Bool {
        if case .list = kind { true } else { false }
    }

    /// What values are allowed, for people.
    public var allowed: String {
        switch kind {
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .text: "a text"
        case .choice(let choices): "one of \(choices.joined(separator: ", "))"
        case .list: "a list of texts"
        }
    }

    public var variable: String {
        "CARAVAN_" + key.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Every setting there is. The example file is its manual, and a test compares the two.
    public static let all: [Setting] = [
        Setting(
            "database.url", .text, "",
            "libpq connection string or URI; several hosts may be named"),
        Setting(
            "database.password-file", .text, "",
            "file whose first line is the password, which then stands in no other place; empty: none"
        ),
        Setting(
            "run.folder", .text, ".",
            "folder of the Unix sockets; one daemon runs in it at a time"),
        Setting(
            "state.folder", .text, "",
            "where the daemon remembers how far it saw the log, on a disk; empty: the run folder"),
        Setting(
            "feed.listen", .list, "127.0.0.1:7601,unix:feed.sock",
            "where posts connect: host:port, tls:host:port, or unix:name in the run folder"),
        Setting(
            "feed.max-line", .integer(1_024...1_048_576), "65536", "bytes of one line"),
        Setting("feed.max-text", .integer(16...1_024), "256", "bytes of one text field"),
        Setting(
            "feed.max-containers", .integer(1...10_000), "1000", "containers of one plan"),
        Setting(
            "feed.max-milestones", .integer(1...10_000), "256",
            "milestones of one plan, and places of its via"),
        Setting(
            "feed.max-plan-work", .integer(1_000...100_000_000), "100000",
            "containers of one plan times its milestones, and the same over all plans of a container"
        ),
        Setting(
            "feed.max-events", .integer(1...1_000_000), "10000",
            "events of one container, corrections and retractions among them"),
        Setting(
            "feed.max-plans", .integer(1...1_000_000), "1000", "plans that name one container"),
        Setting(
            "feed.max-closures", .integer(1...1_000_000), "10000", "closures, ended ones among them"
        ),
        Setting(
            "feed.max-streams", .integer(1...1_000_000), "1000",
            "streams of one post: of each session stream the last number is kept"),
        Setting(
            "feed.window", .integer(1...1_000_000), "8192",
            "lines of one connection that may wait for their ack"),
        Setting(
            "feed.max-connections", .integer(1...1_000_000), "10000", "feed connections at a time"),
        Setting(
            "feed.max-unauthenticated", .integer(1...1_000_000), "4096",
            "of these, those that have not said their first line"),
        Setting(
            "feed.max-anonymous", .integer(1...1_000_000), "4096",
            "of these, those that are nobody in particular; at most three fifths of all"),
        Setting(
            "feed.max-per-address", .integer(1...1_000_000), "512",
            "of these, those of one address"),
        Setting("feed.max-per-post", .integer(1...100_000), "64", "of these, those of one post"),
        Setting(
            "feed.id-memory", .integer(0...10_000_000), "65536",
            "ids of which it is remembered for an hour to which container they were given; 0: none"
        ),
        Setting(
            "feed.anonymous", .choice(["local", "everywhere", "nowhere"]), "local",
            "where senders are let in that do not say who they are; local: loopback and Unix sockets"
        ),
        Setting(
            "feed.advertise", .text, "",
            "where a standby sends posts that ask for the writer; empty: the first address of feed.listen"
        ),
        Setting(
            "feed.handshake-seconds", .integer(1...3_600), "10", "time for a TLS handshake"),
        Setting(
            "feed.first-line-seconds", .integer(1...3_600), "10",
            "time for a connection's first line"),
        Setting(
            "feed.line-seconds", .integer(1...3_600), "30",
            "time from a line's first byte to its last"),
        Setting(
            "feed.stall-seconds", .integer(1...3_600), "30", "time for which a write may stall"),
        Setting(
            "feed.heartbeat-seconds", .integer(1...3_600), "10", "between heartbeats of a session"),
        Setting(
            "feed.inbox-lines", .integer(100...10_000_000), "20000",
            "lines read and not yet decided, over all connections"),
        Setting(
            "tail.listen", .list, "127.0.0.1:7611,unix:tail.sock",
            "where consumers connect: host:port, or unix:name in the run folder"),
        Setting(
            "tail.max-connections", .integer(1...1_000_000), "10000", "tail connections at a time"),
        Setting(
            "tail.max-per-address", .integer(1...1_000_000), "1000",
            "of these, those of one address"),
        Setting(
            "tail.anonymous", .choice(["local", "everywhere", "nowhere"]), "local",
            "where consumers may read all that do not say who they are; local: loopback and Unix sockets"
        ),
        Setting(
            "tail.max-names", .integer(1...1_000_000), "1000",
            "places in the output that are known by name, of each consumer"),
        Setting(
            "tail.heartbeat-seconds", .integer(1...3_600), "15", "between heartbeats of a tail"),
        Setting(
            "tail.slow-seconds", .integer(1...3_600), "30",
            "time after which a consumer that does not read is cut"),
        Setting(
            "tail.ring-lines", .integer(1_024...10_000_000), "65536",
            "output lines kept in memory for live tails"),
        Setting(
            "output.files", .text, "",
            "folder into which the output is written too, as output-<first number>.ndjson with a link "
                + "current that tail -F follows; empty: none"),
        Setting(
            "output.files-megabytes", .integer(1...10_000), "64",
            "size from which on a new one of these files is begun"),
        Setting(
            "output.files-days", .integer(1...36_500), "30",
            "days for which these files are kept, from their last line on"),
        Setting(
            "output.stdout", .choice(["none", "json", "text"]), "none",
            "form in which the output goes to stdout, for journals and containers"),
        Setting("tls.certificate", .text, "", "certificate chain of this daemon (PEM)"),
        Setting("tls.key", .text, "", "its private key (PEM)"),
        Setting(
            "tls.client-authorities", .text, "",
            "authorities whose certificates posts must show (PEM); empty: none is asked for"),
        Setting(
            "tls.revocations", .text, "",
            "revoked certificates of those authorities (PEM CRL); a CRL past its time lets nobody in"
        ),
        Setting(
            "writer.lease-seconds", .number(1...300), "3",
            "after this long without a sign of the writer a standby takes over"),
        Setting(
            "writer.batch-lines", .integer(1...50_000), "5000", "lines of one transaction"),
        Setting(
            "writer.checkpoint-seconds", .number(1...86_400), "60",
            "longest time between two checkpoints under load"),
        Setting(
            "writer.checkpoint-changes", .integer(100...100_000_000), "500000",
            "changed containers that make a checkpoint due"),
        Setting(
            "retention.days", .integer(1...36_500), "400",
            "days for which lines, events and output are kept"),
        Setting(
            "partitions.days-ahead", .integer(7...365), "8", "days of partitions made ahead"),
        Setting(
            "metrics.file", .text, "metrics.prom",
            "where the figures are written every few seconds, in Prometheus' text form; relative to "
                + "the run folder; none: nowhere"),
        Setting("network.file", .text, "", "network file; empty: the shipped Silk Road"),
        Setting(
            "alerts.raise-probability", .number(0.01...1), "0.6",
            "late is raised from this probability on"),
        Setting(
            "alerts.clear-probability", .number(0...1), "0.4",
            "late is cleared at this probability; under the one that raises"),
        Setting(
            "alerts.info-minutes", .number(1...100_000), "30", "predicted delay of level info"),
        Setting(
            "alerts.warning-minutes", .number(1...100_000), "120",
            "predicted delay of level warning"),
        Setting(
            "alerts.critical-minutes", .number(1...100_000), "360",
            "predicted delay of level critical"),
        Setting(
            "alerts.confirm-minutes", .number(0...10_000), "10",
            "time after which one event is enough to raise late"),
        Setting(
            "alerts.calm-minutes", .number(0...10_000), "15",
            "time for which the cause must be gone before late is cleared"),
        Setting(
            "alerts.backlog-minutes", .number(1...100_000), "30",
            "news older than this is backlog: nothing is said of it before it is all in"),
        Setting(
            "alerts.settle-minutes", .number(0...10_000), "2",
            "time without backlog after which it counts as all in"),
        Setting(
            "eta.interval-seconds", .number(0...86_400), "60",
            "shortest time between two eta lines of a container"),
        Setting(
            "eta.change-minutes", .number(0...100_000), "15", "smallest change worth an eta line"),
        Setting(
            "eta.change-share", .number(0...1), "0.02",
            "smallest change, as a share of the remaining time"),
        Setting(
            "eta.change-worth", .number(0...100), "0.7",
            "how much worse what was said last has to be than what is known now: the share by which its "
                + "expected loss is larger"),
        Setting(
            "eta.border-worth", .number(0...100), "0.12",
            "the same where a border was passed, or the first sign of the box has come"),
        Setting(
            "eta.every", .choice(["false", "true"]), "false",
            "every recalculation that comes to something else has its line"),
        Setting(
            "eta.every-milestone", .choice(["false", "true"]), "false",
            "every milestone that is reached has its line"),
        Setting(
            "events.future-hours", .number(0...8_760), "24",
            "how far ahead of the clock an event may lie"),
        Setting(
            "events.past-days", .number(0...36_500), "400",
            "how far back an actual event may lie, for clocks that lost their date; 0: any age"),
        Setting(
            "log.level", .choice(["trace", "debug", "info", "notice", "warning", "error"]), "info",
            "least severity that is logged, on stderr"),
        Setting(
            "clock.speedup", .number(1...1_000_000), "1",
            "for demonstrations: the engine's clock runs this much faster"),
        Setting(
            "clock.start", .text, "",
            "for demonstrations: where the engine's clock begins (RFC 3339); empty: now"),
    ]
}
