select count(*) as rows, coalesce(sum(hashtextextended(o::text, 0)::numeric), 0) as digest from {partition} o
