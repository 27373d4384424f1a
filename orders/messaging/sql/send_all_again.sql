update outbox set sent_at = null where sent_at is not null
