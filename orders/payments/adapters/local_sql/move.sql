-- What was answered before is answered again; else the money moves if it is where it should be.
with known as (
    update local_provider.answers set times = times + 1 where key = $1 returning *
), moved as (
    update local_provider.charges set state = $4
    where provider_ref = $2 and state = $3 and not exists (select from known)
    returning token
), answered as (
    insert into local_provider.answers (key, approved, provider_ref, reason, amount_minor, currency)
    select $1, exists (select from moved), $2, case when exists (select from moved) then '' else $5 end, $6, $7
    where not exists (select from known)
    returning *
)
select * from known union all select * from answered
