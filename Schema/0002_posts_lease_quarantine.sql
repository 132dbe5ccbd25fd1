-- Who may speak, who may write, and what becomes of refused lines.

alter table post
    -- SHA-256 of its token; null: a certificate names it.
    add column token_hash bytea,
    add column revoked_at timestamptz,
    -- As the daemon last saw its link and its clock.
    add column connections integer not null default 0,
    add column lines bigint not null default 0,
    add column forbidden bigint not null default 0,
    add column last_line_at timestamptz,
    add column clock_ahead_seconds double precision,
    add column reported_at timestamptz;

-- Who writes the log at present. For liveness only: a daemon that wrongly believes to hold it is
-- stopped by the head's epoch, whatever stands here.
create table writer_lease (
    only_row boolean primary key default true check (only_row),
    holder text not null,
    -- Where its feed listens, for those who ask a standby.
    address text not null,
    renewed_at timestamptz not null
);

-- Takes or renews the lease; returns who holds it then. Its own holder may always take it back,
-- so that a daemon that was killed waits for nobody.
create function claim_lease(by_holder text, at_address text, lease_seconds double precision)
returns table (holder text, address text) language plpgsql as $$
begin
    insert into writer_lease as l (holder, address, renewed_at)
        values (by_holder, at_address, clock_timestamp())
        on conflict (only_row) do update
            set holder = excluded.holder, address = excluded.address,
                renewed_at = excluded.renewed_at
            where l.holder = excluded.holder
                or l.renewed_at < clock_timestamp() - lease_seconds * interval '1 second';
    return query select l.holder, l.address from writer_lease l;
end $$;

alter table quarantine
    add column replay_requested_at timestamptz,
    add column settled text check (settled in ('replayed', 'discarded')),
    add column settled_at timestamptz;
create index quarantine_replay on quarantine (replay_requested_at)
    where replay_requested_at is not null and settled is null;
