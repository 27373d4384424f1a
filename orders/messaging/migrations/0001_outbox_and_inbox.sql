-- What every service needs that tells others at least once and hears them exactly once; the same in the databases of
-- orders and of payments. "If not exists": databases made before these tables had a migration of their own have them.

create table if not exists outbox (
    id bigint generated always as identity,
    event_id text not null,
    order_id uuid not null,
    topic text not null,
    -- Set where the city chooses the partition.
    city text not null,
    payload bytea not null,
    written_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    primary key (order_id, id)
);

create index if not exists outbox_unsent on outbox (order_id, id) where sent_at is null;
create index if not exists outbox_sent on outbox using brin (sent_at);

-- Events that came before the ones before them.
create table if not exists inbox_held (
    source text not null,
    order_id uuid not null,
    version bigint not null,
    payload bytea not null,
    held_at timestamptz not null default clock_timestamp(),
    primary key (order_id, source, version)
);

-- Which log the offsets are of; another log is read from its beginning, and told the last day again.
create table if not exists kafka_log (
    only_row boolean primary key default true check (only_row),
    log_id text not null
);

create table if not exists kafka_offsets (
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    primary key (topic, partition)
);
