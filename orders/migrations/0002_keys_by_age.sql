-- Keys are forgotten by age.
create index idempotency_keys_by_age on idempotency_keys using brin (created_at);
