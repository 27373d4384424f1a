insert into kafka_log (log_id) values ($1)
on conflict (only_row) do update set log_id = excluded.log_id
