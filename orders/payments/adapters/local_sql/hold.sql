insert into local_provider.charges (provider_ref, token, amount_minor, currency, state) values ($1, $2, $3, $4, 'HELD')
