-- The month before for a clock that is set back, the two to come so that the job may fail for weeks.
select make_partition((date_trunc('month', $1::timestamptz at time zone 'UTC') + n * interval '1 month')::date)
from generate_series(-1, 2) n
