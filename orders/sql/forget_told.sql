delete from told_again where next_at < clock_timestamp() - interval '24 hours'
