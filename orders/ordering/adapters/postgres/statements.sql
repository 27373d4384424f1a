-- name: claim_range
insert into shard_range (first_point, last_point) values ($1, $2) on conflict do nothing

-- name: count_stuck
select count(*)
from orders
where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
  and status = $1
  and changed_at < now() - make_interval(secs => $2)

-- name: forget_keys
-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from idempotency_keys
where created_at < now() - make_interval(days => $2)
  and ctid = any (array(select ctid from idempotency_keys where created_at < now() - make_interval(days => $2) limit $1))

-- name: forget_sent_again
-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from told_again
where next_at < now() - interval '24 hours'
  and ctid = any (array(select ctid from told_again where next_at < now() - interval '24 hours' limit $1))

-- name: get
select * from orders where order_id = $1 and created_at = $2

-- name: list
select * from orders
where user_id = $1 and created_at <= $2 and order_id < $3
order by order_id desc
limit $4

-- name: lock
-- The bounds prune partitions; the order of locking is the same for all, so that no two wait for each other.
select * from orders
where order_id = any($1) and created_at between $2 and $3
order by order_id
for no key update

-- name: make_partitions
-- The month before for a clock that is set back, the two to come so that the job may fail for weeks.
select make_partition((date_trunc('month', $1::timestamptz at time zone 'UTC') + n * interval '1 month')::date)
from generate_series(-1, 2) n

-- name: place
-- One statement, one round trip: the key decides; where it was used before nothing is written and no row comes back.
with key as (
    insert into idempotency_keys (user_id, key, body_sha256, order_id)
    values ($3, $4, $5, $1)
    on conflict do nothing
    returning order_id
), placed as (
    insert into orders (
        order_id, created_at, user_id, city, restaurant_id, status, version, events, placed_ms, promised_ms,
        basket, currency, items_minor, delivery_fee_minor, tip_minor, history, auto_accept,
        preparation_s, tax_minor, tax_included
    )
    select $1::uuid, $2, $3, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22
    from key
), told as (
    insert into outbox (event_id, order_id, topic, city, payload)
    select $23, $1::uuid, $24, '', $25
    from key
)
select order_id from key

-- name: placed_by_key
select order_id::text as order_id, body_sha256 from idempotency_keys where user_id = $1 and key = $2

-- name: range
select first_point, last_point from shard_range

-- name: recent
select status, count(*) as orders, sum(items_minor + delivery_fee_minor + tip_minor)::bigint as minor, currency
from orders
where city = $1 and created_at >= $2
group by status, currency
order by status

-- name: send_again
-- Orders that were told again lately are passed over, so that those behind them have their turn; the pause doubles.
with stuck as (
    select order_id
    from orders left join told_again using (order_id)
    where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
      and status = $1
      and changed_at < now() - make_interval(secs => $2)
      and (next_at is null or next_at <= now())
    order by changed_at
    limit $3
), due as (
    insert into told_again as known (order_id, times, next_at)
    select order_id, 1, clock_timestamp() + make_interval(secs => 2 * $2) from stuck
    on conflict (order_id) do update set
        times = known.times + 1,
        next_at = clock_timestamp() + make_interval(secs => least($2 * 2.0 ^ least(known.times + 1, 20), 3600))
    -- Another process may have done it since.
    where known.next_at <= clock_timestamp()
    returning order_id
), again as (
    update outbox set sent_at = null from due where outbox.order_id = due.order_id and sent_at is not null
)
select count(*) from due

-- name: stuck
select order_id::text as order_id, status
from orders
where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
  and status = $1
  and changed_at < now() - make_interval(secs => $2)
order by changed_at
limit $3

-- name: update
update orders set
    status = $3, version = $4, events = $5, ready_ms = $6, eta_ms = $7, rider_id = $8, history = $9,
    payments_seen = $10, dispatch_seen = $11, cooked_ms = $12, refunded_minor = $13, action_required = $14,
    changed_at = clock_timestamp()
where order_id = $1 and created_at = $2
