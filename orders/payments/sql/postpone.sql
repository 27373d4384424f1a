update payments set due_at = clock_timestamp() + make_interval(secs => $2) where order_id = $1 and due_at is not null
