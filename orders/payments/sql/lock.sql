select * from payments where order_id = any($1) order by order_id for update
