import Engine
import Tracking

/// Posts whose clocks were wrong by whole hours.
extension AdminSession {
    /// By the names of their posts, in the order of their beginnings.
    static func corrections(
        _ connection: borrowing Connection
    ) throws(StoreFailure) -> [String: [ClockCorrection]] {
        let answer = try connection.query(
            """
            select post, minutes::int8, (extract(epoch from from_time) * 1000000)::int8::text,
                (extract(epoch from until_time) * 1000000)::int8::text
                from clock_correction order by post, from_time
            """, [], "reading the corrections of clocks")
        var found: [String: [ClockCorrection]] = [:]
        for row in 0..<answer.rows {
            func instant(_ column: Int) -> Instant? {
                answer.text(row, column).flatMap { Int64($0) }.map { Instant(microseconds: $0) }
            }
            found[answer.text(row, 0) ?? "", default: []].append(
                ClockCorrection(
                    minutes: Int(answer.integer(row, 1)), from: instant(2) ?? .unset,
                    until: instant(3)))
        }
        return found
    }

    /// Corrects the times that a post stated from one instant on; another correction that begins then is
    /// replaced. False where there is no such post.
    func correct(_ post: String, _ correction: ClockCorrection) throws(StoreFailure) -> Bool {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                insert into clock_correction (post, from_time, until_time, minutes)
                    select post, 'epoch'::timestamptz + $2::int8 * interval '1 us',
                        'epoch'::timestamptz + $3::text::int8 * interval '1 us', $4::int8
                    from post where post = $1
                    on conflict (post, from_time) do update
                        set until_time = excluded.until_time, minutes = excluded.minutes
                    returning 1
                """,
                [
                    .text(post), .integer(Int(correction.from.microseconds)),
                    .text(correction.until.map { "\($0.microseconds)" }),
                    .integer(correction.minutes),
                ], "correcting the clock of \(post)")
            return answer.rows > 0
        }
    }

    /// Takes a correction back, or all of a post; how many there were.
    func uncorrect(_ post: String, from: Instant?) throws(StoreFailure) -> Int {
        try with { (connection) throws(StoreFailure) in
            let answer = try connection.query(
                """
                delete from clock_correction where post = $1
                    and ($2::text is null
                        or from_time = 'epoch'::timestamptz + $2::text::int8 * interval '1 us')
                    returning 1
                """, [.text(post), .text(from.map { "\($0.microseconds)" })],
                "taking back the corrections of \(post)")
            return answer.rows
        }
    }
}
