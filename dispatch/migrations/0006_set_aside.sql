-- Messages that cannot be read, stored or sent, each with its reason; the same table in every database that reads or
-- relays messages (see node/set_aside.py).
create table set_aside (
    id bigint generated always as identity primary key,
    -- Who set it aside: a city's shard, a listener, a relay.
    reader text not null,
    topic text not null,
    -- Where the message lies in the topic; a letter of an outbox that was never sent has partition -1 and its own id.
    partition integer not null,
    log_offset bigint not null,
    key text not null,
    reason text not null,
    -- The first bytes only; size and sha256 are those of the whole message.
    payload bytea not null,
    size bigint not null,
    sha256 bytea not null,
    set_aside_at timestamptz not null default clock_timestamp(),
    -- The same message read again is one row; another one at the same place of a log that was replaced is another.
    unique (reader, topic, partition, log_offset, sha256)
);
