delete from inbox_held where source = $1 and order_id = $2 and version <= $3
