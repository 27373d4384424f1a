-- What a replay needs to tell ETAs and tracks again; null for ticks of before, whose ETAs cannot be compared.
alter table dispatch.ticks
    -- Of the ETAs computed in the tick and of what it changed in tracks, results and outcomes.
    add column promises_digest text,
    -- Why the plans alone had to answer for ETAs; empty where the travel model did.
    add column eta_fallback text,
    -- The learned paces were computed anew since the tick before.
    add column renewed boolean,
    -- In the first tick of an owner: the lesson it began with, empty for none (dispatch.owner_lessons).
    add column lesson text,
    -- Ticks since the row before that changed nothing: what each went by (dispatch.shard.decided.TickBasis), in order.
    add column quiet jsonb;

-- Lessons that owners began with, by the first 16 hex digits of their SHA-256: dispatch.lessons keeps only the last.
create table dispatch.owner_lessons (
    city text not null,
    lesson text not null,
    learning bytea not null,
    begun_at timestamptz not null default clock_timestamp(),
    primary key (city, lesson)
);
