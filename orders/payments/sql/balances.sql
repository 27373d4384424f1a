select account, sum(amount_minor)::bigint as minor from ledger where order_id = $1 group by account
