-- Each statement but the first finds what must not be: no row means that it holds. It returns (city, what).

-- name: examined
-- Rows behind the verdict: silence over nothing means nothing.
select
    (select count(*) from dispatch.ticks) as ticks,
    (select count(*) from dispatch.decisions) as decisions,
    (select count(*) from dispatch.holdings) as holdings,
    (select count(*) from dispatch.applied_ranges) as ranges

-- name: ranges_tile_the_log
-- Offsets that owners applied follow each other without gap or overlap, from the log's first on, per incarnation of the
-- log. Ranges are kept for ever: no first one is missing because it was old.
select city, format('%s of log %s: epoch %s goes on at %s, the one before ended at %s',
                    topic, incarnation, epoch, first_offset, ended) as what
from (
    select city, topic, incarnation, epoch, first_offset,
           lag(next_offset, 1, 0::bigint)
               over (partition by city, topic, incarnation order by first_offset, next_offset) as ended
    from dispatch.applied_ranges
    where next_offset > first_offset
) as ranges
where ended <> first_offset

-- name: nothing_applied_is_lost
-- The last applied range reaches the cut from which the city would go on.
select c.city, format('%s: applied up to %s, but the cut says %s', t.topic, coalesce(max(r.next_offset), 0), t.cut) as what
from dispatch.cuts c
cross join lateral (values ('rider.pings', c.pings_offset), ('city.events', c.events_offset)) as t(topic, cut)
left join dispatch.applied_ranges r on r.city = c.city and r.topic = t.topic and r.incarnation = c.incarnation
group by c.city, t.topic, t.cut
having coalesce(max(r.next_offset), 0) < t.cut

-- name: every_tick_was_decided_by_the_owner
-- A tick's epoch was claimed by the shard that wrote it, and nobody had claimed a later one when it was committed.
select t.city, format('tick %s of epoch %s was written by %s at %s', t.tick, t.epoch, t.shard_id, t.committed_at) as what
from dispatch.ticks t
left join router.changes own on own.city = t.city and own.epoch = t.epoch and own.what = 'claimed'
left join router.changes later on later.city = t.city and later.epoch = t.epoch + 1 and later.what = 'claimed'
where own.shard_id is distinct from t.shard_id or later.at < t.committed_at

-- name: epochs_only_grow
select city, format('tick %s is of epoch %s, the tick before of %s', tick, epoch, before) as what
from (select city, tick, epoch, lag(epoch) over (partition by city order by tick) as before from dispatch.ticks) as ticks
where before > epoch

-- name: every_decision_carries_its_tick's_epoch
-- Housekeeping removes a tick after its decisions, so each decision has its tick.
select d.city, format('offer %s carries epoch %s, tick %s %s', d.offer_id, d.epoch, d.tick,
                      coalesce('has ' || t.epoch, 'is not there')) as what
from dispatch.decisions d
left join dispatch.ticks t on t.city = d.city and t.tick = d.tick
where t.epoch is distinct from d.epoch

-- name: every_holding_carries_its_tick's_epoch
-- A holding that lasts outlives the tick it began in: only those are judged that began with the first kept tick or later.
select h.city, format('order %s with rider %s carries epoch %s, tick %s %s', h.order_id, h.rider_id, h.epoch, h.since_tick,
                      coalesce('has ' || t.epoch, 'is not there')) as what
from dispatch.holdings h
left join dispatch.ticks t on t.city = h.city and t.tick = h.since_tick
where t.epoch is distinct from h.epoch
  and h.since_tick >= (select coalesce(min(k.tick), 0) from dispatch.ticks k where k.city = h.city)

-- name: no_order_has_two_live_assignments
select min(city), format('order %s is live with riders %s', order_id, string_agg(rider_id::text, ', ')) as what
from dispatch.holdings
where until_tick is null
group by order_id
having count(*) > 1

-- name: no_order_was_with_two_riders_at_once
-- Over all history, in the ticks of a city: accepted by one while another still had it.
select a.city, format('order %s: rider %s from tick %s to %s, rider %s from tick %s', a.order_id, a.rider_id, a.since_tick,
                      coalesce(a.until_tick::text, 'now'), b.rider_id, b.since_tick) as what
from dispatch.holdings a
join dispatch.holdings b on b.order_id = a.order_id and b.city = a.city and b.rider_id <> a.rider_id
    and b.since_tick >= a.since_tick and b.holding_id > a.holding_id
where a.slot is not null and b.slot is not null and (a.until_tick is null or a.until_tick > b.since_tick)
