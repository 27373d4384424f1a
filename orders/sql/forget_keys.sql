delete from idempotency_keys where created_at < now() - make_interval(days => $1)
