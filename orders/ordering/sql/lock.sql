-- The bounds prune partitions; the order of locking is the same for all, so that no two wait for each other.
select * from orders
where order_id = any($1) and created_at between $2 and $3
order by order_id
for no key update
