-- What a replay needs of the log of events beside the offset at which each tick ends.
alter table dispatch.ticks
    -- Offsets of events that were set aside since the row before: no tick took them.
    add column passed_over bigint[] not null default '{}',
    -- In the first tick of an owner: the offset at which it began; null in all others, and in ticks of before.
    add column owner_began bigint;
