-- Final orders with these ids ($1) of these users ($2), in two cities.
insert into orders (
    order_id, created_at, user_id, city, restaurant_id, status, version, events, placed_ms, promised_ms,
    basket, currency, items_minor, delivery_fee_minor, tip_minor, history, rider_id
)
select
    id::uuid,
    to_timestamp(ms / 1000) + ms % 1000 * interval '1 ms',
    user_id,
    case n % 2 when 0 then 'la-serena' else 'coquimbo' end,
    'r-1', 'COMPLETED', 7, 4, ms, ms + 2400000,
    '{"restaurant": {"restaurant_id": "r-1", "name": "Forno", "at": {"lat_e7": -299020000, "lng_e7": -712520000},
      "preparation_s": 600}, "dropoff": {"lat_e7": -299100000, "lng_e7": -712510000},
      "items": [{"sku": "margherita", "name": "Margherita", "quantity": 2, "price_minor": 4500}]}',
    'CLP', 9000 + n, 1490, 0,
    jsonb_build_array(
        jsonb_build_object('status', 'PLACED', 'at_ms', ms, 'reason', ''),
        jsonb_build_object('status', 'COMPLETED', 'at_ms', ms + 1000, 'reason', '')
    ),
    18446744073709551615
from (
    select id, user_id, n, ('x' || substr(replace(id, '-', ''), 1, 12))::bit(48)::bigint as ms
    from unnest($1::text[], $2::text[]) with ordinality as made (id, user_id, n)
) made
