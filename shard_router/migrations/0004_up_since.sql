-- Since when a shard's lease has lived without a break: shards that come up together share the cities that nobody owns.
-- `known_since` is when it was first on the map: the first start of all waits for the shards that are expected.
alter table router.shards
    add column up_since timestamptz not null default clock_timestamp(),
    add column known_since timestamptz not null default clock_timestamp();

-- As before; and the lease begins now.
create or replace function router.enter(p_shard text, p_address text, p_incarnation uuid, p_lease interval)
returns void language plpgsql as $$
begin
    insert into router.shards as s (shard_id, address, incarnation, heartbeat_at, lease_until, up_since)
        values (p_shard, p_address, p_incarnation, clock_timestamp(), clock_timestamp() + p_lease, clock_timestamp())
        on conflict (shard_id) do update
        set address = excluded.address, incarnation = excluded.incarnation, heartbeat_at = excluded.heartbeat_at,
            lease_until = excluded.lease_until, up_since = excluded.up_since
        where s.incarnation = excluded.incarnation or s.heartbeat_at < clock_timestamp() - interval '1.6 s';
    if not found then
        raise exception 'another process is running as shard %', p_shard using errcode = 'FR003';
    end if;
end
$$;

-- As before; and a lease that had run out begins anew.
create or replace function router.beat(
    p_shard text, p_incarnation uuid, p_lease interval, p_riders integer, p_open_orders integer, p_tick_p99_ms float8,
    p_refused bigint, p_loads jsonb
) returns void language plpgsql as $$
begin
    update router.shards
        set heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + p_lease, riders = p_riders,
            open_orders = p_open_orders, tick_p99_ms = p_tick_p99_ms, refused = p_refused, loads = p_loads,
            up_since = case when lease_until <= clock_timestamp() then clock_timestamp() else up_since end
        where shard_id = p_shard and incarnation = p_incarnation;
    if not found then
        raise exception 'another process is running as shard %', p_shard using errcode = 'FR003';
    end if;
end
$$;
