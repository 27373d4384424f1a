insert into local_provider.answers (key, approved, provider_ref, reason, amount_minor, currency)
values ($1, $2, $3, $4, $5, $6)
returning *
