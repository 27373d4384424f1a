select id, event_id, order_id::text as order_id, topic, city, payload
from outbox
where order_id = any($1) and sent_at is null
order by id
