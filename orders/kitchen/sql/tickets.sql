select * from orders
where restaurant_id = $1 and city = $2 and status in ('AUTHORISED', 'ACCEPTED', 'ASSIGNED')
order by order_id
limit $3
