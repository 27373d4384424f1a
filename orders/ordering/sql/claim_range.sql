insert into shard_range (first_point, last_point) values ($1, $2) on conflict do nothing
