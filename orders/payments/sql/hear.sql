-- A webhook is a hint, and counts once: the payment is looked at now rather than later.
with heard as (
    insert into provider_events (event_id, kind) values ($1, $2) on conflict do nothing returning event_id
), hurried as (
    update payments set due_at = clock_timestamp()
    where order_id = $3 and due_at is not null and exists (select from heard)
)
select true from heard
