select first_point, last_point from shard_range
