select * from {partition} where city = $1 order by right(order_id::text, 4), user_id, order_id
