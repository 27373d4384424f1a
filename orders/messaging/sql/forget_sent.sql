delete from outbox where sent_at < now() - interval '24 hours'
