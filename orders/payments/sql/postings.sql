select key, currency, jsonb_object_agg(account, amount_minor) as legs
from ledger where order_id = $1
group by key, currency
order by min(posted_at)
