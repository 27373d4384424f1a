-- name: pauses
select m.move_id, m.city, m.from_shard, m.to_shard, m.state, m.reason,
       extract(epoch from m.warm_at - m.asked_at) * 1000 as warm_ms,
       extract(epoch from m.first_tick_at - m.released_at) * 1000 as released_to_tick_ms,
       extract(epoch from least(m.first_tick_at, new.at) - old.at) * 1000 as gap_ms
from router.moves m
cross join lateral (select max(committed_at) as at from dispatch.ticks t
                    where t.city = m.city and t.epoch = m.epoch) as old
cross join lateral (select min(committed_at) as at from dispatch.ticks t
                    where t.city = m.city and t.epoch = m.epoch + 1) as new
order by m.move_id

-- name: cut
select pings_offset from dispatch.cuts where city = $1
