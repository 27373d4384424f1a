-- name: auto_accept
select auto_accept from kitchens where city = $1 and restaurant_id = $2

-- name: choose
insert into kitchens (city, restaurant_id, auto_accept) values ($1, $2, $3)
on conflict (city, restaurant_id) do update set auto_accept = excluded.auto_accept, changed_at = clock_timestamp()

-- name: cooked
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

-- name: tickets
select * from orders
where restaurant_id = $1 and city = $2 and status in ('AUTHORISED', 'ACCEPTED', 'ASSIGNED')
order by order_id
limit $3
