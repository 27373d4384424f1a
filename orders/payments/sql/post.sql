insert into ledger (key, order_id, account, amount_minor, currency)
select $1, $2, leg.account, leg.amount_minor, $5
from unnest($3::text[], $4::bigint[]) as leg (account, amount_minor)
