delete from provider_events where heard_at < clock_timestamp() - make_interval(days => $1)
