select
    cooked_ms,
    (basket -> 'restaurant' ->> 'preparation_s')::integer as said_s,
    (
        select min((line ->> 'at_ms')::bigint) from jsonb_array_elements(history) line
        where line ->> 'status' = 'ACCEPTED'
    ) as accepted_ms
from orders
where restaurant_id = $1 and city = $2 and cooked_ms > 0 and created_at > $3
order by created_at desc
limit $4
