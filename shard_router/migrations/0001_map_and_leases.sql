-- The map of cities and the leases of shards. All times are the database's own clock: no other clock is trusted.
create schema if not exists router;

create table router.shards (
    shard_id text primary key,
    address text not null,
    -- Which run of the shard holds the row; an older run that wakes up finds another one here and ends itself.
    incarnation uuid not null,
    heartbeat_at timestamptz not null,
    lease_until timestamptz not null,
    riders integer not null default 0,
    open_orders integer not null default 0,
    tick_p99_ms double precision not null default 0
);

create table router.cities (
    city text primary key,
    name text not null,
    -- The city's partition of rider.pings and of city.events.
    partition integer not null unique check (partition >= 0),
    owner text references router.shards,
    -- Grows with each change of owner; every decision carries it.
    epoch bigint not null default 0,
    -- Wanted owner while a move is under way.
    moving_to text,
    time_zone text not null,
    currency text not null,
    center_lat_e7 integer not null,
    center_lng_e7 integer not null
);

-- Every change of the map, for ever; the greatest id is the map's version.
create table router.changes (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    city text not null,
    epoch bigint not null,
    what text not null,
    shard_id text,
    actor text not null default ''
);

create function router.tell_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('router_map', new.city);
    return null;
end
$$;

create trigger changes_told after insert on router.changes
    for each row execute function router.tell_change();

-- The fence. Called first in every transaction that decides something for a city: takes the city's row FOR SHARE, so
-- that a takeover waits for this transaction, and raises unless the shard owns the city in that epoch with a living lease.
create function router.hold(p_city text, p_shard text, p_epoch bigint) returns void language plpgsql as $$
begin
    perform 1 from router.cities
        where city = p_city and owner = p_shard and epoch = p_epoch
        for share;
    if not found then
        raise exception 'shard % does not own city % in epoch %', p_shard, p_city, p_epoch using errcode = 'FR001';
    end if;
    perform 1 from router.shards where shard_id = p_shard and lease_until > clock_timestamp();
    if not found then
        raise exception 'the lease of shard % has run out', p_shard using errcode = 'FR002';
    end if;
end
$$;

-- Takes over the shard's row at start. A run that still beats is not pushed aside (FR003): two processes with one name
-- are a mistake to mend, not to race.
create function router.enter(p_shard text, p_address text, p_incarnation uuid, p_lease interval)
returns void language plpgsql as $$
begin
    insert into router.shards as s (shard_id, address, incarnation, heartbeat_at, lease_until)
        values (p_shard, p_address, p_incarnation, clock_timestamp(), clock_timestamp() + p_lease)
        on conflict (shard_id) do update
        set address = excluded.address, incarnation = excluded.incarnation,
            heartbeat_at = excluded.heartbeat_at, lease_until = excluded.lease_until
        where s.incarnation = excluded.incarnation or s.heartbeat_at < clock_timestamp() - interval '1.6 s';
    if not found then
        raise exception 'another process is running as shard %', p_shard using errcode = 'FR003';
    end if;
end
$$;

-- Renews the lease and stores the load. FR003 when the row belongs to another run by now.
create function router.beat(
    p_shard text, p_incarnation uuid, p_lease interval, p_riders integer, p_open_orders integer, p_tick_p99_ms float8
) returns void language plpgsql as $$
begin
    update router.shards
        set heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + p_lease,
            riders = p_riders, open_orders = p_open_orders, tick_p99_ms = p_tick_p99_ms
        where shard_id = p_shard and incarnation = p_incarnation;
    if not found then
        raise exception 'another process is running as shard %', p_shard using errcode = 'FR003';
    end if;
end
$$;

-- Compare-and-set: the city goes to the shard in epoch + 1, if it is still in the epoch that the shard saw, nobody with
-- a living lease owns it (the shard's own earlier run does not count), and it is not on its way to another living shard.
-- Returns the new epoch, or null.
create function router.claim(p_city text, p_shard text, p_seen_epoch bigint) returns bigint language plpgsql as $$
declare
    c router.cities;
begin
    select * into c from router.cities where city = p_city for update;
    if c.city is null or c.epoch <> p_seen_epoch then
        return null;
    end if;
    if c.owner is not null and c.owner <> p_shard and router.living(c.owner) then
        return null;
    end if;
    if c.moving_to is not null and c.moving_to <> p_shard and router.living(c.moving_to) then
        return null;
    end if;
    update router.cities set owner = p_shard, epoch = c.epoch + 1, moving_to = null where city = p_city;
    insert into router.changes (city, epoch, what, shard_id, actor)
        values (p_city, c.epoch + 1, 'claimed', p_shard, p_shard);
    return c.epoch + 1;
end
$$;

create function router.living(p_shard text) returns boolean language sql stable as $$
    select exists (select from router.shards where shard_id = p_shard and lease_until > clock_timestamp())
$$;

-- The owner lets go after its last commit. Nothing happens when it is not the owner any more.
create function router.release(p_city text, p_shard text, p_epoch bigint) returns void language plpgsql as $$
begin
    update router.cities set owner = null where city = p_city and owner = p_shard and epoch = p_epoch;
    if found then
        insert into router.changes (city, epoch, what, shard_id, actor)
            values (p_city, p_epoch, 'released', p_shard, p_shard);
    end if;
end
$$;
