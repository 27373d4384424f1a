-- One statement, one round trip: the key decides; where it was used before nothing is written and no row comes back.
with key as (
    insert into idempotency_keys (user_id, key, body_sha256, order_id)
    values ($3, $4, $5, $1)
    on conflict do nothing
    returning order_id
), placed as (
    insert into orders (
        order_id, created_at, user_id, city, restaurant_id, status, version, events, placed_ms, promised_ms,
        basket, currency, items_minor, delivery_fee_minor, tip_minor, history, auto_accept,
        preparation_s, tax_minor, tax_included
    )
    select $1::uuid, $2, $3, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22
    from key
), told as (
    insert into outbox (event_id, order_id, topic, city, payload)
    select $23, $1::uuid, $24, '', $25
    from key
)
select order_id from key
