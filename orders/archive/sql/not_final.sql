select count(*) from {partition} where status not in ('COMPLETED', 'CANCELLED', 'DECLINED', 'FAILED')
