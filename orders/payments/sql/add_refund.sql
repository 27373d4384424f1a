with asked as (
    insert into refunds (order_id, key, amount_minor, reason, status) values ($1, $2, $3, $4, 'PENDING')
)
-- From now on there is something to do: it is late a while after this, not after the capture.
update payments set due_at = clock_timestamp(), changed_at = clock_timestamp() where order_id = $1
