-- name: steps
select city, from_shard, to_shard, riders, open_orders, state, reason, move_id
from router.plan_steps where plan_id = $1 order by step

-- name: new_step
insert into router.plan_steps (plan_id, step, city, from_shard, to_shard, riders, open_orders)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: fail_coming
select router.fail_move(move_id, $1 || ' is being drained', $2)
from router.moves where to_shard = $1 and ended_at is null and state <> 'released'

-- name: last_plan
select plan_id, state, reason, drains, actor from router.plans order by plan_id desc limit 1

-- name: one_plan
select plan_id, state, reason, drains, actor from router.plans where plan_id = $1

-- name: again
update router.plan_steps set state = 'waiting', reason = '' where plan_id = $1 and state in ('failed', 'skipped')

-- name: shard_ids
select shard_id from router.shards

-- name: lock_plans
lock table router.plans in share row exclusive mode

-- name: lock_plan
select from router.plans where plan_id = $1 for update

-- name: running_plan
select plan_id from router.plans where state = 'running'

-- name: set_draining
update router.shards set draining = $2 where shard_id = $1

-- name: new_plan
insert into router.plans (drains, actor) values ($1, $2) returning plan_id

-- name: set_plan
update router.plans set state = $2, reason = $3 where plan_id = $1

-- name: set_step
update router.plan_steps set state = $3, reason = $4, move_id = $5 where plan_id = $1 and step = $2

-- name: count_steps
select count(*) from router.plan_steps where plan_id = $1
