-- name: hold
select router.hold($1, $2, $3)

-- name: insert_tick
insert into dispatch.ticks (city, tick, epoch, shard_id, now_ms, incarnation, partition, pings_offset, events_offset,
    params_digest, travel_version, strategy, solver_status, solver_work, solver_cost, fallback, problem_digest,
    solution_digest, decisions_digest, ignored, duration_ms, promises_digest, eta_fallback, renewed, lesson, quiet,
    stops_fallback, passed_over, owner_began)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25, $26::jsonb, $27, $28, $29)

-- name: insert_start
insert into dispatch.starts (city, tick, events_offset, body) values ($1, $2, $3, $4)

-- name: insert_params
insert into dispatch.param_sets (digest, body) values ($1, $2::jsonb) on conflict do nothing

-- name: save_cut
-- A cut that comes late is not stored: that of a tick before the last one, or of less than was read by the same tick.
insert into dispatch.cuts as c (city, epoch, tick, incarnation, partition, pings_offset, events_offset)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (city) do update set epoch = excluded.epoch, tick = excluded.tick, incarnation = excluded.incarnation,
    partition = excluded.partition, pings_offset = excluded.pings_offset, events_offset = excluded.events_offset,
    saved_at = clock_timestamp()
where (c.epoch, c.tick) < (excluded.epoch, excluded.tick)
    or (c.epoch, c.tick) = (excluded.epoch, excluded.tick) and (c.incarnation <> excluded.incarnation
        or c.pings_offset <= excluded.pings_offset and c.events_offset <= excluded.events_offset)

-- name: save_ranges
insert into dispatch.applied_ranges as r (city, epoch, incarnation, topic, partition, first_offset, next_offset)
select $1, $2, $3, x.topic, $4, x.first_offset, x.next_offset
from unnest($5::text[], $6::bigint[], $7::bigint[]) as x(topic, first_offset, next_offset)
on conflict (city, epoch, incarnation, topic, first_offset) do update
    set next_offset = greatest(r.next_offset, excluded.next_offset)

-- name: upsert_orders
insert into dispatch.orders (order_id, city, status, rider_id, ended_ms, tick, body)
select x.order_id, $1, x.status, x.rider_id, x.ended_ms, $2, x.body::jsonb
from unnest($3::text[], $4::text[], $5::numeric[], $6::bigint[], $7::text[])
    as x(order_id, status, rider_id, ended_ms, body)
on conflict (order_id) do update set status = excluded.status, rider_id = excluded.rider_id,
    ended_ms = excluded.ended_ms, tick = excluded.tick, body = excluded.body

-- name: upsert_riders
insert into dispatch.riders (city, rider_id, online, load, tick, body)
select $1, x.rider_id, x.online, x.load, $2, x.body::jsonb
from unnest($3::numeric[], $4::boolean[], $5::integer[], $6::text[]) as x(rider_id, online, load, body)
on conflict (city, rider_id) do update set online = excluded.online, load = excluded.load, tick = excluded.tick,
    body = excluded.body

-- name: lend_riders
-- The home city's epoch is checked by the fence of this transaction, the borrower's here: to an owner that is gone the
-- rider is lent and returned at once. A rider that is on another loan still breaks the unique index.
insert into dispatch.loans (rider_id, loan_id, home, home_epoch, borrower, borrower_epoch, rider, returned)
select x.rider_id, x.loan_id, $1, $2, x.borrower, x.borrower_epoch, x.rider::jsonb, c.city is null
from unnest($3::numeric[], $4::text[], $5::text[], $6::bigint[], $7::text[])
    as x(rider_id, loan_id, borrower, borrower_epoch, rider)
left join router.cities c on c.city = x.borrower and c.epoch = x.borrower_epoch
on conflict (loan_id) do nothing

-- name: return_riders
update dispatch.loans l set returned = true, free_ms = x.free_ms
from unnest($2::text[], $3::bigint[]) as x(loan_id, free_ms)
where l.loan_id = x.loan_id and l.borrower = $1 and not l.returned

-- name: end_offers
update dispatch.offers o set status = x.status, tick = $1, body = x.body::jsonb
from unnest($2::text[], $3::text[], $4::text[]) as x(offer_id, status, body)
where o.offer_id = x.offer_id

-- name: insert_offers
insert into dispatch.offers (offer_id, city, rider_id, status, made_ms, tick, body)
select x.offer_id, $1, x.rider_id, x.status, x.made_ms, $2, x.body::jsonb
from unnest($3::text[], $4::numeric[], $5::text[], $6::bigint[], $7::text[])
    as x(offer_id, rider_id, status, made_ms, body)
on conflict (offer_id) do nothing

-- name: upsert_cooldowns
insert into dispatch.cooldowns (city, rider_id, order_id, until_ms)
select $1, x.rider_id, x.order_id, x.until_ms
from unnest($2::numeric[], $3::text[], $4::bigint[]) as x(rider_id, order_id, until_ms)
on conflict (city, rider_id, order_id) do update set until_ms = excluded.until_ms

-- name: end_holdings
update dispatch.holdings set until_tick = $1 where order_id = any($2::text[]) and until_tick is null

-- name: begin_holdings
insert into dispatch.holdings (order_id, rider_id, slot, city, epoch, since_tick)
select x.order_id, x.rider_id, x.slot, $1, $2, $3
from unnest($4::text[], $5::numeric[], $6::integer[]) as x(order_id, rider_id, slot)

-- name: accept_holdings
update dispatch.holdings h set slot = x.slot
from unnest($1::text[], $2::integer[]) as x(order_id, slot)
where h.order_id = x.order_id and h.until_tick is null

-- name: insert_decisions
insert into dispatch.decisions (city, tick, offer_id, order_ids, rider_id, epoch, body)
values ($1, $2, $3, $4, $5, $6, $7::jsonb)

