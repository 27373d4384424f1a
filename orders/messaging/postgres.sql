-- name: forget_offsets
delete from kafka_offsets

-- name: held
select source, order_id::text as order_id, version, payload from inbox_held where order_id = any($1)

-- name: hold
insert into inbox_held (source, order_id, version, payload) values ($1, $2, $3, $4) on conflict do nothing

-- name: log
select log_id from kafka_log

-- name: offsets
select topic, partition, next_offset from kafka_offsets

-- name: release
delete from inbox_held where source = $1 and order_id = $2 and version <= $3

-- name: save_offsets
insert into kafka_offsets (topic, partition, next_offset)
select * from unnest($1::text[], $2::integer[], $3::bigint[])
on conflict (topic, partition) do update set next_offset = excluded.next_offset

-- name: set_log
insert into kafka_log (log_id) values ($1)
on conflict (only_row) do update set log_id = excluded.log_id
