-- name: authorise
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

-- name: check
-- The customer takes some seconds to authenticate.
with acted as (
    update local_provider.charges set state = case token when 'tok_sca' then 'HELD' else 'REFUSED' end
    where provider_ref = $1 and state = 'WAITING' and made_at < clock_timestamp() - make_interval(secs => $2)
    returning state
)
select coalesce((select state from acted), (select state from local_provider.charges where provider_ref = $1))

-- name: move
-- What was answered before is answered again; else the money moves if it is where it should be. What is given back in
-- parts stays captured until nothing is left.
with known as (
    update local_provider.answers set times = times + 1 where key = $1 returning *
), moved as (
    update local_provider.charges set
        refunded_minor = refunded_minor + $8,
        state = case when $4 = 'REFUNDED' and refunded_minor + $8 < amount_minor then state else $4 end
    where provider_ref = $2 and state = any($3) and refunded_minor + $8 <= amount_minor
      and not exists (select from known)
    returning token
), answered as (
    insert into local_provider.answers (key, approved, provider_ref, reason, amount_minor, currency)
    select $1, exists (select from moved), $2, case when exists (select from moved) then '' else $5 end, $6, $7
    where not exists (select from known)
    returning *
)
select * from known union all select * from answered

-- name: token
select token from local_provider.charges where provider_ref = $1
