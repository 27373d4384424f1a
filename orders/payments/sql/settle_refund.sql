update payments set
    status = $2, version = $3, refunded_minor = $4, attempts = 0, changed_at = clock_timestamp(),
    due_at = case
        when exists (
            select from refunds where refunds.order_id = $1 and refunds.key <> $5 and refunds.status = 'PENDING'
        ) or ($2 = 'CAPTURED' and goal = 'CANCELLED') then clock_timestamp()
    end
where order_id = $1
