select order_id::text as order_id, body_sha256 from idempotency_keys where user_id = $1 and key = $2
