select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = 'orders'::regclass order by 1
