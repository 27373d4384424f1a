update outbox set sent_at = clock_timestamp() where id = any($1)
