-- name: add
insert into outbox (event_id, order_id, topic, city, payload) values ($1, $2, $3, $4, $5)

-- name: claim_orders
-- Whole orders are claimed by locking their first unsent row: while it is locked and unsent, no later row of the order is
-- first for anybody else. In the order of ids (which is nearly that of time) the index gives the first ones without
-- looking at all that wait.
select order_id
from outbox first
where sent_at is null
  and not exists (
      select from outbox earlier
      where earlier.order_id = first.order_id and earlier.sent_at is null and earlier.id < first.id
  )
order by order_id, id
limit $1
for update skip locked

-- name: forget_offsets
delete from kafka_offsets

-- name: forget_sent
-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from outbox
where sent_at < now() - interval '24 hours'
  and ctid = any (array(select ctid from outbox where sent_at < now() - interval '24 hours' limit $1))

-- name: held
select source, order_id::text as order_id, version, payload from inbox_held where order_id = any($1)

-- name: hold
insert into inbox_held (source, order_id, version, payload) values ($1, $2, $3, $4) on conflict do nothing

-- name: hold_log
select log_id from kafka_log for share

-- name: log
select log_id from kafka_log

-- name: mark_sent
update outbox set sent_at = clock_timestamp()
from unnest($1::uuid[], $2::bigint[]) as sent (order_id, id)
where outbox.order_id = sent.order_id and outbox.id = sent.id
returning 1000 * extract(epoch from sent_at - written_at)::float8 as lag_ms

-- name: offsets
select topic, partition, next_offset from kafka_offsets

-- name: release
delete from inbox_held where source = $1 and order_id = $2 and version <= $3

-- name: save_offsets
insert into kafka_offsets (topic, partition, next_offset)
select * from unnest($1::text[], $2::integer[], $3::bigint[])
on conflict (topic, partition) do update set next_offset = excluded.next_offset

-- name: send_again
update outbox set sent_at = null where order_id = any($1) and sent_at is not null

-- name: send_all_again
update outbox set sent_at = null where sent_at is not null

-- name: set_log
insert into kafka_log (log_id) values ($1)
on conflict (only_row) do update set log_id = excluded.log_id

-- name: unsent
select id, event_id, order_id::text as order_id, topic, city, payload
from outbox
where order_id = any($1) and sent_at is null
order by id
