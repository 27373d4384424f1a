with asked as (
    insert into refunds (order_id, key, amount_minor, reason, status) values ($1, $2, $3, $4, 'PENDING')
)
update payments set due_at = clock_timestamp() where order_id = $1
