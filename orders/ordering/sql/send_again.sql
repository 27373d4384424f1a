-- Orders that were told again lately are passed over, so that those behind them have their turn; the pause doubles.
with stuck as (
    select order_id
    from orders left join told_again using (order_id)
    where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
      and status = $1
      and changed_at < now() - make_interval(secs => $2)
      and (next_at is null or next_at <= now())
    order by changed_at
    limit $3
), due as (
    insert into told_again as known (order_id, times, next_at)
    select order_id, 1, clock_timestamp() + make_interval(secs => 2 * $2) from stuck
    on conflict (order_id) do update set
        times = known.times + 1,
        next_at = clock_timestamp() + make_interval(secs => least($2 * 2.0 ^ least(known.times + 1, 20), 3600))
    -- Another process may have done it since.
    where known.next_at <= clock_timestamp()
    returning order_id
), again as (
    update outbox set sent_at = null from due where outbox.order_id = due.order_id and sent_at is not null
)
select count(*) from due
