-- What a shard decided, and all it must know to go on. Written in one transaction a tick, fenced by router.hold.
-- A rider id is a u64, hence numeric(20). Times *_ms are domain milliseconds.
create schema if not exists dispatch;

-- One row a tick that decided or changed something. The cut says which inputs it had seen.
create table dispatch.ticks (
    city text not null,
    tick bigint not null,
    epoch bigint not null,
    shard_id text not null,
    now_ms bigint not null,
    incarnation text not null,
    partition integer not null,
    pings_offset bigint not null,
    events_offset bigint not null,
    params_digest text not null,
    travel_version text not null,
    strategy text not null,
    solver_status text not null,
    solver_work bigint not null,
    solver_cost double precision not null,
    fallback text not null,
    problem_digest text not null,
    solution_digest text not null,
    duration_ms real not null,
    committed_at timestamptz not null default clock_timestamp(),
    primary key (city, tick)
);

-- Sets of parameters by the digest of their JSON; a tick names one.
create table dispatch.param_sets (
    digest text primary key,
    body jsonb not null
);

-- How far each city is, refreshed with ticks and every few seconds between them.
create table dispatch.cuts (
    city text primary key,
    epoch bigint not null,
    tick bigint not null,
    incarnation text not null,
    partition integer not null,
    pings_offset bigint not null,
    events_offset bigint not null,
    saved_at timestamptz not null default clock_timestamp()
);

-- Offsets an owner applied, without holes: [first_offset, next_offset). The ranges of all epochs tile the log.
create table dispatch.applied_ranges (
    city text not null,
    epoch bigint not null,
    incarnation text not null,
    topic text not null,
    partition integer not null,
    first_offset bigint not null,
    next_offset bigint not null check (next_offset >= first_offset),
    primary key (city, epoch, incarnation, topic, first_offset)
);

-- Entities of the engine; body is the engine's own JSON (dispatch.engine.codec), the other columns are for people and indexes.
create table dispatch.orders (
    order_id text primary key,
    city text not null,
    status text not null,
    rider_id numeric(20),
    ended_ms bigint,
    tick bigint not null,
    body jsonb not null
);
create index orders_open on dispatch.orders (city) where ended_ms is null;
create index orders_ended on dispatch.orders (city, ended_ms) where ended_ms is not null;

create table dispatch.riders (
    rider_id numeric(20) not null,
    city text not null,
    online boolean not null,
    load integer not null,
    tick bigint not null,
    body jsonb not null,
    primary key (city, rider_id)
);

create table dispatch.offers (
    offer_id text primary key,
    city text not null,
    rider_id numeric(20) not null,
    status text not null,
    made_ms bigint not null,
    tick bigint not null,
    body jsonb not null
);
-- A rider has one live offer on its screen, whoever made it.
create unique index one_live_offer_a_rider on dispatch.offers (rider_id) where status = 'live';
create index offers_live on dispatch.offers (city) where status = 'live';

create table dispatch.cooldowns (
    city text not null,
    rider_id numeric(20) not null,
    order_id text not null,
    until_ms bigint not null,
    primary key (city, rider_id, order_id)
);

-- Who holds an order: from the offer on, until it ends or goes back. Kept as history; the two indexes make a double
-- assignment impossible: an order is with one rider, and a place in a rider's load is taken once.
create table dispatch.holdings (
    holding_id bigint generated always as identity primary key,
    order_id text not null,
    rider_id numeric(20) not null,
    -- Place in the rider's load; null while it is only offered.
    slot integer check (slot >= 0),
    city text not null,
    epoch bigint not null,
    since_tick bigint not null,
    until_tick bigint
);
create unique index one_live_holding_an_order on dispatch.holdings (order_id) where until_tick is null;
create unique index one_order_a_slot on dispatch.holdings (rider_id, slot) where until_tick is null and slot is not null;

create table dispatch.decisions (
    city text not null,
    tick bigint not null,
    offer_id text primary key,
    order_ids text[] not null,
    rider_id numeric(20) not null,
    epoch bigint not null,
    body jsonb not null
);
create index decisions_of_order on dispatch.decisions using gin (order_ids);

-- What a customer is told of an order.
create table dispatch.tracks (
    order_id text primary key,
    city text not null,
    version bigint not null,
    tick bigint not null,
    body jsonb not null
);

create table dispatch.outbox (
    id bigint generated always as identity primary key,
    city text not null,
    order_id text not null,
    version bigint not null,
    payload bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    unique (order_id, version)
);
create index outbox_waiting on dispatch.outbox (city, id) where published_at is null;

-- Which incarnation of the log the outbox of a city was last published to.
create table dispatch.outbox_logs (
    city text primary key,
    incarnation text not null
);

-- Predicted at acceptance against what came: so calibration is measured, not believed.
create table dispatch.eta_outcomes (
    order_id text primary key,
    city text not null,
    rider_id numeric(20) not null,
    placed_ms bigint not null,
    accepted_ms bigint not null,
    predicted_ms bigint not null,
    predicted_p90_ms bigint not null,
    delivered_ms bigint not null,
    recorded_at timestamptz not null default clock_timestamp()
);
