-- The log is the truth: batch, event, output and stream_mark are appended in one transaction per
-- batch. journey, pool, shipment and closure are snapshots written behind it; `checkpoint` says up
-- to which batch they hold, all together. Start-up is snapshot + replay of the later batches.

-- One row: the writer's epoch, the last batch and the last output number. Updating it hands out
-- numbers without gaps, in commit order, and fences a stale writer in the same statement.
create table head (
    only_row boolean primary key default true check (only_row),
    epoch bigint not null default 0,
    batch bigint not null default 0,
    seq bigint not null default 0,
    -- Changes when the database was restored to an older state.
    log uuid not null default gen_random_uuid()
);
insert into head default values;

-- Moves the head from one batch to the next, or fails with CV001: somebody else writes now.
create function advance_head(by_epoch bigint, from_batch bigint, outputs bigint) returns bigint
language plpgsql as $$
declare last_seq bigint;
begin
    update head set batch = from_batch + 1, seq = seq + outputs
        where epoch = by_epoch and batch = from_batch returning seq into last_seq;
    if not found then
        raise exception 'epoch % may not write batch %', by_epoch, from_batch + 1
            using errcode = 'CV001';
    end if;
    return last_seq;
end $$;

create table post (
    post text primary key,
    zone text,
    places text[] not null default '{}',
    enrolled_at timestamptz not null default now()
);

-- High-water mark of each session stream.
create table stream_mark (
    post text not null,
    stream text not null,
    seq bigint not null,
    batch bigint not null,
    primary key (post, stream)
);

-- The inputs of each step of the engine: the lines' bytes, compressed once per batch, and the
-- instant with which it was stepped.
create table batch (
    recorded_at timestamptz not null,
    batch bigint not null,
    stepped_at timestamptz not null,
    entries integer not null,
    outputs integer not null,
    last_seq bigint not null,
    lines bytea not null
) partition by range (recorded_at);
create index batch_batch on batch (batch);
alter table batch alter column lines set storage main;

-- Every version of every event. `line` is the entry's index in its batch, where the line's own
-- bytes are. The key is (container, identity, batch, line); the daemon's memory of each container
-- keeps it unique, so no index has to (see README, "What keeps duplicates out").
create table event (
    received_at timestamptz not null,
    batch bigint not null,
    line integer not null,
    container text collate "C" not null,
    identity uuid not null,
    id text collate "C",
    event text collate "C" not null,
    class text collate "C" not null,
    mode text collate "C",
    place text collate "C",
    occurred_at timestamptz,
    -- As sent; null where the line gave none and the place's zone was applied.
    offset_minutes smallint,
    updated timestamptz,
    shipment text collate "C",
    reason text collate "C",
    retract boolean not null,
    post text collate "C"
) partition by range (received_at);

-- Lines that were refused, with their bytes.
create table quarantine (
    batch bigint not null,
    -- Counts the lines that the batch received, refused ones included.
    item integer not null,
    received_at timestamptz not null,
    post text collate "C",
    stream text collate "C",
    code text not null,
    field text,
    detail text not null,
    -- Of a line over the limit: its head.
    bytes bytea not null,
    length bigint not null,
    hash bigint,
    primary key (batch, item)
);

-- The one numbered output: tails, files, streams and webhooks read it, each with a cursor.
create table output (
    recorded_at timestamptz not null,
    seq bigint not null,
    kind text collate "C" not null,
    type text collate "C",
    severity smallint,
    container text collate "C",
    shipment text collate "C",
    place text collate "C",
    body text not null
) partition by range (recorded_at);
create unique index output_seq on output (seq, recorded_at);

-- How far named consumers have confirmed.
create table consumer (
    consumer text primary key,
    seq bigint not null,
    confirmed_at timestamptz not null default now()
);

-- Snapshots.
create table checkpoint (
    only_row boolean primary key default true check (only_row),
    batch bigint not null,
    network bytea,
    rules bytea
);

create table journey (
    container text collate "C" primary key,
    batch bigint not null,
    -- Whether something is still expected of the container.
    live boolean not null,
    state bytea not null
) with (fillfactor = 70);
alter table journey alter column state set storage main;

create table shipment (
    shipment text collate "C" primary key,
    batch bigint not null,
    received_at timestamptz not null,
    line text not null
) with (fillfactor = 70);

create table closure (
    closure text collate "C" primary key,
    batch bigint not null,
    received_at timestamptz not null,
    line text not null
);

create table pool (
    key bytea primary key,
    batch bigint not null,
    state bytea not null
) with (fillfactor = 70);

-- A missing partition must never stop the feed: rows beyond all partitions land here.
create table batch_default partition of batch default;
create table event_default partition of event default;
create table output_default partition of output default;

-- lz4 where the server was built with it; pglz otherwise.
do $$
begin
    execute 'alter table batch alter column lines set compression lz4';
    execute 'alter table journey alter column state set compression lz4';
exception when others then
    raise notice 'this server has no lz4; lines are compressed with pglz';
end $$;

-- Makes the daily partitions from yesterday to `days_ahead` days from now (UTC days); rows that
-- the default partition caught meanwhile move over. Returns how many were made.
create function make_partitions(days_ahead integer) returns integer
language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    day date;
    parent text;
    time_column text;
    name text;
    made integer := 0;
begin
    for parent, time_column in values
        ('batch', 'recorded_at'), ('event', 'received_at'), ('output', 'recorded_at')
    loop
        for day in select generate_series(today - 1, today + days_ahead, interval '1 day')::date
        loop
            name := parent || '_' || to_char(day, 'YYYYMMDD');
            continue when to_regclass(name) is not null;
            execute format('create table %I (like %I including all)', name, parent);
            execute format(
                'with moved as (delete from %I where %I >= %L and %I < %L returning *)
                 insert into %I select * from moved',
                parent || '_default', time_column, day::text || ' 00:00+00',
                time_column, (day + 1)::text || ' 00:00+00', name);
            execute format(
                'alter table %I attach partition %I for values from (%L) to (%L)',
                parent, name, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
            made := made + 1;
        end loop;
    end loop;
    return made;
end $$;

-- Whole days older than `keep_days` go, with their partitions. Returns how many went.
create function drop_partitions(keep_days integer) returns integer
language plpgsql as $$
declare
    name text;
    dropped integer := 0;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            join pg_class p on p.oid = i.inhparent
        where p.relname in ('batch', 'event', 'output') and c.relname ~ '_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD')
                < (now() at time zone 'UTC')::date - keep_days
    loop
        execute format('drop table %I', name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

-- Days that have closed get the index that questions about one container want; while a day is
-- open nothing but the log itself is written.
create function index_closed_partitions() returns integer
language plpgsql as $$
declare
    name text;
    made integer := 0;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            join pg_class p on p.oid = i.inhparent
        where p.relname = 'event' and c.relname ~ '_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') < (now() at time zone 'UTC')::date
            and to_regclass(c.relname || '_container') is null
    loop
        execute format(
            'create index %I on %I (container, occurred_at)', name || '_container', name);
        made := made + 1;
    end loop;
    return made;
end $$;