-- name: upsert_tracks
insert into dispatch.tracks (order_id, city, version, tick, body)
select x.order_id, $1, x.version, $2, x.body::jsonb
from unnest($3::text[], $4::bigint[], $5::text[]) as x(order_id, version, body)
on conflict (order_id) do update set version = excluded.version, tick = excluded.tick, body = excluded.body

-- name: insert_quotes
insert into dispatch.eta_quotes (order_id, stage, city, made_ms, raw_ms, spread_ms, predicted_ms, predicted_p90_ms,
    delivered_ms)
select x.order_id, x.stage, $1, x.made_ms, x.raw_ms, x.spread_ms, x.predicted_ms, x.predicted_p90_ms, x.delivered_ms
from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
    as x(order_id, stage, made_ms, raw_ms, spread_ms, predicted_ms, predicted_p90_ms, delivered_ms)
on conflict (order_id, stage) do nothing

-- name: insert_outcomes
insert into dispatch.eta_outcomes (order_id, city, rider_id, placed_ms, accepted_ms, predicted_ms, predicted_p90_ms,
    delivered_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (order_id) do nothing

-- name: committed
select true from dispatch.ticks where city = $1 and tick = $2 and epoch = $3

-- name: last_tick
select coalesce(max(tick), 0) from dispatch.ticks where city = $1

-- name: load_cut
select incarnation, partition, pings_offset, events_offset, tick from dispatch.cuts where city = $1

-- name: load_orders
select body::text from dispatch.orders where city = $1 and (ended_ms is null or ended_ms >= $2) order by order_id

-- name: load_riders
select body::text from dispatch.riders where city = $1 order by rider_id

-- name: load_offers
select body::text from dispatch.offers where city = $1 and status = 'live' order by offer_id

-- name: load_cooldowns
select c.rider_id, c.order_id, c.until_ms from dispatch.cooldowns c
join dispatch.orders o on o.order_id = c.order_id and o.ended_ms is null
where c.city = $1

-- name: load_tracks
select t.body::text from dispatch.tracks t
join dispatch.orders o on o.order_id = t.order_id and (o.ended_ms is null or o.ended_ms >= $2)
where t.city = $1

-- name: load_holdings
select order_id, rider_id, slot from dispatch.holdings where city = $1 and until_tick is null

-- name: changed_orders
select body::text from dispatch.orders where city = $1 and (ended_ms is null or ended_ms >= $2) and tick > $3

-- name: changed_riders
select body::text from dispatch.riders where city = $1 and tick > $2

-- name: changed_offers
select offer_id, case when tick > $2 then body::text end as body from dispatch.offers where city = $1 and status = 'live'

-- name: changed_tracks
select t.body::text from dispatch.tracks t
join dispatch.orders o on o.order_id = t.order_id and (o.ended_ms is null or o.ended_ms >= $2)
where o.city = $1 and t.tick > $3

-- name: known_orders
select order_id from dispatch.orders where order_id = any($1::text[])

-- name: track
select o.body::text as order_body, t.body::text as track_body
from dispatch.orders o join dispatch.tracks t using (order_id)
where o.order_id = $1 and o.city = $2

-- name: explain
select d.body::text as record, d.tick, d.epoch, d.rider_id, t.now_ms, t.shard_id, t.incarnation, t.partition,
    t.pings_offset, t.events_offset, t.params_digest, t.travel_version, t.strategy, t.solver_status, t.solver_work,
    t.fallback, f.status as outcome, (f.body->>'ended_ms')::bigint as answered_ms
from dispatch.decisions d
join dispatch.ticks t on t.city = d.city and t.tick = d.tick
left join dispatch.offers f on f.offer_id = d.offer_id
where d.city = $1 and d.order_ids @> array[$2::text]
order by d.tick, d.offer_id

-- name: prune_horizon
select coalesce(max(tick), 0) from dispatch.ticks
where city = $1 and committed_at < clock_timestamp() - make_interval(hours => $2)

-- Each takes a piece: at most so many rows ($3), so that no delete holds locks or the log for long.
-- name: prune_decisions
delete from dispatch.decisions where ctid = any(array(
    select ctid from dispatch.decisions where city = $1 and tick <= $2 limit $3))

-- name: prune_offers
delete from dispatch.offers where ctid = any(array(
    select ctid from dispatch.offers where city = $1 and tick <= $2 and status <> 'live' limit $3))

-- name: prune_holdings
delete from dispatch.holdings where ctid = any(array(
    select ctid from dispatch.holdings where city = $1 and until_tick <= $2 limit $3))

-- name: prune_cooldowns
delete from dispatch.cooldowns where ctid = any(array(
    select c.ctid from dispatch.cooldowns c join dispatch.orders o using (order_id)
    where c.city = $1 and o.ended_ms is not null and o.tick <= $2 limit $3))

-- name: prune_tracks
delete from dispatch.tracks where ctid = any(array(
    select t.ctid from dispatch.tracks t join dispatch.orders o using (order_id)
    where t.city = $1 and o.ended_ms is not null and o.tick <= $2 limit $3))

-- name: prune_orders
delete from dispatch.orders where ctid = any(array(
    select ctid from dispatch.orders where city = $1 and tick <= $2 and ended_ms is not null limit $3))

-- name: prune_starts
delete from dispatch.starts where ctid = any(array(
    select ctid from dispatch.starts where city = $1 and tick <= $2 limit $3))

-- name: prune_ticks
-- Oldest first: what is kept has no holes, and the audit takes a hole for a loss.
delete from dispatch.ticks where ctid = any(array(
    select ctid from dispatch.ticks where city = $1 and tick < $2 order by tick limit $3))
