-- Messages that cannot be read, stored or sent, each with its reason, in every database that reads or relays messages
-- (node/set_aside.py).
create table set_aside (
    id bigint generated always as identity primary key,
    -- Who set it aside: a city's shard, a listener, a relay.
    reader text not null,
    topic text not null,
    -- Where the message lies in the topic; one of an outbox that was never sent has partition -1 and its own id.
    partition integer not null,
    log_offset bigint not null,
    key text not null,
    reason text not null,
    -- The first bytes only; size and sha256 are those of the whole message.
    payload bytea not null,
    size bigint not null,
    sha256 bytea not null,
    set_aside_at timestamptz not null default clock_timestamp(),
    -- Its reader went on as if the message had been read: nothing would come of reading it again.
    passed_over boolean not null default false,
    -- When it was dropped or tried again. The row stays, so that its reader, who may read the message again, does not
    -- set it aside anew.
    done_at timestamptz,
    -- The same message read again is one row; another one at the same place of a log that was replaced is another.
    unique (reader, topic, partition, log_offset, sha256)
);
-- Of each reader the newest are kept.
create index set_aside_by_reader on set_aside (reader, id);
