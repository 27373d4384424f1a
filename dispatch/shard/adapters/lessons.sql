-- name: hold_city
select router.hold($1, $2, $3)

-- name: last_lesson
select l.learning, l.version, m.body as model
from dispatch.lessons l left join dispatch.travel_models m on m.city = l.city and m.version = l.version
where l.city = $1

-- name: keep_owner_lesson
insert into dispatch.owner_lessons (city, lesson, learning)
select city, substr(encode(sha256(learning), 'hex'), 1, 16), learning from dispatch.lessons where city = $1
on conflict (city, lesson) do update set begun_at = clock_timestamp()

-- name: put_lesson
insert into dispatch.lessons (city, epoch, version, learning) values ($1, $2, $3, $4)
on conflict (city) do update
set epoch = excluded.epoch, version = excluded.version, learning = excluded.learning, stored_at = clock_timestamp()

-- name: add_model
insert into dispatch.travel_models (city, version, body) values ($1, $2, $3) on conflict do nothing

-- name: forget_models
-- As long as ticks are kept (dispatch.shard.housekeeping), and a day more.
delete from dispatch.travel_models m
where m.city = $1 and m.stored_at < clock_timestamp() - interval '96 hours'
  and not exists (select from dispatch.lessons l where l.city = m.city and l.version = m.version)

-- name: forget_owner_lessons
delete from dispatch.owner_lessons where city = $1 and begun_at < clock_timestamp() - interval '96 hours'
