-- Whole orders are claimed by locking their first unsent row: while it is locked and unsent, no later row of the order is
-- first for anybody else. In the order of ids (which is nearly that of time) the index gives the first ones without
-- looking at all that wait.
select order_id
from outbox first
where sent_at is null
  and not exists (
      select from outbox earlier
      where earlier.order_id = first.order_id and earlier.sent_at is null and earlier.id < first.id
  )
order by order_id, id
limit $1
for update skip locked
