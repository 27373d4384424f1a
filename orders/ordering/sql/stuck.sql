select order_id::text as order_id, status
from orders
where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
  and status = $1
  and changed_at < now() - make_interval(secs => $2)
order by changed_at
limit $3
