-- name: borders
select version, city, case when $4 then '' else feature::text end as feature, actor,
       (extract(epoch from published_at) * 1000)::bigint as published_ms
from router.borders b
where version > $1 and ($2 = '' or city = $2)
  and not ($3 and exists (select from router.borders n where n.city = b.city and n.version > b.version))
order by version

-- name: tell
insert into router.changes (city, epoch, what, actor)
select city, epoch, 'border', $2 from router.cities where city = $1

-- name: lock
lock table router.borders in share row exclusive mode

-- name: publish
insert into router.borders (city, feature, actor) values ($1, $2::jsonb, $3) returning version
