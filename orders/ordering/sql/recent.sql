select status, count(*) as orders, sum(items_minor + delivery_fee_minor + tip_minor)::bigint as minor, currency
from orders
where city = $1 and created_at >= $2
group by status, currency
order by status
