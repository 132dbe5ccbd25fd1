-- Writers stay behind the fence, a database that went back is noticed, and what nothing refers to is
-- forgotten.

alter table head
    -- PostgreSQL's own identifier of the cluster in which the log was written: where it is another
    -- one, this is a copy that was restored elsewhere.
    add column system_identifier bigint,
    -- The batch at which the log last went back; null: it never did. Streams that have not spoken
    -- since may go on at whatever their spools still have.
    add column went_back_at bigint;

-- Lines of plans and closures that a constraint of this database keeps out of their tables: a
-- checkpoint must be able to keep them all the same.
create table kept_line (
    kind text collate "C" not null check (kind in ('shipment', 'closure')),
    key bytea not null,
    batch bigint not null,
    received_at timestamptz not null,
    line bytea not null,
    cause text not null,
    primary key (kind, key)
);

-- A plan all of whose containers rest leaves memory with them.
alter table shipment
    add column live boolean not null default true,
    -- Since when it rests.
    add column rested_at timestamptz;
create index shipment_rested on shipment (rested_at) where not live;

create function note_resting(resting text[], revived text[]) returns void language sql as $$
    update shipment set live = false, rested_at = now() where shipment = any (resting) and live;
    update shipment set live = true, rested_at = null where shipment = any (revived) and not live;
$$;

-- Every plan's line, wherever it is kept.
create view plan_line as
    select shipment, received_at, convert_to(line, 'UTF8') as line from shipment
    union all
    select convert_from(key, 'UTF8'), received_at, line from kept_line where kind = 'shipment';

-- Whoever writes beside the log passes here first, in the same transaction: the writer of that epoch,
-- of a state that the log has. Until the transaction ends nobody else takes over.
create function pass_fence(by_epoch bigint, at_batch bigint) returns void
language plpgsql as $$
begin
    perform 1 from head where epoch = by_epoch and batch >= at_batch for share;
    if not found then
        raise exception 'epoch % may not write beside batch %', by_epoch, at_batch
            using errcode = 'CV001';
    end if;
end $$;

-- Takes or renews the lease; returns who holds it then, and which log that is about. `instead_of`:
-- earlier lives of the same daemon, one a line, of which the caller knows that they have ended. For liveness only,
-- so it is not worth waiting for a standby.
create function claim_lease(
    by_holder text, instead_of text, at_address text, lease_seconds double precision)
returns table (holder text, address text, log text) language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'local', true);
    insert into writer_lease as l (holder, address, renewed_at)
        values (by_holder, at_address, clock_timestamp())
        on conflict (only_row) do update
            set holder = excluded.holder, address = excluded.address,
                renewed_at = excluded.renewed_at
            where l.holder = excluded.holder or l.holder = any (string_to_array(instead_of, E'\n'))
                or l.renewed_at < clock_timestamp() - lease_seconds * interval '1 second';
    return query select l.holder, l.address, h.log::text from writer_lease l, head h;
end $$;

-- The same for a daemon of the version before that still runs.
create or replace function claim_lease(
    by_holder text, at_address text, lease_seconds double precision)
returns table (holder text, address text) language sql as
'select l.holder, l.address from claim_lease(by_holder, by_holder, at_address, lease_seconds) l';

-- The log goes on as another one from where it stands: its numbers no longer compare with those that
-- were given out before. Named consumers beyond it are set to its end.
create function begin_log_anew() returns text
language plpgsql as $$
declare fresh text;
begin
    update head set log = gen_random_uuid(), went_back_at = batch returning log::text into fresh;
    update consumer set seq = head.seq from head where consumer.seq > head.seq;
    return fresh;
end $$;

-- Somebody has seen `known_log` at `known_batch`: where it is behind that now, it begins anew.
create function declare_went_back(known_log text, known_batch bigint) returns text
language plpgsql as $$
begin
    perform 1 from head where log::text = known_log and batch < known_batch for update;
    if not found then return null; end if;
    return begin_log_anew();
end $$;

-- Snapshots that are ahead of the log are of a history that is gone. Where the log reaches back to
-- its first batch all of them go, and everything is replayed; otherwise what is not ahead stays, as
-- far as facts go. Returns what was done, null where nothing had to be.
create function repair_snapshots() returns text
language plpgsql as $$
declare
    last_batch bigint := (select batch from head);
    kept bigint := (select batch from checkpoint);
    first_batch bigint;
    batches bigint;
begin
    if kept is null or kept <= last_batch then return null; end if;
    select min(batch), count(*) into first_batch, batches from batch;
    if batches = last_batch and coalesce(first_batch, 1) = 1 then
        truncate journey, shipment, closure, pool, kept_line, checkpoint;
        return format('the checkpoint at batch %s was ahead of the log, which ends at %s: all %s '
            'batches are replayed', kept, last_batch, batches);
    end if;
    delete from journey where batch > last_batch;
    delete from shipment where batch > last_batch;
    delete from closure where batch > last_batch;
    delete from kept_line where batch > last_batch;
    delete from pool;
    update checkpoint set batch = coalesce(first_batch - 1, last_batch);
    return format('the checkpoint at batch %s was ahead of the log, which has batches %s to %s: '
        'they are replayed, what is older is as of the snapshots that are left, and durations are '
        'learned anew', kept, coalesce(first_batch, last_batch + 1), last_batch);
