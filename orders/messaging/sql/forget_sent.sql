delete from outbox where sent_at < clock_timestamp() - interval '24 hours'
