import Engine
import Host
import Tracking
import Wire

/// Who holds the right to write.
public struct LeaseHolder: Sendable, Equatable {
    public var holder: String
    /// Where its feed listens.
    public var address: String
    /// The log that it is about.
    public var log: String
}

/// The session for what must not wait behind snapshots and history: the lease, the posts, the
/// quarantine.
actor AdminSession {
    private nonisolated let executor = QueueExecutor("caravan.store.keeper")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let options: StoreOptions
    private let fence: Fence
    private var connection: Connection?

    init(_ options: StoreOptions, _ fence: Fence) {
        self.options = options
        self.fence = fence
    }

    func with<R>(
        _ body: (borrowing Connection) throws(StoreFailure) -> R
    ) throws(StoreFailure) -> R {
        if connection == nil {
            connection = try Migrator.connect(options.conninfo, deadlineSeconds: 12)
        }
        do {
            return try body(connection!)
        } catch {
            connection = nil
            throw error
        }
    }

    // MARK: Lease

    func claim(
        holder: String, insteadOf former: String, address: String, seconds: Double
    ) throws(StoreFailure) -> LeaseHolder {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select holder, address, log from claim_lease($1, $2, $3, $4::text::float8)",
                [.text(holder), .text(former), .text(address), .text("\(seconds)")],
                "claiming the lease")
            return LeaseHolder(
                holder: answer.text(0, 0) ?? "", address: answer.text(0, 1) ?? "",
                log: answer.text(0, 2) ?? "")
        }
    }

    func release(holder: String) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            try connection.run(
                "begin; set local synchronous_commit = local", "giving the lease back")
            _ = try connection.query(
                "update writer_lease set renewed_at = '-infinity' where holder = $1",
                [.text(holder)], "giving the lease back")
            try connection.run("commit", "giving the lease back")
        }
    }

    func declareWentBack(_ known: KnownLog) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "select declare_went_back($1, $2::int8)",
                [.text(known.log), .integer(known.batch)],
                "comparing the log")
            return answer.rows > 0 && !answer.isNull(0, 0)
        }
    }

    // MARK: Posts

    func posts() throws(StoreFailure) -> [EnrolledPost] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select post, array_to_string(places, e'\\n'), token_hash,
                    revoked_at is not null, zone, array_to_string(sources, e'\\n'), operates
                    from post
                """, [], "reading the posts")
            let corrections = try AdminSession.corrections(connection)
            return (0..<answer.rows).map { row in
                var post = EnrolledPost(
                    name: answer.text(row, 0) ?? "",
                    places: (answer.text(row, 1) ?? "").split(separator: "\n").map(String.init),
                    tokenHash: answer.isNull(row, 2) ? nil : Array(answer.bytes(row, 2)),
                    isRevoked: answer.integer(row, 3) != 0, zone: answer.text(row, 4),
                    sources: (answer.text(row, 5) ?? "").split(separator: "\n").map(String.init),
                    mayOperate: answer.integer(row, 6) != 0)
                post.corrections = corrections[post.name] ?? []
                return post
            }
        }
    }

    func report(_ health: [PostHealth]) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            // Texts, so that a list of any length is one statement and one commit.
            let list = { (value: (PostHealth) -> String?) in Parameter.list(health.map(value)) }
            try fence.begin(connection, "reporting the posts' health")
            _ = try connection.query(
                """
                update post p set connections = h.connections, lines = p.lines + h.lines,
                    forbidden = p.forbidden + h.forbidden, reported_at = now(),
                    last_line_at = coalesce(
                        'epoch'::timestamptz + h.heard * interval '1 us', p.last_line_at),
                    clock_ahead_seconds = h.ahead
                from unnest($1::text::text[], $2::text::int8[], $3::text::int8[],
                    $4::text::int8[], $5::text::int8[], $6::text::float8[])
                    as h (post, connections, lines, forbidden, heard, ahead)
                where p.post = h.post
                """,
                [
                    list { $0.name }, list { "\($0.connections)" }, list { "\($0.lines)" },
                    list { "\($0.forbidden)" },
                    list { $0.lastLineAt.map { "\($0.microseconds)" } },
                    list { "\($0.clockAheadSeconds)" },
                ], "reporting the posts' health")
            try fence.commit(connection, "reporting the posts' health")
        }
    }

    /// Enrols a post or changes it; what is nil stays as it is.
    func enrol(
        _ name: String, places: [String]?, tokenHash: [UInt8]?, zone: String?,
        sources: [String]?, operates: Bool?
    ) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            _ = try connection.query(
                """
                insert into post (post, places, token_hash, zone, sources, operates)
                    values ($1, coalesce(string_to_array($2, e'\\n'), '{}'), $3, nullif($4, ''),
                        coalesce(string_to_array($5, e'\\n'), '{}'), coalesce($6::text::boolean, false))
                    on conflict (post) do update set revoked_at = null,
                        places = coalesce(string_to_array($2, e'\\n'), post.places),
                        token_hash = coalesce($3, post.token_hash),
                        zone = case when $4 is null then post.zone else nullif($4, '') end,
                        sources = coalesce(string_to_array($5, e'\\n'), post.sources),
                        operates = coalesce($6::text::boolean, post.operates)
                """,
                [
                    .text(name), .text(places?.joined(separator: "\n")), .bytes(tokenHash),
                    .text(zone), .text(sources?.joined(separator: "\n")),
                    .text(operates.map { $0 ? "true" : "false" }),
                ],
                "enrolling \(name)")
        }
    }

    /// False where there is no such post.
    func revoke(_ name: String) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                update post set revoked_at = now(), token_hash = null where post = $1
                    returning 1
                """, [.text(name)], "revoking \(name)")
            return answer.rows > 0
        }
    }

    /// Every post that was ever enrolled, by name.
    func roster() throws(StoreFailure) -> [PostOverview] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select post, array_to_string(places, e'\\n'), token_hash is not null,
                    revoked_at is not null,
                    connections::text, lines::text, forbidden::text,
                    (extract(epoch from last_line_at) * 1000000)::int8::text,
                    round(clock_ahead_seconds)::text, zone, array_to_string(sources, e'\\n'),
                    operates
                from post order by post
                """, [], "reading the posts")
            let corrections = try AdminSession.corrections(connection)
            return (0..<answer.rows).map { row in
                func number(_ column: Int) -> Int64? {
                    answer.text(row, column).flatMap { Int64($0) }
                }
                func list(_ column: Int) -> [String] {
                    (answer.text(row, column) ?? "").split(separator: "\n").map(String.init)
                }
                var post = PostOverview(
                    name: answer.text(row, 0) ?? "", places: list(1),
                    provesItselfByToken: answer.integer(row, 2) != 0,
                    isRevoked: answer.integer(row, 3) != 0, connections: Int(number(4) ?? 0),
                    lines: Int(number(5) ?? 0), forbidden: Int(number(6) ?? 0),
                    lastLine: number(7).map { Instant(microseconds: $0) },
                    clockAheadSeconds: number(8).map { Int($0) }, zone: answer.text(row, 9),
                    sources: list(10), mayOperate: answer.integer(row, 11) != 0)
                post.corrections = corrections[post.name] ?? []
                return post
            }
        }
    }

    // MARK: Quarantine

    private static func lines(_ answer: borrowing QueryResult) -> [QuarantinedLine] {
        var found: [QuarantinedLine] = []
        for row in 0..<answer.rows {
            found.append(
                QuarantinedLine(
                    batch: Int(answer.integer(row, 0)), item: Int(answer.integer(row, 1)),
                    receivedAt: Instant(
                        microseconds: answer.integer(row, 2) + BinaryRow.epochMicroseconds),
                    origin: Origin(
                        post: answer.text(row, 3) ?? "", stream: answer.text(row, 4) ?? ""),
                    code: answer.text(row, 5) ?? "", field: answer.text(row, 6),
                    detail: answer.text(row, 7) ?? "", bytes: Array(answer.bytes(row, 8)),
                    length: Int(answer.integer(row, 9)), settled: answer.text(row, 10),
                    replayAs: answer.text(row, 11)))
        }
        return found
    }

    /// The newest lines first; nil parts match all. Settled ones only where asked for.
    func quarantined(
        post: String?, code: String?, settledToo: Bool, limit: Int
    ) throws(StoreFailure) -> [QuarantinedLine] {
        try with { (connection) throws(StoreFailure) in
            AdminSession.lines(
                try connection.query(
                    """
                    select batch, item, received_at, post, stream, code, field, detail, bytes,
                        length, settled, replay_as
                    from quarantine
                    where ($1::text is null or post = $1) and ($2::text is null or code = $2)
                        and ($3::int8 = 1 or settled is null)
                    order by batch desc, item desc limit $4::int8
                    """,
                    [
                        .text(post), .text(code), .integer(settledToo ? 1 : 0), .integer(limit),
                    ], "reading the quarantine"))
        }
    }

    func quarantined(batch: Int, item: Int) throws(StoreFailure) -> QuarantinedLine? {
        try with { (connection) throws(StoreFailure) in
            AdminSession.lines(
                try connection.query(
                    """
                    select batch, item, received_at, post, stream, code, field, detail, bytes,
                        length, settled, replay_as
                    from quarantine where batch = $1::int8 and item = $2::int8
                    """,
                    [.integer(batch), .integer(item)], "reading the quarantine")
            ).first
        }
    }

    /// Asks the daemon to judge a line again; false where it is settled or not there.
    /// `container`: the number that the line is about, whatever it says itself.
    func requestReplay(batch: Int, item: Int, as container: String?) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                update quarantine set replay_requested_at = now(), replay_as = $3
                    where batch = $1::int8 and item = $2::int8 and settled is null returning 1
                """, [.integer(batch), .integer(item), .text(container)],
                "changing the quarantine")
            return answer.rows > 0
        }
    }

    func discard(batch: Int, item: Int) throws(StoreFailure) -> Bool {
        try change(
            """
            update quarantine set settled = 'discarded', settled_at = now()
                where batch = $1::int8 and item = $2::int8 and settled is null returning 1
            """, batch, item)
    }

    func settleReplay(batch: Int, item: Int) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            try fence.begin(connection, "changing the quarantine")
            _ = try connection.query(
                """
                update quarantine set settled = 'replayed', settled_at = now()
                    where batch = $1::int8 and item = $2::int8 and settled is null
                """, [.integer(batch), .integer(item)], "changing the quarantine")
            try fence.commit(connection, "changing the quarantine")
        }
    }

    private func change(
        _ statement: String, _ batch: Int, _ item: Int
    ) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            try connection.query(
                statement, [.integer(batch), .integer(item)], "changing the quarantine"
            ).rows > 0
        }
    }

    /// Lines that wait to be judged again, oldest request first.
    func replayRequests(limit: Int) throws(StoreFailure) -> [QuarantinedLine] {
        try with { (connection) throws(StoreFailure) in
            AdminSession.lines(
                try connection.query(
                    """
                    select batch, item, received_at, post, stream, code, field, detail, bytes,
                        length, settled, replay_as
                    from quarantine
                    where replay_requested_at is not null and settled is null
                    order by replay_requested_at, batch, item limit $1::int8
                    """, [.integer(limit)], "reading the quarantine"))
        }
    }
}
