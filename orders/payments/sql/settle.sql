-- One statement: the status, the posting and the event, all if the payment still stands where it was claimed.
-- When its goal has changed meanwhile it is due at once.
with moved as (
    update payments set
        status = $3, version = $4, provider_ref = $5, attempts = 0, changed_at = clock_timestamp(),
        due_at = case when goal <> $6 then clock_timestamp() when $7 then clock_timestamp() + make_interval(secs => $8) end
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
