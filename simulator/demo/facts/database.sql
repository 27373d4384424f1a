-- name: held_twice
select distinct a.order_id
from dispatch.holdings a join dispatch.holdings b on b.order_id = a.order_id and b.holding_id > a.holding_id
where a.rider_id <> b.rider_id and a.slot is not null and b.slot is not null
  and int8range(a.since_tick, a.until_tick) && int8range(b.since_tick, b.until_tick)

-- name: ticks
select count(*) as count,
       percentile_cont(0.5) within group (order by duration_ms) as p50,
       percentile_cont(0.99) within group (order by duration_ms) as p99
from dispatch.ticks

-- name: eta
select count(*) as count,
       percentile_cont(0.5) within group (order by abs(delivered_ms - predicted_ms) / 1000.0) as median,
       percentile_cont(0.9) within group (order by abs(delivered_ms - predicted_ms) / 1000.0) as p90,
       avg(((delivered_ms <= predicted_p90_ms))::int) as within_p90
from dispatch.eta_outcomes

-- name: click_to_door
select percentile_cont(0.5) within group (order by (delivered_ms - placed_ms) / 60000.0) as median,
       percentile_cont(0.9) within group (order by (delivered_ms - placed_ms) / 60000.0) as p90,
       avg((delivered_ms - placed_ms) / 60000.0) as mean
from dispatch.eta_outcomes

-- name: ready_to_pickup
select count(*) as count,
       avg(((body->>'picked_up_ms')::bigint - (body->>'ready_ms')::bigint) / 60000.0) as mean
from dispatch.orders where body->>'picked_up_ms' is not null

-- name: orders
select lower(status) as status, count(*) as count from orders group by 1

-- name: delivered
select city, count(*) as count from dispatch.orders where status = 'delivered' group by city