end $$;

-- Makes the daily partitions from yesterday to `days_ahead` days from now (UTC days); rows that
-- the default partition caught meanwhile move over. Returns how many were made.
create or replace function make_partitions(days_ahead integer) returns integer
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

-- The daily partitions of this schema's own tables: what the next two look through.
create function own_partitions(parents text[])
returns table (partition regclass, name text, day date) language sql stable as $$
    select c.oid::regclass, c.relname::text, to_date(right(c.relname, 8), 'YYYYMMDD')
    from pg_inherits i
        join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
    where p.relname = any (parents) and p.relnamespace = current_schema()::regnamespace
        and c.relnamespace = p.relnamespace and c.relname ~ '_[0-9]{8}$'
$$;

create or replace function drop_partitions(keep_days integer) returns integer
language plpgsql as $$
declare
    kept bigint := coalesce((select batch from checkpoint), 0);
    first_day date;
    gone regclass;
    dropped integer := 0;
begin
    -- The day of the first batch that is needed; everything before it is covered.
    select min((recorded_at at time zone 'UTC')::date) into first_day from batch where batch > kept;
    for gone in
        select partition from own_partitions(array['batch', 'event', 'output']) p
        where p.day < (now() at time zone 'UTC')::date - keep_days
            and (first_day is null or p.day < first_day)
    loop
        execute format('drop table %s', gone);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

create or replace function index_closed_partitions() returns integer
language plpgsql as $$
declare
    closed regclass;
    closed_name text;
    made integer := 0;
begin
    for closed, closed_name in
        select p.partition, p.name from own_partitions(array['event']) p
        where p.day < (now() at time zone 'UTC')::date and not exists (
            select 1 from pg_class where relname = p.name || '_container'
                and relnamespace = current_schema()::regnamespace)
    loop
        execute format('create index %I on %s (container, occurred_at)',
            closed_name || '_container', closed);
        made := made + 1;
    end loop;
    return made;
end $$;

-- What is kept by name or by line, and what nothing refers to any more. The rules, one by one:
-- a refused line goes `keep_days` after it came, settled or not; a plan goes `keep_days` after the
-- last of its containers came to rest; a stream's mark goes when the batch
-- that moved it last has left the log, so that a spool older than that is compared line by line; a
-- consumer's cursor goes `keep_days` after it was confirmed last. Returns the rows that went, at most
-- some thousands of each kind in one go.
create function tidy_rows(keep_days integer) returns integer
language plpgsql as $$
declare
    oldest timestamptz := now() - keep_days * interval '1 day';
    first_batch bigint := (select min(batch) from batch);
    gone integer;
    sum integer := 0;
begin
    delete from quarantine where (batch, item) in (
        select batch, item from quarantine where received_at < oldest limit 10000);
    get diagnostics gone = row_count;
    sum := sum + gone;
    delete from shipment where shipment in (
        select shipment from shipment where not live and rested_at < oldest limit 10000);
    get diagnostics gone = row_count;
    sum := sum + gone;
    delete from stream_mark where (post, stream) in (
        select post, stream from stream_mark where batch < first_batch limit 10000);
    get diagnostics gone = row_count;
    sum := sum + gone;
    delete from consumer where confirmed_at < oldest;
    get diagnostics gone = row_count;
    return sum + gone;
end $$;
create index quarantine_received on quarantine (received_at);

-- What is left of containers, plans and closures that the daemon has forgotten, by its rules.
create function forget_snapshots(containers text[], shipments text[], closures text[])
returns void language sql as $$
    delete from journey where container = any (containers);
    delete from shipment where shipment = any (shipments);
    delete from closure where closure = any (closures);
    delete from kept_line where kind = 'shipment' and key = any (
        select convert_to(s, 'UTF8') from unnest(shipments) s);
    delete from kept_line where kind = 'closure' and key = any (
        select convert_to(c, 'UTF8') from unnest(closures) c);
$$;

-- They act on the schema that they are in, whatever a session's search_path says.
do $$
declare housekeeper regprocedure;
begin
    foreach housekeeper in array array[
        'make_partitions(integer)', 'own_partitions(text[])', 'drop_partitions(integer)',
        'index_closed_partitions()', 'tidy_rows(integer)', 'repair_snapshots()',
        'note_resting(text[], text[])', 'begin_log_anew()', 'declare_went_back(text, bigint)', 'pass_fence(bigint, bigint)',
        'forget_snapshots(text[], text[], text[])']::regprocedure[]
    loop
        execute format('alter function %s set search_path = %I, pg_temp', housekeeper,
            current_schema());
    end loop;
end $$;
