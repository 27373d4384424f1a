-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from idempotency_keys
where created_at < now() - make_interval(days => $2)
  and ctid = any (array(select ctid from idempotency_keys where created_at < now() - make_interval(days => $2) limit $1))
