select * from postings where order_id = $1 order by posted_at
