with answered as (
    insert into local_provider.answers as known (key, approved, provider_ref, reason, amount_minor, currency)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (key) do update set times = known.times + 1
    returning *
), held as (
    insert into local_provider.charges (provider_ref, token, amount_minor, currency, state)
    select $3, $7, $5, $6, $8
    from answered
    where times = 1 and approved
)
select * from answered
