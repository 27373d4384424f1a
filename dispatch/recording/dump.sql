-- name: last
select incarnation, partition from dispatch.ticks where city = $1 order by tick desc limit 1

-- name: start
-- The last stored memory that is at least $2 minutes old; the first of this log when none is, or when all is asked for.
select s.tick, s.events_offset, s.body, (extract(epoch from t.committed_at) * 1000)::bigint as began_ms
from dispatch.starts s join dispatch.ticks t using (city, tick)
where s.city = $1 and t.incarnation = $3
order by
    $2::float8 is not null and t.committed_at <= clock_timestamp() - make_interval(secs => $2::float8 * 60) desc,
    case when t.committed_at <= clock_timestamp() - make_interval(secs => $2::float8 * 60) then -s.tick else s.tick end
limit 1

-- name: ticks
select tick, epoch, now_ms, pings_offset, events_offset, params_digest, travel_version, fallback, problem_digest,
    solution_digest, decisions_digest, ignored, promises_digest, eta_fallback, renewed, lesson,
    quiet::text as quiet, stops_fallback, incarnation, passed_over, owner_began
from dispatch.ticks where city = $1 and tick >= $2 order by tick limit $3

-- name: models
select version, body from dispatch.travel_models where city = $1 and version = any($2::text[])

-- name: lessons
select lesson, learning from dispatch.owner_lessons where city = $1 and lesson = any($2::text[])

-- name: params
select digest, body::text as body from dispatch.param_sets where digest = any($1::text[])
