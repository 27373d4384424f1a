-- Which log the messages went to last, told by the relay (node/outbox); kafka_log says only which one was read.
create table outbox_logs (
    -- Empty: the messages of all cities are relayed together.
    city text primary key,
    incarnation text not null
);
insert into outbox_logs (city, incarnation) select '', log_id from kafka_log;
