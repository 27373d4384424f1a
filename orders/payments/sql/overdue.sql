-- Who waits for the customer is not late.
select count(*) from payments
where due_at is not null
  and changed_at < clock_timestamp() - make_interval(secs => $1)
  and status <> 'ACTION_REQUIRED'
