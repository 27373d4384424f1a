select key, amount_minor, reason, status, refusal from refunds where order_id = $1 order by asked_at, key
