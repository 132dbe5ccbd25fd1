import Engine
import Tracking

extension ReaderSession {
    /// Between two reports that are farther apart than this lies more than one journey: days.
    private static let mostDays = 60

    /// The moves of all boxes, by place; those alone of which at least so many boxes tell.
    func moves(least: Int) throws(StoreFailure) -> [LearnedMove] {
        try with { (connection) throws(StoreFailure) in
            let rows = try connection.query(
                """
                with said as (
                    select distinct on (container, identity)
                        container, place, occurred_at, mode, event, class, retract
                        from event
                        order by container, identity, updated desc nulls last, batch desc, line desc
                ), stands as (
                    select container, place, occurred_at, mode,
                        lag(place) over box as before, lag(occurred_at) over box as left_at
                        from said
                        where not retract and class = 'ACT' and place <> '' and occurred_at is not null
                        window box as (partition by container order by occurred_at, place)
                ), moved as (
                    select container, before, place, mode,
                        extract(epoch from occurred_at - left_at)::float8 / 60 as minutes
                        from stands
                        where before <> place
                            and occurred_at - left_at between interval '1 minute'
                                and $2::int8 * interval '1 day'
                )
                select before, place, coalesce(mode() within group (order by mode), ''),
                    count(distinct container),
                    percentile_cont(0.5) within group (order by minutes)::int8,
                    percentile_cont(0.9) within group (order by minutes)::int8
                    from moved group by before, place
                    having count(distinct container) >= $1::int8
                    order by before, place
                """, [.integer(least), .integer(ReaderSession.mostDays)],
                "reading how boxes have gone")
            return (0..<rows.rows).map { row in
                LearnedMove(
                    from: rows.text(row, 0) ?? "", to: rows.text(row, 1) ?? "",
                    mode: TransportMode(code: rows.text(row, 2) ?? "") ?? .unknown,
                    boxes: Int(rows.integer(row, 3)),
                    hoursP50: Double(rows.integer(row, 4)) / 60,
                    hoursP90: Double(rows.integer(row, 5)) / 60)
            }
        }
    }
}
