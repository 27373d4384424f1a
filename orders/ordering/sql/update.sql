update orders set
    status = $3, version = $4, events = $5, ready_ms = $6, eta_ms = $7, rider_id = $8, history = $9,
    payments_seen = $10, dispatch_seen = $11, cooked_ms = $12, refunded_minor = $13, action_required = $14,
    changed_at = clock_timestamp()
where order_id = $1 and created_at = $2
