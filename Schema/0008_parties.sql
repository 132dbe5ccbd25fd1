-- What posts and consumers agree on: whose clock is wrong, who reads what, and what was said when.

-- Whole hours by which the times of a post were wrong. `minutes` are added to what it states.
create table clock_correction (
    post text not null references post on delete cascade,
    from_time timestamptz not null,
    until_time timestamptz,
    minutes integer not null check (minutes % 60 = 0 and minutes between -1440 and 1440 and minutes <> 0),
    primary key (post, from_time)
);

-- Who may read the output, and what of it: an empty list leaves that question open.
create table reader (
    reader text primary key,
    token_hash bytea,
    kinds text[] not null default '{}',
    places text[] not null default '{}',
    shipments text[] not null default '{}',
    posts text[] not null default '{}',
    enrolled_at timestamptz not null default now(),
    revoked_at timestamptz
);

-- A cursor belongs to its reader; '': to nobody in particular.
alter table consumer add column reader text not null default '';
alter table consumer drop constraint consumer_pkey;
alter table consumer add primary key (reader, consumer);

-- After each batch that said something: the hash of its lines and of the hash before.
create table output_chain (
    batch bigint primary key,
    first_seq bigint not null,
    last_seq bigint not null,
    hash bytea not null
);
create index output_chain_seq on output_chain (last_seq);

-- What retention has dropped of the output it drops of the chain, all but the link that the rest hangs on.
create function tidy_chain() returns integer
language plpgsql as $$
declare
    kept_from bigint := (select min(seq) from output);
    anchor bigint;
    gone integer;
begin
    select max(c.batch) into anchor from output_chain c where c.last_seq < kept_from;
    delete from output_chain c where c.batch in (
        select o.batch from output_chain o where o.batch < anchor order by o.batch limit 100000);
    get diagnostics gone = row_count;
    return gone;
end $$;
do $$
begin
    execute format('alter function tidy_chain() set search_path = %I, pg_temp', current_schema());
end $$;
