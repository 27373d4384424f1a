-- name: add
insert into set_aside (reader, topic, partition, log_offset, key, reason, payload, size, sha256, passed_over)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing

-- name: rows
select id, reader, topic, partition, log_offset, key, reason, payload, size, sha256, passed_over, set_aside_at
from set_aside where done_at is null order by id desc limit $1

-- name: row
select id, reader, topic, partition, log_offset, key, reason, payload, size, sha256, passed_over, set_aside_at
from set_aside where id = $1 and done_at is null

-- name: drop_oldest
-- Rows that are done go first, the oldest of them before others; returns how many went that were not. What another relay
-- of the same reader is dropping just now is left to it; rows that stay are not locked.
with dropped as (
    delete from set_aside where id = any (array(
        select id from set_aside
        where id = any (array(
            select id from set_aside where reader = $1 order by done_at is null desc, id desc offset $2))
        for update skip locked))
    returning done_at)
select count(*) from dropped where done_at is null

-- name: finish
-- What it held is in its log as long as anything is.
update set_aside set done_at = clock_timestamp(), payload = '' where id = $1

-- name: forget
delete from set_aside where id = $1
