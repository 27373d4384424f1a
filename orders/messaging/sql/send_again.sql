update outbox set sent_at = null where order_id = any($1) and sent_at is not null
