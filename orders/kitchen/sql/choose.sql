insert into kitchens (city, restaurant_id, auto_accept) values ($1, $2, $3)
on conflict (city, restaurant_id) do update set auto_accept = excluded.auto_accept, changed_at = clock_timestamp()
