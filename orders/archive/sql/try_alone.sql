select pg_try_advisory_lock(hashtext('forno.orders.archive'))
