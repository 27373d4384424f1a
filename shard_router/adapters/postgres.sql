-- name: cities
select c.city, c.name, c.partition, c.time_zone, c.currency, c.center_lat_e7, c.center_lng_e7,
       c.owner, c.epoch, c.moving_to, coalesce(s.address, '') as address
from router.cities c left join router.shards s on s.shard_id = c.owner order by c.city

-- name: shards
select shard_id, address, lease_until > clock_timestamp() as alive, riders, open_orders, tick_p99_ms, refused, draining,
       loads::text as loads, extract(epoch from clock_timestamp() - heartbeat_at) * 1000 as heartbeat_age_ms,
       (extract(epoch from clock_timestamp() - up_since) * 1000)::bigint as up_ms,
       (extract(epoch from clock_timestamp() - known_since) * 1000)::bigint as known_ms
from router.shards order by shard_id

-- name: moves_under_way
select move_id, city, from_shard, to_shard, epoch, actor, state, reason,
       (extract(epoch from asked_at) * 1000)::bigint as asked_ms,
       (extract(epoch from warm_at) * 1000)::bigint as warm_ms,
       (extract(epoch from released_at) * 1000)::bigint as released_ms,
       (extract(epoch from ended_at) * 1000)::bigint as ended_ms,
       (extract(epoch from first_tick_at - last_commit_at) * 1000)::float8 as gap_ms
from router.moves
where ended_at is null

-- name: last_moves
select move_id, city, from_shard, to_shard, epoch, actor, state, reason,
       (extract(epoch from asked_at) * 1000)::bigint as asked_ms,
       (extract(epoch from warm_at) * 1000)::bigint as warm_ms,
       (extract(epoch from released_at) * 1000)::bigint as released_ms,
       (extract(epoch from ended_at) * 1000)::bigint as ended_ms,
       (extract(epoch from first_tick_at - last_commit_at) * 1000)::float8 as gap_ms
from router.moves
order by move_id desc limit $1

-- name: ensure_city
insert into router.cities (city, name, partition, time_zone, currency, center_lat_e7, center_lng_e7)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (city) do update set name = excluded.name, time_zone = excluded.time_zone,
    currency = excluded.currency, center_lat_e7 = excluded.center_lat_e7, center_lng_e7 = excluded.center_lng_e7
returning xmax = 0 as added

-- name: replaced
update router.moves set state = 'failed', reason = to_shard || ' died', ended_at = clock_timestamp()
where city = $1 and ended_at is null

-- name: first_tick
update router.moves set first_tick_at = clock_timestamp()
where city = $1 and to_shard = $2 and epoch = $3 - 1 and state = 'done' and first_tick_at is null

-- name: version
select coalesce(max(id), 0) from router.changes

-- name: move
update router.cities set moving_to = $2 where city = $1 and epoch = $3

-- name: new_move
insert into router.moves (city, from_shard, to_shard, epoch, actor) values ($1, $2, $3, $4, $5)

-- name: tell
insert into router.changes (city, epoch, what, shard_id, actor) values ($1, $2, $3, $4, $5)

-- name: enter
select router.enter($1, $2, $3, $4)

-- name: beat
select router.beat($1, $2, $3, $4, $5, $6, $7, $8::jsonb)

-- name: claim
select router.claim($1, $2, $3)

-- name: release
select router.release($1, $2, $3, $4)

-- name: hold_shard
select from router.shards where shard_id = $1 for share

-- name: lock_city
select from router.cities where city = $1 for update

-- name: warm
select router.warm($1, $2, $3)

-- name: fail_move
select router.fail_move($1, $2, $3)
