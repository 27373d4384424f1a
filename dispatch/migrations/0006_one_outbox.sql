-- The outbox gets the columns that it has in every database (node/outbox), and leaves the schema of dispatch for that:
-- one text of each statement fits all. Rows stay; those of before have no event_id.
alter table dispatch.outbox set schema public;
alter table outbox rename column created_at to written_at;
alter table outbox rename column published_at to sent_at;
alter table outbox
    add column event_id text not null default '',
    add column topic text not null default 'dispatch.events',
    drop column version,
    drop constraint outbox_pkey,
    add primary key (order_id, id);
alter index outbox_waiting rename to outbox_unsent_of_city;
-- A result is told once: a second one of a version breaks the tick that made it.
create unique index outbox_event on outbox (event_id) where event_id <> '';
create index outbox_sent on outbox using brin (sent_at);
alter table dispatch.outbox_logs set schema public;

-- For shards of the release before, for as long as they run beside new ones; a later migration may drop these. They mark
-- rows by id alone. Their pruning fails on a view, with a warning: the new release prunes.
create unique index outbox_by_id on outbox (id);
create view dispatch.outbox as
select id, city, order_id, 0::bigint as version, payload, written_at as created_at, sent_at as published_at from outbox;

create function dispatch.insert_outbox() returns trigger language plpgsql as $$
begin
    insert into public.outbox (event_id, order_id, topic, city, payload)
    values (new.order_id || '.' || new.version, new.order_id, 'dispatch.events', new.city, new.payload);
    return new;
end
$$;

create trigger insert_outbox instead of insert on dispatch.outbox
for each row execute function dispatch.insert_outbox();

create view dispatch.outbox_logs as select city, incarnation from outbox_logs;
