-- $1 messages sent within the last day and a little more, ten unsent; as many idempotency keys of the last 31 days.
with sent as (
    insert into outbox (event_id, order_id, topic, city, payload, written_at, sent_at)
    select
        'event-' || n, md5(n::text)::uuid, 'order.events', '', 'x', now(),
        case when n > $1::bigint - 10 then null else now() - interval '24 hours 30 minutes' * (1 - n::float8 / $1::bigint) end
    from generate_series(1, $1::bigint) n
)
insert into idempotency_keys (user_id, key, body_sha256, order_id, created_at)
select
    'customer-' || n % 20000, 'key-' || n, 'x', md5(n::text)::uuid,
    now() - interval '30 days 6 hours' * (1 - n::float8 / $1::bigint)
from generate_series(1, $1::bigint) n
