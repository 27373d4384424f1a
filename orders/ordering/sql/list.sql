select * from orders
where user_id = $1 and created_at <= $2 and order_id < $3
order by order_id desc
limit $4
