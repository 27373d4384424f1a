insert into payments (
    order_id, status, goal, amount_minor, currency, token, provider_ref, version, order_seen, attempts, due_at,
    food_minor, delivery_minor, tip_minor, tax_minor
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $11 then clock_timestamp() end, $12, $13, $14, $15
)
on conflict (order_id) do update set
    status = excluded.status, goal = excluded.goal, version = excluded.version, order_seen = excluded.order_seen,
    attempts = excluded.attempts, due_at = excluded.due_at, changed_at = clock_timestamp()
