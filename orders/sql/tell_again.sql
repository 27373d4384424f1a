-- Orders that were told again lately are passed over; for the others the pause doubles.
with due as (
    insert into told_again as known (order_id, times, next_at)
    select order_id, 1, clock_timestamp() + make_interval(secs => 2 * $2) from unnest($1::uuid[]) as stuck (order_id)
    on conflict (order_id) do update set
        times = known.times + 1,
        next_at = clock_timestamp() + make_interval(secs => least($2 * 2.0 ^ least(known.times + 1, 20), 3600))
    where known.next_at <= clock_timestamp()
    returning order_id
), again as (
    update outbox set sent_at = null from due where outbox.order_id = due.order_id and sent_at is not null
)
select count(*) from due
