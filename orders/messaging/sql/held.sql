select source, order_id::text as order_id, version, payload from inbox_held where order_id = any($1)
