-- One statement: the status, the posting and the event, all if the payment still stands where it was claimed.
-- When its goal has changed meanwhile it is due at once.
with moved as (
    update payments set
        status = $3, version = $4, provider_ref = $5, attempts = 0, changed_at = clock_timestamp(),
        due_at = case when goal <> $6 or $7 then clock_timestamp() end
    where order_id = $1 and status = $2 and version = $4 - 1
    returning order_id
), posted as (
    insert into postings (key, order_id, debit, credit, amount_minor, currency)
    select $8, order_id, $9, $10, $11, $12
    from moved
    where $8 <> ''
), told as (
    insert into outbox (event_id, order_id, topic, city, payload)
    select $13, order_id, $14, '', $15
    from moved
)
select true from moved
