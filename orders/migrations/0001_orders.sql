-- One shard of the orders. Which users it holds is said by the range map (docs/adr/0010).

-- The range of shard points this database was made for; a process with another map refuses to start.
create table shard_range (
    only_row boolean primary key default true check (only_row),
    first_point integer not null,
    last_point integer not null
);

-- Partitioned by month (UTC); created_at is the wall time within order_id, so an id prunes partitions.
create table orders (
    order_id uuid not null,
    created_at timestamptz not null,
    user_id text not null,
    city text not null,
    restaurant_id text not null,
    status text not null,
    version bigint not null,
    -- Version of the last event written to order.events.
    events bigint not null,
    -- Inbox: the last versions applied, by source.
    payments_seen bigint not null default 0,
    dispatch_seen bigint not null default 0,
    changed_at timestamptz not null default clock_timestamp(),
    -- Domain milliseconds.
    placed_ms bigint not null,
    promised_ms bigint not null,
    ready_ms bigint not null default 0,
    eta_ms bigint not null default 0,
    -- Riders are numbered in 64 unsigned bits.
    rider_id numeric(20, 0) not null default 0,
    basket jsonb not null,
    currency text not null,
    items_minor bigint not null,
    delivery_fee_minor bigint not null,
    tip_minor bigint not null,
    -- [{"status": "PLACED", "at_ms": 1, "reason": ""}, ...]
    history jsonb not null,
    primary key (order_id, created_at)
) partition by range (created_at);

create index orders_by_user on orders using hash (user_id);
create index orders_by_history on orders using gin (history jsonb_path_ops);
create index orders_not_final on orders (status, changed_at)
    where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED');

-- Makes the partition of a month if it is missing. Room is left on its pages: most updates of an order stay there.
create function make_partition(month date) returns void language plpgsql as $$
begin
    execute format(
        'create table if not exists %I partition of orders for values from (%L) to (%L) with (fillfactor = 75)',
        'orders_' || to_char(month, 'YYYY_MM'),
        date_trunc('month', month::timestamp) at time zone 'UTC',
        (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC'
    );
end
$$;

-- Unpartitioned: a key must be unique over all months.
create table idempotency_keys (
    user_id text not null,
    key text not null,
    body_sha256 bytea not null,
    order_id uuid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, key)
);
