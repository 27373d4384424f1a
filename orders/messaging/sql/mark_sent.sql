update outbox set sent_at = clock_timestamp()
from unnest($1::uuid[], $2::bigint[]) as sent (order_id, id)
where outbox.order_id = sent.order_id and outbox.id = sent.id
returning 1000 * extract(epoch from sent_at - written_at)::float8 as lag_ms
