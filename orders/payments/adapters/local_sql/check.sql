-- The customer takes some seconds to authenticate.
with acted as (
    update local_provider.charges set state = case token when 'tok_sca' then 'HELD' else 'REFUSED' end
    where provider_ref = $1 and state = 'WAITING' and made_at < clock_timestamp() - make_interval(secs => $2)
    returning state
)
select coalesce((select state from acted), (select state from local_provider.charges where provider_ref = $1))
