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
