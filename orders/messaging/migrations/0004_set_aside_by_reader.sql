-- Of each reader the newest are kept (node/set_aside.py).
create index set_aside_by_reader on set_aside (reader, id);
