-- The condition stands twice: a row that changed meanwhile is looked at again before it goes.
delete from told_again
where next_at < now() - interval '24 hours'
  and ctid = any (array(select ctid from told_again where next_at < now() - interval '24 hours' limit $1))
