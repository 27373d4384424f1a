-- Moves with a shadow, loads of cities, shards under maintenance, plans.

-- `loads` is what the shard said of each of its cities and shadows; one row a shard, so that a heartbeat is one update.
alter table router.shards
    add column draining boolean not null default false,
    -- Commits that the fence refused since the shard started: what a zombie tried.
    add column refused bigint not null default 0,
    add column loads jsonb not null default '{}';

-- One row a move, for ever. A move is under way until ended_at; then it is done or has failed, and `reason` says why.
create table router.moves (
    move_id bigint generated always as identity primary key,
    city text not null references router.cities,
    from_shard text,
    to_shard text not null,
    -- The epoch in which it was asked; the target's is the next.
    epoch bigint not null,
    actor text not null default '',
    state text not null default 'shadowing' check (state in ('shadowing', 'warm', 'released', 'done', 'failed')),
    reason text not null default '',
    asked_at timestamptz not null default clock_timestamp(),
    warm_at timestamptz,
    released_at timestamptz,
    -- The old owner's last tick that committed, and the new owner's first that could.
    last_commit_at timestamptz,
    first_tick_at timestamptz,
    ended_at timestamptz
);
create unique index one_move_a_city on router.moves (city) where ended_at is null;
create index moves_of_city on router.moves (city, move_id);

create table router.plans (
    plan_id bigint generated always as identity primary key,
    state text not null default 'proposed' check (state in ('proposed', 'running', 'stopped', 'done')),
    reason text not null default '',
    -- The shard that the plan empties, null when it balances.
    drains text,
    actor text not null default '',
    made_at timestamptz not null default clock_timestamp()
);
create unique index one_plan_runs on router.plans ((true)) where state = 'running';

create table router.plan_steps (
    plan_id bigint not null references router.plans,
    step integer not null,
    city text not null,
    from_shard text not null,
    to_shard text not null,
    riders integer not null,
    open_orders integer not null,
    state text not null default 'waiting' check (state in ('waiting', 'moving', 'done', 'failed', 'skipped')),
    reason text not null default '',
    move_id bigint,
    primary key (plan_id, step)
);

drop function router.beat(text, uuid, interval, integer, integer, float8);
-- Renews the lease and stores the load. FR003 when the row belongs to another run by now.
create function router.beat(
    p_shard text, p_incarnation uuid, p_lease interval, p_riders integer, p_open_orders integer, p_tick_p99_ms float8,
    p_refused bigint, p_loads jsonb
) returns void language plpgsql as $$
begin
    update router.shards
        set heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + p_lease, riders = p_riders,
            open_orders = p_open_orders, tick_p99_ms = p_tick_p99_ms, refused = p_refused, loads = p_loads
        where shard_id = p_shard and incarnation = p_incarnation;
    if not found then
        raise exception 'another process is running as shard %', p_shard using errcode = 'FR003';
    end if;
end
$$;

-- As before; and a claim ends the move of the city: well for its target, badly for anybody else.
create or replace function router.claim(p_city text, p_shard text, p_seen_epoch bigint)
returns bigint language plpgsql as $$
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
    update router.moves set ended_at = clock_timestamp(),
            state = case when to_shard = p_shard then 'done' else 'failed' end,
            reason = case when to_shard <> p_shard then format('%s did not take it; %s did', to_shard, p_shard)
                          when state <> 'released' then 'the owner died' else '' end
        where city = p_city and ended_at is null;
    insert into router.changes (city, epoch, what, shard_id, actor)
        values (p_city, c.epoch + 1, 'claimed', p_shard, p_shard);
    return c.epoch + 1;
end
$$;

drop function router.release(text, text, bigint);
-- The owner lets go after its last commit, `p_idle` ago. Nothing happens when it is not the owner any more.
create function router.release(p_city text, p_shard text, p_epoch bigint, p_idle interval)
returns void language plpgsql as $$
begin
    update router.cities set owner = null where city = p_city and owner = p_shard and epoch = p_epoch;
    if found then
        update router.moves set state = 'released', released_at = clock_timestamp(),
                last_commit_at = clock_timestamp() - p_idle
            where city = p_city and ended_at is null;
        insert into router.changes (city, epoch, what, shard_id, actor)
            values (p_city, p_epoch, 'released', p_shard, p_shard);
    end if;
end
$$;

-- The target of a move says that its shadow is warm: the owner hears it and hands over.
create function router.warm(p_city text, p_shard text, p_move bigint) returns void language plpgsql as $$
begin
    update router.moves set state = 'warm', warm_at = clock_timestamp()
        where move_id = p_move and city = p_city and to_shard = p_shard and state = 'shadowing' and ended_at is null;
    if found then
        insert into router.changes (city, epoch, what, shard_id, actor)
            select p_city, epoch, 'warm', p_shard, p_shard from router.cities where city = p_city;
    end if;
end
$$;

-- A move that will not be: its target died or cannot, or somebody thought better of it. Too late once it was released
-- to a living target. Returns whether it ended.
create function router.fail_move(p_move bigint, p_reason text, p_actor text) returns boolean language plpgsql as $$
declare
    m router.moves;
begin
    select * into m from router.moves where move_id = p_move;
    perform 1 from router.cities where city = m.city for update;
    update router.moves set state = 'failed', reason = p_reason, ended_at = clock_timestamp()
        where move_id = p_move and ended_at is null and (state <> 'released' or not router.living(to_shard));
    if not found then
        return false;
    end if;
    update router.cities set moving_to = null where city = m.city;
    insert into router.changes (city, epoch, what, shard_id, actor)
        select m.city, epoch, 'move failed', m.to_shard, p_actor from router.cities where city = m.city;
    return true;
end
$$;
