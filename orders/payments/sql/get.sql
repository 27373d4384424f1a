select *, (
    select to_jsonb(refunds) from refunds
    where refunds.order_id = payments.order_id and refunds.status = 'PENDING'
    order by asked_at, key
    limit 1
) as refund
from payments where order_id = $1
