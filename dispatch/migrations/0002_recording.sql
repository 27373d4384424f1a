-- What a replay needs beside the logs: where a stretch may begin, and a name of all that each tick decided.
alter table dispatch.ticks
    add column decisions_digest text not null default '',
    -- Orders whose openings the tick left out: opened before, long ended, known to the database only.
    add column ignored text[] not null default '{}';

-- The memory of a city before a tick, now and then: body is compressed JSON (dispatch.engine.snapshot). Events below
-- the offset are in it.
create table dispatch.starts (
    city text not null,
    tick bigint not null,
    events_offset bigint not null,
    body bytea not null,
    primary key (city, tick)
);
