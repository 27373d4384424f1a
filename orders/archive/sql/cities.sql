select distinct city from {partition} order by 1
