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
