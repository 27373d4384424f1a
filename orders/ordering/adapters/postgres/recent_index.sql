-- name: indexes
select t.relname as partition, i.relname as name, x.indisvalid as valid
from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
where t.relname ~ '^orders_[0-9]{4}_[0-9]{2}$' and i.relname ~ '_recent_[0-9]{8}$'

-- name: alone
select pg_try_advisory_lock(hashtext('forno.orders.recent_index'))
