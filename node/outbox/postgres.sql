-- `order_id` is a uuid in the databases of orders and payments and text in that of dispatch: no statement names its type.

-- name: add
insert into outbox (event_id, order_id, topic, city, payload) values ($1, $2, $3, $4, $5)

-- name: claim_keys
-- Whole keys are claimed by locking their first unsent row: while it is locked and unsent, no later row of the key is
-- first for anybody else. In the order of keys (uuids, nearly in that of time) the index gives the first ones without
-- looking at all that wait.
select order_id::text as key
from outbox first
where sent_at is null
  and not exists (
      select from outbox earlier
      where earlier.order_id = first.order_id and earlier.sent_at is null and earlier.id < first.id
  )
order by order_id, id
limit $1
for update skip locked

-- name: forget_sent
-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from outbox
where sent_at < now() - interval '24 hours'
  and ctid = any (array(select ctid from outbox where sent_at < now() - interval '24 hours' limit $1))

-- name: hold_log
-- A relay that is frozen while it sends gives its claim up.
select set_config('idle_in_transaction_session_timeout', '30000', true) from outbox_logs where city = $1 for share

-- name: log
select incarnation from outbox_logs where city = $1

-- name: log_for_share
select incarnation from outbox_logs where city = $1 for share

-- name: log_for_update
select incarnation from outbox_logs where city = $1 for update

-- name: mark_sent
-- "id + 0": the index is to be asked once for each key, not for each pair of a key and an id.
update outbox set sent_at = clock_timestamp()
where order_id = any ($1) and id + 0 = any ($2::bigint[])
returning 1000 * extract(epoch from sent_at - written_at)::float8 as lag_ms

-- name: send_again
update outbox set sent_at = null where order_id = any ($1) and sent_at is not null

-- name: send_last_day_again
update outbox set sent_at = null
where sent_at > clock_timestamp() - interval '24 hours' and ($1 = '' or city = $1)

-- name: set_log
insert into outbox_logs (city, incarnation) values ($1, $2)
on conflict (city) do update set incarnation = excluded.incarnation

-- name: unsent_of_city
select id, event_id, order_id::text as key, topic, city, payload
from outbox
where city = $1 and sent_at is null
order by id
limit $2

-- name: unsent_of_keys
select id, event_id, order_id::text as key, topic, city, payload
from outbox
where order_id = any ($1) and sent_at is null
order by id
