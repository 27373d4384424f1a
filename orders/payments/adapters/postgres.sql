-- name: add_refund
with asked as (
    insert into refunds (order_id, key, amount_minor, reason, status) values ($1, $2, $3, $4, 'PENDING')
)
-- From now on there is something to do: it is late a while after this, not after the capture.
update payments set due_at = clock_timestamp(), changed_at = clock_timestamp() where order_id = $1

-- name: balances
select account, sum(amount_minor)::bigint as minor from ledger where order_id = $1 group by account

-- name: claim
update payments set due_at = clock_timestamp() + make_interval(secs => $2), attempts = attempts + 1
where order_id in (
    select order_id from payments
    where due_at <= clock_timestamp()
    order by due_at
    limit $1
    for update skip locked
)
returning *, (
    select to_jsonb(refunds) from refunds
    where refunds.order_id = payments.order_id and refunds.status = 'PENDING'
    order by asked_at, key
    limit 1
) as refund

-- name: end_refund
insert into refunds (order_id, key, amount_minor, reason, status, refusal)
values ($1, $2, $3, $4, $5, $6)
on conflict (order_id, key) do update set status = excluded.status, refusal = excluded.refusal

-- name: forget_events
-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from provider_events
where heard_at < now() - make_interval(days => $2)
  and ctid = any (array(select ctid from provider_events where heard_at < now() - make_interval(days => $2) limit $1))

-- name: get
select *, (
    select to_jsonb(refunds) from refunds
    where refunds.order_id = payments.order_id and refunds.status = 'PENDING'
    order by asked_at, key
    limit 1
) as refund
from payments where order_id = $1

-- name: hear
-- A webhook is a hint, and counts once: the payment is looked at now rather than later.
with heard as (
    insert into provider_events (event_id, kind) values ($1, $2) on conflict do nothing returning event_id
), hurried as (
    update payments set due_at = clock_timestamp()
    where order_id = $3 and due_at is not null and exists (select from heard)
)
select true from heard

-- name: lock
select *, (
    select to_jsonb(refunds) from refunds
    where refunds.order_id = payments.order_id and refunds.status = 'PENDING'
    order by asked_at, key
    limit 1
) as refund
from payments where order_id = any($1) order by order_id for update

-- name: overdue
-- Who waits for the customer is not late.
select count(*) from payments
where due_at is not null
  and changed_at < clock_timestamp() - make_interval(secs => $1)
  and status <> 'ACTION_REQUIRED'

-- name: post
insert into ledger (key, order_id, account, amount_minor, currency)
select $1, $2, leg.account, leg.amount_minor, $5
from unnest($3::text[], $4::bigint[]) as leg (account, amount_minor)

-- name: postings
select key, currency, jsonb_object_agg(account, amount_minor) as legs
from ledger where order_id = $1
group by key, currency
order by min(posted_at)

-- name: postpone
update payments set due_at = clock_timestamp() + make_interval(secs => $2) where order_id = $1 and due_at is not null

-- name: refunds
select key, amount_minor, reason, status, refusal from refunds where order_id = $1 order by asked_at, key

-- name: settle
-- One statement: the status, the posting and the event, all if the payment still stands where it was claimed.
-- When its goal has changed meanwhile to one of $16, which this status has an action for, it is due at once.
with moved as (
    update payments set
        status = $3, version = $4, provider_ref = $5, attempts = 0, changed_at = clock_timestamp(),
        due_at = case
            when goal = $6 and $7 then clock_timestamp() + make_interval(secs => $8)
            when goal <> $6 and goal = any($16::text[]) then clock_timestamp()
        end
    where order_id = $1 and status = $2 and version = $4 - 1
    returning order_id
), posted as (
    insert into ledger (key, order_id, account, amount_minor, currency)
    select $9, order_id, leg.account, leg.amount_minor, $12
    from moved, unnest($10::text[], $11::bigint[]) as leg (account, amount_minor)
), told as (
    insert into outbox (event_id, order_id, topic, city, payload)
    select $13, order_id, $14, '', $15
    from moved
)
select true from moved

-- name: settle_refund
update payments set
    status = $2, version = $3, refunded_minor = $4, attempts = 0, changed_at = clock_timestamp(),
    due_at = case
        when exists (
            select from refunds where refunds.order_id = $1 and refunds.key <> $5 and refunds.status = 'PENDING'
        ) or ($2 = 'CAPTURED' and goal = 'CANCELLED') then clock_timestamp()
    end
where order_id = $1

-- name: upsert
insert into payments (
    order_id, status, goal, amount_minor, currency, token, provider_ref, version, order_seen, attempts, due_at,
    food_minor, delivery_minor, tip_minor, tax_minor
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $11 then clock_timestamp() end, $12, $13, $14, $15
)
on conflict (order_id) do update set
    status = excluded.status, goal = excluded.goal, version = excluded.version, order_seen = excluded.order_seen,
    attempts = excluded.attempts, due_at = excluded.due_at, changed_at = clock_timestamp()
