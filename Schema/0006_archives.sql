-- An archive that is read in brings days of its own.

-- Makes the daily partitions from `first_day` to `last_day` (UTC days); rows that the default partition
-- caught meanwhile move over. Returns how many were made.
create function make_partitions_of(first_day date, last_day date) returns integer
language plpgsql as $$
declare
    day date;
    parent text;
    time_column text;
    name text;
    made integer := 0;
begin
    for parent, time_column in values
        ('batch', 'recorded_at'), ('event', 'received_at'), ('output', 'recorded_at')
    loop
        for day in select generate_series(first_day, last_day, interval '1 day')::date
        loop
            name := parent || '_' || to_char(day, 'YYYYMMDD');
            continue when exists (
                select 1 from pg_class
                where relname = name and relnamespace = current_schema()::regnamespace);
            execute format('create table %I.%I (like %I.%I including all)',
                current_schema(), name, current_schema(), parent);
            execute format(
                'with moved as (delete from %1$I.%2$I where %3$I >= %4$L and %3$I < %5$L returning *)
                 insert into %1$I.%6$I select * from moved',
                current_schema(), parent || '_default', time_column, day::text || ' 00:00+00',
                (day + 1)::text || ' 00:00+00', name);
            execute format(
                'alter table %1$I.%2$I attach partition %1$I.%3$I for values from (%4$L) to (%5$L)',
                current_schema(), parent, name, day::text || ' 00:00+00',
                (day + 1)::text || ' 00:00+00');
            made := made + 1;
        end loop;
    end loop;
    return made;
end $$;

-- Those from yesterday to `days_ahead` days from now.
create or replace function make_partitions(days_ahead integer) returns integer
language sql as $$
    select make_partitions_of(
        (now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + days_ahead)
$$;

do $$
declare housekeeper regprocedure;
begin
    foreach housekeeper in array array[
        'make_partitions(integer)', 'make_partitions_of(date, date)']::regprocedure[]
    loop
        execute format('alter function %s set search_path = %I, pg_temp', housekeeper,
            current_schema());
    end loop;
end $$;
