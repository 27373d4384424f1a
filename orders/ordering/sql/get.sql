select * from orders where order_id = $1 and created_at = $2
