-- A line means what its sender meant: how it was read is kept beside it.

alter table shipment add column reading bytea;
alter table closure add column reading bytea;
alter table kept_line add column reading bytea;

alter table checkpoint
    -- Enrolments of posts, as of the batch.
    add column posts bytea;

-- Sources in whose name a post may speak beside its own.
alter table post add column sources text[] not null default '{}';

alter table event
    -- Who says so, where that is not the post.
    add column source text collate "C";

create or replace view plan_line as
    select shipment, received_at, convert_to(line, 'UTF8') as line, reading from shipment
    union all
    select convert_from(key, 'UTF8'), received_at, line, reading from kept_line
        where kind = 'shipment';
