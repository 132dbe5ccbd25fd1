-- Retention keeps what a restart needs, and drops without standing in anybody's way.

-- Whole days older than `keep_days` go, with their partitions, unless they hold batches that no
-- checkpoint covers: a daemon that was away for longer than that has still to replay them. Returns
-- how many went.
create or replace function drop_partitions(keep_days integer) returns integer
language plpgsql as $$
declare
    kept bigint := coalesce((select batch from checkpoint), 0);
    first_day date;
    name text;
    dropped integer := 0;
begin
    -- The day of the first batch that is needed; everything before it is covered.
    select min((recorded_at at time zone 'UTC')::date) into first_day from batch where batch > kept;
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            join pg_class p on p.oid = i.inhparent
        where p.relname in ('batch', 'event', 'output') and c.relname ~ '_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD')
                < (now() at time zone 'UTC')::date - keep_days
            and (first_day is null or to_date(right(c.relname, 8), 'YYYYMMDD') < first_day)
    loop
        execute format('drop table %I', name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
