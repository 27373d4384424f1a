insert into refunds (order_id, key, amount_minor, reason, status, refusal)
values ($1, $2, $3, $4, $5, $6)
on conflict (order_id, key) do update set status = excluded.status, refusal = excluded.refusal
