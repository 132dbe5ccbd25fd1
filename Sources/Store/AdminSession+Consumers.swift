import Engine
import Tracking

/// Who may read the output, and how far each has come.
extension AdminSession {
    func enrolledConsumers() throws(StoreFailure) -> [EnrolledConsumer] {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                select reader, token_hash, array_to_string(kinds, e'\\n'),
                    array_to_string(places, e'\\n'), array_to_string(shipments, e'\\n'),
                    array_to_string(posts, e'\\n'), revoked_at is not null
                    from reader order by reader
                """, [], "reading the consumers")
            return (0..<answer.rows).map { row in
                func list(_ column: Int) -> [String] {
                    (answer.text(row, column) ?? "").split(separator: "\n").map(String.init)
                }
                return EnrolledConsumer(
                    name: answer.text(row, 0) ?? "",
                    tokenHash: answer.isNull(row, 1) ? nil : Array(answer.bytes(row, 1)),
                    kinds: list(2), places: list(3), shipments: list(4), posts: list(5),
                    isRevoked: answer.integer(row, 6) != 0)
            }
        }
    }

    /// Enrols a consumer, or changes it. `keepsToken`: it proves itself as before.
    func enrol(_ consumer: EnrolledConsumer, keepsToken: Bool) throws(StoreFailure) {
        try with { (connection) throws(StoreFailure) in
            _ = try connection.query(
                """
                insert into reader (reader, token_hash, kinds, places, shipments, posts)
                    values ($1, $2, coalesce(string_to_array(nullif($3, ''), e'\\n'), '{}'),
                        coalesce(string_to_array(nullif($4, ''), e'\\n'), '{}'),
                        coalesce(string_to_array(nullif($5, ''), e'\\n'), '{}'),
                        coalesce(string_to_array(nullif($6, ''), e'\\n'), '{}'))
                    on conflict (reader) do update set revoked_at = null,
                        token_hash = case when $7::text::boolean then reader.token_hash
                            else excluded.token_hash end,
                        kinds = excluded.kinds, places = excluded.places,
                        shipments = excluded.shipments, posts = excluded.posts
                """,
                [
                    .text(consumer.name), .bytes(consumer.tokenHash),
                    .text(consumer.kinds.joined(separator: "\n")),
                    .text(consumer.places.joined(separator: "\n")),
                    .text(consumer.shipments.joined(separator: "\n")),
                    .text(consumer.posts.joined(separator: "\n")),
                    .text(keepsToken ? "true" : "false"),
                ], "enrolling \(consumer.name)")
        }
    }

    /// A new token for a consumer that is enrolled and proves itself by one; false where there is none
    /// of that name.
    func changeToken(of consumer: String, _ hash: [UInt8]) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                update reader set token_hash = $2 where reader = $1 and token_hash is not null
                    and revoked_at is null returning 1
                """,
                [.text(consumer), .bytes(hash)], "changing the token of \(consumer)")
            return answer.rows > 0
        }
    }

    /// False where there is no such consumer.
    func revoke(consumer: String) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                update reader set revoked_at = now(), token_hash = null where reader = $1
                    returning 1
                """, [.text(consumer)], "revoking \(consumer)")
            return answer.rows > 0
        }
    }

    /// Forgets how far a consumer has come; false where nothing is known of that name.
    func forget(_ cursor: CursorName) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                "delete from consumer where reader = $1 and consumer = $2 returning 1",
                [.text(cursor.consumer), .text(cursor.name)], "forgetting \(cursor.text)")
            return answer.rows > 0
        }
    }
}
