-- name: cities
select distinct city from {partition} order by 1

-- name: columns
select attname as name, format_type(atttypid, null) as type
from pg_attribute
where attrelid = 'orders'::regclass and attnum > 0 and not attisdropped
order by attnum

-- name: drop
drop table {partition}

-- name: fingerprint
select count(*) as rows, coalesce(sum(hashtextextended(o::text, 0)::numeric), 0) as digest from {partition} o

-- name: lock
lock table {partition} in share row exclusive mode

-- name: not_final
select count(*) from {partition} where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')

-- name: note
insert into archived_months (month, rows, files) values ($1, $2, $3)

-- name: partitions
select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = 'orders'::regclass order by 1

-- name: rows
select * from {partition} where city = $1 order by right(order_id::text, 4), user_id, order_id

-- name: try_alone
select pg_try_advisory_lock(hashtext('forno.orders.archive'))
