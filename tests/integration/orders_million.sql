-- A year's orders of one shard: $1 rows over 12 months, 20,000 users, one in 2,000 still open.
insert into orders (
    order_id, created_at, user_id, city, restaurant_id, status, version, events, placed_ms, promised_ms,
    basket, currency, items_minor, delivery_fee_minor, tip_minor, history, changed_at, cooked_ms
)
select
    (
        lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 11)
        || lpad(to_hex(n % 32768), 4, '0')
    )::uuid,
    to_timestamp(ms / 1000.0),
    'customer-' || n * 7919 % 20000,
    case n % 2 when 0 then 'la-serena' else 'coquimbo' end,
    'r-' || n % 40,
    status,
    7, 4, ms, ms + 2400000,
    '{"items": [{"sku": "margherita", "name": "Margherita", "quantity": 2, "price_minor": 4500}]}',
    'CLP', 9000, 1490, 0,
    jsonb_build_array(
        jsonb_build_object('status', 'PLACED', 'at_ms', ms, 'reason', ''),
        jsonb_build_object('status', status, 'at_ms', ms + 1000, 'reason', '')
    ),
    to_timestamp(ms / 1000.0),
    case when n % 3 = 0 then ms + 900000 else 0 end
from (
    select
        n,
        1763900000000 + n * (31536000000 / $1::bigint) as ms,
        case
            when n % 2000 = 0 then (array['PLACED', 'ACCEPTED', 'DELIVERED'])[1 + n / 2000 % 3]
            when n % 1000 = 1 then 'FAILED'
            else 'COMPLETED'
        end as status
    from generate_series(1, $1::bigint) n
) made
