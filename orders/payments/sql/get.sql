select * from payments where order_id = $1
